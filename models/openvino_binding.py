"""OpenVINO's Python package, made safe for threads."""

import threading
from types import ModuleType

_first = threading.Lock()


def load_openvino() -> ModuleType:
    """The package `openvino`, after it has made its table of data types.

    It makes that table when an array is first handed over, holding a lock of C++ in which it waits for Python's own.
    Two threads that come there at once wait for each other for ever, and the whole process with them; so one makes the
    table before any can.
    """
    with _first:
        import openvino

        openvino.Type.f32.to_dtype()
    return openvino
