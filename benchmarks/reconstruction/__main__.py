"""`python -m benchmarks.reconstruction`: what is measured, and how, stands in the package's docstring."""

import argparse
import json
import time
from pathlib import Path

from benchmarks.reconstruction.cache import embedded_model_file
from benchmarks.reconstruction.conditions import measure_conditions, usual_condition
from benchmarks.reconstruction.detector import measure_rendered
from benchmarks.reconstruction.peers import measure_peers
from benchmarks.reconstruction.speed import measure_speed
from benchmarks.reconstruction.tables import tables, write_into_page
from models.morphable_model import MorphableModel
from models.storage import written_whole


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.reconstruction", description="Known-truth benchmark of the whole-video fit."
    )
    parser.add_argument("--json", type=Path, required=True, help="file to write the figures to")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter videos")
    parser.add_argument("--model", type=Path, help="face model to use instead of the embedded one")
    parser.add_argument("--docs", type=Path, help="page to write the tables into, between its marks")
    parser.add_argument("--long", action="store_true", help="fit 100,000 frames as well")
    arguments = parser.parse_args()
    started = time.perf_counter()

    def progress(line: str) -> None:
        print(f"[{time.perf_counter() - started:5.0f} s] {line}", flush=True)

    model_file = arguments.model or embedded_model_file()
    model = MorphableModel.load(model_file)
    # Times first, while the machine is as idle as it was found.
    figures = measure_speed(model, model_file, arguments.quick, arguments.long, progress)
    figures |= measure_conditions(model, arguments.quick, progress)
    figures |= measure_peers(model, arguments.quick, progress)
    figures |= measure_rendered(model, model_file, arguments.quick, progress)
    figures = {name: round(value, 6) for name, value in figures.items()}
    text = tables(figures, usual_condition(model, arguments.quick))
    print(f"\n{text}")
    with written_whole(arguments.json) as temporary:
        temporary.write_text(json.dumps(figures, indent=1) + "\n")
    if arguments.docs:
        write_into_page(arguments.docs, text)


if __name__ == "__main__":
    main()
