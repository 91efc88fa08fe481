"""Reading publishers' files, with errors that name the file, the key and the cure."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from models.errors import ModelMismatchError
from models.storage import load_arrays


def require_file(path: Path, what: str) -> Path:
    """The path, if it exists.

    Raises
    ------
    ModelMismatchError
        It does not.
    """
    if not path.exists():
        raise ModelMismatchError(f"{path}: there is no such file; expected {what} (see docs/face_models.md).")
    return path


def matlab_arrays(path: Path, what: str) -> dict[str, Any]:
    """Variables of a MATLAB file up to version 7.2.

    Raises
    ------
    ModelMismatchError
        It is missing, no MATLAB file, or of version 7.3.
    """
    from scipy.io import loadmat

    require_file(path, what)
    try:
        return {name: value for name, value in loadmat(path).items() if not name.startswith("__")}
    except NotImplementedError as error:
        raise ModelMismatchError(
            f"{path}: is of MATLAB's version 7.3; in MATLAB, load it and save it again with '-v7'."
        ) from error
    except Exception as error:
        raise ModelMismatchError(f"{path}: is not a MATLAB file ({error}); expected {what}.") from error


def npz_arrays(path: Path, what: str) -> dict[str, np.ndarray]:
    """Arrays of an npz, without unpickling anything.

    Raises
    ------
    ModelMismatchError
        It is missing, no npz, or holds Python objects.
    """
    require_file(path, what)
    try:
        return load_arrays(path)
    except Exception as error:
        raise ModelMismatchError(
            f"{path}: is not an .npz of plain arrays ({error}); save its arrays again with numpy.savez."
        ) from error


def required(arrays: Mapping[str, Any], name: str, path: Path, what: str) -> Any:
    """`arrays[name]`.

    Raises
    ------
    ModelMismatchError
        There is no such key; the message lists those there are.
    """
    if name not in arrays:
        there = ", ".join(sorted(arrays)) or "nothing"
        raise ModelMismatchError(f"{path}: has no '{name}' (it has {there}); expected {what}.")
    return arrays[name]


def shape_vector(values: np.ndarray, path: Path, name: str) -> np.ndarray:
    """A shape given as (N, 3), (3N,), (3N, 1) or (1, 3N), as (3N,) float64.

    Raises
    ------
    ModelMismatchError
        It is none of these.
    """
    values = np.asarray(values, np.float64)
    flat = values.reshape(-1)
    if flat.size % 3 or (values.ndim == 2 and values.shape[1] != 3 and 1 not in values.shape):
        raise ModelMismatchError(
            f"{path}: '{name}' has shape {values.shape}, expected (vertices, 3) or (3 x vertices,)."
        )
    return flat


def basis(values: np.ndarray, path: Path, name: str) -> np.ndarray:
    """A basis (3N, K), or (N, 3, K), as (3N, K) float64.

    Raises
    ------
    ModelMismatchError
        It is neither.
    """
    values = np.asarray(values, np.float64)
    if values.ndim == 3 and values.shape[1] == 3:
        values = values.reshape(-1, values.shape[2])
    if values.ndim != 2 or len(values) % 3:
        raise ModelMismatchError(f"{path}: '{name}' has shape {values.shape}, expected (3 x vertices, components).")
    return values


def deviations(values: np.ndarray, count: int, path: Path, name: str) -> np.ndarray:
    """Standard deviations or variances (K,), of which there must be one for each component.

    Raises
    ------
    ModelMismatchError
        There are not, or one is negative.
    """
    values = np.asarray(values, np.float64).reshape(-1)
    if len(values) != count or (values < 0).any():
        raise ModelMismatchError(
            f"{path}: '{name}' holds {len(values)} numbers, expected {count} of at least 0, one a component."
        )
    return values
