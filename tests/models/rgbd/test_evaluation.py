"""An evaluation tests whom it has not learned from, compares in pairs, and goes on where it was killed."""

import json
from dataclasses import replace

import numpy as np
import pytest

from models.errors import DatasetError
from models.rgbd import evaluation
from models.rgbd.evaluation import evaluate_rgbd, paired_difference
from models.rgbd.network_settings import RgbdEvaluationSettings, RgbdHardware, RgbdTrainingSettings
from models.rgbd.pipelines import CLASSES
from models.rgbd.result import AS_TRAINED
from tests.models.rgbd.made_up_samples import made_up_samples
from tests.models.rgbd.stand_in_backbone import stand_in_backbone

SETTINGS = RgbdEvaluationSettings(
    repeats=3, people=5, bootstrap=100, training=RgbdTrainingSettings(epochs=2, batch_size=24)
)
HARDWARE = RgbdHardware(device="cpu", precision="float32")


@pytest.fixture(autouse=True)
def quick_backbones(monkeypatch):
    """No pretrained network is loaded."""
    monkeypatch.setattr(evaluation, "load_backbone", lambda name, *_, **__: stand_in_backbone(name))


@pytest.fixture(scope="module")
def samples():
    """Five people with expression coefficients that tell the class, at intensities 2 to 4."""
    made = made_up_samples(5, intensities=(2, 3, 4))
    rng = np.random.default_rng(0)
    centres = dict(zip(CLASSES, rng.normal(size=(6, 28)), strict=True))
    values = np.stack([centres[label] for label in made.labels]) + 0.3 * rng.normal(size=(len(made), 28))
    return replace(made, expression=values.astype(np.float32))


@pytest.fixture
def trainings(monkeypatch):
    """The people that each training learned from."""
    seen = []
    train = evaluation.train_pipeline

    def spy(*arguments, people, **others):
        seen.append(set(people))
        return train(*arguments, people=people, **others)

    monkeypatch.setattr(evaluation, "train_pipeline", spy)
    return seen


def evaluate(samples, pipelines=("expression",), settings=SETTINGS, **others):
    return evaluate_rgbd(samples, pipelines=pipelines, settings=settings, **({"hardware": HARDWARE} | others))


def test_every_repeat_asks_the_people_whom_its_training_has_not_seen(samples, trainings, tmp_path):
    result = evaluate(samples, folder=tmp_path)
    stored = json.loads((tmp_path / "divisions.json").read_text())["repeats"]
    assert [set(one["train"]) for one in stored] == trainings
    assert all(not set(one["test"]) & people for one, people in zip(stored, trainings, strict=True))
    # One person in each of three repeats, six classes at two intensities.
    assert result.of("expression").confusion.sum() == 3 * 12
    assert result.images == 5 * 12


def test_what_tested_people_look_like_changes_nothing_in_the_training(samples, monkeypatch):
    trained = []
    train = evaluation.train_pipeline
    monkeypatch.setattr(
        evaluation, "train_pipeline", lambda *one, **other: trained.append(train(*one, **other)) or trained[-1]
    )
    settings = replace(SETTINGS, repeats=1)
    evaluate(samples, settings=settings)
    drawn = evaluation.draw_divisions(sorted(set(samples.subjects)), evaluation.PROTOCOLS["paper"], seed=17, people=5)
    tested = np.isin(samples.subjects, drawn.repeats[0].test)
    evaluate(replace(samples, expression=np.where(tested[:, None], 99, samples.expression)), settings=settings)
    for one, other in zip(*(run.network.state_dict().values() for run in trained), strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_only_the_third_and_fourth_intensity_take_part(samples, monkeypatch):
    counts = []
    train = evaluation.train_pipeline
    monkeypatch.setattr(
        evaluation,
        "train_pipeline",
        lambda pipeline, inputs, labels, *rest, **others: (
            counts.append(len(labels)) or train(pipeline, inputs, labels, *rest, **others)
        ),
    )
    evaluate(samples)
    assert counts == [4 * 12] * 3


def test_a_set_of_one_intensity_is_evaluated_with_it_and_says_so(samples):
    result = evaluate(samples.at(samples.intensities == 4))
    assert result.images == 5 * 6
    assert any("3 and 4" in problem and "4 alone takes part" in problem for problem in result.problems)


def test_a_killed_evaluation_goes_on_with_the_repeats_that_are_missing(samples, trainings, tmp_path):
    whole = evaluate(samples, folder=tmp_path / "whole")
    evaluate(samples, settings=replace(SETTINGS, repeats=2), folder=tmp_path / "part")
    del trainings[:]
    resumed = evaluate(samples, folder=tmp_path / "part")
    assert len(trainings) == 1
    assert resumed.of("expression").accuracies == whole.of("expression").accuracies
    np.testing.assert_array_equal(resumed.of("expression").confusion, whole.of("expression").confusion)


@pytest.mark.parametrize("change", ["samples", "training", "damaged"])
def test_repeats_of_other_samples_or_settings_are_done_anew(samples, trainings, tmp_path, change):
    evaluate(samples, folder=tmp_path)
    settings = SETTINGS
    if change == "samples":
        samples = replace(samples, expression=samples.expression + 1)
    elif change == "training":
        settings = replace(SETTINGS, training=replace(SETTINGS.training, epochs=1))
    else:
        (tmp_path / "expression.json").write_text('{"fingerprint": "')
    del trainings[:]
    evaluate(samples, settings=settings, folder=tmp_path)
    assert len(trainings) == 3


def test_more_workers_change_no_answer(samples):
    one, two = (evaluate(samples, hardware=replace(HARDWARE, workers=workers)) for workers in (1, 2))
    assert one.of("expression").accuracies == two.of("expression").accuracies


def test_a_fusion_is_compared_with_what_it_is_made_of(samples):
    result = evaluate(
        samples,
        ("rgb_vgg19", "expression", "rgb_vgg19_expression"),
        settings=replace(SETTINGS, training=RgbdTrainingSettings(epochs=1, batch_size=24)),
    )
    pairs = {(one.first[0], one.second[0]) for one in result.differences}
    assert pairs == {("rgb_vgg19_expression", "rgb_vgg19"), ("rgb_vgg19_expression", "expression")}
    for one in result.differences:
        expected = result.of(one.first[0]).accuracy - result.of(one.second[0]).accuracy
        assert one.difference == pytest.approx(expected)
        assert one.low <= one.difference <= one.high


def test_reconstructed_depth_is_compared_with_that_of_scans(samples):
    both = replace(samples, reconstructed_depth=samples.depth)
    settings = replace(SETTINGS, repeats=1, training=RgbdTrainingSettings(epochs=1, batch_size=24))
    (difference,) = evaluate(both, ("depth", "reconstructed_depth"), settings).differences
    assert (difference.first[0], difference.second[0]) == ("reconstructed_depth", "depth")
    assert difference.difference == 0


def test_networks_are_asked_for_the_same_faces_under_other_conditions(samples):
    lost = replace(samples, expression=np.zeros_like(samples.expression))
    result = evaluate(
        samples,
        settings=replace(SETTINGS, training=RgbdTrainingSettings(epochs=8, batch_size=24)),
        asked={"lost": lost},
    )
    assert result.of("expression").accuracy > 0.8
    assert result.of("expression", "lost").accuracy == pytest.approx(1 / 6)
    (drop,) = result.differences
    assert (drop.first, drop.second) == (("expression", "lost"), ("expression", AS_TRAINED))
    assert drop.high < 0


def test_images_of_other_faces_are_refused(samples):
    with pytest.raises(DatasetError, match="subjects differ"):
        evaluate(samples, asked={"others": replace(samples, subjects=samples.subjects[::-1])})


def test_what_a_pipeline_lacks_is_named(samples):
    with pytest.raises(DatasetError, match=r"reconstructed depth.*fusion_reconstructed_vgg19"):
        evaluate(samples, ("fusion_reconstructed_vgg19",))


def test_pretrained_networks_see_the_fine_depth(samples, monkeypatch):
    seen = []
    monkeypatch.setattr(
        evaluation,
        "backbone_features",
        lambda images, *_, **__: (
            seen.append(images) or np.random.default_rng(0).random((len(images), 2048), np.float32)
        ),
    )
    settings = replace(SETTINGS, repeats=1)
    evaluate(samples, ("depth_resnet50",), settings)
    strong = np.isin(samples.intensities, (3, 4))
    np.testing.assert_array_equal(seen[0][..., 0], samples.depth_image[strong])
    with pytest.raises(DatasetError, match=r"depth image.*depth_resnet50"):
        evaluate(replace(samples, depth_image=None), ("depth_resnet50",), settings)


@pytest.mark.parametrize(
    ("pipelines", "settings", "named"),
    [(("colour",), SETTINGS, "fusion_vgg19"), (("expression",), replace(SETTINGS, protocol="other"), "redrawn")],
)
def test_unknown_names_are_refused_with_those_that_there_are(samples, pipelines, settings, named):
    with pytest.raises(DatasetError, match=named):
        evaluate(samples, pipelines, settings)


def test_who_lacks_an_expression_takes_no_part_and_is_named(samples, trainings):
    lacking = (samples.subjects == "F0002") & (samples.labels == "sad") & (samples.intensities == 4)
    result = evaluate(samples.at(~lacking))
    assert all("F0002" not in people for people in trainings)
    assert any("F0002 lacks sad 4" in problem for problem in result.problems)


def test_weights_that_are_not_imagenets_are_told_in_every_table(samples):
    result = evaluate(samples, ("rgb_vgg19",))
    (row,) = (row for row in result.table_1() if row.measured is not None)
    assert "random weights" in row.note
    assert any("vgg19 has random weights" in problem for problem in result.problems)
    assert "random weights" in result.text()


def test_the_result_is_json_with_published_rows_beside_measured_ones(samples, tmp_path):
    result = evaluate(replace(samples, synthetic=False))
    result.write(tmp_path / "result.json")
    tree = json.loads((tmp_path / "result.json").read_text())
    assert tree["results"][0]["accuracy"] == pytest.approx(result.of("expression").accuracy, abs=1e-6)
    assert [row["published"] for row in tree["table_1"]] == [61.11, 28.06, 84.72, 82.92, 81.25, 87.08, 89.31, None]
    assert tree["table_1"][-1]["measured"] == pytest.approx(100 * result.of("expression").accuracy, abs=1e-4)
    assert tree["table_2"][0]["published"] == 83.60
    assert "NaN" not in (tmp_path / "result.json").read_text()
    assert "Table 2" in result.text()
    assert "83.60" in result.text()


def test_figures_of_rendered_people_never_stand_beside_published_ones(samples):
    result = evaluate(samples)
    tree = result.to_json()
    assert [row["approach"] for row in tree["table_1"]] == ["e alone"]
    assert tree["table_2"] == []
    assert "published" not in tree["table_1"][0]
    for told in (tree["published_left_out"], result.text()):
        assert "nothing published can be compared" in told
    for published in ("84.72", "82.92", "89.31", "83.60"):
        assert published not in result.text()
        assert published not in json.dumps(tree["table_1"])


def test_repeats_and_epochs_are_told_beside_the_papers(samples):
    result = evaluate(samples)
    assert result.to_json()["extent"] == {
        **{"repeats": 3, "repeats_of_paper": 200},
        **{"epochs_at_most": 2, "epochs_least": 2, "epochs_most": 2, "epochs_of_paper": 1000},
    }
    assert "3 repeats (the paper: 200) of trainings that took 2 to 2 epochs, 2 at most" in result.text()


def test_the_papers_whole_protocol_is_projected_from_the_epochs_that_ran(samples):
    one = replace(evaluate(samples).of("expression"), epochs=(10, 20), seconds=(4.0, 5.0))
    assert one.projected_hours == pytest.approx(200 * 1000 * 9 / 30 / 3600)


def difference(gained, asked, draws=400):
    return paired_difference(("a", ""), ("b", ""), gained, asked, draws=draws, confidence=0.95, seed=0)


def test_pipelines_that_answer_alike_do_not_differ():
    found = difference(np.zeros((8, 10)), np.full((8, 10), 12.0))
    assert (found.difference, found.low, found.high, found.better, found.worse) == (0, 0, 0, 0, 0)


def test_a_gain_for_everybody_is_certain_and_one_for_a_single_person_is_not():
    asked = np.full((8, 10), 12.0)
    everybody = difference(np.full((8, 10), 3.0), asked)
    assert everybody.low == pytest.approx(0.25)
    alone = np.zeros((8, 10))
    alone[:, 0] = 12.0
    single = difference(alone, asked)
    assert single.difference == pytest.approx(0.1)
    assert single.low == 0
    assert single.high > 0.2


def test_people_who_were_not_asked_in_a_repeat_do_not_count():
    asked = np.zeros((4, 3))
    asked[:, 0] = 12
    gained = np.zeros((4, 3))
    gained[:, 0] = 6
    assert difference(gained, asked).difference == pytest.approx(0.5)
