"""What people look at to judge fits: all fitted videos, the most suspicious first, and a film of each."""

import contextlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from assets.batches import chained, read_index
from assets.fit_suspicion import FitFigures, Suspicion, jitter_of, suspicions, uncertainty_of
from assets.landmark_correspondence import load_detector_model
from assets.morphable_model import load_model
from assets.raw_videos import all_batches, manifest_path, read_manifest
from assets.workspace import Workspace
from models.errors import DeepExp3DError
from models.fitting.pruning import outlier_threshold
from models.fitting.reconstruction import Reconstruction
from models.morphable_model import MorphableModel
from models.storage import load_arrays, written_whole


@dataclass(frozen=True)
class FittedVideo:
    """A fitted track, as its reviewer sees it.

    Attributes
    ----------
    track_id : what a verdict names
    video : the file that it was filmed in
    subject : who it is; empty where that is not known
    fingerprint : of everything that the fit was made from
    """

    track_id: str
    partition: str
    video: Path
    subject: str
    frames: int
    fingerprint: str
    figures: FitFigures
    suspicion: Suspicion


@dataclass(frozen=True)
class Course:
    """A fit over time. times (F,) seconds of the video; residual (F,) over the inter-ocular distance, NaN unseen."""

    times: np.ndarray
    residual: np.ndarray


def fitted_videos(workspace: Workspace) -> list[FittedVideo]:
    """Every fitted track of the project, the most suspicious first.

    Raises
    ------
    DeepExp3DError
        There are no videos yet, or no fit of any.
    """
    index = read_index(workspace, "reconstructions", all_batches(workspace))
    manifest = read_manifest(workspace).set_index("video_id")
    # A video that was taken out stays in its batch's index until the pipeline has come that far.
    index = index[(index.status == "ok") & index.video_id.isin(manifest.index)]
    index = index.sort_values("track_id", ignore_index=True)
    if not len(index):
        raise DeepExp3DError(
            f"{workspace.data('reconstructions')}: no video is fitted yet; run the pipeline first (make run)."
        )
    figures = _all_figures(workspace, index)
    pruning = workspace.params.pruning
    threshold = outlier_threshold(index.identity_norm, pruning.identity_deviations, pruning.identity_least)
    found = suspicions(figures, notable=workspace.params.review.notable_deviations, threshold=threshold)
    videos = []
    for row, of_fit, suspicion in zip(index.itertuples(), figures, found, strict=True):
        subject = manifest.subject[row.video_id]
        videos.append(
            FittedVideo(
                track_id=row.track_id,
                partition=row.partition,
                video=workspace.path(manifest.path[row.video_id]),
                subject=subject if isinstance(subject, str) else "",
                frames=int(row.frames),
                fingerprint=row.fingerprint,
                figures=of_fit,
                suspicion=suspicion,
            )
        )
    return sorted(videos, key=lambda video: -video.suspicion.score)


def fits_version(workspace: Workspace) -> tuple[tuple[str, int, int], ...]:
    """What changes whenever `fitted_videos` may say something else, and costs less: the files that it reads, by path,
    inode and time of their last change."""
    indices = sorted(workspace.data("reconstructions").glob("*/index.parquet"))
    version = []
    for path in (manifest_path(workspace), *indices):
        # Between being found and being looked at a file may go.
        with contextlib.suppress(FileNotFoundError):
            state = path.stat()
            version.append((str(path), state.st_ino, state.st_mtime_ns))
    return tuple(version)


def course_of(workspace: Workspace, video: FittedVideo) -> Course:
    """How well a fit follows its video over time.

    Raises
    ------
    FittingError
        The fit is gone or unreadable.
    """
    fit = Reconstruction.load(_fit_path(workspace, video.partition, video.track_id))
    return Course(_track(workspace, video)["timestamps"], fit.residual)


def film_path(workspace: Workspace, video: FittedVideo) -> Path:
    """Where the film of a fit is kept; another fit, or another look, has another place."""
    settings = workspace.params.review
    look = chained(video.fingerprint, str(settings.film_height), str(settings.film_frames))
    return _cache(workspace).joinpath("films", video.partition, f"{video.track_id}.{look[:12]}.mp4")


def draw_film(workspace: Workspace, video: FittedVideo, progress: Callable[[float], None]) -> Path:
    """Film a fit unless that was done before: each frame, the mesh laid over it, its expression on the mean face.

    Of a long video every so-manieth frame is drawn, and the film still lasts as long as the video.

    Parameters
    ----------
    progress : is told the share that is done, from 0 to 1

    Raises
    ------
    DeepExp3DError
        The video cannot be read, the fit is gone, or the disk is full.
    """
    from models.video.decoding import probe, read_frames
    from models.video.encoding import write_video
    from models.visualisation.overlay_video import fit_frames
    from models.visualisation.panels import view_of_track

    path = film_path(workspace, video)
    if path.exists():
        return path
    settings = workspace.params.review
    fit = Reconstruction.load(_fit_path(workspace, video.partition, video.track_id))
    track = _track(workspace, video)
    info = probe(video.video)
    view = view_of_track(track["landmarks"], (info.width, info.height), settings.film_height)
    last = int(track["frame_index"][-1]) + 1
    stride = -(-last // settings.film_frames)
    frames = read_frames(video.video, max_side=view.decoded_side(info.width, info.height), limit=last)
    chosen = _told(islice(frames, 0, None, stride), -(-last // stride), progress)
    pictures = fit_frames(chosen, view, fit, track["frame_index"], load_detector_model(workspace))
    for old in path.parent.glob(f"{video.track_id}.????????????.mp4"):
        old.unlink(missing_ok=True)
    write_video(path, pictures, info.fps / stride, crf=23)
    return path


def _told(items: Iterable, total: int, progress: Callable[[float], None]) -> Iterable:
    for done, item in enumerate(items):
        progress(done / total)
        yield item


def _all_figures(workspace: Workspace, index: pd.DataFrame) -> list[FitFigures]:
    """The figures of all fits of an index; those that need the fits themselves are kept from one time to the next."""
    ledger = _cache(workspace) / "figures.json"
    known = _read_ledger(ledger)
    current = {}
    model = None
    for row in index.itertuples():
        kept = known.get(row.track_id, {})
        if kept.get("fingerprint") != row.fingerprint:
            model = model or load_model(workspace)
            kept = {"fingerprint": row.fingerprint} | _figures_of_fit(workspace, row.partition, row.track_id, model)
        current[row.track_id] = kept
    if current != known:
        with written_whole(ledger) as path:
            path.write_text(json.dumps(current))
    return [
        FitFigures(
            residual=float(row.residual),
            identity_norm=float(row.identity_norm),
            converged=bool(row.converged),
            **{name: float(current[row.track_id][name]) for name in ("uncertainty", "jitter")},
        )
        for row in index.itertuples()
    ]


def _figures_of_fit(workspace: Workspace, partition: str, track_id: str, model: MorphableModel) -> dict[str, float]:
    fit = Reconstruction.load(_fit_path(workspace, partition, track_id))
    timestamps = load_arrays(workspace.data("tracked_landmarks", partition, f"{track_id}.npz"))["timestamps"]
    return {
        "uncertainty": uncertainty_of(fit.expression_std, model.expression_std),
        "jitter": jitter_of(fit.expression, timestamps, model.expression_acceleration_covariance),
    }


def _read_ledger(path: Path) -> dict[str, dict]:
    """What was computed before; nothing where that cannot be read, for it is computed again then."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return {}


def _track(workspace: Workspace, video: FittedVideo) -> dict[str, np.ndarray]:
    path = workspace.data("tracked_landmarks", video.partition, f"{video.track_id}.npz")
    try:
        return load_arrays(path)
    except OSError as error:
        raise DeepExp3DError(f"{path}: cannot be read ({error}); run tracked_landmarks again.") from error


def _fit_path(workspace: Workspace, partition: str, track_id: str) -> Path:
    return workspace.data("reconstructions", partition, f"{track_id}.npz")


def _cache(workspace: Workspace) -> Path:
    return workspace.data(".scratch", "review")
