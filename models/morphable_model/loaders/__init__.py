"""Face models of other publishers, read from their own files: see docs/face_models.md for each layout."""

from importlib import import_module
from pathlib import Path

from models.errors import ModelMismatchError
from models.morphable_model.model import MorphableModel

# Layout -> the module here that has `read(source, expression) -> PublishedModel`, imported when it is needed.
FORMATS: dict[str, str] = {
    "lsfm": "lsfm",
    "bfm2009": "bfm2009",
    "bfm2017": "bfm2017",
    "flame": "flame",
    "ict": "ict",
    "npz": "plain",
}


def load_face_model(
    source: Path | str,
    layout: str,
    *,
    expression: Path | str | None = None,
    landmarks: Path | str | None = None,
    identity_size: int = 157,
    expression_size: int = 28,
    unit: float | None = None,
) -> MorphableModel:
    """Read a published face model and bring it to this project's contract (equation 1, millimetres).

    Parameters
    ----------
    source : the publisher's file or folder
    layout : one of `FORMATS`
    expression : the expression model's file, where the layout has one of its own
    landmarks : file with the 68 MULTI-PIE points (`landmark_files.read_landmarks`), over those the layout has
    identity_size, expression_size : most components kept, those of the largest variance
    unit : millimetres in one unit of the file; by default what its layout says, or what the eyes' distance shows

    Returns
    -------
    A model whose `extras` hold `identity_kept` and `expression_kept` (shares of variance kept), `published_identity`
    (K, n_i) and `published_expression` (L, n_e) (the publisher's modes as our coefficients, mm) and `origin` (3,)
    (our origin in the publisher's axes, mm).

    Raises
    ------
    ModelMismatchError
        The layout is unknown, or a file is missing, damaged, of another layout, or does not fit the others.
    """
    from models.morphable_model.loaders.conforming import conform
    from models.morphable_model.loaders.landmark_files import read_landmarks

    if layout not in FORMATS:
        raise ModelMismatchError(f"{source}: unknown format '{layout}'; use one of {', '.join(FORMATS)}.")
    reader = import_module(f"{__name__}.{FORMATS[layout]}")
    published = reader.read(Path(source), None if expression is None else Path(expression))
    points = published.landmarks if landmarks is None else read_landmarks(Path(landmarks), published)
    return conform(published, points, identity_size, expression_size, unit)


__all__ = ["FORMATS", "load_face_model"]
