"""Protocols are compared on the same samples, and what a single division may come to is told."""

import json
from dataclasses import replace

import numpy as np
import pytest

from models.rgbd import evaluation
from models.rgbd.network_settings import RgbdEvaluationSettings, RgbdHardware, RgbdTrainingSettings
from models.rgbd.protocol_comparison import compare_protocols
from tests.models.rgbd.made_up_samples import made_up_samples
from tests.models.rgbd.stand_in_backbone import stand_in_backbone

PROTOCOLS = ("all", "redrawn", "paper")
SETTINGS = RgbdEvaluationSettings(repeats=3, bootstrap=50, training=RgbdTrainingSettings(epochs=2, batch_size=24))


@pytest.fixture
def looked_at(monkeypatch) -> list[int]:
    """Numbers of images that a pretrained network was asked for."""
    counts = []

    def load(name, *_, **__):
        backbone = stand_in_backbone(name)
        backbone.trunk.register_forward_hook(lambda module, given, output: counts.append(len(output)))
        return backbone

    monkeypatch.setattr(evaluation, "load_backbone", load)
    return counts


@pytest.fixture
def comparison(looked_at, tmp_path):
    samples = replace(made_up_samples(5), synthetic=False)
    return compare_protocols(
        samples,
        PROTOCOLS,
        settings=SETTINGS,
        folder=tmp_path,
        pipelines=["rgb_vgg19"],
        hardware=RgbdHardware(device="cpu"),
    )


def test_each_protocol_is_a_row_with_the_spread_of_its_divisions(comparison):
    assert [row.protocol for row in comparison.rows] == list(PROTOCOLS)
    for row, result in zip(comparison.rows, comparison.results, strict=True):
        accuracies = result.of("rgb_vgg19").accuracies
        assert (row.people, row.repeats, row.pipeline) == (5, 3, "rgb_vgg19")
        assert row.accuracy == pytest.approx(np.mean(accuracies))
        assert row.deviation == pytest.approx(np.std(accuracies, ddof=1))
        assert (row.least, row.greatest) == (min(accuracies), max(accuracies))
        assert f"{100 * row.accuracy:.2f}" in comparison.text()
    for protocol in PROTOCOLS:
        assert f"{protocol}: " in comparison.text()


def test_features_are_computed_once_for_all_protocols(comparison, looked_at):
    # Five people, six expressions at two intensities.
    assert sum(looked_at) == 60


def test_the_file_has_the_comparison_and_every_result(comparison, tmp_path):
    comparison.write(tmp_path / "comparison.json")
    tree = json.loads((tmp_path / "comparison.json").read_text())
    assert [row["protocol"] for row in tree["comparison"]] == list(PROTOCOLS)
    assert [result["protocol"] for result in tree["protocols"]] == list(PROTOCOLS)
    for protocol in PROTOCOLS:
        assert (tmp_path / protocol / "divisions.json").is_file()
