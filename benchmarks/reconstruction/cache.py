"""What is costly to make and depends on code alone is made once and kept."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

import models.morphable_model
from models.morphable_model import MorphableModel
from models.packages import cache_folder


def code_version(modules: Iterable[ModuleType], *others: str) -> str:
    """Changes with the source of any of the modules, whole packages included, and with the other strings."""
    digest = hashlib.sha256()
    for module in modules:
        path = Path(module.__file__)
        for source in sorted(path.parent.glob("*.py")) if path.name == "__init__.py" else [path]:
            digest.update(source.read_bytes())
    for other in others:
        digest.update(other.encode() + b"\0")
    return digest.hexdigest()[:16]


def embedded_model_file() -> Path:
    """The embedded model, built once for each version of the code that builds it."""
    path = cache_folder() / "benchmarks" / f"model-{code_version([models.morphable_model])}.npz"
    if not path.exists():
        from models.morphable_model.embedded import build_embedded_model

        build_embedded_model().save(path)
    return path


def embedded_model() -> MorphableModel:
    """The embedded model from its cached file."""
    return MorphableModel.load(embedded_model_file())
