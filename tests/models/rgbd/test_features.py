"""Features are computed once for each image and each set of weights."""

import logging

import numpy as np
import pytest

from models.rgbd.features import backbone_features, grey_images
from tests.models.rgbd.stand_in_backbone import stand_in_backbone


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)


@pytest.fixture
def asked():
    """A backbone that keeps the number of images that it was asked for."""
    backbone = stand_in_backbone()
    counts = []
    backbone.trunk.register_forward_hook(lambda module, given, output: counts.append(len(output)))
    return backbone, counts


def test_only_images_that_are_new_are_looked_at(tmp_path, images, asked):
    backbone, counts = asked
    backbone_features(images[:3], backbone, cache=tmp_path)
    backbone_features(images, backbone, cache=tmp_path)
    backbone_features(images[::-1], backbone, cache=tmp_path)
    assert sum(counts) == 5


def test_the_cache_changes_nothing(tmp_path, images, asked):
    backbone, _ = asked
    direct = backbone_features(images, backbone)
    assert direct.shape == (5, 2048)
    backbone_features(images[[3, 1]], backbone, cache=tmp_path)
    np.testing.assert_allclose(backbone_features(images, backbone, cache=tmp_path), direct, rtol=1e-5, atol=1e-6)


def test_images_that_are_there_twice_are_looked_at_once(images, asked):
    backbone, counts = asked
    features = backbone_features(images[[0, 1, 0]], backbone)
    assert sum(counts) == 2
    np.testing.assert_array_equal(features[0], features[2])


def test_other_weights_have_features_of_their_own(tmp_path, images):
    one = backbone_features(images, stand_in_backbone(seed=1), cache=tmp_path)
    other = backbone_features(images, stand_in_backbone(seed=2), cache=tmp_path)
    assert np.abs(one - other).max() > 0.01


def test_a_damaged_cache_is_made_anew(tmp_path, images, asked, caplog):
    backbone, counts = asked
    backbone_features(images, backbone, cache=tmp_path)
    (file,) = tmp_path.glob("*.npz")
    file.write_bytes(b"torn")
    with caplog.at_level(logging.WARNING):
        backbone_features(images, backbone, cache=tmp_path)
    assert sum(counts) == 10
    assert file.name in caplog.text


def test_depth_maps_are_grey_images_for_networks_that_expect_photographs():
    depth = np.array([0, 255], np.uint8)[:, None, None] * np.ones((224, 224), np.uint8)
    images = grey_images(depth)
    assert images.shape == (2, 224, 224, 3)
    assert (images[0] == 0).all()
    assert (images[1] == 255).all()
