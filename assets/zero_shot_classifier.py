"""An emotion classifier for a network, from renders alone: `python -m assets.zero_shot_classifier FOLDER`."""

import argparse
import logging
import sys
from pathlib import Path

import numpy as np

from assets.landmarks import warm_backend
from assets.morphable_model import load_model
from assets.workspace import Workspace
from models.errors import DeepExp3DError, ModelMismatchError

STAGE = "zero_shot_classifier"
# The network's threads; the classifier does not depend on them.
THREADS = 2


def write_zero_shot_classifier(workspace: Workspace, folder: Path) -> Path:
    """Write `folder/classifier.skops`, trained on what `folder/network.onnx` reads of rendered emotions.

    Raises
    ------
    WeightsMissingError
        There is no network in the folder.
    ModelMismatchError
        The network speaks of another face model than the project's, or that model cannot be rendered.
    NoFaceError
        Some emotion's face was never found.
    """
    from models.emotion.persistence import save_classifier
    from models.emotion.zero_shot import train_zero_shot
    from models.expression.observed_faces import network_expressions, observe
    from models.expression.runtime import CLASSIFIER, NETWORK, NetworkSession

    settings = workspace.params.zero_shot_classifier
    model = load_model(workspace)
    session = NetworkSession.load(folder / NETWORK, runtime="openvino", threads=THREADS)
    std = session.contract.expression_std
    if std.shape != model.expression_std.shape or not np.allclose(std, model.expression_std, rtol=1e-3):
        raise ModelMismatchError(
            f"{folder / NETWORK}: speaks of the face model '{session.contract.face_model}', whose expressions are not "
            f"those of this project's '{model.name}'; train the network again, or build its model."
        )
    backend = warm_backend(workspace.params.landmarks)

    def read(images: list[np.ndarray]) -> np.ndarray:
        return network_expressions(session, observe(images, backend, session.contract.template))

    classifier = train_zero_shot(read, model, settings.training, settings.seed)
    save_classifier(classifier, folder / CLASSIFIER)
    return folder / CLASSIFIER


def main() -> None:
    """Entry point of `python -m assets.zero_shot_classifier`."""
    parser = argparse.ArgumentParser(prog="python -m assets.zero_shot_classifier", description=__doc__)
    parser.add_argument("folder", type=Path, help="holds network.onnx; the classifier is written beside it")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        print(write_zero_shot_classifier(Workspace.open(), arguments.folder))
    except DeepExp3DError as error:
        sys.exit(f"{STAGE}: {error}")


if __name__ == "__main__":
    main()
