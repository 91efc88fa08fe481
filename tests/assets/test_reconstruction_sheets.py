"""Contact sheets beside the fits: drawn once, redrawn when what they show changes, and never a fit's misfortune."""

import shutil

import dagster as dg
import numpy as np
import pytest
import yaml
from PIL import Image

from assets.batches import read_index
from assets.landmarks import detect_landmarks
from assets.raw_videos import all_batches, describe_raw_videos, video_batches
from assets.reconstruction_sheets import WORST_BYTES, sheet_path, worst_sheets
from assets.reconstructions import fit_reconstructions, reconstructions
from assets.stage import WorkspaceResource
from assets.tracked_landmarks import track_landmarks
from assets.workspace import Workspace
from models.errors import DiskFullError
from tests.odd_videos import encode

BATCH = "batch-00000"


@pytest.fixture(scope="module")
def fitted(new_project, filmed, tmp_path_factory):
    """A project with two short clips, fitted."""
    workspace = new_project(tmp_path_factory.mktemp("sheets") / "project")
    for number in range(2):
        encode(workspace.data("incoming") / f"clip{number}.mp4", filmed(number)[:12])
    for stage in (describe_raw_videos, detect_landmarks, track_landmarks, fit_reconstructions):
        stage(workspace)
    return workspace


@pytest.fixture
def project(fitted, tmp_path):
    shutil.copytree(fitted.root, tmp_path / "project")
    return Workspace.open(tmp_path / "project")


def files(workspace, kind):
    """Files of a kind by name, with the time of their last change."""
    return {path.name: path.stat().st_mtime_ns for path in sorted(workspace.data("reconstructions").rglob(f"*.{kind}"))}


def no_sheet(workspace):
    index = read_index(workspace, "reconstructions", all_batches(workspace))
    return dict(zip(index.track_id, index.no_sheet, strict=True))


def changed(workspace, section, **values):
    path = workspace.path("params.yaml")
    tree = yaml.safe_load(path.read_text())
    tree[section].update(values)
    path.write_text(yaml.safe_dump(tree))
    return Workspace.open(workspace.root)


def test_every_fit_has_a_sheet_beside_it(fitted):
    fits = {name.removesuffix(".npz") for name in files(fitted, "npz")}
    assert {name.removesuffix(".jpg") for name in files(fitted, "jpg")} == fits
    assert set(no_sheet(fitted).values()) == {""}
    with Image.open(next(fitted.data("reconstructions").rglob("*.jpg"))) as sheet:
        assert sheet.width > 4 * fitted.params.reconstruction_sheets.side


def test_sheets_are_not_drawn_twice_and_come_out_the_same(project):
    before = files(project, "jpg")
    fit_reconstructions(project)
    assert files(project, "jpg") == before
    path = next(project.data("reconstructions").rglob("*.jpg"))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    fit_reconstructions(project)
    assert path.read_bytes() == content


def test_another_look_redraws_the_sheets_and_leaves_the_fits_alone(project):
    fits, sheets = files(project, "npz"), files(project, "jpg")
    workspace = changed(project, "reconstruction_sheets", moments=4)
    assert fit_reconstructions(workspace).pending == ()
    assert files(workspace, "npz") == fits
    assert all(when != sheets[name] for name, when in files(workspace, "jpg").items())


def test_batches_with_sheets_of_the_old_look_are_pending(project):
    workspace = changed(project, "raw_videos", videos_per_partition=2)
    encode(workspace.data("incoming") / "clip9.mp4", _images(project))
    for stage in (describe_raw_videos, detect_landmarks, track_landmarks, fit_reconstructions):
        assert stage(workspace).pending == ()
    workspace = changed(workspace, "reconstruction_sheets", side=100)
    assert fit_reconstructions(workspace, ["batch-00001"]).pending == (BATCH,)


def test_a_new_fit_gets_a_new_sheet(project):
    sheets = files(project, "jpg")
    fit_reconstructions(changed(project, "reconstruction", noise=0.02))
    assert all(when != sheets[name] for name, when in files(project, "jpg").items())


def test_sheets_can_be_switched_off(project):
    fits = files(project, "npz")
    result = fit_reconstructions(changed(project, "reconstruction_sheets", enabled=False))
    assert files(project, "jpg") == {}
    assert files(project, "npz") == fits
    assert "worst fits" not in result.metadata
    assert list(result.metadata["largest residual first"].sheet) == ["switched off"] * 2


def test_a_video_that_is_gone_costs_its_sheet_alone(project):
    gone = project.data("incoming", "clip1.mp4")
    content = gone.read_bytes()
    gone.unlink()
    workspace = changed(project, "reconstruction", noise=0.02)
    result = fit_reconstructions(workspace)
    assert result.metadata["tracks fitted"] == 2
    assert result.pending == ()
    reasons = no_sheet(workspace)
    (lost,) = [track for track, reason in reasons.items() if reason]
    assert "clip1" in lost
    assert "clip1.mp4: there is no such file" in reasons[lost]
    assert not sheet_path(workspace.data("reconstructions", BATCH, f"{lost}.npz")).exists()
    gone.write_bytes(content)
    fit_reconstructions(workspace)
    assert set(no_sheet(workspace).values()) == {""}


def test_a_full_disk_is_no_fault_of_a_sheet(project, monkeypatch):
    def full(*_):
        raise DiskFullError("no space left")

    monkeypatch.setattr("assets.reconstruction_sheets._save_marked", full)
    with pytest.raises(DiskFullError):
        fit_reconstructions(changed(project, "reconstruction_sheets", moments=4))


def test_the_worst_fit_comes_first(fitted):
    table = fit_reconstructions(fitted).metadata["largest residual first"]
    assert list(table["residual, %"]) == sorted(table["residual, %"], reverse=True)
    assert all(fitted.path(path).exists() for path in table.sheet)


def test_the_assets_page_shows_the_worst_fits_in_a_small_picture(project):
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(video_batches.name, [BATCH])
        resource = WorkspaceResource(root=str(project.root), overrides={"machine.workers": 1})
        result = dg.materialize(
            [reconstructions],
            partition_key=BATCH,
            instance=instance,
            resources={"workspace": resource, "ray_cluster": None},
        )
    (event,) = result.get_asset_materialization_events()
    metadata = event.materialization.metadata
    picture = metadata["worst fits"].value
    assert picture.startswith("![worst")
    assert "data:image/jpeg;base64," in picture
    assert len(picture) < 300_000
    assert "data/reconstructions/batch-00000/user-clip0" in metadata["largest residual first"].value


def test_many_noisy_sheets_still_make_a_small_picture(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (700, 1200, 3), dtype=np.uint8)
    sheets = [tmp_path / f"{number}.jpg" for number in range(9)]
    for path in sheets:
        Image.fromarray(noise).resize((1300, 800)).save(path, quality=80)
    worst = worst_sheets(sheets, tmp_path / "out" / "worst.jpg")
    assert worst.stat().st_size <= WORST_BYTES
    assert worst_sheets([tmp_path / "none.jpg"], tmp_path / "out" / "none.jpg") is None


def _images(workspace):
    from models.video.decoding import read_frames

    return [frame.image for frame in read_frames(workspace.data("incoming", "clip0.mp4"), max_side=1000)][::-1]
