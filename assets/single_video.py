"""One video through the stages of FaceVid, for the command line: the same functions, with the same parameters."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from assets.landmark_correspondence import learn_landmark_correspondence, load_detector_model, offsets_path
from assets.morphable_model import build_morphable_model, model_path
from assets.workspace import Workspace
from models.errors import LostTrackError

if TYPE_CHECKING:
    from models.fitting.reconstruction import Reconstruction
    from models.landmarks.video import Detections
    from models.morphable_model import MorphableModel


@dataclass(frozen=True)
class VideoFit:
    """A fit with the frames that it speaks of: frame_index (F,), landmarks (F, 68, 2) pixels."""

    fit: "Reconstruction"
    frame_index: np.ndarray
    landmarks: np.ndarray

    @property
    def median_residual(self) -> float:
        """Over the inter-ocular distance, of the frames in which the face was found."""
        return float(np.nanmedian(self.fit.residual))


def video_landmarks(workspace: Workspace, video: Path, backend: str) -> "Detections":
    """68 landmarks of every face in the first F frames of a video.

    Raises
    ------
    VideoError
        The file cannot be used.
    """
    from tqdm import tqdm

    from models.landmarks.backend import load_backend
    from models.landmarks.video import landmark_video

    settings = workspace.params.landmarks
    with tqdm(desc="landmarks", unit="frame") as bar:
        return landmark_video(
            video,
            load_backend(backend, **settings.options(backend)),
            max_frames=workspace.params.tracking.frames_wanted,
            redetect_every=settings.redetect_every,
            max_side=settings.max_side,
            progress=lambda done: bar.update(done - bar.n),
        )


def fit_single_video(workspace: Workspace, video: Path, backend: str) -> VideoFit:
    """Track, smooth and fit the largest face of a video's first frame.

    Raises
    ------
    LostTrackError
        The first frame has no face, or the face is lost for K frames.
    """
    from models.fitting.whole_video import fit_video
    from models.landmarks.smoothing import smooth
    from models.landmarks.tracking import track_first_frame_faces

    params = workspace.params
    found = video_landmarks(workspace, video, backend)
    tracking = track_first_frame_faces(
        found,
        frames_wanted=params.tracking.frames_wanted,
        lost_after=params.tracking.lost_after,
        margin=params.tracking.margin,
    )
    if not tracking.tracks:
        raise LostTrackError(f"{video}: {tracking.lost[0].reason}; cut the video to where one face stays in view.")
    track = tracking.tracks[0]
    smoothed = smooth(track.landmarks, track.timestamps, cutoff_hz=params.smoothing.cutoff_hz)
    fit = fit_video(
        smoothed.landmarks,
        face_model(workspace),
        params.reconstruction,
        timestamps=track.timestamps,
        weights=~smoothed.interpolated,
    )
    return VideoFit(fit, track.frame_index, smoothed.landmarks)


def draw_fit(workspace: Workspace, video: Path, result: VideoFit, overlay: Path) -> None:
    """Write a video of the fit: each frame, the mesh laid over it, and its expression on the mean identity."""
    from tqdm import tqdm

    from models.visualisation.overlay_video import write_fit_video

    write_fit_video(
        overlay,
        video,
        result.fit,
        result.frame_index,
        result.landmarks,
        face_model(workspace),
        progress=lambda frames: tqdm(frames, total=int(result.frame_index[-1]) + 1, desc="overlay", unit="frame"),
    )


def face_model(workspace: Workspace) -> "MorphableModel":
    """The project's face model with the detector's landmarks, made first if it is not there yet."""
    if not model_path(workspace).exists():
        build_morphable_model(workspace)
    if not offsets_path(workspace).exists():
        learn_landmark_correspondence(workspace)
    return load_detector_model(workspace)
