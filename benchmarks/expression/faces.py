"""The pictures that all methods are measured on, as the detector saw them, with their truth and the fits' answers."""

import hashlib
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

import models.expression.robustness
import models.expression.unseen_people
import models.fitting
import models.landmarks
import models.morphable_model
import models.rendering
from assets.params import Params, load_params
from benchmarks.reconstruction.cache import code_version, embedded_model_file
from benchmarks.reconstruction.detector import PARAMS, detector_errors, project_backend
from models.expression.evaluation_settings import RobustnessSettings, UnseenSettings
from models.expression.judgement import KnownFaces
from models.expression.neutral_smile import paired_photographs
from models.expression.observed_faces import observe, observed
from models.expression.robustness import degraded_faces
from models.expression.unseen_people import (
    SEED,
    UnseenFace,
    moments,
    neutral_and_smile,
    posed_emotions,
    view_pairs,
)
from models.fitting import fit_video
from models.morphable_model import MorphableModel
from models.packages import cache_folder, sha256_of

WHAT_MAKES_A_FACE = (
    models.expression.robustness,
    models.expression.unseen_people,
    models.fitting,
    models.landmarks,
    models.morphable_model,
    models.rendering,
)
# People who pose each of the seven emotions once.
EMOTION_PEOPLE = 40
# People of the test videos, their frames, and every how many of them one is measured.
VIDEO_PEOPLE, VIDEO_FRAMES, VIDEO_STRIDE = 10, 150, 5
QUICK_UNSEEN = UnseenSettings(people=8, moments=5, pair_people=8, pairs=2, posing_people=12)
QUICK_ROBUSTNESS = RobustnessSettings(people=4)


class TestSets:
    """All sets, made when first asked for and kept in a folder.

    Parameters
    ----------
    template : (68, 2) that faces are aligned to: that of the network's contract
    folder : where they are kept, apart for each template; None takes the cache, by the version of the code that makes
        them
    quick : fewer faces of everything
    progress : is told what is being made
    """

    def __init__(self, template: np.ndarray, folder: Path | None, quick: bool, progress: Callable[[str], None]):
        self.template = template
        self.params = load_params(PARAMS)
        self.progress = progress
        self.model_file = embedded_model_file()
        self.model = MorphableModel.load(self.model_file)
        self.folder = folder or self._cache(quick)
        self.unseen = QUICK_UNSEEN if quick else UnseenSettings()
        self.robustness_settings = QUICK_ROBUSTNESS if quick else RobustnessSettings()
        self.emotion_people = 6 if quick else EMOTION_PEOPLE
        self.videos = 2 if quick else VIDEO_PEOPLE

    def moments(self) -> KnownFaces:
        """Independent expressions of each person, any view, any light."""
        return self._rendered("moments", partial(moments, self.model, self.unseen))

    def view_pairs(self) -> KnownFaces:
        """Conditions "frontal" and "semi-profile", in turn."""
        return self._rendered("view_pairs", partial(view_pairs, self.model, self.unseen))

    def neutral_and_smile(self) -> KnownFaces:
        """Conditions "neutral" and "happy", in turn."""
        return self._rendered("neutral_and_smile", partial(neutral_and_smile, self.model, self.unseen))

    def posed_emotions(self) -> KnownFaces:
        """The seven emotions, each person's once; the condition is the emotion's name."""
        return self._rendered(
            "posed_emotions", partial(posed_emotions, self.model, self.emotion_people, self.unseen.picture)
        )

    def degraded(self) -> KnownFaces:
        """One strong expression a person under all severities."""
        return self._rendered("degraded", partial(degraded_faces, self.model, self.robustness_settings))

    def filmed(self) -> KnownFaces:
        """Frames of test videos; their "truth" is the whole-video fit."""
        return self._kept(
            "filmed", lambda: _filmed(self.model, self._detector(), self.template, self.params, self.videos)
        )

    def london(self, folder: Path) -> KnownFaces:
        """Everybody's neutral and smiling photograph, without truth."""
        listing = sha256_of(folder / "manifest.csv")[:12]
        return self._kept(f"london-{listing}", lambda: self._photographs(folder))

    def _rendered(self, name: str, pictures: Callable[[], Iterable[UnseenFace]]) -> KnownFaces:
        def make() -> KnownFaces:
            backend = project_backend(self.params)
            return KnownFaces.rendered(pictures(), backend, self.template, self._detector(), self.params.reconstruction)

        return self._kept(name, make)

    def _photographs(self, folder: Path) -> KnownFaces:
        from models.expression.images import read_image

        photographs = paired_photographs(folder)
        images = (read_image(photograph.path) for photograph in photographs)
        return KnownFaces.fitted(
            faces=observe(images, project_backend(self.params), self.template),
            truth=np.full((len(photographs), self.model.expression_size), np.nan),
            subject=[photograph.subject for photograph in photographs],
            condition=[photograph.expression for photograph in photographs],
            detector_model=self._detector(),
            settings=self.params.reconstruction,
        )

    def _kept(self, name: str, make: Callable[[], KnownFaces]) -> KnownFaces:
        alignment = hashlib.sha256(np.round(self.template, 3).tobytes()).hexdigest()[:8]
        path = self.folder / f"template-{alignment}" / f"{name}.npz"
        if not path.exists():
            self.progress(f"making the test faces '{name}'")
            make().save(path)
        return KnownFaces.load(path)

    def _detector(self) -> MorphableModel:
        """The model whose landmarks are those that the detector finds."""
        path = self.folder / "detector_errors.npz"
        return self.model.with_detector(detector_errors(self.model, self.params, path, self.progress))

    def _cache(self, quick: bool) -> Path:
        sections = (self.params.landmarks, self.params.landmark_correspondence, self.params.reconstruction)
        version = code_version(WHAT_MAKES_A_FACE, *map(repr, sections), sha256_of(self.model_file))
        return cache_folder() / "benchmarks" / f"expression-{version}{'-quick' if quick else ''}"


def _filmed(
    model: MorphableModel, detector_model: MorphableModel, template: np.ndarray, params: Params, people: int
) -> KnownFaces:
    """Every few frames of filmed people, tracked, smoothed and fitted as the pipeline does."""
    parts = [_filmed_person(model, detector_model, template, params, person) for person in range(people)]
    return KnownFaces.joined([part for part in parts if part is not None])


def _filmed_person(
    model: MorphableModel, detector_model: MorphableModel, template: np.ndarray, params: Params, person: int
) -> KnownFaces | None:
    """None where the detector never found, or soon lost, the face."""
    from models.landmarks.smoothing import smooth
    from models.landmarks.tracking import track_first_frame_faces
    from models.landmarks.video import landmark_video
    from models.rendering.synthetic_video import render_video, synthesise_video
    from models.video.decoding import read_frames

    settings = replace(params.synthetic_facevid.video, frames=VIDEO_FRAMES, interruption_share=0.0)
    video = synthesise_video(model, person, 1, SEED, settings)
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder) / "video.mp4"
        render_video(video, film, Path(folder) / "truth.npz")
        backend = project_backend(params)
        detections = landmark_video(
            film,
            backend,
            max_frames=VIDEO_FRAMES,
            redetect_every=params.landmarks.redetect_every,
            max_side=params.landmarks.max_side,
        )
        tracks = track_first_frame_faces(detections, **params.tracking.model_dump()).tracks
        if not tracks or len(tracks[0]) < VIDEO_FRAMES // 2:
            return None
        track = tracks[0]
        landmarks = smooth(track.landmarks, track.timestamps, cutoff_hz=params.smoothing.cutoff_hz).landmarks
        chosen = np.flatnonzero(track.found)[::VIDEO_STRIDE]
        wanted = dict(zip(track.frame_index[chosen].tolist(), landmarks[chosen], strict=True))
        pictures = [
            (frame.image, wanted[frame.index])
            for frame in read_frames(film, max_side=params.landmarks.max_side)
            if frame.index in wanted
        ]
    faces = observed(pictures, template)
    fit = fit_video(landmarks, detector_model, params.reconstruction, timestamps=track.timestamps)
    return KnownFaces.fitted(
        faces=faces,
        truth=fit.expression[chosen] / model.expression_std,
        subject=[str(person)] * len(chosen),
        condition=["frame"] * len(chosen),
        detector_model=detector_model,
        settings=params.reconstruction,
    )
