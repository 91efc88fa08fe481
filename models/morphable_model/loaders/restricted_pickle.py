"""Arrays out of other people's pickles, without running anything that the pickle asks for.

A pickle names the functions that rebuild its objects, and loading it calls them. Here every name stands for a record
of ours that keeps what it is given: numpy arrays are rebuilt from their bytes by `numpy.frombuffer`, wrappers of
chumpy give the array they hold, sparse matrices and tensors stay unread. Any name beyond these is refused.
"""

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from models.errors import ModelMismatchError

_NUMBERS = frozenset(f"{kind}{size}" for kind in "iuf" for size in (1, 2, 4, 8)) | {"b1"}


def read_pickled_arrays(path: Path) -> dict[str, np.ndarray]:
    """The plain arrays of a pickled dictionary, or of one in an .npy of objects; its other values are left out.

    Raises
    ------
    ModelMismatchError
        The pickle is damaged, is no dictionary, or names what a file of arrays has no need of.
    """
    cure = "save its arrays with numpy.savez and name that file"
    try:
        content = _Unpickler(_pickle_of(path), encoding="latin1").load()
    except _Refused as refused:
        raise ModelMismatchError(
            f"{path}: refused: it asks to call {refused}, which no array needs and which could be anything; if you "
            f"trust its origin, {cure}."
        ) from None
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ModelMismatchError(f"{path}: is no pickle of arrays ({reason}); {cure}.") from error
    if isinstance(content, _Array) and len(content.objects) == 1:
        content = content.objects[0]
    if not isinstance(content, dict):
        raise ModelMismatchError(f"{path}: holds a {type(content).__name__}, expected a dictionary of arrays; {cure}.")
    return {name: value for key, item in content.items() if (name := str(key)) and (value := _array(item)) is not None}


def _pickle_of(path: Path) -> io.BytesIO:
    """The file's pickle: all of it, or what follows the header of an .npy."""
    file = io.BytesIO(path.read_bytes())
    if path.suffix == ".npy":
        version = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        read_header(file)
    return file


class _Refused(pickle.UnpicklingError):
    """The pickle names something beyond arrays."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        stand_in = _STAND_INS.get((module.replace("numpy._core.", "numpy.core."), name))
        if stand_in is None and module.startswith(("chumpy.", "scipy.sparse.")):
            stand_in = _Wrapper
        if stand_in is None:
            raise _Refused(f"{module}.{name}")
        return stand_in


class _Dtype:
    """Stands for `numpy.dtype`."""

    def __init__(self, code: str, *_: Any):
        self.code, self.order = str(code), "<"

    def __setstate__(self, state: tuple) -> None:
        self.order = {"|": "<", "=": "<"}.get(state[1], state[1])

    def numbers(self) -> np.dtype:
        if self.code not in _NUMBERS or self.order not in "<>":
            raise pickle.UnpicklingError(f"an array of type '{self.code}'")
        return np.dtype(self.order + self.code)


class _Array:
    """Stands for `numpy.ndarray`."""

    def __init__(self):
        self.values: np.ndarray | None = None
        self.objects: list = []

    def __setstate__(self, state: tuple) -> None:
        shape, dtype, by_columns, content = state[-4:]
        if isinstance(content, list):
            self.objects = content
            return
        if isinstance(content, str):
            content = content.encode("latin1")
        if isinstance(content, bytes):
            self.values = _rebuilt(content, dtype, shape, "F" if by_columns else "C")


class _Wrapper:
    """Stands for an object of chumpy, which holds its array as `x`, for a sparse matrix, or a tensor's parts."""

    def __init__(self, *_: Any):
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


def _rebuilt(content: bytes, dtype: _Dtype, shape: tuple, order: str) -> np.ndarray:
    if not isinstance(content, (bytes, bytearray)):
        raise pickle.UnpicklingError(f"an array made of a {type(content).__name__}")
    values = np.frombuffer(bytes(content), dtype.numbers()).reshape(shape, order=order)
    return values.astype(values.dtype.newbyteorder("="))


def _from_buffer(content: bytes, dtype: _Dtype, shape: tuple, order: str) -> _Array:
    """Stands for what numpy pickles arrays with since protocol 5."""
    array = _Array()
    array.values = _rebuilt(content, dtype, shape, order)
    return array


def _scalar(dtype: _Dtype, content: bytes | str) -> _Array:
    content = content.encode("latin1") if isinstance(content, str) else content
    return _from_buffer(content, dtype, (), "C")


def _empty_array(*_: Any) -> _Array:
    return _Array()


def _empty_object(kind: type, *_: Any) -> Any:
    """Stands for `copyreg._reconstructor`, by which old Pythons make an object before its state is set."""
    return _Wrapper() if kind is _Wrapper else _Array()


def _no_bytes() -> bytes:
    """Stands for `bytes` as old protocols call it, without arguments, where there are none."""
    return b""


def _latin1(text: str, encoding: str = "latin1") -> bytes:
    """Stands for `_codecs.encode`, by which bytes travel in old protocols."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes in the encoding '{encoding}'")
    return text.encode("latin1")


def _array(item: Any) -> np.ndarray | None:
    if isinstance(item, _Wrapper):
        return _array(item.state.get("x")) if isinstance(item.state, dict) else None
    if isinstance(item, _Array):
        return item.values
    return np.asarray(item) if isinstance(item, (int, float, str)) else None


_STAND_INS = {
    ("numpy.core.multiarray", "_reconstruct"): _empty_array,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy.core.numeric", "_frombuffer"): _from_buffer,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _latin1,
    ("__builtin__", "bytes"): _no_bytes,
    ("builtins", "bytes"): _no_bytes,
    ("torch._utils", "_rebuild_tensor_v2"): _Wrapper,
    ("torch.storage", "_load_from_bytes"): _Wrapper,
    ("collections", "OrderedDict"): _Wrapper,
    ("copy_reg", "_reconstructor"): _empty_object,
    ("copyreg", "_reconstructor"): _empty_object,
    ("__builtin__", "object"): _Wrapper,
    ("builtins", "object"): _Wrapper,
}
