"""Project folders with a small face model, and clips of rendered people to put into them."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from assets.morphable_model import model_path
from assets.params import load_params
from assets.workspace import Workspace
from models.morphable_model import MorphableModel
from models.morphable_model.embedded import build_embedded_model
from tests.workspace_fixture import ROOT, TINY, make_project

SMALL = {name: value for name, value in TINY.items() if name.startswith(("morphable_model.", "synthetic_facevid."))}


@pytest.fixture(scope="session")
def face_model_file(tmp_path_factory) -> Path:
    """An embedded model of few heads, built once."""
    path = tmp_path_factory.mktemp("face_model") / "model.npz"
    build_embedded_model(load_params(ROOT / "params.yaml", SMALL).morphable_model).save(path)
    return path


@pytest.fixture(scope="session")
def new_project(face_model_file) -> Callable[..., Workspace]:
    """Function of a folder, and parameters by dotted name, that makes a project with its face model there."""

    def make(folder: Path, **overrides) -> Workspace:
        folder.mkdir(parents=True)
        workspace = make_project(folder, **({"machine.workers": 1} | overrides))
        model_path(workspace).parent.mkdir(parents=True)
        shutil.copy(face_model_file, model_path(workspace))
        return workspace

    return make


@pytest.fixture(scope="session")
def filmed(face_model_file) -> Callable[[int], list[np.ndarray]]:
    """Function of a person's number that gives 24 images (192, 192, 3) of somebody who talks to the camera."""
    from models.rendering.synthetic_video import synthesise_video

    model = MorphableModel.load(face_model_file)
    still = {"synthetic_facevid.video.still_share": 1.0, "synthetic_facevid.video.occluder_share": 0.0}
    settings = load_params(ROOT / "params.yaml", SMALL | still).synthetic_facevid
    clips: dict[int, list[np.ndarray]] = {}

    def film(person: int) -> list[np.ndarray]:
        if person not in clips:
            clips[person] = list(synthesise_video(model, person, 0, settings.seed, settings.video).images())
        return clips[person]

    return film
