"""What a training learns from, as the parameters and the stages before it say."""

import json

import pytest

from assets.stage import SKIPPED
from assets.training import lightning_logger, throughput, training_shards
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


def test_throughput_is_that_of_the_whole_training():
    history = [{"step": 10, "seconds": 5.0}, {"step": 40, "seconds": 16.0}]
    assert throughput(history, batch_size=8) == {"images a second": 20.0}
    assert throughput([], batch_size=8) == {}


def test_what_lightning_logs_goes_into_the_record_by_step(project):
    from assets.experiment_record import METRICS, ExperimentRecord

    folder = project.data(".spool", "mlflow", "one")
    folder.mkdir(parents=True)
    logger = lightning_logger(ExperimentRecord(project, folder))
    logger.log_metrics({"train/mse": 0.5}, step=3)
    logger.log_hyperparams({"ignored": 1})
    name, value, _, step = json.loads((folder / METRICS).read_text())
    assert (name, value, step) == ("train/mse", 0.5, 3)
