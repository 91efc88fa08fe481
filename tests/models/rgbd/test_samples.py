"""Samples hold what the networks take, and depth in them means the same for everybody."""

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

from models.errors import DatasetError, ScanError
from models.rgbd.samples import DEPTH_RANGE, RgbdSamples, assemble_samples, colour_input, depth_input
from tests.models.rgbd.made_up_samples import made_up_samples


def ramp(size: int = 128) -> np.ndarray:
    """Depth in mm that falls by 60 from the left to the right."""
    return np.tile(np.linspace(0, -60, size, dtype=np.float32), (size, 1))


def test_depth_is_told_in_shares_of_a_fixed_range_from_the_nearest_point():
    shown = depth_input(ramp())
    assert shown.shape == (64, 64)
    assert shown[:, 0].mean() == pytest.approx(1, abs=0.01)
    assert shown[:, -1].mean() == pytest.approx(1 - 60 / DEPTH_RANGE, abs=0.01)


def test_how_far_the_camera_is_does_not_matter_and_how_deep_the_face_is_does():
    np.testing.assert_allclose(depth_input(ramp() + 500), depth_input(ramp()), atol=1e-5)
    assert depth_input(1.2 * ramp())[:, -1].mean() < depth_input(ramp())[:, -1].mean() - 0.05


def test_there_is_zero_where_there_is_nothing():
    depth, valid = ramp(), np.ones((128, 128), bool)
    depth[:, 96:] = np.nan
    valid[:32] = False
    shown = depth_input(depth, valid)
    assert (shown[:, 49:] == 0).all()
    assert (shown[:15] == 0).all()
    assert (shown[17:, :47] > 0.5).all()
    assert not depth_input(np.full((128, 128), np.nan)).any()


def test_one_point_that_stands_out_does_not_shift_the_face():
    spiked = ramp()
    spiked[100, 100] = 300
    assert np.median(np.abs(depth_input(spiked) - depth_input(ramp()))) < 0.01


@pytest.mark.parametrize("size", [100, 512])
def test_colour_comes_in_the_size_of_the_pretrained_networks(size):
    assert colour_input(np.full((size, size, 3), 77, np.uint8)).shape == (224, 224, 3)


def test_samples_come_back_from_their_file(tmp_path):
    samples = made_up_samples(2)
    samples.save(tmp_path / "samples.npz")
    loaded = RgbdSamples.load(tmp_path / "samples.npz")
    np.testing.assert_array_equal(loaded.colour, samples.colour)
    np.testing.assert_array_equal(loaded.depth, samples.depth)
    np.testing.assert_array_equal(loaded.labels, samples.labels)
    assert loaded.synthetic
    assert loaded.reconstructed_depth is None


def test_a_file_of_other_things_is_named(tmp_path):
    np.savez(tmp_path / "samples.npz", colour=np.zeros(3))
    with pytest.raises(DatasetError, match=r"samples\.npz"):
        RgbdSamples.load(tmp_path / "samples.npz")


def test_samples_of_another_size_or_class_are_refused():
    samples = made_up_samples(2)
    with pytest.raises(DatasetError, match="64"):
        RgbdSamples(samples.colour, samples.depth[:, :32], samples.labels, samples.subjects, samples.intensities)
    with pytest.raises(DatasetError, match="neutral"):
        RgbdSamples(
            samples.colour, samples.depth, np.full(len(samples), "neutral"), samples.subjects, samples.intensities
        )


def scan(subject: str, emotion: str) -> SimpleNamespace:
    return SimpleNamespace(subject=subject, emotion=emotion, intensity=3)


def prepare(one: SimpleNamespace) -> SimpleNamespace:
    if one.subject == "F0002":
        raise ScanError("F0002.wrl: vertices are not numbers.", "broken scan")
    return SimpleNamespace(colour=np.zeros((256, 256, 3), np.uint8), depth=ramp(256), valid=np.ones((256, 256), bool))


def test_scans_that_cannot_be_prepared_are_named_and_the_rest_goes_on():
    scans = [scan("F0001", "happy"), scan("F0002", "sad"), scan("F0003", "neutral"), scan("F0003", "angry")]
    assembled = assemble_samples(scans, prepare, synthetic=True)
    assert assembled.samples.subjects.tolist() == ["F0001", "F0003"]
    assert assembled.samples.labels.tolist() == ["happy", "angry"]
    assert Counter(assembled.left_out) == {"broken scan": 1}
    assert "F0002.wrl" in assembled.problems[0]


def test_nothing_that_can_be_prepared_is_an_error():
    with pytest.raises(DatasetError, match=r"F0002\.wrl"):
        assemble_samples([scan("F0002", "sad")], prepare)
