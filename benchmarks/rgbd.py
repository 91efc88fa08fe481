"""Colour, depth and both on rendered people, and registration against known truth.

python -m benchmarks.rgbd --json FILE

Sets with pairs, features and finished repeats are kept where --sets says, and a killed benchmark goes on from there. By
default it takes some 16 minutes of two idle cores, with --starred and --beyond (projected from its parts).

People are rendered in BU-3DFE's layout twice, in the studio's light and each photograph in a light of its own. Networks
learn from the first and are asked for both: depth should hold where colour does not. What is measured of rendered
people says how pipelines compare, and nothing of what they reach on real ones.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterable
from dataclasses import replace
from importlib.metadata import version
from itertools import islice
from pathlib import Path

import numpy as np
from tqdm import tqdm

from assets.batches import chained
from assets.depth_maps import PreparedScans, prepare_scans
from assets.landmark_correspondence import load_detector_model
from assets.workspace import Workspace
from models.errors import ScanError
from models.expression.predictor import Predictor
from models.morphable_model import MorphableModel
from models.rgbd.datasets import read_scans
from models.rgbd.evaluation import evaluate_rgbd
from models.rgbd.network_settings import EarlyStopping, RgbdEvaluationSettings, RgbdHardware, RgbdTrainingSettings
from models.rgbd.pipelines import CLASSES, COLOUR_FEATURES, DEPTH_SIZE, PAPER_PIPELINES, PIPELINES
from models.rgbd.protocol import INTENSITIES
from models.rgbd.range_image import RangeImage, range_image
from models.rgbd.reconstructed_depth import with_reconstructions
from models.rgbd.registration import mean_distance, register
from models.rgbd.rendered_scans import rendered_scans, write_rendered_bu3dfe
from models.rgbd.result import AS_TRAINED, RgbdResult
from models.rgbd.samples import RgbdSamples
from models.rgbd.settings import RenderedScanSettings
from models.rgbd.training import train_pipeline
from models.storage import written_whole

SEED = 41
LIGHTS = ("studio", "changed")
OTHER_LIGHT = "changed light"
FUSED = ("depth", "rgb_resnet50", "rgb_vgg19", "fusion_resnet50", "fusion_vgg19")
BEYOND = ("expression", "rgb_resnet50_expression", "fusion_reconstructed_resnet50", "fusion_resnet50_expression")
# How far pairs are off before they are registered, as the bar has it.
LARGEST_OFFSET, LARGEST_TURN = 20.0, 10.0  # pixels, degrees
PAIRS_A_PERSON = 2
# Training images of a repeat of the paper's protocol.
TRAINING_IMAGES = 54 * 6 * 2


def show(items: Iterable, name: str, total: int | None) -> Iterable:
    """A progress bar."""
    return tqdm(items, desc=name, total=total, mininterval=1.0)


def rendered_set(folder: Path, light: str, model: MorphableModel, people: int, workers: int) -> Path:
    """The folder of a rendered set of strong expressions, made if it is not there."""
    root = folder / f"{light}-{people}"
    if not root.exists():
        settings = RenderedScanSettings(light=light, levels=INTENSITIES)
        write_rendered_bu3dfe(root, model, people=people, seed=SEED, settings=settings, workers=workers)
    return root


def prepared_set(workspace: Workspace, root: Path, workers: int) -> PreparedScans:
    """Registered pairs of a rendered set, each kept beside it as soon as it is finished."""
    depth_maps, landmarks = workspace.params.depth_maps, workspace.params.landmarks
    prepared = prepare_scans(
        read_scans("bu3dfe", root).scans,
        depth_maps,
        landmarks,
        synthetic=True,
        folder=root.with_name(f"{root.name}-pairs"),
        fingerprint=chained(depth_maps.model_dump_json(), landmarks.model_dump_json(), version("deepexp3d")),
        workers=workers,
    )
    for problem in prepared.assembled.problems:
        print(problem)
    return prepared


def registration_figures(light: str, prepared: PreparedScans) -> dict[str, float]:
    """How well pairs were registered from no other start than detected landmarks, and how many were left out."""
    kept = prepared.table[prepared.table.status == "ok"]
    return {
        f"{light}_pair_px_median": float(kept.error_px.median()),
        f"{light}_pair_px_90": float(kept.error_px.quantile(0.9)),
        f"{light}_pairs_left_out_share": 1 - len(kept) / len(prepared.table),
    }


def common_faces(one: RgbdSamples, other: RgbdSamples) -> tuple[RgbdSamples, RgbdSamples]:
    """The samples whose faces are in both sets, in the same order."""
    names = [list(zip(each.subjects, each.labels, each.intensities, strict=True)) for each in (one, other)]
    places = [{name: place for place, name in enumerate(each)} for each in names]
    both = [name for name in names[0] if name in places[1]]
    first, second = (np.array([each[name] for name in both]) for each in places)
    return one.at(first), other.at(second)


def truth_of(scan: RangeImage, to_photograph: np.ndarray) -> np.ndarray:
    """(2, 3) from pixels of a range image to those of the photograph, of what takes millimetres there."""
    step, (x, y) = scan.mm_per_pixel, scan.origin
    to_millimetres = np.array([[step, 0, x], [0, -step, y], [0, 0, 1]])
    return to_photograph @ to_millimetres


def displaced(matrix: np.ndarray, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A transformation (2, 3) turned about the image's middle and shifted, as far as the bar has it."""
    angle = np.radians(rng.uniform(-LARGEST_TURN, LARGEST_TURN))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = matrix @ [(size[1] - 1) / 2, (size[0] - 1) / 2, 1]
    shift = rng.uniform(-LARGEST_OFFSET, LARGEST_OFFSET, 2)
    return np.column_stack([turn @ matrix[:, :2], turn @ (matrix[:, 2] - middle) + middle + shift])


def measure_registration(model: MorphableModel, pairs: int) -> dict[str, float]:
    """Pixels between where registration and truth take the face, of rendered pairs with known offsets, and how many of
    them were refused as if they did not belong together.
    """
    rng = np.random.default_rng(SEED)
    found, before, refused = [], [], 0
    # Skins differ in how much they share with a surface: a few expressions of each of many people.
    for person in show(range(-(-pairs // PAIRS_A_PERSON)), "registered people", -(-pairs // PAIRS_A_PERSON)):
        for _, _, rendered in islice(rendered_scans(model, person, SEED), min(PAIRS_A_PERSON, pairs - len(before))):
            scan = range_image(rendered.mesh)
            truth = truth_of(scan, rendered.to_photograph)
            start = displaced(truth, scan.depth.shape, rng)
            before.append(mean_distance(start, truth, scan.valid))
            try:
                registration = register(scan, rendered.photograph, start=start)
            except ScanError:
                refused += 1
                continue
            found.append(mean_distance(registration.matrix, truth, scan.valid))
    return {
        "registration_px_median": float(np.median(found)),
        "registration_px_90": float(np.quantile(found, 0.9)),
        "registration_px_before": float(np.median(before)),
        "registration_pairs": float(len(before)),
        "registration_refused_share": refused / len(before),
    }


def measure_times(hardware: RgbdHardware, repeats: int = 3) -> dict[str, float]:
    """Seconds of an epoch of the paper's size, the least of several, and the paper's trainings projected from it."""
    rng = np.random.default_rng(SEED)
    inputs = {
        "depth": rng.random((TRAINING_IMAGES, DEPTH_SIZE, DEPTH_SIZE), np.float32),
        **{name: rng.random((TRAINING_IMAGES, size), np.float32) for name, size in COLOUR_FEATURES.items()},
    }
    labels = np.resize(CLASSES, TRAINING_IMAGES)
    figures = {}
    for name in ("depth", "rgb_resnet50", "rgb_vgg19"):
        seconds = [
            train_pipeline(
                PIPELINES[name], inputs, labels, RgbdTrainingSettings(epochs=1), seed=SEED, hardware=hardware
            ).seconds
            for _ in range(repeats)
        ]
        figures[f"{name}_epoch_seconds"] = min(seconds)
        figures[f"{name}_hours_paper"] = 200 * 1000 * min(seconds) / 3600
    return figures


def accuracies(result: RgbdResult) -> dict[str, float]:
    """Shares of right answers by pipeline, and by pipeline under other light; epochs that the trainings took."""
    figures = {}
    for one in result.results:
        suffix = "" if one.condition == AS_TRAINED else "_" + one.condition.replace(" ", "_")
        figures[one.pipeline + suffix] = one.accuracy
        figures[f"{one.pipeline}_epochs"] = float(np.mean(one.epochs))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.rgbd", description="Registration, colour, depth and fusion on rendered people."
    )
    parser.add_argument("--json", type=Path, help="write the figures here as one flat object")
    parser.add_argument("--project", type=Path, help="a project with a face model; else the nearest")
    parser.add_argument("--sets", type=Path, help="folder to keep rendered sets, features and finished repeats in")
    parser.add_argument("--people", type=int, default=12, help="rendered people")
    parser.add_argument("--repeats", type=int, default=5, help="divisions of people; the paper has 200")
    parser.add_argument("--protocol", default="paper", help="paper, redrawn, all or tenfold")
    parser.add_argument("--epochs", type=int, default=25, help="of each training, at most; the paper has 1000")
    parser.add_argument(
        "--enough", type=float, default=0.01, help="loss of the training images that ends a training; 0 for never"
    )
    parser.add_argument("--pairs", type=int, default=40, help="rendered pairs to register")
    parser.add_argument("--starred", action="store_true", help="pretrained networks on depth as well")
    parser.add_argument("--beyond", action="store_true", help="reconstructed depth and expression coefficients as well")
    parser.add_argument("--resnet50", type=Path, help="ImageNet weights")
    parser.add_argument("--vgg19", type=Path, help="ImageNet weights")
    parser.add_argument("--model", help="network of the reconstructions: a shipped one's name, or a folder")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    workspace = Workspace.open(arguments.project)
    model = load_detector_model(workspace)
    figures = measure_times(RgbdHardware(threads=os.cpu_count() or 1))
    figures |= measure_registration(model, arguments.pairs)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.sets or Path(temporary)
        result, pairs = compare(arguments, workspace, model, folder)
    figures |= pairs | accuracies(result) | {"people": result.people, "repeats": result.repeats}
    print(result.text())
    for name, value in figures.items():
        print(f"{name:50} {value:.4f}")
    if arguments.json:
        with written_whole(arguments.json) as path:
            path.write_text(json.dumps({name: round(value, 6) for name, value in figures.items()}, indent=1) + "\n")


def compare(
    arguments: argparse.Namespace, workspace: Workspace, model: MorphableModel, folder: Path
) -> tuple[RgbdResult, dict[str, float]]:
    """All pipelines that are asked for, under both lights; and how well pairs were registered in either."""
    begin = time.monotonic()
    prepared = {
        light: prepared_set(
            workspace, rendered_set(folder, light, model, arguments.people, arguments.workers), arguments.workers
        )
        for light in LIGHTS
    }
    figures = {}
    for light, pairs in prepared.items():
        figures |= registration_figures(light, pairs)
    studio, changed = common_faces(*(pairs.assembled.samples for pairs in prepared.values()))
    pipelines, problems = list(FUSED), []
    if arguments.starred:
        pipelines = list(PAPER_PIPELINES)
    if arguments.beyond:
        pipelines += BEYOND
        predictor = Predictor.load(arguments.model, features_only=True, threads=arguments.workers)
        studio, remarks = with_reconstructions(studio, predictor, model, progress=show)
        changed, others = with_reconstructions(changed, predictor, model, progress=show)
        problems += [*remarks, *others]
    print(f"samples after {time.monotonic() - begin:.0f} s", flush=True)
    stopping = EarlyStopping(patience=arguments.epochs, enough=arguments.enough)
    training = RgbdTrainingSettings(epochs=arguments.epochs, early_stopping=stopping if arguments.enough else None)
    settings = RgbdEvaluationSettings(
        protocol=arguments.protocol, repeats=arguments.repeats, people=arguments.people, seed=SEED
    )
    result = evaluate_rgbd(
        studio,
        pipelines=pipelines,
        settings=replace(settings, training=training),
        hardware=RgbdHardware(workers=arguments.workers),
        weights={name: path for name in COLOUR_FEATURES if (path := getattr(arguments, name)) is not None},
        asked={OTHER_LIGHT: changed},
        folder=folder / "repeats",
        problems=problems,
        progress=show,
    )
    return result, figures


if __name__ == "__main__":
    main()
