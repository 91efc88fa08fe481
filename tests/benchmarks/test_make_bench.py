"""What `make bench` measures is there, and writes what it found."""

import importlib.util
import re
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).resolve().parents[2] / "Makefile"
(NAMES,) = re.findall(r"for name in ([\w \\\n\t]+); do \\\n.*benchmarks\.\$\$name", MAKEFILE.read_text())
MEASURED = NAMES.replace("\\", "").split()


def test_order_among_many_videos_and_broken_files_are_measured():
    assert {"pipeline_overhead", "ingest_fuzzing"} <= set(MEASURED)


@pytest.mark.parametrize("name", MEASURED)
def test_every_benchmark_takes_the_file_that_its_figures_go_to(name):
    found = importlib.util.find_spec(f"benchmarks.{name}")
    if found.submodule_search_locations:
        found = importlib.util.find_spec(f"benchmarks.{name}.__main__")
    assert '"--json"' in Path(found.origin).read_text()
