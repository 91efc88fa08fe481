"""Fixtures shared by all tests."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models.morphable_model import MorphableModel


@pytest.fixture(scope="session")
def small_model() -> MorphableModel:
    """A morphable model of the paper's dimensions with random smooth bases: quick to make, no download."""
    rng = np.random.default_rng(0)
    columns, rows = 24, 24
    u, v = np.meshgrid(np.linspace(-1, 1, columns), np.linspace(-1, 1, rows))
    z = 60 * np.sqrt(np.clip(1.2 - 0.8 * u**2 - 0.4 * v**2, 0.01, None))
    mean = np.stack([70 * u, 95 * v, z], -1).reshape(-1, 3)
    n = len(mean)
    cells = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).reshape(-1)
    triangles = np.concatenate(
        [
            np.stack([cells, cells + 1, cells + columns], 1),
            np.stack([cells + 1, cells + columns + 1, cells + columns], 1),
        ]
    )
    frequency = rng.normal(size=(185, 2)) * 2.5
    phase = rng.uniform(0, 6, 185)
    waves = np.sin(mean[:, :2] / 60 @ frequency.T + phase)
    basis = (waves[:, None, :] * rng.normal(size=(1, 3, 185)) + 0.1 * rng.normal(size=(n, 3, 185))).reshape(3 * n, 185)
    basis = np.linalg.qr(basis)[0]
    expression_std = np.linspace(40, 8, 28)
    chosen = rng.permutation(n)[:68]
    # Outer eye corners a plausible distance apart, so that errors over the inter-ocular distance mean something.
    chosen[36] = np.argmin(np.linalg.norm(mean[:, :2] - [-45, 30], axis=1))
    chosen[45] = np.argmin(np.linalg.norm(mean[:, :2] - [45, 30], axis=1))
    return MorphableModel(
        mean=mean,
        identity_basis=basis[:, :157],
        identity_std=np.geomspace(80, 2, 157),
        expression_basis=basis[:, 157:],
        expression_std=expression_std,
        triangles=triangles.astype(np.int32),
        uv=(np.stack([u, v], -1).reshape(-1, 2) + 1) / 2,
        uv_triangles=triangles.astype(np.int32),
        material=np.zeros(len(triangles), np.uint8),
        landmark_vertices=np.repeat(chosen[:, None], 3, 1).astype(np.int32),
        landmark_weights=np.tile([1.0, 0.0, 0.0], (68, 1)),
        expression_mean=np.zeros(28),
        expression_covariance=np.diag(expression_std**2),
        expression_acceleration_covariance=np.diag(expression_std**2) * 0.01,
        name="small",
        licence="CC0-1.0",
    )


@pytest.fixture(scope="session")
def prepared_project(tmp_path_factory):
    """A project with a face model of few heads and what the detector's points mean on it, made once."""
    from assets.landmark_correspondence import learn_landmark_correspondence
    from assets.morphable_model import build_morphable_model
    from tests.workspace_fixture import make_project

    workspace = make_project(tmp_path_factory.mktemp("prepared"), **{"machine.workers": 1})
    build_morphable_model(workspace)
    learn_landmark_correspondence(workspace)
    return workspace


@pytest.fixture(scope="session")
def new_project(prepared_project) -> Callable:
    """Function of a folder, and parameters by dotted name, that makes a project with its face model there."""
    from tests.workspace_fixture import make_project

    def make(folder: Path, **overrides):
        folder.mkdir(parents=True)
        workspace = make_project(folder, **({"machine.workers": 1} | overrides))
        for stage in ("morphable_model", "landmark_correspondence"):
            shutil.copytree(prepared_project.data(stage), workspace.data(stage))
        return workspace

    return make


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL server of Debian's on loopback."""
    from tests.servers import postgres_server

    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def object_store():
    """Address of an S3-compatible server on loopback."""
    from tests.servers import object_store_server

    with object_store_server() as address:
        yield address


@pytest.fixture(scope="session")
def filmed(prepared_project) -> Callable[[int], list[np.ndarray]]:
    """Function of a person's number that gives 24 images (192, 192, 3) of somebody who talks to the camera."""
    from dataclasses import replace

    from assets.morphable_model import load_model
    from models.rendering.synthetic_video import synthesise_video

    settings = prepared_project.params.synthetic_facevid
    still = replace(settings.video, still_share=1.0, occluder_share=0.0)
    clips: dict[int, list[np.ndarray]] = {}

    def film(person: int) -> list[np.ndarray]:
        if person not in clips:
            clips[person] = list(
                synthesise_video(load_model(prepared_project), person, 0, settings.seed, still).images()
            )
        return clips[person]

    return film
