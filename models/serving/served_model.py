"""What clients are told of the model that answered."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ServedModel:
    """An exported network on this machine's disk.

    Attributes
    ----------
    name : what it is called: a shipped network's name, its folder's, or the alias in the registry
    version : the first digits of its file's SHA-256: the same file has the same version everywhere
    folder : that holds `network.onnx` and its classifier
    """

    name: str
    version: str
    folder: Path
