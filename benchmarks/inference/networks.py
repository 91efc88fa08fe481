"""The networks that are timed: those that are shipped, and untrained ones in the place of those that are not.

Time does not depend on what a network has learned, so a stand-in is as fast as the trained network will be; the key
`NAME_random_weights` says where one was measured.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.inference.timing import least_ms
from models.expression.alignment import IMAGE_SIZE
from models.expression.quantisation import relative_mse_increase
from models.expression.runtime import CLASSIFIER, NETWORK, NetworkSession
from models.expression.shipped import SHIPPED_FOLDER, shipped_models
from models.morphable_model import MorphableModel

# Backbone and its input's side, pixels.
NETWORKS = {"resnet50": ("deepexp3d-resnet50", "resnet50", 224), "small": ("deepexp3d-small", "resnet18_half", 112)}
CALIBRATION_IMAGES = 8
TEST_IMAGES = 512
CLASSIFIER_SAMPLES = 700


@dataclass(frozen=True)
class TimedNetwork:
    """A network in 8 bits and its classifier, in `folder`; `exact` is the same network in floating point, if known."""

    name: str
    folder: Path
    exact: Path | None
    random_weights: bool


def networks_to_time(model: MorphableModel, project: Path, scratch: Path) -> list[TimedNetwork]:
    """Every network of `NETWORKS`: the shipped one, else an untrained one of its kind, made in the folder `scratch`."""
    return [network_to_time(name, model, project, scratch) for name in NETWORKS]


def network_to_time(name: str, model: MorphableModel, project: Path, scratch: Path) -> TimedNetwork:
    """One network of `NETWORKS`, or its stand-in."""
    shipped, backbone, side = NETWORKS[name]
    if shipped in shipped_models():
        exact = project / "data" / "shipped_models" / name / "exact" / NETWORK
        return TimedNetwork(name, SHIPPED_FOLDER / shipped, exact if exact.exists() else None, False)
    exact = _untrained(model, backbone, side, scratch / name)
    return TimedNetwork(name, scratch / name / "int8", exact, True)


def _untrained(model: MorphableModel, backbone: str, side: int, folder: Path) -> Path:
    """Export an untrained network with landmark input, in floating point and 8 bits, and a classifier of noise."""
    import torch

    from models.emotion.ecoc import EcocSvm
    from models.emotion.labels import EMOTIONS
    from models.emotion.persistence import save_classifier
    from models.expression.contract import NetworkContract
    from models.expression.export import export_onnx
    from models.expression.network import ExpressionNetwork, save_network
    from models.expression.quantisation import quantise

    torch.manual_seed(0)
    contract = NetworkContract.of(model, backbone, side, landmark_input=True)
    save_network(ExpressionNetwork.of(contract).eval(), contract, folder)
    exact = export_onnx(folder, folder, opset=17)
    images, landmarks = inputs(CALIBRATION_IMAGES)
    quantise(exact, images, landmarks, folder / "int8" / NETWORK)
    rng = np.random.default_rng(0)
    labels = np.resize(EMOTIONS, CLASSIFIER_SAMPLES)
    classifier = EcocSvm(calibration_folds=0).fit(rng.normal(size=(len(labels), model.expression_size)), labels)
    save_classifier(classifier, folder / "int8" / CLASSIFIER)
    return exact


def inputs(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Images (count, 224, 224, 3) uint8 and landmarks (count, 68, 2), coarse noise."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (count, 14, 14, 3), dtype=np.uint8)
    landmarks = rng.uniform(0, IMAGE_SIZE, (count, 68, 2)).astype(np.float32)
    return coarse.repeat(16, axis=1).repeat(16, axis=2), landmarks


def time_network(network: TimedNetwork, threads: int) -> dict[str, float]:
    """Milliseconds of one image: 8 bits under either runtime, and floating point under both, where it is known."""
    image, landmarks = inputs(1)
    figures: dict[str, float] = {f"{network.name}_random_weights": network.random_weights}
    files = {"int8": network.folder / NETWORK} | ({"float": network.exact} if network.exact else {})
    for kind, path in files.items():
        for runtime in ("openvino", "onnxruntime"):
            session = NetworkSession.load(path, runtime=runtime, threads=threads)
            figures[f"{network.name}_{kind}_{runtime}_ms"] = least_ms(
                lambda session=session: session(image, landmarks), repeats=20
            )
    figures[f"{network.name}_megabytes"] = (network.folder / NETWORK).stat().st_size / 1e6
    return figures


def int8_relative_mse(network: TimedNetwork, project: Path) -> float | None:
    """By which share 8 bits raise the squared error on rendered faces; None where there is nothing to measure it on.

    Measured where the project that trained the network is at hand, else what its `figures.json` says.
    """
    shards = project / "data" / "shipped_models" / "renders" / "val"
    if network.random_weights:
        return None
    if network.exact is None or not shards.exists():
        figures = network.folder / "figures.json"
        return json.loads(figures.read_text()).get("int8_relative_mse") if figures.exists() else None
    from models.expression.shards import ShardReader

    reader = ShardReader(shards)
    samples = [reader.sample(place) for place in np.linspace(0, len(reader) - 1, TEST_IMAGES).astype(int)]
    images, landmarks = (np.stack([getattr(sample, name) for sample in samples]) for name in ("image", "landmarks"))
    exact = NetworkSession.load(network.exact, runtime="onnxruntime", threads=0)(images, landmarks)
    found = NetworkSession.load(network.folder / NETWORK, runtime="openvino", threads=0)(images, landmarks)
    return relative_mse_increase(found, exact, np.stack([sample.expression for sample in samples]))
