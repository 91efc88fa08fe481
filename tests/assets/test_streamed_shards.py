"""A training on a machine that has the project, but not its images."""

import json
import shutil

import numpy as np
import pytest
import yaml

from assets import versioning
from assets.stage import SKIPPED
from assets.storage import PROFILE
from assets.training import training_shards
from assets.workspace import Workspace
from models.errors import DeepExp3DError, StorageUnreachableError
from models.expression.shards import Sample, ShardReader, write_shards
from tests.servers import KEY, s3_client, without_credentials, write_profile
from tests.workspace_fixture import make_project


@pytest.fixture
def pushed(tmp_path, monkeypatch, object_store):
    """A project whose only training images are in the object store, and what they were."""
    without_credentials(monkeypatch, tmp_path)
    for name, value in KEY.items():
        monkeypatch.setenv(name, value)
    write_profile(tmp_path / "profile.yaml", object_store=object_store)
    monkeypatch.setenv(PROFILE, str(tmp_path / "profile.yaml"))
    (tmp_path / "project").mkdir()
    workspace = make_project(tmp_path / "project")
    rng = np.random.default_rng(0)
    for split, count in (("train", 12), ("val", 4)):
        images = rng.integers(0, 255, (count, 224, 224, 3), dtype=np.uint8)
        samples = [
            Sample(image, rng.normal(size=28), rng.uniform(0, 224, (68, 2)), f"{split}-{n}", n)
            for n, image in enumerate(images)
        ]
        write_shards(samples, workspace.data("facevid_shards", split), chunk_mb=0.2, jpeg_quality=90)
    rendered = workspace.data("rendered_faces", SKIPPED)
    rendered.parent.mkdir()
    rendered.write_text(json.dumps({"skipped": "no subjects"}))
    commit_outputs(workspace, ["facevid_shards", "rendered_faces"])
    versioning.use_remote(workspace.root, workspace.storage.object_store)
    assert versioning.push(workspace.root) > 4
    whole = workspace.data("facevid_shards").rename(tmp_path / "whole")
    shutil.rmtree(workspace.data("rendered_faces"))
    shutil.rmtree(workspace.path(".dvc", "cache"))
    return workspace, whole


def commit_outputs(workspace: Workspace, stages: list[str]) -> None:
    """Record stages as if they depended on nothing, so that nothing else has to be made."""
    declared = {name: {"cmd": "true", "outs": [f"data/{name}"]} for name in stages}
    workspace.path("dvc.yaml").write_text(yaml.safe_dump({"stages": declared}))
    versioning.record(workspace.root, stages)


def test_images_that_are_not_here_are_streamed_from_what_was_pushed(pushed):
    workspace, whole = pushed
    ((folder, share),) = training_shards(workspace, "deepexp3d", {"facevid_shards": 0.6, "rendered_faces": 0.4}).items()
    assert (folder.name, share) == ("facevid_shards", 0.6)
    assert not workspace.data("facevid_shards").exists()
    for split in ("train", "val"):
        ours, theirs = ShardReader(folder / split), ShardReader(whole / split)
        assert len(ours.chunk_sizes) == len(theirs.chunk_sizes) > 1 or split == "val"
        for index in range(len(theirs)):
            np.testing.assert_array_equal(ours[index].jpeg, theirs[index].jpeg)
            np.testing.assert_array_equal(ours[index].expression, theirs[index].expression)


def test_a_stage_that_was_skipped_elsewhere_is_skipped_here(pushed):
    workspace, _ = pushed
    with pytest.raises(DeepExp3DError, match="none of rendered_faces has any images"):
        training_shards(workspace, "deepexp3d", {"rendered_faces": 1.0})


def test_images_that_are_here_are_read_from_here(pushed):
    workspace, whole = pushed
    whole.rename(workspace.data("facevid_shards"))
    assert list(training_shards(workspace, "deepexp3d", {"facevid_shards": 1.0})) == [workspace.data("facevid_shards")]


def test_a_stage_that_was_recorded_and_not_pushed_is_named_with_the_cure(pushed, object_store):
    workspace, _ = pushed
    bucket = workspace.storage.object_store.dvc.split("/")[2]
    client = s3_client(object_store)
    for entry in client.list_objects_v2(Bucket=bucket)["Contents"]:
        client.delete_object(Bucket=bucket, Key=entry["Key"])
    with pytest.raises(StorageUnreachableError, match=r"data/facevid_shards.*dvc push"):
        training_shards(workspace, "deepexp3d", {"facevid_shards": 1.0})
