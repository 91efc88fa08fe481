"""What a training learns from, as the parameters and the stages before it say."""

import json

import pytest

from assets.stage import SKIPPED
from assets.training import training_shards
from models.errors import DeepExp3DError
from tests.workspace_fixture import make_project


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project in which one stage had to be skipped."""
    workspace = make_project(tmp_path_factory.mktemp("training"))
    path = workspace.data("rendered_faces", SKIPPED)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"skipped": "no skin"}))
    return workspace


def test_stages_give_their_shares_but_for_those_that_were_skipped(project):
    shares = {"facevid_shards": 0.2, "four_dfab_samples": 0.5, "rendered_faces": 0.3}
    assert training_shards(project, "deepexp3d", shares) == {
        project.data("facevid_shards"): 0.2,
        project.data("four_dfab_samples"): 0.5,
    }


@pytest.mark.parametrize("shares", [{"rendered_faces": 1.0}, {"rendered_faces": 1.0, "facevid_shards": 0.0}])
def test_a_training_without_images_says_where_to_name_some(project, shares):
    with pytest.raises(DeepExp3DError, match=r"none of rendered_faces.*deepexp3d\.shards in params\.yaml"):
        training_shards(project, "deepexp3d", shares)
