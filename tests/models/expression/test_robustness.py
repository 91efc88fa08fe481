"""Pictures made worse, and errors against severity."""

import numpy as np
import pytest

from models.expression.robustness import degraded, flat_figures, robustness_curves, robustness_figure


@pytest.fixture
def landmarks() -> np.ndarray:
    """68 points on an ellipse, 80 pixels high, in a picture of 128."""
    angle = np.linspace(0, 2 * np.pi, 68, endpoint=False)
    return np.stack([64 + 32 * np.cos(angle), 64 - 40 * np.sin(angle)], 1)


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(100, 156, (128, 128, 3)).astype(np.uint8)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
def test_an_occlusion_hides_its_share_of_the_face(image, landmarks, share):
    covered = degraded(image, landmarks, "occlusion", share, np.random.default_rng(4))
    rows, columns = np.mgrid[:128, :128]
    face = ((columns - 64) / 32) ** 2 + ((rows - 64) / 40) ** 2 <= 1
    hidden = (covered != image).any(axis=2)
    assert hidden[face].mean() == pytest.approx(share, abs=0.03)


def test_a_larger_occlusion_hides_what_the_smaller_hid(image, landmarks):
    small, large = (
        (degraded(image, landmarks, "occlusion", share, np.random.default_rng(4)) != image).any(axis=2)
        for share in (0.2, 0.4)
    )
    assert large[small].all()
    assert large.sum() > small.sum()


def test_a_resolution_is_the_height_of_the_face(image, landmarks):
    small = degraded(image, landmarks, "resolution", 24, np.random.default_rng(0))
    assert small.shape == (38, 38, 3)  # 128 pixels of which 80 become 24


def test_blur_takes_detail_and_keeps_brightness(image, landmarks):
    blurred = degraded(image, landmarks, "blur", 6.0, np.random.default_rng(0))
    assert blurred.std() < 0.5 * image.std()
    assert blurred.mean() == pytest.approx(image.mean(), abs=1)


def test_underexposure_darkens_by_stops(image, landmarks):
    dark = degraded(image, landmarks, "darkness", 2.2, np.random.default_rng(0))
    assert dark.mean() == pytest.approx(image.mean() / 2, rel=0.02)


def test_an_unknown_kind_is_refused(image, landmarks):
    with pytest.raises(ValueError, match="'rain'"):
        degraded(image, landmarks, "rain", 1.0, np.random.default_rng(0))


@pytest.fixture
def curves() -> list:
    conditions = ["plain", "blur=2", "blur=4", "yaw=45"] * 3
    truth = np.zeros((12, 5))
    network = np.tile([[0.1], [0.2], [0.3], [0.5]], (3, 5))
    network[3] = np.nan
    fit = np.full((12, 5), 0.4)
    fit[2::4] = np.nan
    return robustness_curves(conditions, truth, {"network": network, "single_image": fit})


def test_curves_begin_with_the_plain_picture_and_follow_the_severities(curves):
    blur, yaw = curves
    assert (blur.kind, blur.levels.tolist()) == ("blur", [0.0, 2.0, 4.0])
    np.testing.assert_allclose(blur.mse["network"], [0.01, 0.04, 0.09])
    np.testing.assert_allclose(yaw.mse["network"], [0.01, 0.25])
    np.testing.assert_allclose(yaw.found, [1, 2 / 3])


def test_figures_name_method_kind_and_severity_and_leave_out_what_is_unknown(curves):
    figures = flat_figures(curves)
    assert figures["robustness_network_plain"] == pytest.approx(0.01)
    assert figures["robustness_single_image_blur_2"] == pytest.approx(0.16)
    assert "robustness_single_image_blur_4" not in figures
    assert figures["robustness_found_yaw_45"] == pytest.approx(2 / 3)


def test_the_figure_has_a_panel_for_each_kind(curves, tmp_path):
    figure = robustness_figure(curves, {"network": "DeepExp3D", "single_image": "fit"}, rest=0.3)
    assert [axes.get_title() for axes in figure.axes] == ["blur", "yaw"]
    figure.savefig(tmp_path / "curves.png")
