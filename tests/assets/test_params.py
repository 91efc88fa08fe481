"""`params.yaml` is checked before anything runs."""

from pathlib import Path

import pytest
import yaml

from assets.params import apply_profile, load_params
from models.errors import ParamsError
from models.rgbd.protocol import PROTOCOLS, draw_divisions

PARAMS = Path(__file__).resolve().parents[2] / "params.yaml"


def written(tmp_path, change):
    tree = yaml.safe_load(PARAMS.read_text())
    change(tree)
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(tree))
    return path


def test_the_shipped_parameters_are_valid_and_hold_the_papers_numbers():
    params = load_params(PARAMS)
    assert (params.tracking.frames_wanted, params.tracking.lost_after, params.tracking.margin) == (2000, 5, 0.5)
    assert params.facevid_splits.fractions == {"train": 0.7, "val": 0.15, "test": 0.15}
    assert (params.morphable_model.identity_components, params.morphable_model.expression_components) == (157, 28)


def test_an_unknown_key_is_named(tmp_path):
    path = written(tmp_path, lambda tree: tree["tracking"].update(marginn=1))
    with pytest.raises(ParamsError, match=r"params\.yaml: unknown key 'tracking\.marginn'"):
        load_params(path)


def test_an_unknown_key_deep_inside_is_named(tmp_path):
    path = written(tmp_path, lambda tree: tree["deepexp3d"]["optimisation"].update(momentum=1))
    with pytest.raises(ParamsError, match=r"unknown key 'deepexp3d\.optimisation\.momentum'"):
        load_params(path)


def test_a_wrong_type_is_named_with_its_value(tmp_path):
    path = written(tmp_path, lambda tree: tree["landmarks"].update(redetect_every="often"))
    with pytest.raises(ParamsError, match=r"landmarks\.redetect_every: .* got 'often'"):
        load_params(path)


def test_a_missing_key_is_named(tmp_path):
    path = written(tmp_path, lambda tree: tree["tracking"].pop("margin"))
    with pytest.raises(ParamsError, match=r"key 'tracking\.margin' is missing"):
        load_params(path)


def test_splits_must_sum_to_one(tmp_path):
    path = written(tmp_path, lambda tree: tree["facevid_splits"].update(train=0.8))
    with pytest.raises(ParamsError, match="must sum to 1"):
        load_params(path)


def test_an_override_replaces_a_value_and_is_checked_too():
    assert load_params(PARAMS, {"deepexp3d.max_epochs": 3}).deepexp3d.max_epochs == 3
    with pytest.raises(ParamsError, match="no section 'deepexp'"):
        load_params(PARAMS, {"deepexp.max_epochs": 3})
    with pytest.raises(ParamsError, match=r"unknown key 'deepexp3d\.epochs'"):
        load_params(PARAMS, {"deepexp3d.epochs": 3})


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ParamsError, match="no such file"):
        load_params(tmp_path / "params.yaml")


def test_the_papers_profile_changes_its_values_and_keeps_comments_and_the_rest(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(PARAMS.read_text())
    apply_profile(path, PARAMS.with_name("params.paper.yaml"))
    before, after = load_params(PARAMS), load_params(path)
    assert (after.deepexp3d.backbone, after.deepexp3d.input_size) == ("resnet50", 224)
    protocol = after.stress_detection.protocol
    assert (protocol.folds, protocol.repeats, protocol.frame_stride) == (5, 10, 1)
    assert (after.emotion_classifier.folds, after.emotion_classifier.repeats) == (10, 10)
    assert after.deepexp3d.augmentation == before.deepexp3d.augmentation
    assert after.tracking == before.tracking
    assert "# F, III-B" in path.read_text()


def test_with_the_papers_profile_each_protocol_of_the_fusion_paper_keeps_its_own_numbers(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(PARAMS.read_text())
    apply_profile(path, PARAMS.with_name("params.paper.yaml"))
    evaluation = load_params(path).rgbd_evaluation
    everybody = [f"F{number:04d}" for number in range(100)]
    for name, sizes in (
        ("paper", (54, 6, 200)),
        ("redrawn", (54, 6, 200)),
        ("all", (90, 10, 200)),
        ("tenfold", (54, 6, 10)),
    ):
        drawn = draw_divisions(everybody, PROTOCOLS[name], seed=1, repeats=evaluation.repeats, people=evaluation.people)
        assert (len(drawn.repeats[0].train), len(drawn.repeats[0].test), len(drawn.repeats)) == sizes
        assert drawn.problems == ()


def test_a_profile_with_an_unknown_key_leaves_the_file_as_it_was(tmp_path):
    path, profile = tmp_path / "params.yaml", tmp_path / "profile.yaml"
    path.write_text(PARAMS.read_text())
    profile.write_text("tracking: {marginn: 1}\n")
    with pytest.raises(ParamsError, match="marginn"):
        apply_profile(path, profile)
    assert path.read_text() == PARAMS.read_text()


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("features", ["blendshapes", "deepexp3d"], "begin with deepexp3d"),
        ("features", ["deepexp3d", "shared_fit", "shared_fit"], "none twice"),
        ("features", ["deepexp3d", "deepface"], "'image_fit'"),
        ("without_face", "leave-out", "'leave_out' or 'wrong'"),
    ],
)
def test_features_and_policies_that_the_classifier_does_not_know_are_named(name, value, problem):
    with pytest.raises(ParamsError, match=rf"emotion_classifier\.{name}.*{problem}"):
        load_params(PARAMS, {f"emotion_classifier.{name}": value})


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("resolutions", [{"input_size": 56, "share": 0.6}, {"input_size": 112, "share": 0.4}], "less than 1"),
        ("resolutions", [{"input_size": 8, "share": 0.6}], "sizes are 16 to 224"),
        ("shards", {"facevid_shards": 0.0}, "nor all zero"),
        ("loss_weights", {"coefficients": 0.0}, "nor all zero"),
    ],
)
def test_settings_of_a_training_that_contradict_themselves_are_named(name, value, problem):
    with pytest.raises(ParamsError, match=rf"deepexp3d\.{name}.*{problem}"):
        load_params(PARAMS, {f"deepexp3d.{name}": value})
