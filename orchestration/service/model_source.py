"""Which model is served: by its name, by its folder, or the champion of the registry."""

from dataclasses import dataclass
from pathlib import Path

from models.expression.runtime import NETWORK
from models.expression.shipped import model_folder
from models.packages import sha256_of


@dataclass(frozen=True)
class ServedModel:
    """An exported network on this machine's disk.

    Attributes
    ----------
    name : what it is called
    version : the first digits of its file's SHA-256: the same file has the same version everywhere
    folder : that holds `network.onnx` and its classifier
    """

    name: str
    version: str
    folder: Path


def find_model(model: Path | str | None = None) -> ServedModel:
    """The model that a name or path means, as `deepexp3d predict --model` understands it.

    Raises
    ------
    WeightsMissingError
        There is no such model.
    """
    folder = model_folder(model)
    network = folder / NETWORK
    version = sha256_of(network)[:12] if network.is_file() else ""
    return ServedModel(folder.resolve().name, version, folder)
