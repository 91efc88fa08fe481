"""The networks that come with the project, trained again from nothing: `python -m assets.shipped_models small`.

Renders, training, 8-bit export and the emotion classifier, each resumed where a killed run left it. The model card's
figures are measured afterwards by `python -m benchmarks.expression --model NAME --card`.
"""

import argparse
import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from assets.landmark_correspondence import load_detector_model
from assets.rendered_faces import render_shards
from assets.training import initial_network
from assets.workspace import Workspace
from assets.zero_shot_classifier import write_zero_shot_classifier
from models.errors import DeepExp3DError
from models.storage import written_whole

if TYPE_CHECKING:
    from models.expression.training import TrainingResult

log = logging.getLogger(__name__)

STAGE = "shipped_models"
# Aligned faces on which the ranges of the 8-bit activations are found.
CALIBRATION_IMAGES = 512
# What one network may add to the repository.
MAX_NETWORK_BYTES = 30 * 2**20


def make_shipped_model(workspace: Workspace, name: str, folder: Path) -> None:
    """Make `network.onnx`, `weights.npz` and `classifier.skops` by the recipe `shipped_models.networks.NAME`.

    Raises
    ------
    DeepExp3DError
        There is no such recipe, or a step of it fails.
    """
    from models.expression.training import train

    settings = workspace.params.shipped_models
    if name not in settings.networks:
        raise DeepExp3DError(
            f"shipped_models.networks has no '{name}' in params.yaml; choose one of {', '.join(settings.networks)}."
        )
    section = settings.networks[name]
    shards = workspace.data(STAGE, "renders")
    if not (shards / "val").exists():
        render_shards(workspace, settings.renders, shards)
    result = train(
        shards,
        load_detector_model(workspace),
        section.settings(),
        workspace.data(STAGE, name),
        seed=section.seed,
        hardware=section.hardware,
        init_from=initial_network(workspace, section.init_from),
        teacher=None if section.teacher is None else workspace.path(section.teacher),
    )
    publish(workspace, result, shards / "train", section.batch_size, folder)


def publish(workspace: Workspace, result: "TrainingResult", shards: Path, batch_size: int, folder: Path) -> None:
    """Write all that users need of a trained network into `folder`; `shards` are what it was trained on.

    `weights.npz`, which a user's own training may start from, is left out where it would make the network too large to
    come with the project: that of a ResNet-50 has 50 MB.
    """
    from models.expression.export import export_onnx
    from models.expression.network import WEIGHTS, load_network, save_network
    from models.expression.quantisation import quantise
    from models.expression.runtime import NETWORK
    from models.expression.shards import number_of_samples

    last = result.history[-1]
    facts = {
        "training_images": number_of_samples(shards),
        "images_seen": last["step"] * batch_size,
        "training_minutes": round(last["seconds"] / 60, 1),
    }
    with written_whole(folder / "training.json") as path:
        path.write_text(json.dumps(facts, indent=1) + "\n")
    network, contract = load_network(result.folder)
    save_network(network, contract, folder, half_precision=True)
    weights = folder / WEIGHTS
    if weights.stat().st_size > MAX_NETWORK_BYTES:
        log.info("%s: left out, %.0f MB.", weights, weights.stat().st_size / 2**20)
        weights.unlink()
    exact = export_onnx(result.folder, result.folder / "exact", opset=workspace.params.deepexp3d_export.opset)
    images, landmarks = calibration_faces(shards)
    quantise(exact, images, landmarks if contract.landmark_input else None, folder / NETWORK)
    write_zero_shot_classifier(workspace, folder)


def calibration_faces(shards: Path) -> tuple[np.ndarray, np.ndarray]:
    """Faces from everywhere in the training data, (C, 224, 224, 3) uint8, and their landmarks (C, 68, 2)."""
    from models.expression.shards import ShardReader

    reader = ShardReader(shards)
    places = np.linspace(0, len(reader) - 1, min(CALIBRATION_IMAGES, len(reader))).astype(int)
    faces = [reader.sample(place) for place in places]
    return np.stack([face.image for face in faces]), np.stack([face.landmarks for face in faces])


def main() -> None:
    """Entry point of `python -m assets.shipped_models`."""
    from models.expression.shipped import SHIPPED_FOLDER

    parser = argparse.ArgumentParser(
        prog="python -m assets.shipped_models", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("name", help="a recipe of params.yaml: small or resnet50")
    parser.add_argument("--folder", type=Path, help="where the network goes; by default into the package itself")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    folder = arguments.folder or SHIPPED_FOLDER / f"deepexp3d-{arguments.name}"
    try:
        make_shipped_model(Workspace.open(), arguments.name, folder)
    except DeepExp3DError as error:
        sys.exit(f"{arguments.name}: {error}")


if __name__ == "__main__":
    main()
