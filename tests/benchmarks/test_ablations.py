"""Each ablation is the recipe with one thing changed, and its figures become a row."""

import json

import numpy as np
import pytest

from assets.workspace import Workspace
from benchmarks import ablations
from benchmarks.ablations import ABLATIONS, BASELINE, recipe, rows_text, trained
from tests.workspace_fixture import ROOT


def test_every_ablation_is_a_valid_recipe_that_differs_from_the_baseline_in_what_it_names():
    plain = recipe(ABLATIONS[BASELINE], 6400, ROOT).model_dump(mode="json")
    assert (plain["input_size"], plain["max_steps"], plain["max_minutes"]) == (56, 100, None)
    for name, ablation in ABLATIONS.items():
        changed = recipe(ablation, 6400, ROOT).model_dump(mode="json")
        differing = {key for key in plain if changed[key] != plain[key]} - {"max_steps"}
        assert differing == {key.split(".")[0] for key in ablation.changes}, name
        assert changed["max_steps"] == 100 * ablation.share


@pytest.fixture
def calls(monkeypatch):
    seen = []
    monkeypatch.setattr(ablations, "load_detector_model", lambda workspace: "model")
    monkeypatch.setattr(ablations, "train", lambda *given, **named: seen.append((*given, named)))
    return seen


def test_a_network_that_is_trained_on_starts_from_the_baseline(calls, tmp_path):
    workspace = Workspace.open(ROOT)
    trained(workspace, "fine-tuned", tmp_path / "faces", 6400, tmp_path)
    first, second = calls
    assert [call[0] for call in calls] == [tmp_path / "faces", workspace.data("four_dfab_samples")]
    assert (first[3], second[3]) == (tmp_path / BASELINE, tmp_path / "fine-tuned")
    assert first[-1]["init_from"] is None
    assert second[-1]["init_from"] == tmp_path / BASELINE
    assert (first[2].max_steps, second[2].max_steps) == (100, 25)


def test_rows_keep_their_order_and_cells_without_a_figure_are_empty():
    rows = {"baseline": {"note": "the recipe", "images_seen": 40000, "mse": 0.2}, "pairs": {"note": "two", "mse": 0.3}}
    lines = rows_text(rows).splitlines()
    assert lines[0].startswith("|  | what is different | images seen | MSE, rendered |")
    assert lines[2].startswith("| baseline | the recipe | 40,000 | 0.200 |  |")
    assert lines[3].startswith("| pairs | two |  | 0.300 |")


def test_figures_are_kept_after_each_row_and_rows_of_other_names_stay(monkeypatch, tmp_path):
    file, page = tmp_path / "figures.json", tmp_path / "page.md"
    file.write_text(json.dumps({"pairs": {"note": "before", "mse": 0.5}}))
    page.write_text(f"{ablations.BEGIN}\n{ablations.END}\n")
    monkeypatch.setattr(ablations, "load_detector_model", lambda workspace: None)
    monkeypatch.setattr(ablations, "template", lambda model: np.zeros((68, 2)))
    monkeypatch.setattr(ablations, "TestSets", lambda *given: None)
    monkeypatch.setattr(ablations, "render_shards", lambda *given: None)
    monkeypatch.setattr(ablations, "trained", lambda workspace, name, *given: name)
    monkeypatch.setattr(ablations, "measured", lambda network, *given: {"mse": len(network) / 100, "other": 1.0})
    monkeypatch.setattr(
        "sys.argv",
        ["ablations", "--json", str(file), "--docs", str(page), "--only", "unbalanced", "baseline", "--images", "6400"],
    )
    ablations.main()
    rows = json.loads(file.read_text())
    assert list(rows) == ["baseline", "unbalanced", "pairs"]
    assert rows["baseline"] == {"note": "the recipe", "images_seen": 6400, "mse": 0.08}
    assert rows["pairs"]["note"] == "before"
    assert "| unbalanced |" in page.read_text()
