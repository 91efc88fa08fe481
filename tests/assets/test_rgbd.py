"""From scans to Tables 1 and 2 as stages: on rendered people, and what is said where there are none."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from assets import depth_maps
from assets.bu3dfe_scans import gather_scans, load_scans
from assets.depth_maps import make_depth_maps, with_needed_reconstructions
from assets.rgbd_evaluation import evaluate_pipelines
from assets.rgbd_networks import train_networks
from assets.stage import skip_reason
from models.rgbd.persistence import load_pipeline
from models.rgbd.samples import RgbdSamples
from tests.models.rgbd.made_up_samples import made_up_samples
from tests.models.rgbd.stand_in_backbone import stand_in_backbone
from tests.models.rgbd.test_scan_datasets import write_scan

# The paper's and, beyond it, what DeepExp3D reconstructs of photographs.
PIPELINES = ("depth", "rgb_resnet50", "rgb_resnet50_expression", "fusion_reconstructed_resnet50")
STAGES = (gather_scans, make_depth_maps, train_networks, evaluate_pipelines)


@pytest.fixture(scope="module")
def project(new_project, tmp_path_factory):
    """A project in which rendered people have gone the whole way, one scan of them broken; and what stages told."""
    workspace = new_project(
        tmp_path_factory.mktemp("rgbd") / "project",
        **{"rgbd_networks.pipelines": list(PIPELINES), "bu3dfe_scans.rendered.people": 4},
    )
    with pytest.MonkeyPatch.context() as patch:
        for module in ("models.rgbd.backbones", "models.rgbd.evaluation"):
            patch.setattr(f"{module}.load_backbone", lambda name, *_, **__: stand_in_backbone(name))
        told = {"gather_scans": gather_scans(workspace)}
        broken = next(scan for scan in load_scans(workspace).scans if scan.emotion == "happy")
        broken.scan.write_text("#VRML V2.0 utf8\nShape {")
        told |= {stage.__name__: stage(workspace) for stage in STAGES[1:]}
    return workspace, told


def test_without_scans_every_stage_says_where_they_belong(new_project, tmp_path):
    workspace = new_project(tmp_path / "project", **{"bu3dfe_scans.rendered.people": 0})
    for stage in STAGES:
        assert "data/datasets/bu3dfe" in stage(workspace).skipped
    assert "data/datasets/bu3dfe" in skip_reason(workspace, "rgbd_evaluation")


def test_a_set_of_ones_own_takes_the_place_of_rendered_people(project, new_project, tmp_path):
    workspace = new_project(tmp_path / "project")
    rendered = project[0].data("bu3dfe_scans", "rendered")
    shutil.copytree(rendered / "M0001", workspace.data("datasets", "bu3dfe", "M0001"))
    result = gather_scans(workspace)
    assert result.metadata["data"] == "real"
    assert result.metadata["people"] == 1
    assert load_scans(workspace).scans[0].scan.is_relative_to(workspace.data("datasets", "bu3dfe"))


@pytest.fixture
def table_of_scans(new_project, tmp_path):
    """A project whose scans lie elsewhere, two of them of one person and expression, as a manifest tells."""
    for name in "xy":
        write_scan(tmp_path / "elsewhere", name)
    workspace = new_project(tmp_path / "project")
    rows = [f"{tmp_path}/elsewhere/{name}_F3D.wrl,{tmp_path}/elsewhere/{name}_F2D.bmp,../b,angry" for name in "xy"]
    folder = workspace.data("datasets", "bu3dfe")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.csv").write_text("\n".join(["scan,image,subject,emotion", *rows]))
    gather_scans(workspace)
    return workspace


def test_scans_that_a_manifest_names_elsewhere_are_found_again(table_of_scans, tmp_path):
    assert [found.scan.name for found in load_scans(table_of_scans).scans] == ["x_F3D.wrl", "y_F3D.wrl"]
    assert load_scans(table_of_scans).scans[0].scan.is_relative_to(tmp_path / "elsewhere")


def test_two_scans_of_one_expression_become_two_pairs_whatever_their_person_is_called(
    table_of_scans, tmp_path, monkeypatch
):
    def prepared(job):
        shade = 1 + "xy".index(job.scan.scan.name[0])
        images = {
            "colour": np.full((224, 224, 3), shade, np.uint8),
            "depth": np.zeros((64, 64), np.float32),
            "depth_image": np.zeros((224, 224), np.uint8),
        }
        figures = {name: np.array(0.5) for name in depth_maps.FIGURES}
        return {**images, **figures, "remark": np.array(""), "picture": depth_maps._encoded(np.zeros((8, 24, 3)))}

    monkeypatch.setattr(depth_maps, "_prepared", prepared)
    params, folder = table_of_scans.params, tmp_path / "kept" / "pairs"
    made = depth_maps.prepare_scans(
        load_scans(table_of_scans).scans,
        params.depth_maps,
        params.landmarks,
        synthetic=False,
        folder=folder,
        fingerprint="settings",
        workers=1,
    )
    assert made.assembled.samples.colour[:, 0, 0, 0].tolist() == [1, 2]
    assert len(list(folder.glob("*.npz"))) == len(list(folder.parent.rglob("*.npz"))) == 2


def test_remarks_on_pairs_are_counted_with_the_scans_that_they_are_on():
    table = pd.DataFrame(
        [
            ("F0001 sad 3", "ok", "upside down: turned back; without texture coordinates: used"),
            ("F0001 sad 4", "ok", "without texture coordinates: used"),
            ("F0002 sad 3", "ok", ""),
            ("F0002 sad 4", "mismatch", np.nan),
        ],
        columns=["scan", "status", "remark"],
    )
    assert depth_maps.remarks_on(table) == (
        "Upside down: turned back (1): F0001 sad 3.",
        "Without texture coordinates: used (2): F0001 sad 3, F0001 sad 4.",
    )


def test_rendered_people_are_called_synthetic_at_every_stage(project):
    workspace, told = project
    assert {result.metadata["data"] for result in told.values()} == {"synthetic"}
    assert load_scans(workspace).synthetic
    assert told["gather_scans"].metadata["people"] == 4
    assert "2,500 scans" in told["gather_scans"].metadata["differences from the published set"]


def test_a_broken_scan_is_named_and_the_rest_goes_on(project):
    workspace, told = project
    table = pd.read_csv(workspace.data("depth_maps", "pairs.csv"))
    refused = table[table.status != "ok"]
    assert list(refused.emotion) == ["happy"]
    assert refused.why.str.contains("F3D.wrl").all()
    assert told["make_depth_maps"].metadata["pairs"] == len(table) - 1 == 47
    assert np.isfinite(table.error_px[table.status == "ok"]).all()


def test_pairs_that_are_finished_are_not_made_again(project, monkeypatch):
    workspace, _ = project
    before = workspace.data("depth_maps", "samples.npz").read_bytes()
    prepare, tried = depth_maps._prepared, []
    monkeypatch.setattr(depth_maps, "_prepared", lambda job: (tried.append(job.scan.emotion), prepare(job))[1])
    make_depth_maps(workspace)
    assert tried == ["happy"], "only the broken one has to be tried again"
    assert workspace.data("depth_maps", "samples.npz").read_bytes() == before


def test_photographs_are_reconstructed_where_a_pipeline_learns_from_that(project, monkeypatch):
    workspace, told = project
    samples = RgbdSamples.load(workspace.data("depth_maps", "samples.npz"))
    assert samples.expression.any(axis=1).mean() > 0.9
    assert samples.reconstructed_depth.any(axis=(1, 2)).mean() > 0.9
    assert told["make_depth_maps"].metadata["reconstructions of the photographs"]
    metrics = json.loads(workspace.data("rgbd_evaluation", "metrics.json").read_text())
    pairs = {(one["first"][0], one["second"][0]) for one in metrics["differences"]}
    assert pairs == {(further, "rgb_resnet50") for further in PIPELINES[2:]}
    monkeypatch.setattr("models.expression.predictor.Predictor.load", lambda *_, **__: pytest.fail("not needed"))
    plain, problems = with_needed_reconstructions(
        workspace, made_up_samples(1), ["depth", "rgb_vgg19"], backend="mediapipe", workers=1
    )
    assert (plain.expression, problems) == (None, ())


def test_networks_come_back_from_their_files_and_are_registered(project):
    import mlflow
    import onnxruntime

    workspace, _ = project
    network = load_pipeline(workspace.data("rgbd_networks", "depth"))
    depth = RgbdSamples.load(workspace.data("depth_maps", "samples.npz")).depth[:3]
    session = onnxruntime.InferenceSession(str(workspace.data("rgbd_networks", "depth", "network.onnx")))
    (found,) = session.run(None, {"depth": depth})
    np.testing.assert_allclose(found, network.probabilities({"depth": depth}), atol=1e-4)
    client = mlflow.MlflowClient(f"sqlite:///{workspace.path('mlflow.db')}")
    version = client.get_model_version_by_alias("rgbd-rgb-resnet50", "champion")
    assert version.tags["data"] == "synthetic"
    assert "random weights" in version.tags["weights of resnet50"]


def test_the_evaluation_leaves_out_who_lacks_an_expression_and_says_so(project):
    workspace, told = project
    metrics = json.loads(workspace.data("rgbd_evaluation", "metrics.json").read_text())
    assert metrics["synthetic"]
    assert (metrics["people"], metrics["repeats"]) == (3, 1)
    assert [one["pipeline"] for one in metrics["results"]] == list(PIPELINES)
    assert any("1 of 48 scans were left out" in problem for problem in metrics["problems"])
    assert any("the paper's after 1000" in problem for problem in metrics["problems"])
    assert "published" not in told["evaluate_pipelines"].metadata["accuracy, %"].columns
    assert workspace.data("rgbd_evaluation", "confusion-depth.png").is_file()
    assert workspace.data("rgbd_evaluation", "divisions.json").is_file()


def test_too_few_people_are_told_instead_of_evaluated(project, new_project, tmp_path):
    workspace = new_project(tmp_path / "project")
    samples = RgbdSamples.load(project[0].data("depth_maps", "samples.npz"))
    two = np.isin(samples.subjects, np.unique(samples.subjects)[-2:])
    samples.at(two).save(workspace.data("depth_maps", "samples.npz"))
    shutil.copy(project[0].data("depth_maps", "pairs.csv"), workspace.data("depth_maps", "pairs.csv"))
    assert "3 are needed" in evaluate_pipelines(workspace).skipped
