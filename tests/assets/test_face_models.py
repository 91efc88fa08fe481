"""A project that speaks in somebody else's face model."""

import numpy as np
import pytest

from assets.benchmark_images import gather_benchmark_images
from assets.deepexp3d_finetuned import finetune_deepexp3d
from assets.four_dfab_samples import write_scan_samples
from assets.landmark_correspondence import learn_landmark_correspondence, load_detector_model, read_detector_errors
from assets.morphable_model import build_morphable_model, load_model
from assets.raw_videos import assign_batches
from assets.rendered_benchmarks import render_benchmarks
from assets.stage import SKIPPED, skip_reason
from assets.synthetic_facevid import render_synthetic_facevid
from models.errors import ModelMismatchError
from models.fitting import fit_video
from models.fitting.simulation import SimulationSettings, simulate_video
from models.morphable_model.loaders import load_face_model
from orchestration.checks import CONTRACTS
from tests.models.morphable_model.published_faces import make_face, write_plain
from tests.workspace_fixture import make_project

SOURCE = "data/datasets/face_models/somebody.npz"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    workspace = make_project(tmp_path_factory.mktemp("project") / "project", **{"morphable_model.source": SOURCE})
    plain = write_plain(make_face(), workspace.root / "plain.npz", name=np.array("somebody's"))
    load_face_model(plain, "npz").save(workspace.path(SOURCE))
    result = build_morphable_model(workspace)
    assert result.metadata["name"] == "somebody's"
    assert result.metadata["face units"] == "none"
    return workspace


def test_the_named_model_is_the_projects(workspace):
    assert load_model(workspace).name == "somebody's"
    assert workspace.data("morphable_model", "model.png").exists()
    assert all(holds for _, holds, _ in CONTRACTS["morphable_model"][0](workspace))


def test_a_model_that_is_not_there_is_asked_for(tmp_path):
    workspace = make_project(tmp_path / "project", **{"morphable_model.source": SOURCE})
    with pytest.raises(ModelMismatchError, match=r"somebody.npz: no face model here; .*convert-model"):
        build_morphable_model(workspace)


def test_the_detectors_points_count_as_the_models_own(workspace):
    result = learn_landmark_correspondence(workspace)
    assert "synthetic heads need the embedded model" in result.metadata["status"]
    errors = read_detector_errors(workspace.data("landmark_correspondence", "offsets.npz"))
    assert not any(np.any(value) for value in errors.arrays().values())


def test_what_needs_synthetic_heads_says_that_it_was_skipped(workspace):
    for result in (
        render_synthetic_facevid(workspace),
        write_scan_samples(workspace),
        render_benchmarks(workspace),
        gather_benchmark_images(workspace, "synthetic"),
    ):
        assert "synthetic heads need the embedded model" in result.skipped
    assert skip_reason(workspace, "benchmark_images", "synthetic")
    for asset in ("synthetic_facevid", "four_dfab_samples"):
        assert all(holds for _, holds, _ in CONTRACTS[asset][0](workspace))
    assert assign_batches(workspace) == {}
    for part in ("videos", "truth"):
        assert workspace.data("synthetic_facevid", part).is_dir()


def test_without_scans_the_network_stays_as_it_was(workspace):
    write_scan_samples(workspace)
    trained = workspace.data("deepexp3d")
    (trained / "checkpoints").mkdir(parents=True)
    (trained / "network.pt").write_bytes(b"weights")
    result = finetune_deepexp3d(workspace)
    assert "not fine-tuned" in result.metadata["status"]
    assert [path.name for path in workspace.data("deepexp3d_finetuned").iterdir()] == ["network.pt"]


def test_videos_are_fitted_in_the_named_model(workspace):
    learn_landmark_correspondence(workspace)
    model = load_detector_model(workspace)
    video = simulate_video(model, SimulationSettings(frames=40, expression="process", noise=0.003), seed=1)
    fit = fit_video(video.landmarks, model, workspace.params.reconstruction)
    assert fit.expression.shape == (40, model.expression_size)
    assert np.median(fit.residual) < 0.02


def test_a_skip_ends_when_the_embedded_model_is_back(new_project, tmp_path):
    workspace = new_project(
        tmp_path / "project", **{"synthetic_facevid.people": 1, "synthetic_facevid.video.frames": 4}
    )
    mark = workspace.data("synthetic_facevid", SKIPPED)
    mark.parent.mkdir(parents=True)
    mark.write_text('{"skipped": "no heads"}')
    assert render_synthetic_facevid(workspace).skipped is None
    assert skip_reason(workspace, "synthetic_facevid") is None
