"""Range images find their place on the photograph, always the same one, and only on their own photograph."""

from dataclasses import replace

import numpy as np
import pytest

from models.errors import ScanError
from models.rgbd.range_image import RangeImage, range_image
from models.rgbd.registration import mean_distance, register, warped
from models.rgbd.rendered_scans import RenderedScan
from models.rgbd.settings import RegistrationSettings


def truth(scan: RenderedScan, image: RangeImage) -> np.ndarray:
    """Where the range image lies (2, 3), as the renderer has it."""
    linear = scan.to_photograph[:, :2]
    scale = np.diag([image.mm_per_pixel, -image.mm_per_pixel])
    return np.column_stack([linear @ scale, linear @ image.origin + scan.to_photograph[:, 2]])


def disturbed(matrix: np.ndarray, image: RangeImage, turn: float, shift: tuple[float, float], scale: float = 1.0):
    """A transformation (2, 3) turned, in degrees, and scaled about the face's middle, then shifted in pixels."""
    angle = np.radians(turn)
    change = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = matrix @ [*np.argwhere(image.valid).mean(0)[::-1], 1]
    return np.column_stack([change @ matrix[:, :2], change @ (matrix[:, 2] - middle) + middle + shift])


def test_offsets_of_20_pixels_and_10_degrees_are_undone(scans):
    errors = []
    for number, scan in enumerate(scans):
        image = range_image(scan.mesh)
        true = truth(scan, image)
        start = disturbed(true, image, 10 * (-1) ** number, (14 * (-1) ** (number // 2), 14), 1.04)
        found = register(image, scan.photograph, start=start)
        assert found.metric_after > found.metric_before
        np.testing.assert_array_equal(found.start, start)
        errors.append(mean_distance(found.matrix, true, image.valid))
    assert np.median(errors) < 1.5


def test_the_same_pair_gives_the_same_registration(scans):
    image = range_image(scans[0].mesh)
    start = disturbed(truth(scans[0], image), image, 5, (8, -6))
    settings = RegistrationSettings(starts=1, relit=1)
    first, second = (register(image, scans[0].photograph, settings, start) for _ in range(2))
    np.testing.assert_array_equal(first.matrix, second.matrix)
    assert first.metric_after == second.metric_after


def test_a_rigid_registration_keeps_the_scale(scans):
    image = range_image(scans[0].mesh)
    start = disturbed(truth(scans[0], image), image, 4, (5, 5))
    found = register(image, scans[0].photograph, RegistrationSettings(transform="rigid", starts=1), start)
    assert found.scale == pytest.approx(np.hypot(*start[:, 0]), rel=1e-6)
    assert mean_distance(found.matrix, start, image.valid) > 3


def test_a_photograph_of_something_else_does_not_belong_to_the_scan(scans):
    image = range_image(scans[0].mesh)
    noise = np.random.default_rng(0).integers(0, 255, (512, 512, 3)).astype(np.uint8)
    with pytest.raises(ScanError, match="do not belong together") as caught:
        register(image, noise)
    assert caught.value.reason == "mismatch"


def test_depth_and_grey_levels_can_be_compared_as_in_the_paper(scans):
    image = range_image(scans[0].mesh)
    start = truth(scans[0], image)
    settings = RegistrationSettings(picture="depth", starts=1, worst_information=0)
    assert register(image, scans[0].photograph, settings, start).metric_after > 0


@pytest.mark.parametrize("wrong", [{"transform": "affine"}, {"picture": "colour"}])
def test_unknown_transforms_and_pictures_are_told_of(scans, wrong):
    image = range_image(scans[0].mesh)
    with pytest.raises(ValueError, match=str(*wrong.values())):
        register(image, scans[0].photograph, replace(RegistrationSettings(), **wrong))


def test_warped_depth_keeps_millimetres_and_mixes_nothing_in():
    depth = np.full((40, 40), 55.0, np.float32)
    depth[:, 20:] = np.nan
    moved = warped(depth, np.array([[1.5, 0, 3.3], [0, 1.5, 2.1]]), (60, 60))
    assert set(np.unique(moved[np.isfinite(moved)]).round(3)) == {55.0}
    assert np.isfinite(moved[30, 10])
    assert np.isnan(moved[30, 45])
