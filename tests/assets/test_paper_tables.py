"""What the report's tables take from the results' files, and what it says they were made from."""

import json

import jinja2
import pandas as pd
import pytest

from assets import results_report
from assets.paper_tables import fusion_measurements, gather_measurements, provenance
from assets.stage import embedded_picture, skipped
from models.emotion.report.measurements import Measurements
from models.emotion.report.tables import Kind, all_tables
from models.rgbd.report_tables import fusion_tables
from models.storage import written_whole


@pytest.fixture
def project(new_project, tmp_path):
    workspace = new_project(tmp_path / "project")
    for benchmark in workspace.partitions["emotion_classifier"]:
        skipped(workspace, "emotion_classifier", "skipped: put IT at data/datasets/it", benchmark)
    for stage in ("stress_detection", "view_invariance"):
        skipped(workspace, stage, "skipped: put IT at data/datasets/it")
    return workspace


def put(workspace, tree, *parts):
    path = workspace.path(*parts)
    (path.parent / "skipped.json").unlink(missing_ok=True)
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps(tree))


def test_a_project_without_results_measures_nothing_and_knows_why(project):
    measured = gather_measurements(project)
    assert measured.accuracies == {}
    assert measured.not_run["rafdb"] == "put IT at data/datasets/it"
    assert measured.benchmark_titles["kdef_semiprofile"] == "KDEF, semi-profile"
    assert (measured.inference, measured.stress, measured.views, measured.expression) == (None, None, {}, None)


def test_why_the_fusion_was_not_measured_is_known_as_its_figures_are(project):
    skipped(project, "rgbd_evaluation", "skipped: put BU-3DFE at data/datasets/bu3dfe")
    assert fusion_measurements(project) == (None, "put BU-3DFE at data/datasets/bu3dfe")
    put(project, {"results": []}, "data", "rgbd_evaluation", "metrics.json")
    assert fusion_measurements(project) == ({"results": []}, None)


def test_results_are_found_where_the_stages_write_them(project):
    put(
        project,
        {"accuracy": 0.9, "deviation": None, "images": 12, "by_subject": True, "synthetic": False},
        *("data", "emotion_classifier", "rafdb", "metrics.json"),
    )
    put(project, {"kdef": {"views": [], "semi_profile": None}}, "data", "view_invariance", "metrics.json")
    put(project, {"phases": {}, "average": {}}, "data", "stress_detection", "metrics.json")
    put(project, {"small_frame_ms": 7.0}, "reports", "inference.json")
    measured = gather_measurements(project)
    assert [row.accuracy for row in measured.accuracies["rafdb"]] == [0.9]
    assert set(measured.views) == {"kdef"}
    assert measured.stress == {"phases": {}, "average": {}}
    assert measured.inference == {"small_frame_ms": 7.0}
    assert "rafdb" not in measured.not_run


def test_figures_that_were_measured_by_command_stand_among_the_stages(project):
    tree = {"benchmark": "kdef_frontal", "accuracy": 0.9, "deviation": None, "images": 490, "protocol": "paper"}
    put(project, tree, "reports", "evaluations", "kdef.json")
    put(project, {"temperature": 21}, "reports", "evaluations", "weather.json")
    measured = gather_measurements(project)
    assert [(one.accuracy, one.source) for one in measured.accuracies["kdef_frontal"]] == [(0.9, "kdef.json")]
    assert [line.split(":")[0] for line in measured.left_out] == ["weather.json"]
    assert "sha256 of reports/evaluations/kdef.json" in dict(provenance(project))
    (row,) = results_report._emotion(project, measured, project.path("reports"))
    assert (row["accuracy"], row["picture"]) == (0.9, None)


def test_the_confusion_of_an_evaluation_by_command_is_drawn(project):
    tree = {"benchmark": "kdef_frontal", "accuracy": 0.75, "images": 8, "protocol": "paper"}
    put(
        project,
        tree | {"labels": ["happy", "sad"], "confusion": [[4, 0], [2, 2]]},
        *("reports", "evaluations", "kdef.json"),
    )
    (row,) = results_report._emotion(project, gather_measurements(project), project.path("reports"))
    assert row["picture"] == project.path("reports", "confusions", "kdef.png")
    import cv2

    assert cv2.imread(str(row["picture"])).std() > 0
    put(
        project,
        tree | {"labels": ["happy", "sad"], "confusion": [[4, 0]]},
        *("reports", "evaluations", "kdef.json"),
    )
    assert "damaged" in gather_measurements(project).left_out[0]


def test_a_folder_that_is_no_data_set_is_told_in_table_one(project):
    folder = project.data("datasets", "kdef")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "holiday.txt").write_text("")
    found = gather_measurements(project).found
    assert found["kdef"].images == 0
    assert "kdef" in found["kdef"].problems[0]


def test_figures_are_traced_to_machine_versions_seeds_and_inputs(project):
    for name in ("kdef", "rafd"):
        project.data("datasets", name).mkdir(parents=True, exist_ok=True)
    (project.data("datasets", "kdef") / "AF01ANS.JPG").write_bytes(b"photograph")
    project.path("dvc.lock").write_text(
        "stages:\n  benchmark_images@kdef_frontal:\n    deps:\n    - {path: data/datasets/kdef, md5: 4567.dir}\n"
        "    - {path: data/datasets/rafd, md5: 89ab.dir}\n"
        "  raw_videos:\n    outs:\n    - {path: data/raw_videos, md5: 0123abcd.dir}\n"
        "  other:\n    outs:\n    - {path: data/other, md5: ffff}\n"
    )
    told = dict(provenance(project))
    assert told["md5 of data/raw_videos"] == "0123abcd.dir"
    assert "md5 of data/other" not in told, "it is no input of the report"
    assert told["md5 of data/datasets/kdef"] == "4567.dir"
    assert "md5 of data/datasets/rafd" not in told, "nothing lies there but a README"
    assert f"stress_detection.seed {project.params.stress_detection.seed}" in told["seeds"]
    assert "scikit-learn" in told["versions"]
    assert "processors" in told["machine"]
    assert told["network"] == "none"


def test_the_network_is_told_by_its_bytes(project):
    folder = project.data("deepexp3d_export")
    put(project, {"exported": "deepexp3d", "backbone": "resnet50"}, "data", "deepexp3d_export", "export.json")
    (folder / "network.onnx").write_bytes(b"network")
    before = dict(provenance(project))["network"]
    assert before.startswith("deepexp3d, resnet50; sha256 of network.onnx ")
    (folder / "network.onnx").write_bytes(b"another network")
    assert dict(provenance(project))["network"] != before


@pytest.fixture
def page(tmp_path):
    """Function of measurements that renders the page, with everything else left empty."""
    import cv2
    import numpy as np

    picture = tmp_path / "picture.png"
    cv2.imwrite(str(picture), np.zeros((4, 4, 3), np.uint8))
    videos = {
        "sources": pd.DataFrame(columns=["source", "licence", "videos", "frames"]),
        "removed": pd.DataFrame(columns=["video_id", "stage", "reason"]),
        "funnel_picture": picture,
    }
    expression = {"curves": {}, "errors": [], "picture": picture, "unseen": {}, "robustness": picture}
    template = jinja2.Template(results_report.TEMPLATE.read_text(), autoescape=True, undefined=jinja2.StrictUndefined)

    def render(measured: Measurements, emotion=()) -> str:
        return template.render(
            videos=videos,
            fit={},
            expression=expression,
            emotion=emotion,
            stress=measured.stress,
            views=measured.views,
            fusion={"pictures": {"depth over a photograph": picture}, "synthetic": True, "accuracies": {}},
            skipped=[{"assets": ["stress_detection"], "reason": "skipped: put <it> there"}],
            timings={"deepexp3d": 12.3},
            summary={
                "counts": {"videos": 1, "tracks": 1, "tracks_kept": 1, "frames_kept": 1},
                "wall_seconds_total": 1.0,
            },
            overlays=[],
            tables=(*all_tables(measured), *fusion_tables(None)),
            made_from=[("date", "today"), ("machine", "one & only"), ("md5 of data/raw_videos", "0123")],
            picture=embedded_picture,
            model_picture=picture,
            samples_picture=picture,
            views_picture=picture,
        )

    return render


def test_the_page_holds_every_table_and_needs_no_other_file(page):
    html = page(Measurements())
    for table in (*all_tables(Measurements()), *fusion_tables(None)):
        assert f'id="{table.name}"' in html
    assert html.count("not run: data absent") > 10
    assert "97.65 ± 1.00" in html
    assert 'src="http' not in html
    assert "one &amp; only" in html
    assert "put &lt;it&gt; there" in html
    assert "0123" in html


def test_the_page_marks_synthetic_figures_in_words(page):
    view = {"view": 45.0, "pairs": 3, "mse": 0.25, "share": 0.5}
    measured = Measurements(views={"kdef": {"semi_profile": view, "views": [view], "synthetic": True}})
    assert f'<td class="{Kind.SYNTHETIC} number">0.250<sup>synthetic</sup></td>' in page(measured)
    assert "<sup>synthetic</sup>" not in page(Measurements())
    assert 'depth over a photograph <span class="synthetic">(synthetic)</span>' in page(Measurements())
