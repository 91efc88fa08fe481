"""The life of networks in the registry: first, challenger, champion, refused, rolled back; and who said so."""

import json
import shutil

import numpy as np
import pytest

from assets import experiments, registry_review
from assets.challenger_review import review_challenger
from assets.champion import follow_champion
from assets.model_registry import (
    APPROVED,
    CHAMPION,
    CHECK_TAG,
    EXACT,
    FIRST,
    INT8_TAG,
    NETWORK_TAG,
    PROMOTED,
    REFUSED,
    REVIEW_TAG,
    REVIEWER_TAG,
    ROLLED_BACK,
    append_to_trail,
    champion_folder,
    champion_identity,
    client,
    current_champion,
    get_version,
    model_of_name,
    previous_champion,
    read_trail,
    trail_path,
    version_of_alias,
)
from models.errors import DeepExp3DError, ModelMismatchError, StorageUnreachableError
from models.expression.runtime import NETWORK, NetworkSession
from models.packages import sha256_of
from orchestration.registry_sensors import follow_registry
from tests.assets.exported_networks import export_network, freeze_what_it_reads, network_bytes

GOOD = 7


def registry(workspace, alias):
    found = version_of_alias(workspace, alias)
    return None if found is None else int(found.version)


@pytest.fixture(scope="module")
def life(new_project, tmp_path_factory):
    """A project after a first model (1), a better challenger (2) that was approved, and a worse one (3)."""
    workspace = new_project(tmp_path_factory.mktemp("registry") / "project", **{"deepexp3d.init_from": None})
    freeze_what_it_reads(workspace, export_network(workspace, seed=GOOD))
    good = network_bytes(workspace)
    told = {}
    export_network(workspace, seed=1)
    told["first"] = review_challenger(workspace).metadata
    told["in use"] = follow_champion(workspace).metadata
    first = network_bytes(workspace)
    export_network(workspace, seed=GOOD)
    told["second"] = review_challenger(workspace).metadata
    told["pending"] = registry_review.pending_reviews(workspace)
    told["before approval"] = (registry(workspace, CHAMPION), follow_registry(workspace))
    registry_review.approve(workspace, 2, "Ada", "better everywhere")
    told["request"] = follow_registry(workspace).run_requests
    follow_champion(workspace)
    told["after approval"] = follow_registry(workspace)
    export_network(workspace, seed=2)
    told["third"] = review_challenger(workspace).metadata
    return workspace, told, {"first": first, "good": good}


def test_the_first_model_becomes_champion_with_a_line_in_the_trail(life):
    workspace, told, networks = life
    entry = read_trail(workspace)[0]
    assert (entry.event, entry.version, entry.sha256) == (FIRST, "1", networks["first"])
    assert told["first"]["outcome"] == "nothing to compare with"


def test_a_better_challenger_waits_for_a_person(life):
    _, told, _ = life
    assert told["second"]["outcome"] == "better"
    (waiting,) = told["pending"]
    assert (waiting.version, waiting.check, waiting.outcome) == (2, "passed", "better")
    assert waiting.compared_with == "version 1"
    champion, result = told["before approval"]
    assert champion == 1
    assert not result.run_requests
    assert "version 1 is champion and in use" in result.skip_reason.skip_message


def test_what_is_known_of_a_version_is_with_it(life):
    import mlflow

    workspace, _, networks = life
    version = get_version(workspace, 2)
    assert version.tags[NETWORK_TAG] == networks["good"]
    assert version.tags["trained_on"] == "synthetic videos"
    assert "**better**" in version.description
    files = registry_review.review_files(workspace, 2)
    assert {path.name for path in files.iterdir()} == {"comparison.json", "comparison.png", "card.md"}
    assert "frozen test set" in (files / "card.md").read_text()
    facts = json.loads((files / "comparison.json").read_text())
    assert facts["overall"]["high"] < 0
    assert any(name.startswith("view: ") for name in facts["subgroups"])
    run = client(workspace).get_run(version.run_id)
    assert run.data.metrics["comparison/change"] == pytest.approx(facts["overall"]["change"])
    assert any(name.startswith("system/") for name in run.data.metrics)
    with experiments.reaching(workspace):
        about = mlflow.models.get_model_info("models:/deepexp3d/2")
    assert {column.name for column in about.signature.inputs} == {"image", "landmarks"}
    assert about.saved_input_example_info is not None


def test_a_model_in_the_registry_computes_what_the_network_does(life):
    import mlflow
    import onnx

    workspace, _, _ = life
    client(workspace)
    loaded = mlflow.onnx.load_model("models:/deepexp3d/2")
    onnx.checker.check_model(loaded)
    assert [node.name for node in loaded.graph.output] == ["expression"]


def test_an_approved_challenger_becomes_champion_and_the_trail_says_who_and_why(life):
    workspace, told, networks = life
    approved, promoted = read_trail(workspace)[1:3]
    assert (approved.event, approved.reviewer, approved.reason) == (APPROVED, "Ada", "better everywhere")
    assert (promoted.event, promoted.version, promoted.replaces) == (PROMOTED, "2", "1")
    (request,) = told["request"]
    assert "Ada" in request.tags["deepexp3d/reason"]
    assert not told["after approval"].run_requests
    assert champion_identity(workspace) == networks["good"]
    assert registry(workspace, CHAMPION) == 2
    assert get_version(workspace, 1).tags["replaced_by"] == "2"


def test_the_champion_in_use_computes_in_8_bits_nearly_what_was_exported(life):
    workspace, _, networks = life
    folder = workspace.data(CHAMPION)
    assert sha256_of(folder / EXACT) == networks["good"]
    assert get_version(workspace, 2).tags[INT8_TAG] == sha256_of(folder / NETWORK)
    rng = np.random.default_rng(0)
    images, points = rng.integers(0, 256, (4, 224, 224, 3), dtype=np.uint8), rng.uniform(20, 200, (4, 68, 2))
    exact, rounded = (
        NetworkSession.load(folder / name, runtime="onnxruntime", threads=1)(images, points)
        for name in (EXACT, NETWORK)
    )
    assert not np.array_equal(exact, rounded)
    assert np.abs(exact - rounded).mean() < 0.2 * np.abs(exact).mean() + 0.02


def test_a_worse_network_is_refused_by_the_check_and_cannot_be_approved(life):
    workspace, told, _ = life
    assert (told["third"]["outcome"], told["third"]["check"]) == ("worse", "refused")
    assert get_version(workspace, 3).tags[CHECK_TAG] == "refused"
    with pytest.raises(DeepExp3DError, match="the check refused it"):
        registry_review.approve(workspace, 3, "Ada", "I like it")
    client(workspace).set_model_version_tag("deepexp3d", "3", REVIEW_TAG, APPROVED)
    try:
        assert registry_review.promote_approved(workspace) == []
        assert registry(workspace, CHAMPION) == 2
    finally:
        client(workspace).delete_model_version_tag("deepexp3d", "3", REVIEW_TAG)


def test_the_blocking_check_says_by_how_much_the_network_is_worse(life):
    from assets.stage import WorkspaceResource
    from orchestration.checks import all_checks

    workspace, _, _ = life
    (check,) = [
        one
        for one in all_checks()
        if {key.to_user_string() for key in one.check_keys} == {"challenger_review:contract"}
    ]
    result = check(workspace=WorkspaceResource(root=str(workspace.root)))
    assert not result.passed
    (spec,) = check.check_specs
    assert spec.blocking
    assert "not worse than the champion" in result.description


@pytest.mark.parametrize(("reviewer", "reason"), [("", "good"), ("Ada", " ")])
def test_a_decision_without_name_or_reason_is_none(life, reviewer, reason):
    workspace = life[0]
    for decide in (registry_review.approve, registry_review.refuse):
        with pytest.raises(DeepExp3DError, match="name and a reason"):
            decide(workspace, 1, reviewer, reason)
    with pytest.raises(DeepExp3DError, match="name and a reason"):
        registry_review.rollback(workspace, reviewer, reason)


def test_a_second_reviewer_learns_who_was_first(life):
    workspace = life[0]
    with pytest.raises(DeepExp3DError, match="Ada has approved it already"):
        registry_review.refuse(workspace, 2, "Grace", "not so fast")


def test_a_version_that_there_is_not_is_named(life):
    with pytest.raises(DeepExp3DError, match="no version 99"):
        registry_review.approve(life[0], 99, "Ada", "good")


def test_predictions_follow_the_champion(life):
    workspace = life[0]
    assert champion_folder(workspace) == workspace.data(CHAMPION)
    assert model_of_name(workspace, "deepexp3d-small") == "deepexp3d-small"


def test_a_machine_with_the_registry_alone_fetches_the_8_bit_champion_once(life, tmp_path, monkeypatch):
    from assets.workspace import Workspace

    workspace = life[0]
    bare = tmp_path / "elsewhere"
    bare.mkdir()
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(workspace.path(name), bare)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{workspace.path('mlflow.db')}")
    elsewhere = Workspace.open(bare)
    folder = champion_folder(elsewhere)
    assert folder.is_relative_to(bare)
    assert sha256_of(folder / NETWORK) == sha256_of(workspace.data(CHAMPION, NETWORK))
    # A file that was spoilt is fetched anew; a registry that goes away is done without.
    (folder / NETWORK).write_bytes(b"spoilt")
    assert sha256_of(champion_folder(elsewhere) / NETWORK) == sha256_of(workspace.data(CHAMPION, NETWORK))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    assert champion_folder(elsewhere) == folder
    shutil.rmtree(bare / "data")
    with pytest.raises(StorageUnreachableError, match=r"127\.0\.0\.1:9"):
        champion_folder(elsewhere)


def test_an_alias_on_something_that_is_no_deepexp3d_is_said_and_nothing_changes(life):
    workspace = life[0]
    trail = read_trail(workspace)
    api = client(workspace)
    foreign = api.create_model_version("deepexp3d", source=workspace.path("reviews").as_uri())
    api.set_registered_model_alias("deepexp3d", CHAMPION, foreign.version)
    try:
        with pytest.raises(ModelMismatchError, match=r"version \d+ is no DeepExp3D.*rollback"):
            champion_folder(workspace)
        result = follow_registry(workspace)
        assert "is no DeepExp3D" in result.skip_reason.skip_message
        assert read_trail(workspace) == trail
        assert current_champion(workspace).version == "2"
    finally:
        api.set_registered_model_alias("deepexp3d", CHAMPION, "2")
        api.delete_model_version("deepexp3d", foreign.version)


def test_an_alias_that_was_moved_by_hand_is_followed_and_written_down_and_rolled_back(life):
    """Also the whole way back: two rollbacks go back two champions, not there and back."""
    workspace, _, networks = life
    client(workspace).set_registered_model_alias("deepexp3d", CHAMPION, "1")
    (request,) = follow_registry(workspace).run_requests
    assert request.tags["deepexp3d/reason"].startswith("version 1: promoted by")
    assert read_trail(workspace)[-1].event == PROMOTED
    registry_review.rollback(workspace, "Grace", "a slip of the mouse")
    last = read_trail(workspace)[-1]
    assert (last.event, last.version, last.replaces, last.reviewer) == (ROLLED_BACK, "2", "1", "Grace")
    assert registry(workspace, CHAMPION) == 2
    follow_champion(workspace)
    assert champion_identity(workspace) == networks["good"]
    registry_review.rollback(workspace, "Grace", "and further")
    assert current_champion(workspace).version == "1"
    # The files of version 1 are no longer the last export: they come from the registry.
    follow_champion(workspace)
    assert sha256_of(workspace.data(CHAMPION, EXACT)) == networks["first"]
    with pytest.raises(DeepExp3DError, match="no earlier champion"):
        registry_review.rollback(workspace, "Grace", "further still")
    registry_review.rollback(workspace, "Grace", "as it was", to=2)
    with pytest.raises(DeepExp3DError, match="version 2 is the champion already"):
        registry_review.rollback(workspace, "Grace", "once more", to=2)
    follow_champion(workspace)


def test_a_person_may_approve_by_a_tag_in_mlflow(life):
    """Version 4 is the good network again, so that the check has nothing against it."""
    workspace = life[0]
    registry_review.rollback(workspace, "Grace", "make room", to=1)
    follow_champion(workspace)
    export_network(workspace, seed=GOOD)
    version = review_challenger(workspace).metadata["registered version"]
    for tag, value in {REVIEWER_TAG: "Lin", REVIEW_TAG: APPROVED}.items():
        client(workspace).set_model_version_tag("deepexp3d", version, tag, value)
    (entry,) = registry_review.promote_approved(workspace)
    assert (entry.version, entry.reviewer) == (version, "Lin")
    assert registry_review.promote_approved(workspace) == []


def test_a_refused_version_waits_no_longer(life):
    workspace = life[0]
    export_network(workspace, seed=5)
    version = int(review_challenger(workspace).metadata["registered version"])
    assert [one.version for one in registry_review.pending_reviews(workspace)] == [version]
    registry_review.refuse(workspace, version, "Ada", "no gain")
    assert registry_review.pending_reviews(workspace) == []
    assert read_trail(workspace)[-1].event == REFUSED


def test_a_clock_that_jumps_back_changes_nothing(life, monkeypatch):
    """The order of the lines counts, not their times."""
    workspace = life[0]
    before = current_champion(workspace)
    monkeypatch.setattr("assets.model_registry.now", lambda: "1970-01-01T00:00:00+00:00")
    monkeypatch.setattr("assets.registry_review.now", lambda: "1970-01-01T00:00:00+00:00")
    registry_review.rollback(workspace, "Ada", "at the beginning of time", to=1)
    assert current_champion(workspace).version == "1"
    assert previous_champion(read_trail(workspace)) is None or before.version != "1"
    assert read_trail(workspace)[-1].time.startswith("1970")


def test_a_trail_that_was_spoilt_by_hand_is_named(life):
    workspace = life[0]
    path = trail_path(workspace)
    text = path.read_text()
    try:
        path.write_text(text + "crowned,1,aa,,Ada,why,now\n")
        with pytest.raises(DeepExp3DError, match=r"registry\.csv, line \d+: there is no event 'crowned'"):
            read_trail(workspace)
        path.write_text("event,version\n")
        with pytest.raises(DeepExp3DError, match="lacks the column sha256"):
            read_trail(workspace)
    finally:
        path.write_text(text)


def test_who_begins_anew_with_an_old_trail_gets_a_champion_again(new_project, tmp_path):
    """As after `make clean`: the trail is under version control, its networks are gone."""
    workspace = new_project(tmp_path / "project", **{"deepexp3d.init_from": None})
    append_to_trail(workspace, FIRST, version="4", sha256="f" * 64, reviewer="pipeline", reason="long ago")
    freeze_what_it_reads(workspace, export_network(workspace, seed=GOOD))
    review_challenger(workspace)
    follow_champion(workspace)
    last = read_trail(workspace)[-1]
    assert (last.event, last.version, last.reason) == (FIRST, "1", "first model of this registry")
    assert champion_identity(workspace) == network_bytes(workspace)
    assert registry(workspace, CHAMPION) == 1
