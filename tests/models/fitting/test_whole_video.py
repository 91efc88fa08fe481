from dataclasses import replace

import numpy as np
import pytest

import models.fitting.minimisation as minimisation
import models.fitting.whole_video as whole_video
from models.errors import FittingError, ModelMismatchError
from models.fitting import (
    Clip,
    FitSettings,
    Reconstruction,
    fit_clips,
    fit_image,
    fit_per_frame,
    fit_photographs,
    fit_video,
)
from models.fitting.banded import TemporalCholesky, band_of
from models.fitting.chains import Chains
from models.fitting.evaluation import evaluate, unexplained_expression_variance
from models.fitting.linearisation import linearise
from models.fitting.normal_equations import ShapeSpace, neutral_schur, solve_step
from models.fitting.pose import rotation_angle_degrees
from models.fitting.priors import ExpressionPrior
from models.fitting.settings import PHOTOGRAPHS
from models.fitting.simulation import SimulationSettings, simulate_video


@pytest.fixture(scope="module")
def fit(face_model, video):
    return fit_video(video.landmarks, face_model)


def unexplained(fit, video):
    return unexplained_expression_variance(fit.expression, video.expression)


def test_noiseless_landmarks_are_reconstructed(face_model):
    truth = simulate_video(face_model, SimulationSettings(frames=120, noise=0.0, expression="bumps"), seed=5)
    exact = FitSettings(noise=1e-4, landmark_bias=0.0, rest_weight=1e-3, iterations=40, tolerance=1e-3)
    found = fit_video(truth.landmarks, face_model, exact)
    assert unexplained(found, truth) < 0.01
    assert rotation_angle_degrees(found.rotation, truth.camera.rotation).max() < 1.5
    assert found.residual.max() < 2e-3
    assert np.corrcoef(found.identity, truth.identity)[0, 1] > 0.9


def test_shared_identity_beats_the_per_frame_baseline_clearly(face_model, video, fit):
    baseline = fit_per_frame(video.landmarks, face_model)
    assert unexplained(fit, video) < 0.5 * unexplained(baseline, video)
    assert unexplained(baseline, video) < 1


def test_a_similarity_of_the_image_changes_only_the_cameras(face_model, video, fit):
    turn, zoom, shift = np.radians(30), 2.5, np.array([400.0, -90.0])
    matrix = zoom * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    moved = fit_video(video.landmarks @ matrix.T + shift, face_model)
    # Rounding differs with the pixels; what it leads to stays within what the fit calls converged.
    within = FitSettings().tolerance
    np.testing.assert_allclose(
        moved.expression / face_model.expression_std, fit.expression / face_model.expression_std, atol=within
    )
    np.testing.assert_allclose(
        moved.identity / face_model.identity_std, fit.identity / face_model.identity_std, atol=within
    )
    np.testing.assert_allclose(moved.scale, zoom * fit.scale, rtol=1e-4)
    np.testing.assert_allclose(moved.residual, fit.residual, atol=1e-4)


def test_frontal_heads_are_fitted_as_stably_as_moving_ones(face_model):
    errors = []
    for amplitude in (1.0, 0.0):
        still = SimulationSettings(
            frames=150, yaw=30 * amplitude, pitch=15 * amplitude, roll=10 * amplitude, expression="bumps"
        )
        truth = simulate_video(face_model, still, seed=7)
        found = fit_video(truth.landmarks, face_model)
        errors.append(unexplained(found, truth))
        assert rotation_angle_degrees(found.rotation, truth.camera.rotation).mean() < 6
    assert errors[1] < 2 * errors[0]


def test_outliers_and_occluded_halves_hardly_matter(face_model, video, fit):
    hard = SimulationSettings(frames=150, outliers=0.1, occluded=0.1, expression="bumps")
    truth = simulate_video(face_model, hard, seed=3)
    assert unexplained(fit_video(truth.landmarks, face_model), truth) < 2 * unexplained(fit, video)
    gaussian = fit_video(truth.landmarks, face_model, FitSettings(outlier_degrees=np.inf))
    assert unexplained(fit_video(truth.landmarks, face_model), truth) < 0.5 * unexplained(gaussian, truth)


def test_lost_frames_are_filled_from_their_neighbours(face_model, video):
    landmarks = video.landmarks.copy()
    landmarks[70:74] = np.nan
    landmarks[20, :66] = np.nan
    found = fit_video(landmarks, face_model)
    assert np.isnan(found.residual[70:74]).all()
    assert np.isfinite(found.expression).all()
    lost = np.r_[20, 70:74]
    assert unexplained_expression_variance(found.expression[lost], video.expression[lost]) < 0.3
    assert rotation_angle_degrees(found.rotation[lost], video.camera.rotation[lost]).max() < 5


def test_the_energy_never_rises_and_the_fit_converges(fit):
    assert len(fit.energy) > 2
    assert (np.diff(fit.energy) <= 0).all()
    assert fit.converged


def test_bounds_hold_and_bite(face_model, video):
    tight = FitSettings(identity_bound=0.8, expression_bound=1.5)
    found = fit_video(video.landmarks, face_model, tight)
    expression = np.abs(found.expression / face_model.expression_std)
    assert expression.max() <= 1.5 + 1e-9
    assert np.abs(found.identity / face_model.identity_std).max() <= 0.8 + 1e-9
    assert (expression > 1.49).any()
    assert (np.diff(found.energy) <= 0).all()


def test_zero_weights_are_the_same_as_missing_points(face_model, video, fit):
    landmarks, weights = video.landmarks.copy(), np.ones((150, 68))
    landmarks[:, 8], weights[:, 8] = 1e4, 0
    missing = landmarks.copy()
    missing[:, 8] = np.nan
    by_weight = fit_video(landmarks, face_model, weights=weights)
    np.testing.assert_allclose(by_weight.expression, fit_video(missing, face_model).expression, atol=1e-8)
    assert np.abs(by_weight.expression - fit.expression).max() < 40


def test_permuting_photographs_permutes_their_expressions(face_model, video):
    chosen = video.landmarks[::15]
    order = np.random.default_rng(0).permutation(len(chosen))
    first, second = fit_photographs(chosen, face_model), fit_photographs(chosen[order], face_model)
    np.testing.assert_allclose(second.expression, first.expression[order], atol=1e-3)
    np.testing.assert_allclose(second.identity, first.identity, atol=1e-3)


def test_images_of_a_batch_do_not_influence_one_another(face_model, video):
    both = fit_image(video.landmarks[[0, 80]], face_model)
    alone = fit_image(video.landmarks[80], face_model)
    assert both.identity.shape == (2, 157)
    np.testing.assert_array_equal(both.expression[1], alone.expression[0])


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_very_short_videos_are_fitted(face_model, video, frames):
    found = fit_video(video.landmarks[:frames], face_model)
    assert found.expression.shape == (frames, 28)
    assert found.residual.max() < 0.03


def test_identical_frames_get_identical_expressions(face_model, video):
    found = fit_video(np.repeat(video.landmarks[:1], 30, axis=0), face_model)
    assert np.isfinite(found.expression).all()
    assert np.ptp(found.expression, axis=0).max() < 0.05 * face_model.expression_std.max()


def test_progress_is_told_every_step(face_model, video):
    told = []
    found = fit_video(video.landmarks[:40], face_model, progress=lambda step, energy: told.append((step, energy)))
    assert [energy for _, energy in told] == list(found.energy[1:])


def test_the_reduced_solver_agrees_with_the_dense_normal_equations():
    rng = np.random.default_rng(0)
    frames, points, size, shared = 6, 12, 4, 5
    space = ShapeSpace(
        rng.normal(size=3 * points) * 50, rng.normal(size=(3 * points, shared)), rng.normal(size=(3 * points, size))
    )
    prior = ExpressionPrior(np.zeros(size), np.eye(size), np.array([0.0, 0.5, 0.9, 0.99]))
    rotation = np.linalg.qr(rng.normal(size=(frames, 3, 3)))[0]
    rotation *= np.linalg.det(rotation)[:, None, None]
    zoom, shift = rng.uniform(0.9, 1.1, frames), rng.normal(size=(frames, 2))
    weights = rng.uniform(0, 2, (frames, points))
    observed = rng.normal(size=(frames, points, 2)) * 40
    y, z = rng.normal(size=shared), rng.normal(size=(frames, size))
    linear = linearise(observed, weights, space.shapes(y, z), rotation, zoom, shift)
    bands = prior.precision_bands(frames)
    points_of = space.expression.reshape(points, 3, size)
    seen = np.einsum("fdc,lcn->fldn", linear.projection, points_of)
    blocks = np.einsum("fl,fldm,fldn->fmn", weights, seen, seen)
    rows = linear.camera_rows @ space.expression
    blocks -= rows.transpose(0, 2, 1) @ rows
    chain = Chains(np.array([0, frames]), (prior,))
    factor = TemporalCholesky(band_of(blocks, chain.bands(0, frames)))
    step = solve_step(
        linear, space, factor, neutral_schur(linear, space, factor),
        space.neutral.T @ linear.gradient.sum(0) - y, linear.gradient @ space.expression, np.eye(shared),
    )  # fmt: skip

    def predicted(parameters):
        split = np.cumsum([shared, frames * size])
        dy, dz, camera = np.split(parameters, split)
        shapes = space.shapes(y + dy, z + dz.reshape(frames, size))
        moved = np.einsum("fdc,flc->fld", rotation, shapes) * zoom[:, None, None]
        camera = camera.reshape(frames, 6)
        moved = moved + np.cross(camera[:, None, :3], moved) + camera[:, None, 3:4] * moved
        return (moved[..., :2] + (shift + camera[:, 4:])[:, None]).reshape(-1)

    total = shared + frames * (size + 6)
    origin = predicted(np.zeros(total))
    jacobian = np.stack([(predicted(1e-5 * unit) - predicted(-1e-5 * unit)) / 2e-5 for unit in np.eye(total)], 1)
    weight = np.repeat(weights.reshape(-1), 2)
    hessian = jacobian.T @ (weight[:, None] * jacobian)
    gradient = jacobian.T @ (weight * (observed.reshape(-1) - origin))
    hessian[:shared, :shared] += np.eye(shared)
    gradient[:shared] -= y
    for coordinate in range(size):
        place = shared + coordinate + size * np.arange(frames)
        for offset, band in enumerate(bands):
            hessian[place[offset:], place[: frames - offset]] += band[:, coordinate]
            if offset:
                hessian[place[: frames - offset], place[offset:]] += band[:, coordinate]
    expected = np.linalg.solve(hessian, gradient)
    np.testing.assert_allclose(step.neutral, expected[:shared], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(
        step.expression.reshape(-1), expected[shared : shared + frames * size], rtol=1e-3, atol=1e-5
    )
    np.testing.assert_allclose(step.camera.reshape(-1), expected[shared + frames * size :], rtol=1e-3, atol=1e-5)


def test_preconditioning_on_few_frames_changes_nothing_but_the_work(face_model, video):
    # Without the rest prior the energy has one minimum, whatever the start.
    exact = FitSettings(rest_weight=0.0, outlier_degrees=np.inf, tolerance=1e-4, iterations=40)
    results = [
        fit_video(video.landmarks, face_model, replace(exact, coarse_frames=frames)).expression for frames in (25, 150)
    ]
    np.testing.assert_allclose(results[0], results[1], atol=0.02 * face_model.expression_std.max())


def test_windows_give_what_all_frames_in_one_piece_give(face_model, video, monkeypatch):
    settings = FitSettings(coarse_frames=30, uncertainty=True)
    landmarks = np.concatenate([video.landmarks, video.landmarks[::-1]])
    landmarks[40:60] = np.nan
    fits = []
    for size, overlap in ((10_000, 10_000), (60, 48)):
        monkeypatch.setattr(minimisation.Sweeper.__init__, "__defaults__", (size, overlap))
        fits.append(fit_video(landmarks, face_model, settings))
    # Beside a part of the face's expression of about 100 mm.
    np.testing.assert_allclose(fits[1].expression, fits[0].expression, atol=1e-3)
    np.testing.assert_allclose(fits[1].identity, fits[0].identity, atol=1e-4)
    np.testing.assert_allclose(fits[1].expression_std, fits[0].expression_std, rtol=1e-3)


def test_one_thread_or_two_give_the_same(face_model, video, monkeypatch):
    landmarks = np.tile(video.landmarks, (2, 1, 1))
    fits = []
    for threads in ("1", "2"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        fits.append(fit_video(landmarks, face_model))
    np.testing.assert_array_equal(fits[0].expression, fits[1].expression)


def test_clips_of_one_person_share_the_identity_and_nothing_else(face_model, video):
    clips = [Clip(video.landmarks[:70], np.arange(70) / 30), Clip(video.landmarks[70:] * 2 + 50)]
    together = fit_clips(clips, face_model)
    assert [len(fit) for fit in together] == [70, 80]
    np.testing.assert_array_equal(together[0].identity, together[1].identity)
    apart = [fit_video(clip.landmarks, face_model) for clip in clips]
    error = [sum(np.sum((fit.identity - video.identity) ** 2) for fit in fits) / 2 for fits in (together, apart)]
    assert error[0] < error[1]
    swapped = fit_clips(clips[::-1], face_model)
    # Other frames are looked at first, which changes the result within what a fit calls converged.
    difference = (swapped[1].expression - together[0].expression) / face_model.expression_std
    assert np.sqrt(np.mean(difference**2)) < FitSettings().tolerance


def test_photographs_and_a_clip_are_fitted_together(face_model, video):
    photographs = Clip(video.landmarks[[0, 140]], ordered=False)
    found = fit_clips([photographs, Clip(video.landmarks[20:130])], face_model)
    assert [len(fit) for fit in found] == [2, 110]
    alone = fit_photographs(photographs.landmarks, face_model)
    errors = [np.sum((fit.identity - video.identity) ** 2) for fit in (found[0], alone)]
    assert errors[0] < 0.7 * errors[1]


def test_many_photographs_are_fitted_as_few_are(face_model, video):
    """More of them than the frames that a fit starts on."""
    found, exact = (
        fit_photographs(video.landmarks, face_model, replace(PHOTOGRAPHS, coarse_frames=frames)) for frames in (40, 150)
    )
    assert found.converged
    assert unexplained(found, video) < 1.1 * unexplained(exact, video)


def test_the_clip_at_fault_is_named(face_model, video):
    with pytest.raises(FittingError, match="clip 1: none of the 150 frames"):
        fit_clips([Clip(video.landmarks), Clip(video.landmarks * np.nan)], face_model)
    with pytest.raises(FittingError, match="no clip"):
        fit_clips([], face_model)


def test_a_profile_seen_from_the_side_is_fitted_without_a_wild_shape(face_model):
    settings = SimulationSettings(frames=40, expression="bumps", yaw=0.0)
    truth = simulate_video(face_model, settings, seed=9)
    turn = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
    camera = replace(truth.camera, rotation=truth.camera.rotation @ turn)
    found = fit_video(camera.project(face_model.landmarks(truth.identity, truth.expression)), face_model)
    assert rotation_angle_degrees(found.rotation, camera.rotation).mean() < 10
    assert np.abs(found.identity / face_model.identity_std).max() < 4


def test_a_reconstruction_comes_back_from_its_file(fit, face_model, video, tmp_path):
    fit.save(tmp_path / "fit.npz")
    loaded = Reconstruction.load(tmp_path / "fit.npz")
    np.testing.assert_allclose(loaded.expression, fit.expression, rtol=1e-5, atol=1e-4)
    assert loaded.converged == fit.converged
    assert np.abs(loaded.landmarks(face_model) - video.landmarks).mean() < 3
    with pytest.raises(FittingError, match="no reconstruction"):
        Reconstruction.load(tmp_path / "other.npz")
    (tmp_path / "broken.npz").write_bytes(b"PK")
    with pytest.raises(FittingError, match=r"broken\.npz"):
        Reconstruction.load(tmp_path / "broken.npz")


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda points: points[0], FittingError, "shape"),
        (lambda points: points[:0], FittingError, "at least one"),
        (lambda points: points[:, :67], ModelMismatchError, "67 points"),
        (lambda points: points * np.nan, FittingError, "none of the 150 frames"),
        (lambda points: points * 0 + 5, FittingError, "one point"),
    ],
)
def test_unusable_landmarks_are_refused_with_the_reason(face_model, video, change, error, words):
    with pytest.raises(error, match=words):
        fit_video(change(video.landmarks), face_model)


def test_unusable_weights_and_times_are_refused(face_model, video):
    with pytest.raises(FittingError, match="weights have shape"):
        fit_video(video.landmarks, face_model, weights=np.ones(3))
    with pytest.raises(FittingError, match="not negative"):
        fit_video(video.landmarks, face_model, weights=-np.ones(150))
    with pytest.raises(FittingError, match="ascending"):
        fit_video(video.landmarks, face_model, timestamps=np.zeros(150))
    with pytest.raises(FittingError, match="noise is 0"):
        FitSettings(noise=0)


def test_mirrored_landmarks_are_refused(face_model, video):
    with pytest.raises(FittingError, match="mirrored"):
        fit_video(video.landmarks * [-1, 1], face_model)


def test_measures_are_zero_at_the_truth(face_model, video):
    truth = Reconstruction(
        video.identity, video.expression, video.camera.rotation, video.camera.scale, video.camera.translation,
        np.zeros(150), True,
    )  # fmt: skip
    assert max(evaluate(truth, video, face_model).values()) < 1e-5


def test_the_module_does_not_load_its_solvers_before_they_are_asked_for():
    import subprocess
    import sys

    code = "import sys, models.fitting; assert not {'numba', 'scipy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert whole_video.fit_video is fit_video


def test_stated_uncertainty_covers_the_truth_and_grows_where_nothing_is_seen(face_model, video):
    landmarks = video.landmarks.copy()
    landmarks[60:80] = np.nan
    found = fit_video(landmarks, face_model, FitSettings(uncertainty=True))
    inside = np.abs(found.expression - video.expression) < 1.645 * found.expression_std
    assert 0.75 < inside.mean() < 0.99
    assert found.expression_std[68:72].mean() > 1.5 * found.expression_std[20:40].mean()
