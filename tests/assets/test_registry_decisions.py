"""What follows from decisions about versions: which becomes champion and which does not, also after a kill."""

import shutil

import pytest

from assets import experiments, registry_review
from assets.model_registry import (
    APPROVED,
    CHAMPION,
    CHECK_TAG,
    FIRST,
    NETWORK_TAG,
    PASSED,
    PROMOTED,
    REFUSED_BY_CHECK,
    REVIEW_TAG,
    ROLLED_BACK,
    SUPERSEDED,
    append_to_trail,
    champion_folder,
    client,
    current_champion,
    get_version,
    read_trail,
    registered_name,
    version_of_alias,
)
from assets.workspace import Workspace
from models.errors import DeepExp3DError
from orchestration.registry_sensors import follow_registry
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

    def approve(self, *versions):
        for version in versions:
            registry_review.approve(self.workspace, version, "Ada", f"likes {version}")

    def approve_in_mlflow(self, version):
        self.api.set_model_version_tag(self.name, str(version), REVIEW_TAG, APPROVED)

    def follow(self):
        """The lines that a tick of the sensor writes."""
        before = read_trail(self.workspace)
        follow_registry(self.workspace)
        return self.lines()[len(before) :]

    def rollback(self, to):
        return registry_review.rollback(self.workspace, "Grace", "as it was", to=to)

    def lines(self):
        return [(entry.event, entry.version) for entry in read_trail(self.workspace)]

    def review_of(self, version):
        return get_version(self.workspace, version).tags.get(REVIEW_TAG)

    def waiting(self):
        return [found.version for found in registry_review.pending_reviews(self.workspace)]

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


def test_an_approval_that_another_one_overtook_does_not_come_back_with_a_rollback(registry):
    registry.approve(3, 4)
    assert registry.follow() == [(SUPERSEDED, "3"), (PROMOTED, "4")]
    registry.rollback(to=1)
    assert registry.follow() == []
    assert registry.champion == 1


def test_a_rollback_sets_aside_what_was_approved_before_it(registry):
    registry.approve(3)
    registry.follow()
    registry.approve(4)
    registry.rollback(to=1)
    assert registry.lines()[-2:] == [(SUPERSEDED, "4"), (ROLLED_BACK, "1")]
    assert registry.follow() == []
    assert registry.champion == 1


def test_an_alias_that_was_moved_sets_aside_what_was_approved_before(registry):
    registry.approve(4)
    registry.point_alias_to(2)
    assert registry.follow() == [(SUPERSEDED, "4"), (PROMOTED, "2")]
    assert registry.follow() == []
    assert registry.champion == 2


def test_the_trail_and_the_registry_say_what_took_an_approvals_place(registry):
    registry.approve(3, 4)
    registry.follow()
    line = read_trail(registry.workspace)[-2]
    assert (line.event, line.version, line.reviewer) == (SUPERSEDED, "3", "Ada")
    assert line.reason == "version 4 was promoted in its place"
    tags = get_version(registry.workspace, 3).tags
    assert (tags[REVIEW_TAG], tags["superseded_by"]) == (SUPERSEDED, "4")


@pytest.mark.parametrize("again", [Registry.approve, Registry.approve_in_mlflow], ids=["here", "in MLflow"])
def test_what_was_set_aside_waits_again_and_may_be_approved_anew(registry, again):
    registry.approve(3, 4)
    registry.follow()
    assert 3 not in registry.waiting()
    registry.rollback(to=1)
    assert 3 in registry.waiting()
    again(registry, 3)
    assert registry.follow() == [(PROMOTED, "3")]
    assert registry.champion == 3


def test_what_was_refused_or_promoted_is_not_set_aside(registry):
    registry.approve(2)
    registry.follow()
    registry_review.refuse(registry.workspace, 3, "Ada", "no gain")
    registry.approve(4)
    assert registry.follow() == [(PROMOTED, "4")]
    assert [registry.review_of(version) for version in (2, 3, 4)] == [APPROVED, "refused", APPROVED]


def test_what_is_approved_in_mlflow_while_another_is_promoted_comes_next(registry, monkeypatch):
    registry.approve(3)
    registered = registry_review.append_to_trail

    def meanwhile(*arguments, **values):
        registry.approve_in_mlflow(4)
        return registered(*arguments, **values)

    with monkeypatch.context() as patch:
        patch.setattr(registry_review, "append_to_trail", meanwhile)
        assert registry.follow() == [(PROMOTED, "3")]
    assert registry.follow() == [(PROMOTED, "4")]


class Killed(BaseException):
    """Stands for the end of the process."""


def killed_at(step, monkeypatch):
    """End the process as it writes to MLflow or the trail for the given time, counted from 0."""
    left = [step]

    def counted(function):
        def write(*arguments, **values):
            if left[0] == 0:
                raise Killed
            left[0] -= 1
            return function(*arguments, **values)

        return write

    from mlflow import MlflowClient

    for owner, name in (
        (MlflowClient, "set_model_version_tag"),
        (MlflowClient, "set_registered_model_alias"),
        (registry_review, "append_to_trail"),
    ):
        monkeypatch.setattr(owner, name, counted(getattr(owner, name)))


@pytest.mark.parametrize("step", range(9))
def test_a_promotion_that_is_killed_anywhere_is_finished_by_the_next_tick(registry, monkeypatch, step):
    registry.approve(3, 4)
    with monkeypatch.context() as patch:
        killed_at(step, patch)
        with pytest.raises(Killed):
            registry_review.promote_approved(registry.workspace)
    registry.follow()
    assert registry.champion == 4
    assert registry.review_of(3) == SUPERSEDED
    assert (SUPERSEDED, "3") in registry.lines()
    registry.rollback(to=1)
    assert registry.follow() == []


def test_a_promotion_writes_so_often_as_it_is_killed_in_the_test_above(registry, monkeypatch):
    registry.approve(3, 4)
    killed_at(9, monkeypatch)
    assert len(registry_review.promote_approved(registry.workspace)) == 2


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
