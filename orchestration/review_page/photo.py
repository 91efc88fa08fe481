"""What is read from one photograph or camera frame, for the page to show."""

import base64
import io
import logging
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from assets.model_registry import CHAMPION, CHAMPION_FILE, champion_folder, model_of_name, trail_path
from assets.morphable_model import load_model
from assets.workspace import Workspace
from models.errors import DeepExp3DError, ModelMismatchError, NoFaceError, WeightsMissingError
from models.expression.predictor import Prediction, Predictor
from models.morphable_model import MorphableModel

log = logging.getLogger(__name__)

# Largest side of a photograph that is looked at, pixels.
PHOTO_SIDE = 1600
# Height of the picture of the face that was read, pixels.
PICTURE_HEIGHT = 360


@dataclass(frozen=True)
class Reading:
    """The largest face of a photograph.

    Attributes
    ----------
    picture : (H, W, 3) uint8, the face with its box and landmarks
    prediction : expression, pose and emotion
    faces : how many there are in the photograph
    """

    picture: np.ndarray
    prediction: Prediction
    faces: int


class PhotoReader:
    """Reads photographs with the network that `photo_network` names: it is loaded when the first one comes, and another
    one once that has become champion.

    Parameters
    ----------
    workspace : whose network and face model are used; where it has no network, one that comes with the project
    model : name or folder of another network, as for `deepexp3d predict`
    """

    def __init__(self, workspace: Workspace, model: str | None = None):
        self._workspace = workspace
        self._model = model
        self._predictor: Predictor | None = None
        self._seen: tuple[int, ...] | None = None
        self._face_model: MorphableModel | None = None
        # Detector and network are one each; whoever comes second waits.
        self._turn = threading.Lock()

    def read(self, data: bytes, name: str) -> Reading:
        """What is read from a picture file's bytes; `name` tells its kind.

        Raises
        ------
        ImageError
            It is no picture, or a damaged one.
        NoFaceError
            There is no face in it.
        WeightsMissingError
            There is no network.
        DeepExp3DError
            The registry's champion or challenger is asked for, and there is none, or it cannot be had.
        """
        from models.expression.images import read_photograph

        with tempfile.TemporaryDirectory() as folder:
            # The reader's errors name the file: it should be the name that the user knows.
            path = Path(folder) / Path(name).name
            path.write_bytes(data)
            try:
                image = read_photograph(path, PHOTO_SIDE).image
            except Exception as error:
                error.args = (str(error).replace(f"{folder}/", ""),)
                raise
        with self._turn:
            self._follow_registry()
            predictions = self._predictor(image)
        if not predictions:
            raise NoFaceError(f"{name}: no face was found; try a picture in which the face is larger or better lit.")
        return Reading(face_picture(image, predictions[0]), predictions[0], len(predictions))

    def _follow_registry(self) -> None:
        changed = _champion_changed_at(self._workspace)
        if self._predictor is None or changed != self._seen:
            self._predictor = _load_predictor(photo_network(self._workspace, self._model))
            self._face_model = None
            self._seen = changed

    def face_model(self) -> MorphableModel:
        """The face model that the network's numbers speak of. Call it after `read`.

        Raises
        ------
        ModelMismatchError
            The project has no face model, or one with other expressions.
        """
        with self._turn:
            if self._face_model is None:
                model = load_model(self._workspace)
                check_same_expressions(self._predictor.contract.expression_std, model)
                self._face_model = model
            return self._face_model


def check_same_expressions(expression_std: np.ndarray, model: MorphableModel) -> None:
    """Refuse a face model whose expressions, told by their deviations (n_e,) mm, are not those of a network.

    Raises
    ------
    ModelMismatchError
        They differ.
    """
    if expression_std.shape != model.expression_std.shape or not np.allclose(
        expression_std, model.expression_std, rtol=1e-3
    ):
        raise ModelMismatchError(
            f"the network was trained with other expressions than those of the project's face model '{model.name}'; "
            "run the pipeline to train one that fits it."
        )


def face_picture(image: np.ndarray, prediction: Prediction) -> np.ndarray:
    """The surroundings of a face in an image (H, W, 3) uint8, with its box and landmarks drawn; at most as high as
    `PICTURE_HEIGHT`."""
    import cv2

    from models.visualisation.panels import mark_points

    x0, y0, x1, y1 = prediction.box
    reach = 0.45 * max(x1 - x0, y1 - y0)
    left, top = (max(0, int(value - reach)) for value in (x0, y0))
    right, bottom = min(image.shape[1], int(x1 + reach) + 1), min(image.shape[0], int(y1 + reach) + 1)
    zoom = PICTURE_HEIGHT / (bottom - top)
    size = max(1, round((right - left) * zoom)), PICTURE_HEIGHT
    method = cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC
    picture = cv2.resize(image[top:bottom, left:right], size, interpolation=method)
    corner = np.array([left, top])
    picture = mark_points(picture, (prediction.landmarks - corner) * zoom, (255, 255, 255), 2.0)
    box = np.round((prediction.box.reshape(2, 2) - corner) * zoom).astype(int)
    cv2.rectangle(picture, tuple(map(int, box[0])), tuple(map(int, box[1])), (90, 220, 200), 2, cv2.LINE_AA)
    return picture


def jpeg_url(image: np.ndarray) -> str:
    """An image (H, W, 3) uint8 as an address that holds it."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def photo_network(workspace: Workspace, model: str | None) -> Path | str | None:
    """The network that reads photographs, as `Predictor.load` takes it.

    Parameters
    ----------
    model : a name or a folder as for `deepexp3d predict`; None is the registry's champion where there is one, else what
        the project last exported, else `Predictor.load`'s own choice

    Raises
    ------
    DeepExp3DError
        The registry's champion or challenger is named, and there is none, or it cannot be had.
    """
    from models.expression.runtime import NETWORK

    if model is not None:
        return model_of_name(workspace, model)
    try:
        return champion_folder(workspace)
    except DeepExp3DError as error:
        log.info("photos are read without a champion: %s", error)
    exported = workspace.data("deepexp3d_export")
    return exported if (exported / NETWORK).is_file() else None


def _champion_changed_at(workspace: Workspace) -> tuple[int, ...]:
    """When the trail and the champion's folder were last changed, which costs less to ask than the registry."""
    paths = trail_path(workspace), workspace.data(CHAMPION, CHAMPION_FILE)
    return tuple(path.stat().st_mtime_ns if path.exists() else 0 for path in paths)


def _load_predictor(model: Path | str | None) -> Predictor:
    try:
        return Predictor.load(model)
    except WeightsMissingError:
        # A network without a classifier still reads expressions; without a network this says so.
        return Predictor.load(model, features_only=True)
