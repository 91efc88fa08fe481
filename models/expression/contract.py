"""What the numbers of a network mean: the file beside the weights, without which they are of no use."""

import json
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from models.errors import ModelMismatchError
from models.expression.alignment import IMAGE_SIZE, template
from models.morphable_model.model import MorphableModel
from models.storage import written_whole

FORMAT = 2


@dataclass(frozen=True)
class NetworkContract:
    """Everything that a user of a trained network has to agree on with those who trained it.

    Attributes
    ----------
    backbone : name of the network's architecture
    input_size : side of the image the backbone works on, pixels; the network itself always takes `IMAGE_SIZE`
    template : (68, 2) where the landmarks of an aligned image lie, MULTI-PIE order, pixels
    expression_std : (n_e,) mm; the network's outputs times these are the coefficients of equation (1)
    landmark_mean : (68, 3) the mean face's landmarks, mm
    landmark_expression_basis : (68, 3, n_e) how they move with the expression
    interocular_distance : of the mean face, mm
    face_model : name of the morphable model
    vertices : number of its vertices
    landmark_input : whether the network takes the aligned landmarks beside the aligned image
    """

    backbone: str
    input_size: int
    template: np.ndarray
    expression_std: np.ndarray
    landmark_mean: np.ndarray
    landmark_expression_basis: np.ndarray
    interocular_distance: float
    face_model: str
    vertices: int
    landmark_input: bool = False

    @classmethod
    def of(
        cls, model: MorphableModel, backbone: str, input_size: int, landmark_input: bool = False
    ) -> "NetworkContract":
        """The contract of a network trained on coefficients of `model`."""
        return cls(
            backbone=backbone,
            input_size=input_size,
            template=template(model, IMAGE_SIZE),
            expression_std=np.asarray(model.expression_std, np.float64),
            landmark_mean=model.landmark_mean,
            landmark_expression_basis=model.landmark_expression_basis,
            interocular_distance=model.interocular_distance,
            face_model=model.name,
            vertices=len(model.mean),
            landmark_input=landmark_input,
        )

    @property
    def expression_names(self) -> list[str]:
        """e_00, e_01, ...: the order of the network's outputs."""
        return expression_names(len(self.expression_std))

    def to_json(self) -> str:
        """One JSON object; arrays as nested lists."""
        values = {name: getattr(self, name) for name in (item.name for item in fields(self))}
        rounded = {
            name: np.round(value, 7).tolist() if isinstance(value, np.ndarray) else value
            for name, value in values.items()
        }
        return json.dumps({"format": FORMAT, "outputs": self.expression_names, **rounded}, indent=1)

    @classmethod
    def from_json(cls, text: str, source: str) -> "NetworkContract":
        """Read what `to_json` wrote; `source` names it in errors.

        Raises
        ------
        ModelMismatchError
            Not such an object, of another format, or of inconsistent dimensions.
        """
        try:
            values = json.loads(text)
            if values["format"] != FORMAT:
                raise ValueError(f"format {values['format']}, this version reads {FORMAT}")
            arrays = {item.name for item in fields(cls) if item.type is np.ndarray}
            known = {item.name: values[item.name] for item in fields(cls)}
            contract = cls(
                **{name: np.asarray(value, np.float64) if name in arrays else value for name, value in known.items()}
            )
            size = len(contract.expression_std)
            shapes = {"template": (68, 2), "landmark_mean": (68, 3), "landmark_expression_basis": (68, 3, size)}
            for name, shape in shapes.items():
                if getattr(contract, name).shape != shape:
                    raise ValueError(f"{name} has shape {getattr(contract, name).shape}, expected {shape}")
        except (ValueError, KeyError, TypeError) as error:
            raise ModelMismatchError(
                f"{source}: does not describe a network of this project ({error}); export the network again."
            ) from error
        return contract

    def save(self, path: Path | str) -> None:
        """Write the JSON file."""
        with written_whole(path) as temporary:
            temporary.write_text(self.to_json() + "\n")

    @classmethod
    def load(cls, path: Path | str) -> "NetworkContract":
        """Read the JSON file.

        Raises
        ------
        ModelMismatchError
            The file is missing or not a contract.
        """
        try:
            text = Path(path).read_text()
        except OSError as error:
            raise ModelMismatchError(
                f"{path}: cannot be read ({error.strerror}); weights are of no use without it, copy it along."
            ) from error
        return cls.from_json(text, str(path))


def expression_names(size: int) -> list[str]:
    """Column names of expression coefficients: e_00, e_01, ..."""
    return [f"e_{index:02d}" for index in range(size)]
