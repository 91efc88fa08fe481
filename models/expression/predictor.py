"""Expression, head pose and emotion of every face in images and videos.

from models.expression import Predictor
faces = Predictor.load()(image)
"""

import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.emotion.labels import EMOTIONS
from models.errors import ImageError, VideoError, WeightsMissingError
from models.expression.alignment import align
from models.expression.contract import NetworkContract, expression_names
from models.expression.images import IMAGE_SUFFIXES, read_image
from models.expression.runtime import CLASSIFIER, NETWORK, NetworkSession
from models.fitting.pose import estimate_pose
from models.landmarks.backend import Face, LandmarkBackend, load_backend, overlap
from models.morphable_model.model import LEFT_EYE, NOSE, RIGHT_EYE

log = logging.getLogger(__name__)

MODEL_VARIABLE = "DEEPEXP3D_MODEL"
EXPORT_FOLDER = Path("data") / "deepexp3d_export"
VIDEO_SUFFIXES = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v")

# The points that tell the head's pose. Lips and brows move most, and a smile taken for a nod costs 25 degrees of pitch;
# the jaw line is the least certain of what detectors find.
POSE_POINTS = np.concatenate([NOSE, RIGHT_EYE, LEFT_EYE])

# Largest side of a video frame that is looked at: beyond it, a detector finds no more faces, only more slowly.
VIDEO_SIDE = 1280
# Frames between two looks for faces that have come into the picture.
FRAMES_BETWEEN_DETECTIONS = 15
# Boxes that share more than this are of one face.
SAME_FACE = 0.4


@dataclass(frozen=True)
class Prediction:
    """What is read from one face.

    Attributes
    ----------
    box : (4,) x0, y0, x1, y1, pixels
    landmarks : (68, 2) pixels, MULTI-PIE order
    score : of the detector, in [0, 1]
    expression : (n_e,) coefficients of equation (1), mm
    expression_whitened : (n_e,) the same in standard deviations
    emotion : the most probable of `EMOTIONS`; None without a classifier
    probabilities : (7,) in the order of `EMOTIONS`; None without a classifier
    yaw, pitch, roll : degrees; positive towards the subject's left, upwards, and counter-clockwise as seen
    """

    box: np.ndarray
    landmarks: np.ndarray
    score: float
    expression: np.ndarray
    expression_whitened: np.ndarray
    emotion: str | None
    probabilities: np.ndarray | None
    yaw: float
    pitch: float
    roll: float


class Predictor:
    """Landmarks, alignment, network, pose and classifier in one; made by `Predictor.load`.

    Parameters
    ----------
    session : the network, with its contract
    backend : what finds faces
    classifier : a fitted `EcocSvm` on whitened expressions, or None
    """

    def __init__(self, session: NetworkSession, backend: LandmarkBackend, classifier=None):
        self.session = session
        self.backend = backend
        self.classifier = classifier

    @classmethod
    def load(
        cls,
        folder: Path | str | None = None,
        *,
        classifier: Path | str | None = None,
        features_only: bool = False,
        backend: str = "mediapipe",
        runtime: str = "openvino",
        threads: int = 2,
    ) -> "Predictor":
        """A predictor from an exported network.

        Parameters
        ----------
        folder : holds `network.onnx`; by default what the variable DEEPEXP3D_MODEL names, or `data/deepexp3d_export`
        classifier : a skops file; by default `classifier.skops` in the folder, else the project's own latest
        features_only : do without a classifier
        backend : of the landmarks
        runtime : "openvino" or "onnxruntime"
        threads : that the network may use

        Raises
        ------
        WeightsMissingError
            There is no network, no classifier, or no weights of the backend.
        ModelMismatchError
            Network and classifier do not fit each other or this version.
        """
        folder = default_folder() if folder is None else Path(folder)
        session = NetworkSession.load(folder / NETWORK, runtime=runtime, threads=threads)
        chosen = None
        if not features_only:
            from models.emotion.persistence import load_classifier

            path = _default_classifier(folder) if classifier is None else Path(classifier)
            chosen = load_classifier(path, features=session.expression_size)
        return cls(session, load_backend(backend), chosen)

    @property
    def contract(self) -> NetworkContract:
        """What the network's numbers mean."""
        return self.session.contract

    @property
    def expression_size(self) -> int:
        """Number of expression coefficients."""
        return self.session.expression_size

    def __call__(self, image: np.ndarray) -> list[Prediction]:
        """Predictions for all faces of an image (H, W, 3) uint8 RGB, the largest first; none where there is no face."""
        return self.read(image, self.backend.detect(image))

    def read(self, image: np.ndarray, faces: list[Face]) -> list[Prediction]:
        """Predictions for faces that have been found already, in their order."""
        if not faces:
            return []
        aligned = np.stack([align(image, face.points, self.contract.template)[0] for face in faces])
        whitened = self.session(aligned)
        millimetres = whitened * self.contract.expression_std
        angles = self._angles(np.stack([face.points for face in faces]), millimetres)
        probabilities = self._probabilities(whitened)
        return [
            Prediction(
                box=face.box,
                landmarks=face.points,
                score=face.score,
                expression=millimetres[index],
                expression_whitened=whitened[index],
                emotion=None if probabilities is None else EMOTIONS[int(probabilities[index].argmax())],
                probabilities=None if probabilities is None else probabilities[index],
                yaw=float(angles[index, 0]),
                pitch=float(angles[index, 1]),
                roll=float(angles[index, 2]),
            )
            for index, face in enumerate(faces)
        ]

    def _angles(self, landmarks: np.ndarray, expression: np.ndarray) -> np.ndarray:
        """Yaw, pitch and roll (F, 3), nose and eyes being where the expression moves them."""
        basis = self.contract.landmark_expression_basis[POSE_POINTS]
        points = self.contract.landmark_mean[POSE_POINTS] + np.einsum("lck,fk->flc", basis, expression)
        return head_angles(estimate_pose(points, landmarks[:, POSE_POINTS]).rotation)

    def _probabilities(self, whitened: np.ndarray) -> np.ndarray | None:
        if self.classifier is None:
            return None
        columns = [EMOTIONS.index(name) for name in self.classifier.classes_]
        probabilities = np.zeros((len(whitened), len(EMOTIONS)))
        probabilities[:, columns] = self.classifier.predict_proba(whitened)
        return probabilities


def head_angles(rotation: np.ndarray) -> np.ndarray:
    """Yaw, pitch and roll (..., 3) in degrees of model-to-camera rotations (..., 3, 3).

    `R = R_y(yaw) R_x(-pitch) R_z(roll)`: the head is first tilted to its side, then nods, then turns.
    """
    rotation = np.asarray(rotation, np.float64)
    yaw = np.arctan2(rotation[..., 0, 2], rotation[..., 2, 2])
    pitch = np.arcsin(np.clip(rotation[..., 1, 2], -1, 1))
    roll = np.arctan2(rotation[..., 1, 0], rotation[..., 1, 1])
    return np.degrees(np.stack([yaw, pitch, roll], axis=-1))


def default_folder() -> Path:
    """Where the exported network is looked for when no folder is named."""
    if folder := os.environ.get(MODEL_VARIABLE):
        return Path(folder)
    checkout = Path(__file__).parents[2] / EXPORT_FOLDER
    return EXPORT_FOLDER if EXPORT_FOLDER.exists() else checkout


def predict_paths(
    paths: Iterable[Path | str],
    predictor: Predictor,
    *,
    overlay: Path | str | None = None,
    max_side: int = VIDEO_SIDE,
) -> Iterator[dict]:
    """Rows for images, folders of them, videos, and webcams (named by their number).

    A row has path, frame, time_s, face (a number that lasts through a video), box (x0, y0, x1, y1), emotion, p_neutral
    ... p_surprised, e_00 ... (mm), yaw, pitch, roll (degrees); without a classifier there are no p columns. A frame
    without a face is one row whose face, box and emotion are None and whose numbers are NaN. A file that cannot be used
    is logged and does not stop the rest.

    Parameters
    ----------
    paths : what to read
    predictor : what to read it with
    overlay : where to draw the results: a picture for one image, an mp4 for one video
    max_side : of a video frame, pixels; larger ones are shrunk (boxes are in pixels of the original)

    Raises
    ------
    ImageError, VideoError
        None of the files can be used, or an overlay is asked of several.
    """
    files = [file for path in paths for file in _files(path)]
    if not files:
        raise ImageError("there is neither an image nor a video here; name one, or a folder that holds one.")
    if overlay is not None and len(files) != 1:
        raise ImageError(f"{overlay}: an overlay shows one image or one video, {len(files)} were given.")
    failures = []
    for file in files:
        try:
            yield from _rows_of_file(file, predictor, overlay, max_side)
        except (ImageError, VideoError) as error:
            failures.append(error)
            if len(failures) == len(files):
                raise
            log.warning("%s", error)


def _rows_of_file(file: str, predictor: Predictor, overlay: Path | str | None, max_side: int) -> Iterator[dict]:
    frames = _frames(file, predictor, max_side)
    if overlay is None:
        for frame in frames:
            yield from _rows(file, frame, predictor)
        return
    from models.expression.overlay import write_overlay

    frames = list(frames) if _is_image(file) else frames
    seen: list[_PredictedFrame] = []
    write_overlay(overlay, _remembered(frames, seen), still=_is_image(file))
    for frame in seen:
        yield from _rows(file, frame, predictor)


@dataclass(frozen=True)
class _PredictedFrame:
    """An image and the faces in it, by their numbers. `scale` (2,): pixels of the image per pixel of the original."""

    index: int
    time: float
    image: np.ndarray | None
    scale: np.ndarray
    faces: dict[int, Prediction]


def _remembered(frames: Iterable[_PredictedFrame], seen: list[_PredictedFrame]) -> Iterator[_PredictedFrame]:
    """Pass frames on, and keep all of them but their pixels."""
    for frame in frames:
        seen.append(_PredictedFrame(frame.index, frame.time, None, frame.scale, frame.faces))
        yield frame


def _frames(file: str, predictor: Predictor, max_side: int) -> Iterator[_PredictedFrame]:
    if _is_image(file):
        image = read_image(file)
        yield _PredictedFrame(0, 0.0, image, np.ones(2), dict(enumerate(predictor(image))))
        return
    tracker = _FaceTracker(predictor.backend)
    for frame in _webcam_frames(int(file)) if file.isdigit() else _video_frames(file, max_side):
        faces = tracker.next(frame.image)
        predictions = predictor.read(frame.image, list(faces.values()))
        numbered = dict(zip(faces, predictions, strict=True))
        yield _PredictedFrame(frame.index, frame.time, frame.image, frame.scale, numbered)


def _video_frames(file: str, max_side: int):
    from models.video.decoding import read_frames

    return read_frames(file, max_side=max_side)


def _webcam_frames(number: int):
    """Frames of a camera until it is unplugged or the caller stops."""
    import time

    import cv2

    from models.video.decoding import Frame

    camera = cv2.VideoCapture(number)
    try:
        if not camera.isOpened():
            raise VideoError(f"webcam {number}: cannot be opened; check that it is plugged in and not in use.")
        started, index = time.monotonic(), 0
        while True:
            there, image = camera.read()
            if not there:
                return
            yield Frame(index, time.monotonic() - started, cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.ones(2))
            index += 1
    finally:
        camera.release()


class _FaceTracker:
    """Faces of a video under lasting numbers: followed from frame to frame, looked for anew every so often."""

    def __init__(self, backend: LandmarkBackend):
        self.backend = backend
        self.faces: dict[int, Face] = {}
        self.frames = 0
        self.next_number = 0

    def next(self, image: np.ndarray) -> dict[int, Face]:
        """The faces of the next frame."""
        followed = self.backend.follow(image, list(self.faces.values())) if self.faces else []
        still = {number: face for number, face in zip(self.faces, followed, strict=True) if face is not None}
        lost = len(still) < len(self.faces)
        if lost or not still or self.frames % FRAMES_BETWEEN_DETECTIONS == 0:
            for face in self.backend.detect(image):
                if all(overlap(face.box, known.box) < SAME_FACE for known in still.values()):
                    still[self.next_number] = face
                    self.next_number += 1
        self.faces = still
        self.frames += 1
        return still


def _rows(file: str, frame: _PredictedFrame, predictor: Predictor) -> Iterator[dict]:
    start = {"path": file, "frame": frame.index, "time_s": round(frame.time, 6)}
    names = expression_names(predictor.expression_size)
    if not frame.faces:
        nothing = dict.fromkeys([*_probability_names(predictor), *names, "yaw", "pitch", "roll"], float("nan"))
        yield {**start, "face": None, "box": None, "emotion": None, **nothing}
    for number, face in frame.faces.items():
        box = (face.box.reshape(2, 2) + 0.5) / frame.scale - 0.5
        probabilities = [] if face.probabilities is None else face.probabilities.tolist()
        yield {
            **start,
            "face": number,
            "box": [round(float(value), 2) for value in box.reshape(-1)],
            "emotion": face.emotion,
            **dict(zip(_probability_names(predictor), probabilities, strict=True)),
            **dict(zip(names, face.expression.tolist(), strict=True)),
            "yaw": face.yaw,
            "pitch": face.pitch,
            "roll": face.roll,
        }


def _probability_names(predictor: Predictor) -> list[str]:
    return [] if predictor.classifier is None else [f"p_{emotion}" for emotion in EMOTIONS]


def _files(path: Path | str) -> list[str]:
    """The files that a path stands for: those of a folder and its folders, sorted, or itself."""
    path = str(path)
    if not Path(path).is_dir():
        return [path]
    wanted = (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES)
    return sorted(str(file) for file in Path(path).rglob("*") if file.suffix.lower() in wanted and file.is_file())


def _is_image(file: str) -> bool:
    return Path(file).suffix.lower() in IMAGE_SUFFIXES


def _default_classifier(folder: Path) -> Path:
    """The classifier beside the network, else the one of the user's own images, else the synthetic one."""
    trained = folder.parent / "emotion_classifier"
    candidates = [folder / CLASSIFIER, trained / "custom" / CLASSIFIER, trained / "synthetic" / CLASSIFIER]
    for candidate in candidates:
        if candidate.exists():
            return candidate
    raise WeightsMissingError(
        f"{candidates[0]}: there is no emotion classifier; train one, name one, or ask for features only."
    )
