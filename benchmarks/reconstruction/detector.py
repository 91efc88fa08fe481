"""Rendered videos of known truth, seen by the real landmark detector, and fitted as the pipeline fits them."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

import models.fitting.simulation
import models.landmarks
import models.morphable_model
import models.rendering
import models.video
from assets.params import Params, load_params
from benchmarks.reconstruction.cache import code_version
from models.errors import ModelMismatchError, VideoError
from models.fitting import fit_per_frame, fit_video
from models.fitting.camera import ScaledOrthographicCamera
from models.fitting.evaluation import evaluate
from models.fitting.simulation import SimulatedVideo, simulate_expression
from models.morphable_model import MorphableModel
from models.morphable_model.detector_errors import DetectorErrors
from models.packages import cache_folder, sha256_of
from models.storage import load_arrays, save_arrays

PARAMS = Path(__file__).parents[2] / "params.yaml"
GENERATORS = ("natural", "emotion_sequences", "speech")
# People whom neither the project's own videos nor the pictures for the detector's offsets show.
SEED = 4242
WHAT_MAKES_A_VIDEO = (
    models.fitting.simulation,
    models.landmarks,
    models.morphable_model,
    models.rendering,
    models.video,
)


def measure_rendered(
    model: MorphableModel, model_file: Path, quick: bool, progress: Callable[[str], None]
) -> dict[str, float]:
    """Measures behind the detector, by key; none for a model that cannot be rendered. `progress` is told why."""
    from models.rendering.synthetic_video import require_renderable

    try:
        require_renderable(model)
    except ModelMismatchError as error:
        progress(f"rendered videos left out: {error}")
        return {}
    params = load_params(PARAMS)
    folder = _cache(params, model_file)
    seen = model.with_detector(detector_errors(model, params, folder / "errors.npz", progress))
    people, frames = (1, 90) if quick else (3, 240)
    rows: dict[str, list[dict[str, float]]] = {}
    for generator in GENERATORS:
        for person in range(people):
            path = folder / f"{generator}-{person}-{frames}.npz"
            if not path.exists():
                progress(f"filming person {person}, {generator}")
                _film(model, params, generator, person, frames, path)
            video, timestamps = _read(path)
            if len(video.landmarks) < frames:
                progress(
                    f"person {person}, {generator}: the detector lost the face after {len(video.landmarks)} frames"
                )
            if len(video.landmarks):
                rows.setdefault(generator, []).append(_measure(seen, params, video, timestamps))
    figures = {
        f"{name}_rendered_{generator}": float(np.mean([row[name] for row in measured]))
        for generator, measured in rows.items()
        for name in measured[0]
    }
    for name in next(iter(rows.values()))[0]:
        figures[f"{name}_rendered"] = float(np.mean([figures[f"{name}_rendered_{generator}"] for generator in rows]))
    return figures


def _cache(params: Params, model_file: Path) -> Path:
    sections = (params.synthetic_facevid.video, params.landmark_correspondence, params.landmarks, params.tracking)
    version = code_version(
        WHAT_MAKES_A_VIDEO, *map(repr, sections), repr(params.smoothing), str(SEED), sha256_of(model_file)
    )
    return cache_folder() / "benchmarks" / f"rendered-{version}"


def project_backend(params: Params):
    """The landmark backend that `params.yaml` names."""
    from models.landmarks.backend import load_backend

    return load_backend(params.landmarks.backend, **params.landmarks.options(params.landmarks.backend))


def detector_errors(
    model: MorphableModel, params: Params, path: Path, progress: Callable[[str], None]
) -> DetectorErrors:
    """Where the detector's points lie on the model, and how they err: from `path`, or learned and written there."""
    from models.landmarks.correspondence import learn_correspondence

    if not path.exists():
        progress("learning where the detector's points lie on the model")
        found = learn_correspondence(model, project_backend(params), params.landmark_correspondence)
        save_arrays(path, **found.errors.arrays())
    return DetectorErrors(**load_arrays(path))


def _film(model: MorphableModel, params: Params, generator: str, person: int, frames: int, path: Path) -> None:
    """Render a video, detect, track and smooth its face, and keep the landmarks and what is true of them."""
    from models.landmarks.smoothing import smooth
    from models.landmarks.tracking import track_first_frame_faces
    from models.landmarks.video import landmark_video
    from models.rendering.synthetic_video import render_video, synthesise_video

    # A cut to an empty scene ends a track; how tracks end is measured elsewhere.
    settings = replace(params.synthetic_facevid.video, frames=frames, interruption_share=0.0)
    clip = GENERATORS.index(generator)
    video = synthesise_video(model, person, clip, SEED, settings)
    if generator != "natural":
        rng = np.random.default_rng([SEED, person, clip])
        video = replace(video, expression=simulate_expression(model, frames, generator, rng))
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder) / "video.mp4"
        render_video(video, film, Path(folder) / "truth.npz")
        try:
            detections = landmark_video(
                film,
                project_backend(params),
                max_frames=frames,
                redetect_every=params.landmarks.redetect_every,
                max_side=params.landmarks.max_side,
            )
        except VideoError as error:
            raise VideoError(f"rendered person {person}, {generator}: {error}") from error
    tracks = track_first_frame_faces(detections, **params.tracking.model_dump()).tracks
    landmarks, timestamps, index = np.zeros((0, 68, 2), np.float32), np.zeros(0), np.zeros(0, int)
    if tracks:
        index, timestamps = tracks[0].frame_index, tracks[0].timestamps
        landmarks = smooth(tracks[0].landmarks, timestamps, cutoff_hz=params.smoothing.cutoff_hz).landmarks
    save_arrays(
        path,
        landmarks=landmarks,
        timestamps=timestamps,
        identity=video.identity,
        expression=video.expression[index],
        scale=video.camera.scale[index],
        rotation=video.camera.rotation[index],
        translation=video.camera.translation[index],
    )


def _read(path: Path) -> tuple[SimulatedVideo, np.ndarray]:
    arrays = load_arrays(path)
    camera = ScaledOrthographicCamera(arrays["scale"], arrays["rotation"], arrays["translation"])
    video = SimulatedVideo(arrays["landmarks"].astype(float), arrays["identity"], arrays["expression"], camera)
    return video, arrays["timestamps"]


def _measure(model: MorphableModel, params: Params, video: SimulatedVideo, timestamps: np.ndarray) -> dict[str, float]:
    settings = replace(params.reconstruction, uncertainty=True)
    measured = evaluate(fit_video(video.landmarks, model, settings, timestamps=timestamps), video, model)
    baseline = evaluate(fit_per_frame(video.landmarks, model, settings), video, model)
    true = video.camera.project(model.landmarks(video.identity, video.expression))
    distance = np.linalg.norm(video.landmarks - true, axis=2) / (
        video.camera.scale[:, None] * model.interocular_distance
    )
    return measured | {
        "landmark_error": float(np.sqrt(np.mean(distance**2))),
        "per_frame_unexplained_expression_variance": baseline["unexplained_expression_variance"],
    }
