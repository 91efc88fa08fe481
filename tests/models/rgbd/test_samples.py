"""Samples hold what the networks take, of the scans that can be used."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from models.errors import DatasetError, ScanError
from models.rgbd.contents import Scan
from models.rgbd.samples import RgbdSamples, gathered_samples, sample_of
from tests.models.rgbd.made_up_samples import made_up_samples


def test_samples_come_back_from_their_file(tmp_path):
    samples = made_up_samples(2)
    samples.save(tmp_path / "samples.npz")
    loaded = RgbdSamples.load(tmp_path / "samples.npz")
    np.testing.assert_array_equal(loaded.colour, samples.colour)
    np.testing.assert_array_equal(loaded.depth, samples.depth)
    np.testing.assert_array_equal(loaded.depth_image, samples.depth_image)
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


def scan(subject: str, emotion: str) -> Scan:
    return Scan(Path(f"{subject}.wrl"), Path(f"{subject}.bmp"), None, subject, emotion, 3)


def pair(brightness: int) -> SimpleNamespace:
    """A photograph of one brightness, and a surface that falls by 60 mm from the left to the right."""
    depth = np.tile(np.linspace(0, -60, 256, dtype=np.float32), (256, 1))
    return SimpleNamespace(
        colour=np.full((256, 256, 3), brightness, np.uint8), depth=depth, box=np.array([16, 16, 240, 240])
    )


def test_pairs_become_samples_and_scans_without_one_are_named():
    refused = ScanError("vertices are not numbers.", "NaN vertices")
    outcomes = [
        (scan("F0010", "happy"), sample_of(pair(10))),
        (scan("F0002", "sad"), refused),
        (scan("F0030", "angry"), sample_of(pair(30))),
    ]
    assembled = gathered_samples(outcomes, synthetic=True)
    samples = assembled.samples
    assert samples.subjects.tolist() == ["F0010", "F0030"]
    assert samples.labels.tolist() == ["happy", "angry"]
    assert samples.colour[:, 100, 100, 0].tolist() == [10, 30]
    assert (samples.depth[:, :, 2] > samples.depth[:, :, -2] + 0.3).all()
    assert samples.synthetic
    assert assembled.left_out == {"NaN vertices": 1}
    assert assembled.problems == ("F0002 sad 3: vertices are not numbers.",)


def test_networks_that_expect_photographs_see_depth_as_finely_as_the_range_image_has_it():
    """A crease of one pixel is there for them, and nearly gone from the map of 64 pixels."""
    creased = pair(10)
    creased.depth[:, 100] -= 12
    found = sample_of(creased)
    assert found["depth_image"].dtype == np.uint8
    assert found["depth_image"].shape == (224, 224)
    # A tenth of the 120 mm that depth is told over.
    column = 100 - 16
    neighbours = found["depth_image"][112, [column - 2, column + 2]].mean()
    assert 0.1 * 255 - 2 < neighbours - found["depth_image"][112, column] < 0.1 * 255 + 2
    coarse = found["depth"][32] - np.convolve(found["depth"][32], np.ones(5) / 5, mode="same")
    assert np.abs(coarse[3:-3]).max() < 0.05


def test_nothing_that_can_be_prepared_is_an_error_that_names_why():
    with pytest.raises(DatasetError, match="F0002 sad 3"):
        gathered_samples([(scan("F0002", "sad"), ScanError("it is broken."))], synthetic=True)
