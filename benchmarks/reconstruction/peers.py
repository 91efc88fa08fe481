"""What others do with the same landmarks, one frame at a time, each returning coefficients on the same basis."""

import importlib.util
import time
from collections.abc import Callable, Iterator

import numpy as np
from scipy.optimize import lsq_linear, nnls
from scipy.spatial.transform import Rotation
from threadpoolctl import threadpool_limits

from benchmarks.reconstruction.conditions import fit_at, usual_condition
from models.fitting import FitSettings, Reconstruction, fit_per_frame, fit_video
from models.fitting.camera import IMAGE_AXES, ScaledOrthographicCamera
from models.fitting.evaluation import evaluate, jitter
from models.fitting.pose import estimate_pose
from models.fitting.reconstruction import residual_of
from models.fitting.simulation import SimulatedVideo
from models.morphable_model import MorphableModel

# Landmarks (F, 68, 2) px and their noise over the inter-ocular distance in; every point is there.
PeerFit = Callable[[np.ndarray, MorphableModel, float], Reconstruction]

# Of every 50 frames 15 neighbours: what even the slowest peer has time for.
RUN_LENGTH, RUN_EVERY = 15, 50
WHOLE_VIDEO = "whole_video"

# Defaults of eos: `fit_shape_and_pose` of its Python interface, and `fit_shape_to_landmarks_linear`.
EOS_ITERATIONS = 5
EOS_LAMBDA = 30.0
EOS_DETECTOR_VARIANCE = 3.0  # px^2


def fit_baseline(landmarks: np.ndarray, model: MorphableModel, noise: float) -> Reconstruction:
    """The papers' baseline [31]."""
    return fit_per_frame(landmarks, model, FitSettings(noise=noise))


def fit_bounded(landmarks: np.ndarray, model: MorphableModel, noise: float, alternations: int = 3) -> Reconstruction:
    """Per-frame bounded least squares (trust-region reflective), as the papers' group.

    Box bounds of 0.8 (identity) and 1.5 (expression) standard deviations, unit priors, pose in alternation.
    """
    size = model.identity_size
    basis = np.concatenate(
        [model.landmark_identity_basis * model.identity_std, model.landmark_expression_basis * model.expression_std], 2
    )
    bound = np.repeat([0.8, 1.5], [size, model.expression_size])
    found, cameras = [], []
    for image in landmarks:
        shape = model.landmark_mean
        for _ in range(alternations):
            camera = estimate_pose(shape, image[None])
            pixels = noise * model.interocular_distance * camera.scale[0]
            rows = _seen(basis, camera) / pixels
            right = (image - camera.project(model.landmark_mean)[0]).reshape(-1) / pixels
            coefficients = lsq_linear(
                np.vstack([rows, np.eye(len(bound))]), np.r_[right, np.zeros(len(bound))], (-bound, bound), method="trf"
            ).x
            shape = model.landmark_mean + basis @ coefficients
        found.append(coefficients)
        cameras.append(camera)
    whitened = np.array(found)
    identity, expression = whitened[:, :size] * model.identity_std, whitened[:, size:] * model.expression_std
    return _reconstruction(landmarks, model, identity, expression, cameras)


def fit_eos_algorithm(landmarks: np.ndarray, model: MorphableModel, noise: float) -> Reconstruction:
    """The algorithm of eos' `fit_shape_and_pose` with fixed correspondences and blendshapes, on our basis.

    In turn, five times: a linear affine camera turned into the nearest scaled orthographic one (Gold Standard
    algorithm); identity by least squares with a penalty on its squared length (lambda 30, landmarks of variance
    3 px^2); face units by non-negative least squares without any. Begins with the units of the mean face. `noise` is
    not used: eos knows but its own.
    """
    units = model.extras["units"].astype(np.float64).T
    basis = model.landmark_expression_basis @ units
    return _eos(landmarks, model, units, basis, lambda rows, right: nnls(rows, right)[0])


def fit_eos_pca(landmarks: np.ndarray, model: MorphableModel, noise: float) -> Reconstruction:
    """The same with a PCA model of expression instead of blendshapes, the other kind that eos takes.

    Expression coefficients come from penalised least squares like the identity's (lambda 30).
    """
    scaled = np.diag(model.expression_std)
    basis = model.landmark_expression_basis @ scaled
    return _eos(landmarks, model, scaled, basis, _penalised)


def _eos(
    landmarks: np.ndarray,
    model: MorphableModel,
    movements: np.ndarray,
    basis: np.ndarray,
    solve: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> Reconstruction:
    """Movements (n_e, K) mm have strengths (K,) that `solve` finds by their basis (68, 3, K) on the landmarks."""
    identity_basis = model.landmark_identity_basis * model.identity_std
    identities, strengths, cameras = [], [], []
    for image in landmarks:
        neutral = model.landmark_mean
        camera = affine_pose(neutral, image)
        strength = solve(_seen(basis, camera), (image - camera.project(neutral)[0]).reshape(-1))
        for _ in range(EOS_ITERATIONS):
            camera = affine_pose(neutral + basis @ strength, image)
            expected = camera.project(model.landmark_mean + basis @ strength)[0]
            identity = _penalised(_seen(identity_basis, camera), (image - expected).reshape(-1))
            neutral = model.landmark_mean + identity_basis @ identity
            strength = solve(_seen(basis, camera), (image - camera.project(neutral)[0]).reshape(-1))
        identities.append(identity * model.identity_std)
        strengths.append(strength)
        cameras.append(camera)
    return _reconstruction(landmarks, model, np.array(identities), np.array(strengths) @ movements.T, cameras)


def _penalised(rows: np.ndarray, right: np.ndarray) -> np.ndarray:
    ridge = EOS_LAMBDA * EOS_DETECTOR_VARIANCE * np.eye(rows.shape[1])
    return np.linalg.solve(rows.T @ rows + ridge, rows.T @ right)


def affine_pose(points: np.ndarray, image: np.ndarray) -> ScaledOrthographicCamera:
    """Camera of one frame as eos finds it from points (N, 3) mm and their images (N, 2) px.

    Algorithm 7.2 of Hartley and Zisserman, Multiple View Geometry, then the nearest rotation.
    """
    affine = np.linalg.lstsq(np.c_[points, np.ones(len(points))], image * IMAGE_AXES, rcond=None)[0].T
    lengths = np.linalg.norm(affine[:, :3], axis=1)
    rows = affine[:, :3] / lengths[:, None]
    u, _, vt = np.linalg.svd(np.vstack([rows, np.cross(*rows)]))
    rotation = u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt
    return ScaledOrthographicCamera(np.array([lengths.mean()]), rotation[None], (affine[:, 3] * IMAGE_AXES)[None])


def eos_library_fit(model: MorphableModel) -> PeerFit | None:
    """The library eos as a peer; None where it is not installed.

    Its own face model is not in the package. It gets ours instead, as a model whose vertices are the 68 landmarks and
    whose blendshapes are our face units: the same work as everybody else's, done by its code.
    """
    if importlib.util.find_spec("eos") is None:
        return None
    import eos

    identity = eos.morphablemodel.PcaModel(
        model.landmark_mean.reshape(-1),
        model.landmark_identity_basis.reshape(-1, model.identity_size),
        model.identity_std**2,
        [],
    )
    units = model.extras["units"].astype(np.float64)
    deformations = (model.landmark_expression_basis @ units.T).reshape(-1, len(units))
    shapes = [eos.morphablemodel.Blendshape(f"{k}", column) for k, column in enumerate(deformations.T)]
    theirs = eos.morphablemodel.MorphableModel(identity, shapes, eos.morphablemodel.PcaModel())
    # Names that are numbers are taken for vertices.
    mapper = eos.core.LandmarkMapper()
    # Neither size nor place of the image matters to an orthographic camera.
    side = 1000

    def fit(landmarks: np.ndarray, model: MorphableModel, noise: float) -> Reconstruction:
        identities, activations, cameras = [], [], []
        for image in landmarks:
            points = [eos.core.Landmark(f"{k}", point) for k, point in enumerate(image.astype(np.float32))]
            _, pose, coefficients, activation = eos.fitting.fit_shape_and_pose(
                theirs,
                points,
                mapper,
                side,
                side,
                num_iterations=EOS_ITERATIONS,
                lambda_identity=EOS_LAMBDA,
                num_shape_coefficients_to_fit=None,
                num_expression_coefficients_to_fit=None,
                lambda_expressions=None,
                pca_coeffs=[],
                blendshape_coeffs=[],
                fitted_image_points=[],
            )
            rotation = Rotation.from_quat(pose.get_rotation()).as_matrix()
            scale = 0.5 * side * pose.get_projection()[0, 0]
            shift = scale * np.asarray(pose.get_translation())[:2] * IMAGE_AXES + [0, side]
            identities.append(np.array(coefficients) * model.identity_std)
            activations.append(activation)
            cameras.append(ScaledOrthographicCamera(np.array([scale]), rotation[None], shift[None]))
        return _reconstruction(landmarks, model, np.array(identities), np.array(activations) @ units, cameras)

    return fit


def available_peers(model: MorphableModel, progress: Callable[[str], None]) -> dict[str, PeerFit]:
    """Peers by the prefix of their keys; `progress` is told which are left out, and why."""
    peers: dict[str, PeerFit] = {"per_frame": fit_baseline, "bounded": fit_bounded, "eos_pca": fit_eos_pca}
    if "units" not in model.extras:
        progress(f"eos_algorithm left out: the face model '{model.name}' has no face units for blendshapes")
        return peers
    peers["eos_algorithm"] = fit_eos_algorithm
    library = eos_library_fit(model)
    if library is None:
        progress("eos_library left out: not installed; `pip install eos-py` adds it")
        return peers
    return peers | {"eos_library": library}


def measure_peers(model: MorphableModel, quick: bool, progress: Callable[[str], None]) -> dict[str, float]:
    """Measures and frames per second of every peer, and of the whole-video fit, on the same frames."""
    condition = usual_condition(model, quick)
    videos = condition.simulate(model)
    frames = np.concatenate(list(_runs(condition.settings.frames)))
    noise = condition.settings.noise
    figures: dict[str, float] = {}
    for name, fit in available_peers(model, progress).items():
        fit(videos[0].landmarks[frames[:1]], model, noise)
        # Threads only get into each other's way in problems this small: one is the fastest for every peer.
        with threadpool_limits(1):
            fits, seconds = _timed(lambda video, fit=fit: fit(video.landmarks[frames], model, noise), videos)
        speed = len(videos) * len(frames) / seconds
        rows = [_evaluated(found, video, model, frames) for found, video in zip(fits, videos, strict=True)]
        figures |= _figures(name, rows, speed)
        share = figures[f"{name}_unexplained_expression_variance"]
        progress(f"{name}: {share:.3f} unexplained, {speed:.0f} frames a second")
    fits, seconds = _timed(lambda video: fit_video(video.landmarks, model), videos)
    rows = [_evaluated(fit_at(fit, frames), video, model, frames) for fit, video in zip(fits, videos, strict=True)]
    return figures | _figures(WHOLE_VIDEO, rows, len(videos) * condition.settings.frames / seconds)


def _timed(
    fit: Callable[[SimulatedVideo], Reconstruction], videos: list[SimulatedVideo]
) -> tuple[list[Reconstruction], float]:
    started = time.perf_counter()
    return [fit(video) for video in videos], time.perf_counter() - started


def _runs(frames: int) -> Iterator[np.ndarray]:
    """Runs of neighbouring frames, evenly spread over a video."""
    for start in range(0, frames - RUN_LENGTH + 1, RUN_EVERY):
        yield np.arange(start, start + RUN_LENGTH)


def _evaluated(fit: Reconstruction, video: SimulatedVideo, model: MorphableModel, frames: np.ndarray) -> dict:
    """Measures of a fit of the given frames, which are runs of neighbours."""
    truth = video.at(frames)
    runs = (np.split(expression, len(frames) // RUN_LENGTH) for expression in (fit.expression, truth.expression))
    trembling = [jitter(estimated, true) ** 2 for estimated, true in zip(*runs, strict=True)]
    return evaluate(fit, truth, model) | {"jitter": float(np.sqrt(np.mean(trembling)))}


def _figures(name: str, rows: list[dict[str, float]], frames_per_second: float) -> dict[str, float]:
    means = {f"{name}_{measure}": float(np.mean([row[measure] for row in rows])) for measure in rows[0]}
    return means | {f"{name}_frames_per_second": frames_per_second}


def _seen(basis: np.ndarray, camera: ScaledOrthographicCamera) -> np.ndarray:
    """Rows (136, n) in pixels of a basis (68, 3, n) mm under one camera."""
    return np.einsum("dc,lck->ldk", camera.projection()[0], basis).reshape(-1, basis.shape[2])


def _reconstruction(
    landmarks: np.ndarray,
    model: MorphableModel,
    identity: np.ndarray,
    expression: np.ndarray,
    cameras: list[ScaledOrthographicCamera],
) -> Reconstruction:
    camera = ScaledOrthographicCamera(
        *(
            np.concatenate([getattr(camera, name) for camera in cameras])
            for name in ("scale", "rotation", "translation")
        )
    )
    points = model.landmarks(identity, expression)
    residual = residual_of(landmarks, np.ones(landmarks.shape[:2]), camera, points, model.interocular_distance)
    return Reconstruction(
        identity, expression, camera.rotation, camera.scale, camera.translation, residual, converged=True
    )
