"""What the pipeline measures on rendered people, and the classifier that it makes from them."""

import json

import numpy as np
import pytest

from assets.expression_evaluation import evaluate_unseen_people
from assets.morphable_model import load_model
from assets.workspace import Workspace
from assets.zero_shot_classifier import write_zero_shot_classifier
from models.emotion.labels import EMOTIONS
from models.emotion.persistence import load_classifier
from models.errors import ModelMismatchError, WeightsMissingError
from models.expression.contract import NetworkContract


@pytest.fixture(scope="module")
def contract(prepared_project) -> NetworkContract:
    return NetworkContract.of(load_model(prepared_project), "resnet18_half", 56, landmark_input=True)


@pytest.fixture(scope="module")
def network(contract):
    import torch

    from models.expression.network import ExpressionNetwork

    torch.manual_seed(0)
    return ExpressionNetwork.of(contract).eval()


def test_both_networks_and_both_fits_are_measured_on_unseen_people(new_project, contract, network, tmp_path):
    workspace = new_project(tmp_path / "project", **{"expression_evaluation.unseen.pairs": 2})
    result = evaluate_unseen_people(workspace, contract, {"deepexp3d": network, "deepexp3d_finetuned": network})
    figures = result.metadata["figures"]
    for method in ("deepexp3d", "deepexp3d_finetuned", "single_image", "per_frame"):
        for figure in ("mse", "identity_leakage", "view_invariance_mse", "neutral_variance"):
            assert np.isfinite(figures[f"{method}_{figure}"])
    assert figures["deepexp3d_mse"] == figures["deepexp3d_finetuned_mse"]
    assert figures["robustness_deepexp3d_plain"] > 0
    assert result.metadata["curves"].exists()
    json.dumps(figures)


def test_recorded_landmarks_leave_unseen_people_out_and_say_so(prepared_project, contract):
    workspace = Workspace.open(prepared_project.root, {"landmarks.backend": "recorded"})
    assert "recorded" in evaluate_unseen_people(workspace, contract, {}).skipped


@pytest.fixture(scope="module")
def exported(contract, network, tmp_path_factory):
    from models.expression.export import export_onnx
    from models.expression.network import save_network

    folder = tmp_path_factory.mktemp("network")
    save_network(network, contract, folder)
    return export_onnx(folder, folder, opset=20).parent


def test_a_network_gets_a_classifier_beside_it(prepared_project, exported):
    path = write_zero_shot_classifier(prepared_project, exported)
    assert path == exported / "classifier.skops"
    classifier = load_classifier(path, features=28)
    assert set(classifier.classes_) == set(EMOTIONS)


def test_a_folder_without_a_network_is_named(prepared_project, tmp_path):
    with pytest.raises(WeightsMissingError, match=r"network\.onnx"):
        write_zero_shot_classifier(prepared_project, tmp_path)


def test_a_network_of_another_face_model_gets_no_classifier(prepared_project, small_model, tmp_path):
    from models.expression.export import export_onnx
    from models.expression.network import ExpressionNetwork, save_network

    foreign = NetworkContract.of(small_model, "resnet18_half", 56)
    save_network(ExpressionNetwork.of(foreign), foreign, tmp_path)
    export_onnx(tmp_path, tmp_path, opset=20)
    with pytest.raises(ModelMismatchError, match="small"):
        write_zero_shot_classifier(prepared_project, tmp_path)
