"""Expression, head pose and emotion of every face in an image.

from models.expression import Predictor
faces = Predictor.load()(image)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.emotion.labels import EMOTIONS
from models.expression.alignment import IMAGE_SIZE, align, transformed
from models.expression.contract import NetworkContract
from models.expression.runtime import NETWORK, NetworkSession
from models.expression.shipped import classifier_path, model_folder
from models.fitting.pose import estimate_pose
from models.landmarks.backend import Face, LandmarkBackend, load_backend
from models.morphable_model.model import LEFT_EYE, NOSE, RIGHT_EYE

# The points that tell the head's pose. Lips and brows move most, and a smile taken for a nod costs 25 degrees of pitch;
# the jaw line is the least certain of what detectors find.
POSE_POINTS = np.concatenate([NOSE, RIGHT_EYE, LEFT_EYE])
# Steps after which no angle changes by a hundredth of a degree.
POSE_ITERATIONS = 5


@dataclass(frozen=True)
class Measurement:
    """What the network and the landmarks say of one face, before anything is known of the person.

    Attributes
    ----------
    face : box, landmarks and score
    expression : (n_e,) in standard deviations
    angles : (3,) yaw, pitch and roll, degrees
    """

    face: Face
    expression: np.ndarray
    angles: np.ndarray


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


@dataclass(frozen=True)
class Crops:
    """Faces cut out for the network. `images` (F, 224, 224, 3) uint8; `landmarks` (F, 68, 2) their pixels."""

    images: np.ndarray
    landmarks: np.ndarray


class Predictor:
    """Landmarks, alignment, network, pose and classifier in one; made by `Predictor.load`.

    Parameters
    ----------
    session : the network, with its contract
    backend : what finds faces
    classifier : what gives probabilities of emotions (`classes_`, `predict_proba`) of whitened expressions, or None
    """

    def __init__(self, session: NetworkSession, backend: LandmarkBackend, classifier=None):
        self.session = session
        self.backend = backend
        self.classifier = classifier

    @classmethod
    def load(
        cls,
        model: Path | str | None = None,
        *,
        classifier: Path | str | None = None,
        features_only: bool = False,
        backend: str = "mediapipe",
        runtime: str = "auto",
        threads: int = 2,
        streams: int = 1,
    ) -> "Predictor":
        """A predictor from an exported network.

        Parameters
        ----------
        model : the name of a shipped network, or a folder that holds `network.onnx`; by default see `model_folder`
        classifier : a skops file; by default `classifier.skops` in the folder, else the project's own latest
        features_only : do without a classifier
        backend : of the landmarks
        runtime : "auto", "openvino", "onnxruntime", "cuda" or "tensorrt": see `NetworkSession.load`
        threads : that each network may use; 0 is all processors
        streams : calls of the network that share the threads: 1 for single images and cameras, as many as threads for
            videos and folders

        Raises
        ------
        WeightsMissingError
            There is no network, no classifier, or no weights of the backend.
        ModelMismatchError
            Network and classifier do not fit each other or this version.
        """
        folder = model_folder(model)
        session = NetworkSession.load(folder / NETWORK, runtime=runtime, threads=threads, streams=streams)
        chosen = None
        if not features_only:
            from models.emotion.decision import load_decision

            path = classifier_path(folder) if classifier is None else Path(classifier)
            chosen = load_decision(path, features=session.expression_size)
        options = {"reduced_precision": True, "threads": threads} if backend == "mediapipe" else {}
        return cls(session, load_backend(backend, **options), chosen)

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

    def read(self, image: np.ndarray, faces: Sequence[Face]) -> list[Prediction]:
        """Predictions for faces that have been found already, in their order."""
        measurements = self.measure(faces, self.crops(image, faces))
        return self.interpret(measurements, np.array([found.expression for found in measurements]))

    def crops(self, image: np.ndarray, faces: Sequence[Face]) -> Crops:
        """Faces of one image (H, W, 3) uint8, aligned to the network's template."""
        images = np.empty((len(faces), IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8)
        landmarks = np.empty((len(faces), 68, 2), np.float32)
        for place, face in enumerate(faces):
            images[place], matrix = align(image, face.points, self.contract.template)
            landmarks[place] = transformed(face.points, matrix)
        return Crops(images, landmarks)

    def measure(self, faces: Sequence[Face], crops: Crops) -> list[Measurement]:
        """Expression and head pose of faces, which may be of several images, from their crops."""
        if not faces:
            return []
        expression = self.session(crops.images, crops.landmarks)
        points = np.stack([face.points for face in faces])
        angles = self.head_pose(points, expression * self.contract.expression_std)
        return [Measurement(*values) for values in zip(faces, expression, angles, strict=True)]

    def interpret(self, measurements: Sequence[Measurement], expression: np.ndarray) -> list[Prediction]:
        """Emotions and units of measured faces.

        Parameters
        ----------
        measurements : F faces
        expression : (F, n_e) in standard deviations: as measured, or calibrated, or filtered
        """
        if not len(measurements):
            return []
        millimetres = expression * self.contract.expression_std
        probabilities = self._probabilities(expression)
        return [
            Prediction(
                box=measured.face.box,
                landmarks=measured.face.points,
                score=measured.face.score,
                expression=millimetres[index],
                expression_whitened=expression[index],
                emotion=None if probabilities is None else EMOTIONS[int(probabilities[index].argmax())],
                probabilities=None if probabilities is None else probabilities[index],
                yaw=float(measured.angles[0]),
                pitch=float(measured.angles[1]),
                roll=float(measured.angles[2]),
            )
            for index, measured in enumerate(measurements)
        ]

    def head_pose(self, landmarks: np.ndarray, expression: np.ndarray) -> np.ndarray:
        """Yaw, pitch and roll (F, 3), degrees, of heads with landmarks (F, 68, 2) and expressions (F, n_e), mm.

        Nose and eyes are taken to be where the expression moves them.
        """
        basis = self.contract.landmark_expression_basis[POSE_POINTS]
        points = self.contract.landmark_mean[POSE_POINTS] + np.einsum("lck,fk->flc", basis, expression)
        return head_angles(estimate_pose(points, landmarks[:, POSE_POINTS], iterations=POSE_ITERATIONS).rotation)

    def _probabilities(self, expression: np.ndarray) -> np.ndarray | None:
        if self.classifier is None:
            return None
        columns = [EMOTIONS.index(name) for name in self.classifier.classes_]
        probabilities = np.zeros((len(expression), len(EMOTIONS)))
        probabilities[:, columns] = self.classifier.predict_proba(expression)
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
