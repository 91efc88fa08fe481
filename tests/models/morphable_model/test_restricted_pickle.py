"""Pickles of arrays, read without running anything in them."""

import os
import pickle
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from models.errors import ModelMismatchError
from models.morphable_model.loaders import load_face_model
from models.morphable_model.loaders.restricted_pickle import read_pickled_arrays

KINDS = st.one_of(arrays.floating_dtypes(sizes=(32, 64)), arrays.integer_dtypes(), arrays.unsigned_integer_dtypes())


class Calls:
    """Pickled, it asks for a call."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


@settings(deadline=None)
@given(
    values=arrays.arrays(KINDS, arrays.array_shapes(min_dims=0, max_dims=3, min_side=0)),
    protocol=st.integers(0, pickle.HIGHEST_PROTOCOL),
    by_columns=st.booleans(),
)
def test_arrays_come_back(tmp_path_factory, values, protocol, by_columns):
    path = tmp_path_factory.mktemp("pickle") / "a.pkl"
    values = np.asfortranarray(values) if by_columns else values
    path.write_bytes(pickle.dumps({"values": values, "number": 3, "text": "x"}, protocol))
    read = read_pickled_arrays(path)
    np.testing.assert_array_equal(read["values"], values)
    assert read["values"].dtype.kind == values.dtype.kind
    assert (read["number"], read["text"]) == (3, "x")


def test_scalars_come_back_and_objects_are_left_out(tmp_path):
    content = {"scalar": np.float64(2.5), "objects": np.array([{}, None], object), "nothing": None}
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(content, 2))
    assert read_pickled_arrays(tmp_path / "a.pkl") == {"scalar": 2.5}


def test_arrays_of_old_pythons_wrapped_by_chumpy_come_back(tmp_path, monkeypatch):
    values = np.arange(6.0).reshape(2, 3)

    class Ch:
        def __init__(self, x):
            self.x = x

    Ch.__module__, Ch.__qualname__ = "chumpy.ch", "Ch"
    monkeypatch.setitem(sys.modules, "chumpy", ModuleType("chumpy"))
    monkeypatch.setitem(sys.modules, "chumpy.ch", ModuleType("chumpy.ch"))
    sys.modules["chumpy.ch"].Ch = Ch
    for protocol in (0, 1, 2):
        content = pickle.dumps({"v_template": Ch(values)}, protocol)
        (tmp_path / f"{protocol}.pkl").write_bytes(content)
        np.testing.assert_array_equal(read_pickled_arrays(tmp_path / f"{protocol}.pkl")["v_template"], values)


def test_sparse_matrices_are_left_out(tmp_path):
    from scipy.sparse import csc_matrix

    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"J_regressor": csc_matrix(np.eye(3)), "f": np.arange(3)}, 2))
    assert set(read_pickled_arrays(tmp_path / "a.pkl")) == {"f"}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    ("function", "arguments", "name"),
    [
        (os.system, ("touch {mark}",), "system"),
        (eval, ("open({mark!r}, 'w')",), "eval"),
        (exec, ("open({mark!r}, 'w')",), "exec"),
        (subprocess.Popen, (["touch", "{mark}"],), "Popen"),
        (getattr, (1, "real"), "getattr"),
        (np.load, ("{mark}",), "load"),
    ],
)
def test_a_pickle_that_calls_something_is_refused_and_nothing_runs(tmp_path, protocol, function, arguments, name):
    mark = tmp_path / "mark"
    arguments = [part.format(mark=str(mark)) if isinstance(part, str) else part for part in arguments]
    if name == "Popen":
        arguments = [["touch", str(mark)]]
    path = tmp_path / "flame.pkl"
    path.write_bytes(pickle.dumps({"v_template": np.zeros((2, 3)), "f": Calls(function, *arguments)}, protocol))
    with pytest.raises(ModelMismatchError, match=rf"flame.pkl: refused: it asks to call .*{name}.*numpy.savez"):
        load_face_model(path, "flame")
    assert not mark.exists()


def test_the_same_pickle_would_have_run_elsewhere(tmp_path):
    mark = tmp_path / "mark"
    pickle.loads(pickle.dumps(Calls(Path.touch, mark)))
    assert mark.exists()


def test_numpys_own_types_cannot_be_forged(tmp_path):
    """A type whose state says that raw bytes are pointers is taken for its name, and the array left out or refused."""
    forged = np.array([None, None], object).__reduce__()
    for content in (b"\0" * 16, "x" * 16):
        path = tmp_path / "forged.pkl"
        reduced = (forged[0], forged[1], (1, (2,), np.dtype("O"), False, content))

        class Forged:
            def __reduce__(self, reduced=reduced):
                return reduced

        path.write_bytes(pickle.dumps({"a": Forged()}, 2))
        with pytest.raises(ModelMismatchError, match=r"an array of type 'O8'"):
            read_pickled_arrays(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"garbage", pickle.dumps({"a": np.arange(100)})[:-40], b"\x80\x04P0\n.", pickle.dumps([1, 2, 3])],
)
def test_what_is_no_dictionary_of_arrays_is_named(tmp_path, content):
    (tmp_path / "odd.pkl").write_bytes(content)
    with pytest.raises(ModelMismatchError, match=r"odd.pkl: .*save its arrays with numpy.savez"):
        read_pickled_arrays(tmp_path / "odd.pkl")


@settings(deadline=None)
@given(data=st.data())
def test_damaged_pickles_end_in_the_same_error(tmp_path_factory, data):
    content = bytearray(pickle.dumps({"a": np.arange(5.0), "b": np.eye(2)}, data.draw(st.integers(0, 5))))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "a.pkl"
    path.write_bytes(bytes(content))
    try:
        read = read_pickled_arrays(path)
    except ModelMismatchError:
        return
    assert all(isinstance(value, np.ndarray) for value in read.values())
