"""Emotions of rendered people, by the paper's protocols: `python -m benchmarks.emotion --json FILE`.

Sets are rendered in the layouts of RaFD and KDEF and evaluated as `deepexp3d evaluate` evaluates the real ones: read,
picked from, split into ten folds, tuned inside the training folds. They show what the way from a folder to a figure
loses, not how well anybody's emotions are read.

synthetic_radfd_frontal, synthetic_radfd_semiprofile,
synthetic_kdef_frontal, synthetic_kdef_semiprofile     share of right answers, ten folds of photographs (paper)
..._subject                                            the same, ten folds of people
..._shared_fit, ..._image_fit, ..._blendshapes         the same folds of photographs with other features
shuffled_labels                                        share of right answers when labels are shuffled: 1/7 is chance
vectors_ms                                             from a file to its 28 numbers, all workers together
protocol_seconds_490, protocol_seconds_979             the whole tuned protocol on so many made-up feature vectors
plain_svm, tuned, tuned_5_folds                        made-up people, ten folds of them: a support vector machine with
                                                       scikit-learn's own settings, the search as params.yaml has it,
                                                       and the same with five inner folds
"""

import argparse
import json
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from assets.landmark_correspondence import load_detector_model
from assets.workspace import Workspace
from models.emotion.benchmark_evaluation import OpenedBenchmark, compare_features, evaluate_features, open_benchmark
from models.emotion.benchmark_files import landmark_cache
from models.emotion.benchmark_result import BenchmarkResult
from models.emotion.benchmarks import PROTOCOLS
from models.emotion.datasets.rendered_layouts import write_rendered_dataset
from models.emotion.detections import detect_photographs
from models.emotion.evaluation import cross_validate
from models.emotion.features import FEATURES, FeatureSources, compute_features
from models.emotion.labels import EMOTIONS
from models.emotion.protocols import draw_folds
from models.emotion.settings import EvaluationSettings
from models.expression.predictor import Predictor
from models.morphable_model import MorphableModel
from models.storage import written_whole

SETS = {"rafd": ("radfd_frontal", "radfd_semiprofile"), "kdef": ("kdef_frontal", "kdef_semiprofile")}
SEED = 31


def rendered_set(name: str, folder: Path, model: MorphableModel, people: int, workers: int) -> Path:
    """The folder of a rendered set, made if it is not there."""
    root = folder / f"{name}-{people}"
    if not root.exists():
        write_rendered_dataset(name, root, model, people=people, seed=SEED, workers=workers)
    return root


def key_of(result: BenchmarkResult) -> str:
    """Under which key a result's accuracy is written."""
    features = "" if result.features == "deepexp3d" else f"_{result.features}"
    protocol = "" if result.protocol == "paper" else f"_{result.protocol}"
    return f"synthetic_{result.benchmark}{features}{protocol}"


def shuffled(opened: OpenedBenchmark) -> OpenedBenchmark:
    """The same photographs under each other's labels."""
    labels = np.random.default_rng(SEED).permutation(opened.labels)
    renamed = (replace(one, label=str(label)) for one, label in zip(opened.photographs, labels, strict=True))
    return replace(opened, photographs=tuple(renamed))


def measure_shuffled(
    opened: OpenedBenchmark, model: str | None, settings: EvaluationSettings, workers: int
) -> dict[str, float]:
    """Accuracy on shuffled labels, and how long vectors take from the files on."""
    paths = [photograph.path for photograph in opened.photographs]
    sources = FeatureSources(Predictor.load(model, features_only=True, threads=workers), workers=workers)
    begin = time.perf_counter()
    found = detect_photographs(paths, threads=workers)
    table = compute_features("deepexp3d", opened.photographs, found, sources)
    milliseconds = 1e3 * (time.perf_counter() - begin) / len(paths)
    mixed, protocol = shuffled(opened), opened.benchmark.paper
    folds = draw_folds(mixed.photographs, mixed.root, protocol, repeats=1, seed=SEED)
    result = evaluate_features(mixed, table, protocol, folds, settings, workers=workers)
    return {"shuffled_labels": result.accuracy, "vectors_ms": milliseconds}


def measure_protocol(count: int, settings: EvaluationSettings, workers: int) -> dict[str, float]:
    """Seconds of the whole protocol on made-up vectors (count, 28) that overlap as people's do."""
    rng = np.random.default_rng(SEED)
    labels = np.resize(EMOTIONS, count)
    centres = dict(zip(EMOTIONS, 0.6 * rng.normal(size=(len(EMOTIONS), 28)), strict=True))
    features = np.stack([centres[label] for label in labels]) + rng.normal(size=(count, 28))
    begin = time.perf_counter()
    cross_validate(features, labels, None, settings, seed=SEED, workers=workers)
    return {f"protocol_seconds_{count}": time.perf_counter() - begin}


def made_up_people(people: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vectors (F, 28), labels (F,) and people (F,): everybody shows every emotion once, in a way of their own.

    Ways differ most along a few directions, and large values are larger than normal ones would be, as of expressions.
    """
    rng = np.random.default_rng(seed)
    centres = 0.2 * rng.normal(size=(len(EMOTIONS), 28))
    habits = 0.3 * rng.normal(size=(people, 1, 28))
    directions = rng.normal(size=(28, 28)) * np.geomspace(1, 0.1, 28) / np.sqrt(28)
    shown = centres + habits + 0.9 * rng.normal(size=(people, len(EMOTIONS), 28)) @ directions
    shown = np.sign(shown) * np.abs(shown) ** 1.3
    return shown.reshape(-1, 28), np.tile(EMOTIONS, people), np.repeat(np.arange(people), len(EMOTIONS))


def measure_search(people: int, sets: int, settings: EvaluationSettings, workers: int) -> dict[str, float]:
    """What the search is worth: accuracies, averaged over `sets` of made-up people."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    from models.emotion.search import stratified_folds

    more_folds = replace(settings, search=replace(settings.search, folds=5))
    rows = []
    for number in range(sets):
        features, labels, persons = made_up_people(people, SEED + number)
        plain = np.empty_like(labels)
        for seen, unseen in stratified_folds(labels, persons, settings.folds, SEED):
            machine = make_pipeline(StandardScaler(), SVC()).fit(features[seen], labels[seen])
            plain[unseen] = machine.predict(features[unseen])
        tuned = [
            cross_validate(features, labels, persons, searched, seed=SEED, workers=workers).accuracy
            for searched in (settings, more_folds)
        ]
        rows.append([(plain == labels).mean(), *tuned])
    return dict(zip(("plain_svm", "tuned", "tuned_5_folds"), np.mean(rows, axis=0).tolist(), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.emotion", description="Emotions of rendered people, by the paper's protocols."
    )
    parser.add_argument("--json", type=Path, help="write the figures here as one flat object")
    parser.add_argument(
        "--project", type=Path, help="a project whose landmark_correspondence is made; else the nearest"
    )
    parser.add_argument("--model", help="a shipped network's name, or a folder with network.onnx; else the default one")
    parser.add_argument("--people", type=int, default=40, help="rendered people in each set")
    parser.add_argument("--features", nargs="+", choices=list(FEATURES), default=["deepexp3d", "shared_fit"])
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--sets", type=Path, help="folder to keep the rendered sets in")
    arguments = parser.parse_args()
    workspace = Workspace.open(arguments.project)
    settings = EvaluationSettings(search=workspace.params.emotion_classifier.search)
    face_model = load_detector_model(workspace)
    figures: dict[str, float] = {"people": arguments.people}
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.sets or Path(temporary)
        cache = landmark_cache(folder, "mediapipe")
        for dataset, names in SETS.items():
            root = rendered_set(dataset, folder, face_model, arguments.people, arguments.workers)
            for name in names:
                opened = open_benchmark(name, root, seed=SEED)
                results = compare_features(
                    opened,
                    arguments.features,
                    PROTOCOLS,
                    settings=settings,
                    model=arguments.model,
                    face_model=face_model,
                    cache=cache,
                    workers=arguments.workers,
                )
                for result in results:
                    figures[key_of(result)] = result.accuracy
                    print(f"{key_of(result):50} {result.accuracy:.3f}", flush=True)
                if name == "radfd_frontal":
                    figures |= measure_shuffled(opened, arguments.model, settings, arguments.workers)
        for count in (490, 979):
            figures |= measure_protocol(count, settings, arguments.workers)
        figures |= measure_search(arguments.people, 3, settings, arguments.workers)
    others = ("shuffled_labels", "vectors_ms", "protocol_seconds_490", "protocol_seconds_979")
    for name in (*others, "plain_svm", "tuned", "tuned_5_folds"):
        print(f"{name:50} {figures[name]:.3f}")
    if arguments.json:
        with written_whole(arguments.json) as path:
            path.write_text(json.dumps({name: round(value, 6) for name, value in figures.items()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
