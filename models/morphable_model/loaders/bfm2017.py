"""Basel Face Models 2017 (Gerig et al.) and 2019: statismo's HDF5.

`/shape/model/mean` (3N,), `pcaBasis` (3N, 199), `pcaVariance` (199,); `/shape/representer/cells` (3, T), counted from
0; `/expression/model/` the same with 100 components and as its mean the average offset from rest; millimetres. Bases
are orthonormal. Those that statismo wrote before version 0.81 are scaled by the deviations, which their columns'
lengths show.
"""

from pathlib import Path

import numpy as np

from models.errors import ModelMismatchError
from models.morphable_model.loaders.published import MILLIMETRES, PublishedModel
from models.morphable_model.loaders.reading import basis, deviations, require_file, required, shape_vector

MODEL_FILE = "an .h5 of the Basel Face Models 2017 or 2019"
_WANTED = (
    *(f"{part}/model/{name}" for part in ("shape", "expression") for name in ("mean", "pcaBasis", "pcaVariance")),
    "shape/representer/cells",
)


def read(source: Path, expression: Path | None) -> PublishedModel:
    """Read the model; `expression` may name another .h5 to take `/expression` from.

    Raises
    ------
    ModelMismatchError
        A file is missing or of another layout, or the package h5py is not installed.
    """
    arrays = _hdf5_arrays(source)
    expressions, path = (arrays, source) if expression is None else (_hdf5_arrays(expression), expression)
    mean, modes = _part(arrays, "shape", source)
    offset, shapes = _part(expressions, "expression", path)
    triangles = np.asarray(required(arrays, "shape/representer/cells", source, MODEL_FILE), np.int64)
    return PublishedModel(
        path=source,
        name=source.stem,
        licence="Basel Face Model: non-commercial, by agreement with the University of Basel",
        mean=mean.reshape(-1, 3),
        identity_modes=modes,
        expression_modes=shapes,
        expression_mean=offset,
        triangles=triangles.T if len(triangles) == 3 else triangles,
        unit=MILLIMETRES["mm"],
    )


def _part(arrays: dict[str, np.ndarray], part: str, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Mean (3N,) and modes (3N, K) at one standard deviation."""
    mean, components, variances = (
        required(arrays, f"{part}/model/{name}", path, MODEL_FILE) for name in ("mean", "pcaBasis", "pcaVariance")
    )
    components = basis(components, path, f"{part}/model/pcaBasis")
    spread = np.sqrt(deviations(variances, components.shape[1], path, f"{part}/model/pcaVariance"))
    lengths = np.linalg.norm(components, axis=0)
    if np.allclose(lengths, 1, atol=0.01):
        components = components * spread
    elif not np.allclose(lengths, spread, rtol=0.01):
        raise ModelMismatchError(
            f"{path}: the columns of {part}/model/pcaBasis are neither of length 1 nor of that of their deviations "
            f"(first {lengths[0]:.3g} and {spread[0]:.3g}); expected {MODEL_FILE}."
        )
    return shape_vector(mean, path, f"{part}/model/mean"), components


def _hdf5_arrays(path: Path) -> dict[str, np.ndarray]:
    require_file(path, MODEL_FILE)
    try:
        import h5py
    except ImportError:
        raise ModelMismatchError(
            f"{path}: needs the package h5py to be read; install it with `pip install h5py`."
        ) from None
    try:
        with h5py.File(path, "r") as file:
            names: list[str] = []
            file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
            return {name: file[name][()] for name in names if name in _WANTED}
    except OSError as error:
        raise ModelMismatchError(f"{path}: is no HDF5 file ({error}); expected {MODEL_FILE}.") from error
