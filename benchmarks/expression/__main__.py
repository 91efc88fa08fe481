"""`python -m benchmarks.expression`: what is measured, and how, stands in the package's docstring."""

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np

from benchmarks.expression.emotions import measure_zero_shot
from benchmarks.expression.faces import TestSets
from benchmarks.expression.measures import measure_all
from benchmarks.expression.pictures import draw_pictures
from benchmarks.expression.tables import tables, write_into_page
from models.errors import ModelMismatchError, WeightsMissingError
from models.expression import Predictor
from models.expression.model_card import write_card
from models.storage import written_whole


def load_predictor(model: str | None) -> Predictor:
    """The predictor with its classifier, or without where there is none."""
    try:
        return Predictor.load(model)
    except WeightsMissingError:
        return Predictor.load(model, features_only=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.expression", description="How well DeepExp3D reads expression."
    )
    parser.add_argument("--json", type=Path, required=True, help="file to write the figures to")
    parser.add_argument("--model", help="a shipped network's name, or a folder with network.onnx; else the default one")
    parser.add_argument("--docs", type=Path, help="page to write the tables into, between its marks")
    parser.add_argument("--pictures", type=Path, help="folder for the sheet of expressions and the robustness curves")
    parser.add_argument("--card", type=Path, help="file to write the model card to")
    parser.add_argument("--faces", type=Path, help="folder to keep the test faces in, instead of the cache")
    parser.add_argument("--quick", action="store_true", help="fewer faces of everything")
    arguments = parser.parse_args()
    started = time.perf_counter()

    def progress(line: str) -> None:
        print(f"[{time.perf_counter() - started:5.0f} s] {line}", flush=True)

    predictor = load_predictor(arguments.model)
    sets = TestSets(predictor.contract.template, arguments.faces, arguments.quick, progress)
    if not np.allclose(predictor.contract.expression_std, sets.model.expression_std, rtol=1e-3):
        raise ModelMismatchError(
            f"{arguments.model or 'the default network'}: speaks of '{predictor.contract.face_model}' and not of the "
            "embedded model, whose renders it is measured on; train it again on that model."
        )
    london = os.environ.get("LONDON_FACES")
    figures, curves = measure_all(predictor.session, sets, Path(london) if london else None)
    progress("measured the network beside the fits")
    if predictor.classifier is not None:
        figures |= measure_zero_shot(predictor.session, predictor.classifier, sets, Path(london) if london else None)
    figures = {name: value if isinstance(value, int) else round(value, 6) for name, value in figures.items()}
    with written_whole(arguments.json) as temporary:
        temporary.write_text(json.dumps(figures, indent=1) + "\n")
    if arguments.pictures:
        draw_pictures(predictor.session, sets, curves, arguments.pictures)
    if arguments.card:
        name = arguments.card.resolve().parent.name
        training = arguments.card.with_name("training.json")
        known = json.loads(training.read_text()) if training.exists() else {}
        write_card(arguments.card, name, predictor.contract, figures | known)
    text = tables(figures)
    print(f"\n{text}")
    if arguments.docs:
        write_into_page(arguments.docs, text)


if __name__ == "__main__":
    main()
