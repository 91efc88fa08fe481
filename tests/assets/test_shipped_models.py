"""The networks that come with the project are made by one command, from nothing."""

import json

import pytest

from assets import shipped_models
from assets.shipped_models import make_shipped_model
from models.errors import DeepExp3DError
from models.expression import Predictor
from models.expression.network import load_network

TINY = {
    "shipped_models.renders.subjects": 3,
    "shipped_models.renders.validation_subjects": 1,
    "shipped_models.renders.photographs": None,
    "shipped_models.renders.image.images_per_subject": 4,
    "shipped_models.networks.small.input_size": 56,
    "shipped_models.networks.small.batch_size": 4,
    "shipped_models.networks.small.max_epochs": 1,
    "shipped_models.networks.small.max_minutes": None,
    "zero_shot_classifier.training.people": 4,
}


def test_a_recipe_makes_all_that_a_prediction_needs(new_project, filmed, tmp_path, monkeypatch):
    workspace = new_project(tmp_path / "project", **TINY)
    folder = tmp_path / "deepexp3d-small"
    make_shipped_model(workspace, "small", folder)
    names = {"network.onnx", "network.json", "weights.npz", "classifier.skops", "training.json"}
    assert {path.name for path in folder.iterdir()} == names
    facts = json.loads((folder / "training.json").read_text())
    assert 0 < facts["images_seen"] <= facts["training_images"] <= 12
    _, contract = load_network(folder)
    assert contract.landmark_input
    faces = Predictor.load(folder)(filmed(0)[0])
    assert faces[0].emotion is not None
    assert faces[0].expression.shape == (28,)

    monkeypatch.setattr(shipped_models, "MAX_NETWORK_BYTES", 1000)
    make_shipped_model(workspace, "small", tmp_path / "too_large")
    assert {path.name for path in (tmp_path / "too_large").iterdir()} == names - {"weights.npz"}


def test_an_unknown_recipe_is_refused_with_those_that_there_are(prepared_project, tmp_path):
    with pytest.raises(DeepExp3DError, match=r"'large'.*small, resnet50"):
        make_shipped_model(prepared_project, "large", tmp_path)
