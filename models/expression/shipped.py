"""The networks that come with the project, and where the one to use is found."""

import os
from pathlib import Path

from models.errors import WeightsMissingError
from models.expression.runtime import CLASSIFIER, NETWORK

MODEL_VARIABLE = "DEEPEXP3D_MODEL"
PROJECT_FOLDER = Path("data") / "champion"
CHECKOUT = Path(__file__).parents[2]
SHIPPED_FOLDER = Path(__file__).with_name("shipped")
# The one that is taken first comes first: the more exact one, by the figures in their cards.
SHIPPED_MODELS = ("deepexp3d-small", "deepexp3d-resnet50")


def shipped_models() -> list[str]:
    """Names of the networks that came with this installation."""
    return [name for name in SHIPPED_MODELS if (SHIPPED_FOLDER / name / NETWORK).is_file()]


def model_folder(model: Path | str | None = None) -> Path:
    """The folder with `network.onnx` that a name or a path means.

    Parameters
    ----------
    model : a name of `SHIPPED_MODELS` or a folder. None is what the variable DEEPEXP3D_MODEL says (either of the two),
        or else the project's own `data/champion`, or else the first shipped network that is there

    Raises
    ------
    WeightsMissingError
        A shipped network is named that did not come with this installation, or none is named and there is none.
    """
    model = model or os.environ.get(MODEL_VARIABLE)
    if model is None:
        return _default_folder()
    if str(model) not in SHIPPED_MODELS or Path(model).is_dir():
        return Path(model)
    if str(model) not in shipped_models():
        raise WeightsMissingError(
            f"{SHIPPED_FOLDER / str(model)}: this network did not come with the installation; "
            f"name another ({', '.join(shipped_models()) or 'there is none'}) or a folder."
        )
    return SHIPPED_FOLDER / str(model)


def classifier_path(folder: Path) -> Path:
    """The classifier beside a network, else the one of the user's own images, else the synthetic one.

    Raises
    ------
    WeightsMissingError
        There is none.
    """
    trained = folder.parent / "emotion_classifier"
    candidates = [folder / CLASSIFIER, trained / "custom" / CLASSIFIER, trained / "synthetic" / CLASSIFIER]
    for candidate in candidates:
        if candidate.exists():
            return candidate
    raise WeightsMissingError(
        f"{candidates[0]}: there is no emotion classifier; train one, name one, or ask for features only."
    )


def _default_folder() -> Path:
    for folder in (PROJECT_FOLDER, CHECKOUT / PROJECT_FOLDER):
        if (folder / NETWORK).is_file():
            return folder
    for name in shipped_models():
        return SHIPPED_FOLDER / name
    raise WeightsMissingError(
        f"{PROJECT_FOLDER / NETWORK}: there is no network here, and none came with the installation; run the pipeline, "
        f"name a folder, or set {MODEL_VARIABLE}."
    )
