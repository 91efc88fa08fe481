"""A project that has exported a network, without the hours before: what the registry's tests begin with."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from assets.challenger_review import review_challenger
from assets.champion import follow_champion
from assets.expression_drift import TRAINING_DATA
from assets.frozen_test_set import FACES, IDENTITY, asked_for
from assets.landmark_correspondence import load_detector_model
from assets.workspace import Workspace
from models.expression.contract import NetworkContract
from models.expression.drift import ExpressionStatistics
from models.expression.export import export_onnx
from models.expression.network import ExpressionNetwork, save_network
from models.expression.runtime import NETWORK, NetworkSession
from models.packages import sha256_of
from models.storage import save_arrays

PEOPLE, MOMENTS = 8, 3


def export_network(workspace: Workspace, seed: int, videos: int = 6) -> Path:
    """Put an untrained network into `data/deepexp3d_export`, with all that the stages around it write."""
    import torch

    torch.manual_seed(seed)
    contract = NetworkContract.of(load_detector_model(workspace), "resnet18_half", 32, landmark_input=True)
    folder = workspace.data("deepexp3d_export")
    trained = workspace.data("deepexp3d")
    save_network(ExpressionNetwork.of(contract).eval(), contract, trained)
    path = export_onnx(trained, folder, opset=20)
    errors = {"deepexp3d": 0.5, "deepexp3d_finetuned": 0.6}
    facts = {"exported": "deepexp3d", "backbone": "resnet18_half", "test_mse": errors, "trained_on": "synthetic videos"}
    (folder / "export.json").write_text(json.dumps(facts))
    rng = np.random.default_rng(seed)
    size = len(contract.expression_std)
    ExpressionStatistics.of({f"video {n}": rng.normal(size=(30, size)) for n in range(videos)}).save(
        folder / TRAINING_DATA
    )
    evaluation = workspace.data("expression_evaluation")
    evaluation.mkdir(parents=True, exist_ok=True)
    (evaluation / "metrics.json").write_text(json.dumps({"unseen_people": {"deepexp3d_mse": 0.5}}))
    _synthetic_videos(workspace)
    return path


def freeze_what_it_reads(workspace: Workspace, network: Path) -> None:
    """A frozen test set of noise whose truth is nearly what this network answers: any other does worse on it."""
    rng = np.random.default_rng(3)
    count = PEOPLE * MOMENTS
    aligned = rng.integers(0, 256, (count, 224, 224, 3), dtype=np.uint8)
    points = rng.uniform(20, 200, (count, 68, 2)).astype(np.float32)
    answers = NetworkSession.load(network, runtime="onnxruntime", threads=1)(aligned, points)
    people = np.repeat([f"person {n}" for n in range(PEOPLE)], MOMENTS)
    folder = workspace.data("frozen_test_set")
    save_arrays(
        folder / FACES,
        aligned=aligned,
        aligned_points=points,
        truth=answers + 0.01 * answers.std() * rng.normal(size=answers.shape),
        people=people,
        yaw=rng.uniform(-60, 60, count),
        shape=np.repeat(rng.gamma(2, 1, PEOPLE), MOMENTS),
        skin=np.repeat(rng.uniform(0, 1, PEOPLE), MOMENTS),
    )
    (folder / IDENTITY).write_text(json.dumps({"asked_for": asked_for(workspace), "sha256": sha256_of(folder / FACES)}))


def network_bytes(workspace: Workspace) -> str:
    """The hash of the exported network."""
    return sha256_of(workspace.data("deepexp3d_export", NETWORK))


def _synthetic_videos(workspace: Workspace) -> None:
    tables = {
        ("facevid_splits", "splits.parquet"): {"video_id": ["a"], "source_video": ["a"]},
        ("raw_videos", "manifest.parquet"): {"video_id": ["a"], "source": ["synthetic"]},
    }
    for place, columns in tables.items():
        workspace.data(*place).parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(columns).to_parquet(workspace.data(*place))


def make_better_challenger(workspace: Workspace) -> None:
    """Make version 1 champion, and version 2, what the project exports in the end, a challenger without any error."""
    freeze_what_it_reads(workspace, export_network(workspace, seed=7))
    export_network(workspace, seed=1)
    review_challenger(workspace)
    follow_champion(workspace)
    export_network(workspace, seed=7)
    review_challenger(workspace)
