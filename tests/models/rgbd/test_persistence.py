"""A pipeline that comes back from its files answers as it did."""

import json

import numpy as np
import pytest

from models.errors import ModelMismatchError, WeightsMissingError
from models.rgbd.network_settings import RgbdHardware, RgbdTrainingSettings
from models.rgbd.persistence import load_pipeline, save_pipeline
from models.rgbd.pipelines import CLASSES, PIPELINES
from models.rgbd.training import train_pipeline
from tests.models.rgbd.stand_in_backbone import stand_in_backbone


@pytest.fixture(scope="module")
def inputs():
    rng = np.random.default_rng(0)
    shapes = {"vgg19": 512, "expression": 28}
    return {name: rng.normal(size=(12, size)).astype(np.float32) for name, size in shapes.items()}


@pytest.fixture
def saved(tmp_path, inputs):
    """A fusion, and the folder that it was written to."""
    trained = train_pipeline(
        PIPELINES["rgb_vgg19_expression"],
        inputs,
        np.resize(CLASSES, 12),
        RgbdTrainingSettings(epochs=1, batch_size=6, fusion_levels=(20, 10)),
        seed=0,
        hardware=RgbdHardware(device="cpu", precision="float32"),
    )
    save_pipeline(tmp_path, trained, {"vgg19": stand_in_backbone("vgg19")})
    return trained, tmp_path


def test_answers_are_the_same(saved, inputs):
    trained, folder = saved
    loaded = load_pipeline(folder)
    np.testing.assert_array_equal(loaded.probabilities(inputs), trained.probabilities(inputs))
    assert (loaded.pipeline, loaded.fusion_levels, loaded.epochs) == (trained.pipeline, (20, 10), 1)


def test_the_description_names_the_weights_that_features_have_to_come_from(saved):
    description = json.loads((saved[1] / "pipeline.json").read_text())
    assert description["backbones"]["vgg19"]["sha256"] == stand_in_backbone("vgg19").digest
    assert "random weights" in description["backbones"]["vgg19"]["label"]


def test_missing_and_damaged_files_are_named(saved):
    _, folder = saved
    (folder / "weights.npz").write_bytes(b"torn")
    with pytest.raises(WeightsMissingError, match=str(folder)):
        load_pipeline(folder)
    with pytest.raises(WeightsMissingError, match="nowhere"):
        load_pipeline(folder / "nowhere")


@pytest.mark.parametrize(
    "change", [{"pipeline": "colour"}, {"fusion_levels": [20, 11]}, {"classes": list(CLASSES[::-1])}]
)
def test_a_description_of_something_else_is_refused(saved, change):
    _, folder = saved
    path = folder / "pipeline.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ModelMismatchError, match=str(folder)):
        load_pipeline(folder)
