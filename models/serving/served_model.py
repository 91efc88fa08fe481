"""What clients are told of the model that answered."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ServedModel:
    """An exported network and its classifier of emotions, on this machine's disk.

    Attributes
    ----------
    name : what it is called: a shipped network's name, its folder's, or the alias in the registry
    version, classifier : the first digits of the SHA-256 of the two files: the same file has the same ones everywhere
    folder : that holds `network.onnx`
    """

    name: str
    version: str
    classifier: str
    folder: Path
