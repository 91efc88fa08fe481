"""A trained pipeline on disk: weights without any code in them, and beside them what they mean."""

import json
from collections.abc import Mapping
from pathlib import Path
from zipfile import BadZipFile

import torch

from models.errors import ModelMismatchError, WeightsMissingError
from models.rgbd.backbones import Backbone, empty_trunk, trunks_in
from models.rgbd.networks import build_network
from models.rgbd.pipelines import CLASSES, PIPELINES
from models.rgbd.training import TrainedPipeline
from models.storage import load_arrays, save_arrays, written_whole

WEIGHTS = "weights.npz"
DESCRIPTION = "pipeline.json"


def save_pipeline(folder: Path | str, trained: TrainedPipeline, backbones: Mapping[str, Backbone]) -> None:
    """Write `weights.npz` and `pipeline.json`.

    Frozen backbones are not part of it: the description names their weights by hash, and features for the pipeline have
    to come from the same.
    """
    folder = Path(folder)
    own = trunks_in(trained.network)
    description = {
        "pipeline": trained.pipeline.name,
        "classes": CLASSES,
        "fusion_levels": trained.fusion_levels,
        "losses": trained.losses,
        "seconds": trained.seconds,
        "fine_tuned": [trunk.shrink for trunk in own],
        "backbones": {
            name: {"label": backbones[name].label, "detail": backbones[name].detail, "sha256": backbones[name].digest}
            for name in trained.pipeline.backbones
        },
    }
    with written_whole(folder / DESCRIPTION) as path:
        path.write_text(json.dumps(description, indent=1) + "\n")
    state = trained.network.state_dict()
    save_arrays(folder / WEIGHTS, **{name: value.detach().cpu().numpy() for name, value in state.items()})


def load_pipeline(folder: Path | str) -> TrainedPipeline:
    """Read what `save_pipeline` wrote.

    Raises
    ------
    WeightsMissingError
        A file is missing or damaged.
    ModelMismatchError
        The description or the weights are of no pipeline of this version.
    """
    folder = Path(folder)
    try:
        weights = load_arrays(folder / WEIGHTS)
        description = json.loads((folder / DESCRIPTION).read_text())
    except (OSError, ValueError, BadZipFile) as error:
        raise WeightsMissingError(f"{folder}: holds no readable pipeline ({error}); train it again.") from error
    try:
        if tuple(description["classes"]) != CLASSES:
            raise ValueError(f"classes {description['classes']}, expected {list(CLASSES)}")
        pipeline = PIPELINES[description["pipeline"]]
        fusion_levels = tuple(description["fusion_levels"])
        trunks = {
            name: empty_trunk(name, shrink)
            for name, shrink in zip(pipeline.backbones, description["fine_tuned"], strict=False)
        }
        network = build_network(pipeline, fusion_levels, trunks)
        network.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
        losses = tuple(map(float, description["losses"]))
        return TrainedPipeline(pipeline, network.eval(), fusion_levels, losses, description["seconds"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelMismatchError(
            f"{folder}: is of no pipeline of this version ({str(error).splitlines()[0]}); train it again."
        ) from error
