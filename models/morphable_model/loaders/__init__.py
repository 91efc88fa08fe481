"""Face models of other publishers, read from their own files: see docs/face_models.md for each layout."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from models.errors import ModelMismatchError
from models.morphable_model.model import MorphableModel


@dataclass(frozen=True)
class Format:
    """A publisher's file layout.

    Attributes
    ----------
    module : name of the module here that has `read(source, expression) -> PublishedModel`
    source : what the user names: the publisher's file or folder
    expression : the second file the layout needs; empty where everything is in one
    landmarks : where the 68 points come from
    """

    module: str
    source: str
    expression: str = ""
    landmarks: str = "from a landmark file"

    @property
    def read(self) -> Callable:
        """The module's `read`, imported when it is needed."""
        return import_module(f"models.morphable_model.loaders.{self.module}").read


FORMATS: dict[str, Format] = {
    "lsfm": Format(
        "lsfm",
        "all_all_all.mat, or another full-face model of LSFM",
        "Model_Exp.mat of 300W-3D (FaceWarehouse's expressions)",
        "itwmm's points of the 53,215-vertex mesh",
    ),
    "bfm2009": Format(
        "bfm2009",
        "01_MorphableModel.mat",
        "Exp_Pca.bin, with std_exp.txt and BFM_exp_idx.mat beside it",
        "itwmm's points of the 53,215-vertex mesh",
    ),
    "bfm2017": Format("bfm2017", "model2017-1_*.h5 or model2019_*.h5"),
    "flame": Format("flame", "generic_model.pkl or flame2023.pkl, or the same arrays as .npz"),
    "ict": Format("ict", "the folder FaceXModel of ICT-FaceKit", landmarks="vertex_indices.json of the folder"),
    "npz": Format("plain", "an .npz with mean, identity_basis, expression_basis and triangles", landmarks="the .npz"),
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
    published = FORMATS[layout].read(Path(source), None if expression is None else Path(expression))
    points = published.landmarks if landmarks is None else read_landmarks(Path(landmarks), published)
    return conform(published, points, identity_size, expression_size, unit)


__all__ = ["FORMATS", "Format", "load_face_model"]
