"""Augmentation changes pictures within their limits, and is the same for the same seed."""

from dataclasses import replace

import pytest
import torch

from models.expression.augmentation import augmented
from models.expression.settings import Augmentation

OFF = Augmentation(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
STRONG = Augmentation(0.05, 10, 0.1, 0.2, 0.3, 0.2, 0.5, 0.05, 0.5, 0.5, 1.0)


@pytest.fixture
def images():
    coarse = torch.randint(0, 256, (16, 7, 7, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return coarse.repeat_interleave(8, dim=1).repeat_interleave(8, dim=2)


def run(images, settings, seed=0):
    return run_both(images, torch.zeros(len(images), 68, 2), settings, seed)[0]


def run_both(images, landmarks, settings, seed=0):
    return augmented(images, landmarks, settings, torch.Generator().manual_seed(seed))


def test_with_all_switched_off_nothing_changes(images):
    torch.testing.assert_close(run(images, OFF), images.float() / 255)


def test_the_same_seed_gives_the_same_pictures(images):
    assert torch.equal(run(images, STRONG), run(images, STRONG))
    assert not torch.equal(run(images, STRONG), run(images, STRONG, seed=1))


def test_pictures_stay_pictures(images):
    result = run(images, STRONG)
    assert result.shape == images.shape
    assert (result >= 0).all()
    assert (result <= 1).all()


def test_a_shift_moves_a_spot_as_far_as_it_says():
    """Over many images the spot's displacement has the standard deviation asked for, along both axes."""
    images = torch.zeros(400, 64, 64, 3, dtype=torch.uint8)
    images[:, 30:34, 30:34] = 255
    result = run(images, replace(OFF, translation=0.05)).mean(dim=3)
    weight = result / result.sum(dim=(1, 2), keepdim=True)
    places = torch.arange(64.0)
    rows, columns = (weight.sum(dim=2) * places).sum(1), (weight.sum(dim=1) * places).sum(1)
    for centre in (rows, columns):
        assert centre.mean() == pytest.approx(31.5, abs=0.6)
        assert centre.std() == pytest.approx(0.05 * 64, rel=0.15)


def test_each_image_draws_its_own_brightness(images):
    grey = torch.full((64, 8, 8, 3), 128, dtype=torch.uint8)
    means = run(grey, replace(OFF, brightness=0.2)).mean(dim=(1, 2, 3))
    assert means.std() > 0.05
    assert (means - 128 / 255).abs().max() <= 0.2 + 1e-6


def test_the_asked_share_of_images_turns_grey():
    colourful = torch.randint(0, 256, (400, 8, 8, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    result = run(colourful, replace(OFF, grey_share=0.3))
    grey = (result.amax(dim=3) - result.amin(dim=3)).amax(dim=(1, 2)) < 1e-6
    assert grey.float().mean() == pytest.approx(0.3, abs=0.08)


def test_an_occluder_covers_no_more_than_its_size():
    flat = torch.full((100, 40, 40, 3), 128, dtype=torch.uint8)
    covered = (run(flat, replace(OFF, cutout_share=1.0, cutout_size=0.5)) - 128 / 255).abs().amax(dim=3) > 1e-4
    assert covered.any(dim=2).any(dim=1).float().mean() > 0.8
    assert covered.any(dim=2).sum(dim=1).max() <= 21
    assert covered.any(dim=1).sum(dim=1).max() <= 21


def test_a_loose_alignment_moves_the_image_under_its_landmarks(images):
    """Landmarks lie on the template by construction, whatever the detector has wrong."""
    landmarks = torch.rand(16, 68, 2, generator=torch.Generator().manual_seed(1)) * 224
    pixels, kept = run_both(images, landmarks, replace(OFF, translation=0.04, rotation_deg=12, scale=0.1))
    torch.testing.assert_close(kept, landmarks)
    assert (pixels - images.float() / 255).abs().mean() > 0.02


def test_landmarks_err_each_by_itself_and_as_much_as_asked(images):
    landmarks = torch.full((16, 68, 2), 100.0)
    pixels, moved = run_both(images, landmarks, replace(OFF, landmark_noise=0.8))
    assert (moved - landmarks).std() == pytest.approx(0.8, rel=0.05)
    assert (moved - landmarks).mean(dim=(0, 1)).abs().max() < 0.1
    torch.testing.assert_close(pixels, images.float() / 255)
