"""Review and promotion as `make run` does them: under Dagster, recorded by DVC, stopped by a refusal and no further."""

import dagster as dg
import pandas as pd
import pytest

from assets import registry_review, versioning
from assets.model_registry import CHAMPION, CHECK_TAG, PASSED, champion_identity, client, version_of_alias
from models.errors import DeepExp3DError
from orchestration.pipeline import STEPS
from orchestration.run import _run_step, dagster_instance
from tests.assets.exported_networks import export_network, freeze_what_it_reads, network_bytes

pytestmark = pytest.mark.timeout(600)
GOOD = 7
REVIEW, PROMOTION = (next(step for step in STEPS if step.name == name) for name in ("review", "promotion"))


@pytest.fixture(scope="module")
def project(new_project, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        workspace = new_project(tmp_path_factory.mktemp("review") / "project", **{"deepexp3d.init_from": None})
        patch.setenv("DEEPEXP3D_ROOT", str(workspace.root))
        patch.setenv("DAGSTER_HOME", str(workspace.path(".dagster")))
        freeze_what_it_reads(workspace, export_network(workspace, seed=GOOD))
        for stage in ("landmark_weights", "reconstructions"):
            workspace.data(stage).mkdir(exist_ok=True)
            (workspace.data(stage) / "there.txt").write_text("something")
        videos = pd.DataFrame({"video_id": ["video 1"], "kept": [True], "frames": [30], "partition": ["batch-00000"]})
        workspace.data("pruned_videos").mkdir()
        videos.to_parquet(workspace.data("pruned_videos", "videos.parquet"))
        yield workspace


def run(workspace, instance):
    return [name for step in (REVIEW, PROMOTION) for name in _run_step(workspace, instance, step, None)]


def test_a_network_goes_from_export_to_champion_and_a_worse_one_goes_no_further(project, capsys):
    good = network_bytes(project)
    with dagster_instance(project) as instance:
        done = run(project, instance)
        assert done == ["frozen_test_set", "challenger_review", "champion", "expression_drift"]
        assert champion_identity(project) == good
        assert run(project, instance) == [], "DVC knows that nothing is left to do"
        drift = instance.get_latest_materialization_event(dg.AssetKey("expression_drift")).asset_materialization
        assert drift.metadata["new videos since the champion"].value == 0
        assert isinstance(drift.metadata["drift, population stability index"], dg.FloatMetadataValue)

        export_network(project, seed=2)
        capsys.readouterr()
        done = run(project, instance)
        assert "not worse than the champion; the champion stays" in capsys.readouterr().out
        assert champion_identity(project) == good
        assert int(version_of_alias(project, CHAMPION).version) == 1
        assert run(project, instance) == []

        with pytest.raises(DeepExp3DError, match="version 2 was never champion"):
            registry_review.rollback(project, "Ada", "round the check", to=2)
        client(project).set_registered_model_alias("deepexp3d", CHAMPION, "2")
        with pytest.raises(DeepExp3DError, match="version 2: the check refused it"):
            registry_review.promote_approved(project)
        assert run(project, instance) == []

        # Had the check let it pass: the trail is an input, so that all that follows is made again.
        client(project).set_model_version_tag("deepexp3d", "2", CHECK_TAG, PASSED)
        registry_review.promote_approved(project)
        assert versioning.outdated(project.root, ["champion"]).keys() == {"champion"}
        assert run(project, instance) == ["champion", "expression_drift"]
        assert champion_identity(project) == network_bytes(project)


def test_followers_are_asked_for_once_the_champion_is_another():
    """And the condition says in words what it waits for."""
    from orchestration.definitions import defs

    followers = {"expression_vectors", "stress_detection", "view_invariance", "emotion_classifier", "expression_drift"}
    graph = defs.resolve_asset_graph()
    for name in followers:
        node = graph.get(dg.AssetKey(name))
        assert node.automation_condition.get_label() == "follows its inputs", name
    selected = dg.AssetSelection.assets("champion", "expression_drift")
    with dg.DagsterInstance.ephemeral() as instance:

        def requested(cursor):
            result = dg.evaluate_automation_conditions(defs, instance, asset_selection=selected, cursor=cursor)
            return result.get_num_requested(dg.AssetKey("expression_drift")), result.cursor

        for name in ("pruned_videos", "champion", "expression_drift"):
            instance.report_runless_asset_event(dg.AssetMaterialization(name))
        for batch in ("batch-00000",):
            instance.add_dynamic_partitions("video_batches", [batch])
            instance.report_runless_asset_event(dg.AssetMaterialization("reconstructions", partition=batch))
        _, cursor = requested(None)
        count, cursor = requested(cursor)
        assert count == 0
        instance.report_runless_asset_event(dg.AssetMaterialization("champion"))
        count, _ = requested(cursor)
        assert count == 1


def test_a_check_that_blocks_is_seen_in_the_definitions():
    from orchestration.checks import all_checks

    specs = {spec.key.to_user_string(): spec for check in all_checks() for spec in check.check_specs}
    assert [name for name, spec in specs.items() if spec.blocking] == ["challenger_review:contract"]
