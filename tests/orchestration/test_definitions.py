"""What Dagster loads: the assets of the design, their checks, jobs and automation, and nothing heavy on the way."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
import yaml

from orchestration.pipeline import BENCHMARK_STAGES, SOURCES, STAGE_MODULES, STEPS

ROOT = Path(__file__).resolve().parents[2]

GROUPS = {
    "face_model": {"morphable_model", "landmark_weights", "landmark_correspondence"},
    "facevid": {
        *("synthetic_facevid", "sample_clips", "raw_videos", "landmarks", "tracked_landmarks", "reconstructions"),
        *("manual_review", "pruned_videos", "facevid_splits", "facevid_shards"),
    },
    "expression": {
        *("rendered_faces", "deepexp3d", "four_dfab_samples", "deepexp3d_finetuned", "expression_evaluation"),
        "deepexp3d_export",
    },
    "registry": {"frozen_test_set", "challenger_review", "champion", "expression_drift"},
    "emotion": {"rendered_benchmarks", *BENCHMARK_STAGES, "stress_detection", "view_invariance"},
    "rgbd": {"bu3dfe_scans", "depth_maps", "rgbd_networks", "rgbd_evaluation"},
    "report": {"results_report"},
}
# The way of the data: each asset with what it must be made from, directly.
MADE_FROM = {
    "landmark_correspondence": {"morphable_model", "landmark_weights"},
    "synthetic_facevid": {"morphable_model"},
    "raw_videos": {"synthetic_facevid", "sample_clips"},
    "landmarks": {"raw_videos", "landmark_weights"},
    "tracked_landmarks": {"landmarks"},
    "reconstructions": {"tracked_landmarks", "morphable_model", "landmark_correspondence"},
    "pruned_videos": {"reconstructions", "manual_review"},
    "facevid_splits": {"pruned_videos"},
    "facevid_shards": {"facevid_splits"},
    "rendered_faces": {"morphable_model", "landmark_correspondence"},
    "deepexp3d": {"facevid_shards", "rendered_faces"},
    "deepexp3d_finetuned": {"deepexp3d", "four_dfab_samples"},
    "expression_evaluation": {"deepexp3d", "deepexp3d_finetuned"},
    "deepexp3d_export": {"deepexp3d", "deepexp3d_finetuned", "expression_evaluation"},
    "benchmark_images": {"rendered_benchmarks"},
    "challenger_review": {"deepexp3d_export", "frozen_test_set"},
    "champion": {"challenger_review"},
    "expression_drift": {"champion", "pruned_videos"},
    "expression_vectors": {"benchmark_images", "champion"},
    "emotion_classifier": {"benchmark_images", "expression_vectors"},
    "stress_detection": {"champion", "rendered_benchmarks"},
    "view_invariance": {"champion", "rendered_benchmarks"},
    "bu3dfe_scans": {"morphable_model"},
    "depth_maps": {"bu3dfe_scans", "landmark_weights", "landmark_correspondence", "morphable_model"},
    "rgbd_networks": {"depth_maps", "deepexp3d"},
    "rgbd_evaluation": {"depth_maps", "rgbd_networks", "deepexp3d"},
    "results_report": {"emotion_classifier", "expression_evaluation", "depth_maps", "rgbd_evaluation"},
}
# Modules of models/rgbd that a stage imports on the way and that change nothing of what it writes.
WITHOUT_EFFECT = {
    "depth_maps": set(),
    # Networks are trained on samples that are cropped already, and stand beside no published figure.
    "rgbd_networks": {"contents", "cropping", "published", "result"},
    "rgbd_evaluation": {"contents", "cropping"},
    "bu3dfe_scans": set(),
}
BATCHES = ("raw_videos", "landmarks", "tracked_landmarks", "reconstructions")
BENCHMARKS = [
    *("radfd_frontal", "radfd_semiprofile", "kdef_frontal", "kdef_semiprofile"),
    *("rafdb", "cfee", "ckplus", "synthetic", "custom"),
]


@pytest.fixture(scope="module")
def defs():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEEPEXP3D_ROOT", str(ROOT))
        from orchestration.definitions import defs

        return defs


@pytest.fixture(scope="module")
def graph(defs):
    return defs.resolve_asset_graph()


@pytest.fixture(scope="module")
def pipeline():
    return yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def names(keys):
    return {key.to_user_string() for key in keys}


def test_every_asset_is_there_in_its_group(graph):
    found = {}
    for key in graph.materializable_asset_keys:
        found.setdefault(graph.get(key).group_name, set()).add(key.to_user_string())
    assert found == GROUPS


@pytest.mark.parametrize("asset", MADE_FROM)
def test_assets_are_made_from_what_comes_before_them(graph, asset):
    assert names(graph.get(dg.AssetKey(asset)).parent_keys) >= MADE_FROM[asset]


def test_every_asset_says_what_it_is(graph):
    assert [str(key) for key in graph.materializable_asset_keys if not graph.get(key).description] == []


def test_videos_go_by_batches_and_benchmarks_by_name(graph):
    for asset in names(graph.materializable_asset_keys):
        partitions = graph.get(dg.AssetKey(asset)).partitions_def
        if asset in BATCHES:
            assert isinstance(partitions, dg.DynamicPartitionsDefinition)
            assert partitions.name == "video_batches"
        elif asset in BENCHMARK_STAGES:
            assert partitions.get_partition_keys() == BENCHMARKS
        else:
            assert partitions is None, asset


def test_every_asset_that_holds_data_has_a_check(graph):
    checked = names(key.asset_key for key in graph.asset_check_keys)
    assert checked == names(graph.materializable_asset_keys)


def test_every_step_is_a_job_of_its_assets(defs):
    for step in STEPS:
        job = defs.resolve_job_def(step.name)
        assert names(job.asset_layer.executable_asset_keys) == set(step.assets)
        assert job.description == step.description
    assert sorted(STAGE_MODULES) == sorted(set().union(*GROUPS.values()))


def test_retraining_is_scheduled_and_new_videos_are_sensed(defs):
    schedule = defs.resolve_schedule_def("weekly_retraining")
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    assert schedule.cron_schedule == params["retraining"]["cron"]
    assert schedule.job_name == "retraining"
    assert defs.resolve_sensor_def("new_videos").job_name == "facevid_batches"


def test_dagster_finds_nothing_wrong_with_the_definitions(defs):
    dg.Definitions.validate_loadable(defs)


def test_dvc_has_a_stage_for_every_asset_that_is_made(pipeline):
    assert set(pipeline) == set(STAGE_MODULES) - set(SOURCES)
    for name in BENCHMARK_STAGES:
        assert list(pipeline[name]["foreach"]) == BENCHMARKS


def test_dvc_runs_each_stage_as_its_module(pipeline):
    for name, stage in pipeline.items():
        stage = stage.get("do", stage)
        assert stage["cmd"].split()[:3] == ["python", "-m", f"assets.{name}"]
        assert f"assets/{name}.py" in stage["deps"]


def test_everything_a_dvc_stage_depends_on_is_there_or_made_by_another(pipeline):
    made = []
    for stage in pipeline.values():
        keys = list(stage["foreach"]) if "foreach" in stage else [""]
        for out in stage.get("do", stage)["outs"]:
            path = next(iter(out)) if isinstance(out, dict) else out
            made += [path.replace("${key}", key).replace("${item}", key) for key in keys]
    for name, stage in pipeline.items():
        keys = list(stage["foreach"]) if "foreach" in stage else [""]
        for dep in stage.get("do", stage)["deps"]:
            if dep.startswith(("data/datasets/", "data/incoming")):
                continue
            if dep.startswith("data/"):
                for key in keys:
                    path = dep.replace("${item}", key)
                    assert any(f"{path}/".startswith(f"{out}/") for out in made), f"{name}: nothing makes {path}"
            else:
                assert (ROOT / dep).exists(), f"{name}: {dep}"


def test_dvc_and_dagster_know_the_same_dependencies(graph, pipeline):
    """What a DVC stage reads from another's folder, Dagster must know to come before it."""
    for name, stage in pipeline.items():
        above = names(graph.get(dg.AssetKey(name)).parent_keys)
        todo = list(above)
        while todo:
            more = names(graph.get(dg.AssetKey(todo.pop())).parent_keys) - above
            above |= more
            todo += more
        read = {dep.split("/")[1] for dep in stage.get("do", stage)["deps"] if dep.startswith("data/")}
        assert read & set(STAGE_MODULES) <= above, name


def test_every_parameter_of_a_dvc_stage_is_there(pipeline):
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    for name, stage in pipeline.items():
        for parameter in stage.get("do", stage).get("params", []):
            tree = params
            for part in parameter.split("."):
                assert part in tree, (name, parameter)
                tree = tree[part]


@pytest.mark.parametrize("stage", WITHOUT_EFFECT)
def test_dvc_knows_the_code_of_colour_and_depth_that_a_stage_runs(pipeline, stage):
    todo, used = [ROOT / "assets" / f"{stage}.py"], set()
    while todo:
        new = imported_rgbd(todo.pop()) - used - WITHOUT_EFFECT[stage]
        used |= new
        todo += [ROOT / "models" / "rgbd" / f"{name}.py" for name in new]
    declared = {Path(dep).stem for dep in pipeline[stage]["deps"] if dep.startswith("models/rgbd/")}
    assert used <= declared


def imported_rgbd(path):
    """Modules of models/rgbd that a file imports anywhere but for its annotations."""
    tree = ast.parse(path.read_text())
    annotations = [
        node for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    passed_over = {child for node in annotations for child in ast.walk(node)}
    found = {
        node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node not in passed_over and node.module
    }
    return {name.rpartition(".")[2] for name in found if name.startswith("models.rgbd.")}


def test_loading_the_definitions_imports_nothing_heavy():
    heavy = ["torch", "mlflow", "dvc", "matplotlib", "sklearn", "cv2", "numba", "openvino", "onnx", "pytorch_lightning"]
    program = "import sys, json, orchestration.definitions; print(json.dumps(list(sys.modules)))"
    environment = os.environ | {"DEEPEXP3D_ROOT": str(ROOT)}
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert set(json.loads(result.stdout.splitlines()[-1])) & set(heavy) == set()
