"""What follows from decisions about versions: which becomes champion and which does not, also after a kill."""

import shutil

import pytest

from assets import experiments, registry_review
from assets.model_registry import (
    CHAMPION,
    CHECK_TAG,
    FIRST,
    NETWORK_TAG,
    PASSED,
    PROMOTED,
    REFUSED_BY_CHECK,
    append_to_trail,
    champion_folder,
    client,
    current_champion,
    read_trail,
    registered_name,
    version_of_alias,
)
from assets.workspace import Workspace
from models.errors import DeepExp3DError
from tests.workspace_fixture import make_project


class Registry:
    """A registry whose versions are tags alone: version 1 is champion, those up to 4 passed the check, 5 did not."""

    def __init__(self, workspace):
        self.workspace, self.name = workspace, registered_name(workspace)
        with experiments.reaching(workspace):
            self.api = client(workspace)

    def fill(self):
        self.api.create_registered_model(self.name)
        experiment = self.api.get_experiment_by_name("challenger_review").experiment_id
        for number in range(1, 6):
            run = self.api.create_run(experiment).info.run_id
            tags = {NETWORK_TAG: f"{number}" * 64, CHECK_TAG: PASSED if number < 5 else REFUSED_BY_CHECK}
            self.api.create_model_version(self.name, f"runs:/{run}/network", run, tags=tags)
        self.point_alias_to(1)
        append_to_trail(self.workspace, FIRST, version="1", sha256="1" * 64, reviewer="pipeline", reason="first")

    def point_alias_to(self, version):
        self.api.set_registered_model_alias(self.name, CHAMPION, str(version))

    def rollback(self, to):
        return registry_review.rollback(self.workspace, "Grace", "as it was", to=to)

    def lines(self):
        return [(entry.event, entry.version) for entry in read_trail(self.workspace)]

    @property
    def champion(self):
        """As the trail and the alias have it, which agree."""
        alias = version_of_alias(self.workspace, CHAMPION).version
        assert current_champion(self.workspace).version == str(alias)
        return int(alias)


@pytest.fixture(scope="module")
def untouched(tmp_path_factory):
    root = tmp_path_factory.mktemp("decisions") / "project"
    root.mkdir()
    registry = Registry(make_project(root))
    registry.fill()
    return registry


@pytest.fixture
def registry(untouched, tmp_path, monkeypatch):
    """A copy of it; what its versions hold is not looked at."""
    monkeypatch.setattr(registry_review, "version_files", lambda *_: None)
    shutil.copytree(untouched.workspace.root, tmp_path / "project")
    return Registry(Workspace.open(tmp_path / "project"))


def test_an_alias_on_a_version_that_the_check_refused_is_not_followed(registry):
    lines = registry.lines()
    registry.point_alias_to(5)
    with pytest.raises(DeepExp3DError, match=r"version 5: the check refused it.*rollback --to"):
        registry_review.promote_approved(registry.workspace)
    assert registry.lines() == lines
    assert current_champion(registry.workspace).version == "1"
    with pytest.raises(DeepExp3DError, match=r"version 5: the check refused it.*rollback --to"):
        champion_folder(registry.workspace)
    registry.rollback(to=1)
    assert registry.champion == 1


def test_what_the_check_refused_does_not_come_back_by_a_rollback(registry):
    append_to_trail(registry.workspace, PROMOTED, version="5", sha256="5" * 64, reviewer="MLflow", reason="by hand")
    append_to_trail(registry.workspace, PROMOTED, version="1", sha256="1" * 64, reviewer="Ada", reason="better")
    with pytest.raises(DeepExp3DError, match="version 5: the check refused it"):
        registry.rollback(to=5)
    assert registry.champion == 1
