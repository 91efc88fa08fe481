"""Threads may begin with OpenVINO at once."""

import subprocess
import sys

import pytest

# Without the lock about every second of these processes hangs, main thread and all.
AT_ONCE = """
import sys, threading
from models.openvino_binding import load_openvino

sys.setswitchinterval(1e-6)
start = threading.Barrier(8)

def begin():
    start.wait()
    load_openvino().Type.f32.to_dtype()

threads = [threading.Thread(target=begin) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


@pytest.mark.parametrize("attempt", range(4))
def test_threads_that_begin_at_once_do_not_wait_for_each_other_for_ever(attempt):
    subprocess.run([sys.executable, "-c", AT_ONCE], check=True, timeout=60)
