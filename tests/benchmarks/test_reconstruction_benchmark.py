"""The benchmark's own parts: peers that are what they say, and tables that come out of figures."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.reconstruction import conditions, peers, tables
from models.errors import ParamsError
from models.fitting.camera import ScaledOrthographicCamera
from models.fitting.pose import rotation_angle_degrees
from models.fitting.simulation import OTHER_EXPRESSIONS, SimulationSettings, simulate_video
from models.morphable_model import MorphableModel


@pytest.fixture(scope="module")
def unit_model(small_model) -> MorphableModel:
    """The small model with face units."""
    rng = np.random.default_rng(1)
    units = (np.abs(rng.normal(size=(28, 28))) * (rng.random((28, 28)) < 0.1) + np.eye(28)) * small_model.expression_std
    names = np.array([f"unit{k // 2}{'Right' if k % 2 else 'Left'}" for k in range(28)])
    return replace(small_model, extras={"units": units, "unit_names": names})


@pytest.fixture(scope="module")
def video(unit_model):
    return simulate_video(unit_model, SimulationSettings(frames=12, expression="bumps"), seed=4)


def test_an_affine_pose_of_exact_points_is_the_camera(unit_model):
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    rotation *= np.linalg.det(rotation)
    camera = ScaledOrthographicCamera(np.array([1.7]), rotation[None], np.array([[80.0, -20.0]]))
    points = unit_model.landmark_mean
    found = peers.affine_pose(points, camera.project(points)[0])
    np.testing.assert_allclose(found.rotation, camera.rotation, atol=1e-9)
    np.testing.assert_allclose(found.scale, camera.scale)
    np.testing.assert_allclose(found.translation, camera.translation)


@pytest.mark.parametrize("fit", [peers.fit_baseline, peers.fit_bounded, peers.fit_eos_algorithm, peers.fit_eos_pca])
def test_every_peer_explains_the_landmarks_and_finds_the_pose(unit_model, video, fit):
    found = fit(video.landmarks, unit_model, 0.01)
    assert found.identity.shape == (12, 157)
    assert found.expression.shape == (12, 28)
    rigid = [peers.affine_pose(unit_model.landmark_mean, image) for image in video.landmarks]
    unexplained = [camera.project(unit_model.landmark_mean)[0] for camera in rigid] - video.landmarks
    before = np.linalg.norm(unexplained, axis=2).mean()
    after = np.linalg.norm(found.landmarks(unit_model) - video.landmarks, axis=2).mean()
    assert after < 0.5 * before
    assert rotation_angle_degrees(found.rotation, video.camera.rotation).mean() < 15


def test_bounded_coefficients_keep_their_bounds(unit_model, video):
    found = peers.fit_bounded(video.landmarks, unit_model, 0.01)
    assert np.abs(found.identity / unit_model.identity_std).max() <= 0.8 + 1e-9
    assert np.abs(found.expression / unit_model.expression_std).max() <= 1.5 + 1e-9


def test_blendshapes_of_eos_are_never_negative(unit_model, video):
    found = peers.fit_eos_algorithm(video.landmarks, unit_model, 0.01)
    activations = np.linalg.solve(unit_model.extras["units"].T, found.expression.T)
    assert activations.min() > -1e-9


def test_our_eos_is_the_librarys(unit_model, video):
    pytest.importorskip("eos", reason="pip install eos-py")
    ours = peers.fit_eos_algorithm(video.landmarks, unit_model, 0.01)
    theirs = peers.eos_library_fit(unit_model)(video.landmarks, unit_model, 0.01)
    assert rotation_angle_degrees(ours.rotation, theirs.rotation).max() < 0.01
    np.testing.assert_allclose(ours.translation, theirs.translation, atol=0.01)
    # The library computes in single precision.
    np.testing.assert_allclose(ours.expression, theirs.expression, atol=0.05)
    np.testing.assert_allclose(ours.identity, theirs.identity, atol=0.05)


def test_a_model_without_face_units_leaves_blendshapes_out_and_says_so(small_model):
    said = []
    available = peers.available_peers(small_model, said.append)
    assert list(available) == ["per_frame", "bounded", "eos_pca"]
    assert "face units" in said[0]


def test_other_generators_are_averaged(unit_model, monkeypatch):
    shares = {name: index + 1.0 for index, name in enumerate(OTHER_EXPRESSIONS)}
    monkeypatch.setattr(conditions.Condition, "simulate", lambda condition, model: [condition.settings.expression])
    monkeypatch.setattr(
        conditions, "_measure", lambda model, kind: ({"unexplained_expression_variance": shares.get(kind, 0.5)}, {})
    )
    figures = conditions.measure_conditions(unit_model, quick=True, progress=lambda line: None)
    assert figures["unexplained_expression_variance_other_generator"] == np.mean(list(shares.values()))
    assert figures["frontal_only_ratio"] == 1.0


def test_a_model_without_face_units_is_measured_on_its_own_process(small_model):
    settings = [condition.settings for condition in conditions.conditions(small_model, quick=False).values()]
    assert {setting.expression for setting in settings} == {"process"}
    assert simulate_video(small_model, replace(settings[0], frames=3), 0).landmarks.shape == (3, 68, 2)


def test_every_condition_and_peer_has_its_row_in_the_tables(unit_model):
    suffixes = conditions.conditions(unit_model, quick=False).keys()
    assert suffixes <= tables.CONDITIONS.keys()
    assert {"per_frame", "bounded", "eos_pca", "eos_algorithm", "eos_library", peers.WHOLE_VIDEO} == tables.PEERS.keys()


def test_tables_go_between_the_marks_of_a_page_and_replace_what_was_there(unit_model, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"Before.\n\n{tables.BEGIN}\nstale figures\n{tables.END}\n\nAfter.\n")
    figures = {"unexplained_expression_variance": 0.0512, "per_frame_frames_per_second": 4321.0, "cores": 2.0}
    for _ in range(2):
        tables.write_into_page(page, tables.tables(figures, conditions.usual_condition(unit_model, quick=False)))
    text = page.read_text()
    assert "stale" not in text
    assert text.startswith("Before.")
    assert text.endswith("After.\n")
    assert "| usual: 1 % noise, turning head | 0.051 |" in text
    assert "4,321" in text
    assert "6 simulated videos of 1,000 frames" in text
    assert text.count("usual: 1 % noise") == 1
    assert "10,000 frames |" not in text


def test_a_page_without_marks_is_left_as_it_is(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("Nothing.")
    with pytest.raises(ParamsError, match=r"page\.md.*needs the lines"):
        tables.write_into_page(page, "tables")
    assert page.read_text() == "Nothing."
