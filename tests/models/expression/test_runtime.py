"""An exported network runs wherever it can, and says what is missing where it cannot."""

import json
import sys
import threading
import types

import numpy as np
import onnx
import pytest
import torch

from models.errors import ModelMismatchError, WeightsMissingError
from models.expression import runtime
from models.expression.contract import NetworkContract
from models.expression.export import export_onnx
from models.expression.network import ExpressionNetwork, save_network
from models.expression.runtime import CONTRACT_KEY, NetworkSession


@pytest.fixture(scope="module")
def contract(small_model):
    return NetworkContract.of(small_model, "resnet18_half", 28, landmark_input=True)


@pytest.fixture(scope="module")
def network(contract):
    torch.manual_seed(0)
    network = ExpressionNetwork.of(contract).eval()
    torch.nn.init.normal_(network.joint[-1].weight, std=0.1)
    return network


@pytest.fixture(scope="module")
def exported(network, contract, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    save_network(network, contract, folder)
    return export_onnx(folder, folder, opset=17)


@pytest.fixture(scope="module")
def faces(contract):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (6, 224, 224, 3), dtype=np.uint8)
    return images, (contract.template + 4 * rng.normal(size=(6, 68, 2))).astype(np.float32)


@pytest.mark.parametrize(("name", "tolerance"), [("onnxruntime", 1e-4), ("openvino", 0.05)])
def test_image_and_landmarks_give_what_torch_gives(exported, network, faces, name, tolerance):
    with torch.inference_mode():
        expected = network(*(torch.from_numpy(values) for values in faces)).numpy()
    found = NetworkSession.load(exported, runtime=name, threads=1)(*faces)
    np.testing.assert_allclose(found, expected, atol=tolerance * np.abs(expected).max())
    shifted = NetworkSession.load(exported, runtime=name, threads=1)(faces[0], faces[1] + 5)
    assert np.abs(shifted - found).max() > 1e-3, "the landmarks take part"


def test_landmarks_left_out_are_an_error(exported, faces):
    with pytest.raises(ModelMismatchError, match="takes landmarks beside the images"):
        NetworkSession.load(exported, runtime="openvino", threads=1)(faces[0])


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_several_threads_may_ask_at_once(exported, faces, name):
    session = NetworkSession.load(exported, runtime=name, threads=2, streams=2)
    alone = [session(*(values[place : place + 1] for values in faces)) for place in range(6)]
    wrong = []

    def ask(place):
        for _ in range(5):
            if not np.allclose(session(*(values[place : place + 1] for values in faces)), alone[place]):
                wrong.append(place)

    threads = [threading.Thread(target=ask, args=[place]) for place in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda properties: properties.pop(CONTRACT_KEY), "not one of this project"),
        (
            lambda properties: properties.update(
                {CONTRACT_KEY: json.dumps(json.loads(properties[CONTRACT_KEY]) | {"format": 1})}
            ),
            "format 1, this version reads 2",
        ),
    ],
)
def test_files_of_others_and_of_other_versions_are_refused(exported, tmp_path, name, change, cause):
    model = onnx.load(exported)
    properties = {item.key: item.value for item in model.metadata_props}
    change(properties)
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, properties)
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(ModelMismatchError, match=rf"other\.onnx.*{cause}"):
        NetworkSession.load(tmp_path / "other.onnx", runtime=name, threads=1)


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_missing_and_damaged_files_are_named(exported, tmp_path, name):
    with pytest.raises(WeightsMissingError, match=r"none\.onnx: there is no such file"):
        NetworkSession.load(tmp_path / "none.onnx", runtime=name)
    (tmp_path / "half.onnx").write_bytes(exported.read_bytes()[:5000])
    with pytest.raises(WeightsMissingError, match=r"half\.onnx: cannot be read"):
        NetworkSession.load(tmp_path / "half.onnx", runtime=name)


@pytest.mark.parametrize("options", [{"threads": -1}, {"streams": 0}])
def test_impossible_numbers_of_threads_are_refused(exported, options):
    with pytest.raises(ModelMismatchError, match="threads in"):
        NetworkSession.load(exported, runtime="openvino", **options)


@pytest.mark.parametrize("name", ["cuda", "tensorrt"])
def test_without_a_gpu_the_cure_is_named(exported, name):
    with pytest.raises(ModelMismatchError, match=f"runtime '{name}': .*onnxruntime-gpu"):
        NetworkSession.load(exported, runtime=name)


def test_a_gpu_that_cannot_be_started_is_an_error_where_it_was_asked_for(exported, faces, monkeypatch, caplog):
    import onnxruntime

    class OnTheProcessor:
        """What ONNX Runtime gives where the CUDA libraries are missing."""

        def __init__(self, *arguments, **options):
            self.asked = options["providers"]

        def get_providers(self):
            return ["CPUExecutionProvider"]

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "InferenceSession", OnTheProcessor)
    with pytest.raises(ModelMismatchError, match="CUDAExecutionProvider could not be started"):
        NetworkSession.load(exported, runtime="cuda")
    monkeypatch.setattr(runtime, "_best_runtime", lambda: "cuda")
    assert np.isfinite(NetworkSession.load(exported, runtime="auto", threads=1)(*faces)).all()
    assert "The processor is used instead" in caplog.text


@pytest.mark.parametrize(
    ("installed", "providers", "expected"),
    [
        (["onnxruntime"], ["TensorrtExecutionProvider"], "openvino"),
        (["onnxruntime-gpu"], ["CPUExecutionProvider"], "openvino"),
        (["onnxruntime-gpu"], ["CUDAExecutionProvider", "CPUExecutionProvider"], "cuda"),
        (["onnxruntime-gpu"], ["TensorrtExecutionProvider", "CUDAExecutionProvider"], "tensorrt"),
    ],
)
def test_the_best_runtime_is_chosen_from_what_is_installed(monkeypatch, installed, providers, expected):
    distributions = [types.SimpleNamespace(metadata={"Name": name}) for name in installed]
    monkeypatch.setattr(runtime.metadata, "distributions", lambda: distributions)
    stand_in = types.SimpleNamespace(get_available_providers=lambda: providers)
    monkeypatch.setitem(sys.modules, "onnxruntime", stand_in)
    assert runtime._best_runtime() == expected
