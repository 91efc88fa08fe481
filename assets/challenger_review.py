"""A new network beside the champion, and its way into the registry."""

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd

from assets import registry_review, versioning
from assets.deepexp3d import only_synthetic
from assets.experiment_record import ExperimentRecord, experiment_record
from assets.expression_drift import TRAINING_DATA
from assets.frozen_test_set import FrozenTestSet, load_test_set
from assets.model_registry import (
    CHALLENGER,
    CHAMPION,
    CHAMPION_FILE,
    CHECK_TAG,
    EXACT,
    FIRST,
    NETWORK_TAG,
    PASSED,
    REFUSED_BY_CHECK,
    VERSION_FILES,
    TrailEntry,
    append_to_trail,
    champion_identity,
    current_champion,
    has_registry,
    version_of,
)
from assets.stage import StageResult, WorkspaceResource, main, materialise, skip_reason, table
from assets.workspace import Workspace
from models.errors import CredentialsMissingError, StorageUnreachableError
from models.expression.alignment import IMAGE_SIZE
from models.packages import sha256_of
from models.storage import written_whole

STAGE = "challenger_review"
COMPARISON, FIGURE, CARD = "comparison.json", "comparison.png", "card.md"
# Outcomes of a comparison beside "better", "worse" and "undecided".
NOTHING_TO_COMPARE, SAME = "nothing to compare with", "the champion itself"
# Name of the model within its run.
MODEL = "network"
BATCH = 32
# Whose versions say what a network has learned from.
DATA_VERSIONS = ("data/facevid_shards", "data/rendered_faces", "data/four_dfab_samples", "data/frozen_test_set")


def review_challenger(workspace: Workspace) -> StageResult:
    """Compare the exported network with the champion on the frozen test set, and register it as challenger.

    The first network of a project has no champion before it: it becomes champion, with a line in the trail, and is
    compared with the network that it started from, for information.
    """
    from models.expression.runtime import NETWORK

    folder = workspace.data(STAGE)
    network = workspace.data("deepexp3d_export", NETWORK)
    sha256 = sha256_of(network)
    champion = champion_at_hand(workspace)
    facts, comparison = compare_with_champion(workspace, network, first=champion is None)
    with written_whole(folder / COMPARISON) as path:
        path.write_text(json.dumps(facts, indent=1) + "\n")
    with written_whole(folder / CARD) as path:
        path.write_text(_card(workspace, network, facts))
    (folder / FIGURE).unlink(missing_ok=True)
    if comparison is not None:
        from models.expression.comparison import comparison_figure

        with written_whole(folder / FIGURE) as path:
            comparison_figure(comparison, workspace.params.registry.tolerance).savefig(path, dpi=110)
    if champion is not None and champion.sha256 == sha256:
        return StageResult(_shown(folder, facts) | {"registered version": champion.version or "waits for the registry"})
    with experiment_record(
        workspace,
        STAGE,
        synthetic=only_synthetic(workspace),
        parameters=workspace.params.registry.model_dump(mode="json"),
    ) as record:
        _log(record, network, facts, aliases=[CHALLENGER, CHAMPION] if champion is None else [CHALLENGER])
    version = str(record.delivery.versions.get(MODEL, ""))
    if champion is None:
        reason = (
            "first model of this project" if current_champion(workspace) is None else "first model of this registry"
        )
        append_to_trail(workspace, FIRST, version=version, sha256=sha256, reviewer="pipeline", reason=reason)
    elif workspace.params.registry.approval == "automatic" and facts["check"] == PASSED and version:
        registry_review.approve(workspace, version, "pipeline", "passed the check; registry.approval is automatic")
        registry_review.promote_approved(workspace)
    shown = {"registered version": version or "waits for the registry", "MLflow run": record.link}
    return StageResult(_shown(folder, facts) | shown)


def champion_at_hand(workspace: Workspace) -> TrailEntry | None:
    """The champion, if its files are here or in the registry; None where somebody begins anew with an old trail.

    A registry that is out of reach may have it.
    """
    from models.expression.runtime import NETWORK

    champion = current_champion(workspace)
    if champion is None or champion_identity(workspace) == champion.sha256:
        return champion
    if sha256_of(workspace.data("deepexp3d_export", NETWORK)) == champion.sha256:
        return champion
    if not has_registry(workspace):
        return None
    try:
        return None if version_of(workspace, champion) is None else champion
    except (StorageUnreachableError, CredentialsMissingError):
        return champion


def compare_with_champion(
    workspace: Workspace, network: Path, *, first: bool = False
) -> tuple[dict[str, Any], Any | None]:
    """What the comparison says, as JSON and as `models.expression.comparison.Comparison`; None where there is none.

    The check refuses a network whose error is greater by more than `registry.tolerance`, beyond doubt; the `first`
    network of a project is not refused, being compared for information alone.
    """
    from models.expression.runtime import read_contract

    sha256 = sha256_of(network)
    facts = {"sha256": sha256, "outcome": NOTHING_TO_COMPARE, "check": PASSED, "reason": "", "regressions": []}
    test_set = load_test_set(workspace)
    rival, path = _rival(workspace)
    facts["champion"] = rival
    if test_set is None or path is None:
        return facts | {"reason": skip_reason(workspace, "frozen_test_set") or "there is no champion yet"}, None
    faces, facts["test_set"] = test_set
    contract, other = read_contract(network), read_contract(path)
    if not np.allclose(contract.expression_std, other.expression_std, rtol=1e-3):
        reason = f"the champion speaks of another face model, '{other.face_model}'"
        return facts | {"reason": reason}, None
    settings = workspace.params.registry
    from models.expression.comparison import compare

    comparison = compare(
        _errors(network, faces),
        _errors(path, faces),
        faces.people,
        _groups(faces),
        resamples=settings.resamples,
        confidence=settings.confidence,
        seed=settings.seed,
    )
    worse = comparison.overall.worse_than(settings.tolerance)
    facts |= {
        "outcome": SAME if rival["sha256"] == sha256 else comparison.overall.verdict,
        "check": REFUSED_BY_CHECK if worse and not first else PASSED,
        "overall": _row(comparison.overall),
        "subgroups": {name: _row(found) for name, found in comparison.subgroups.items()},
        "regressions": comparison.regressions(settings.tolerance),
        "tolerance": settings.tolerance,
    }
    return facts, comparison


def _rival(workspace: Workspace) -> tuple[dict[str, str], Path | None]:
    """What a challenger is compared with: the champion, or before the first the network that trainings start from."""
    from models.expression.runtime import NETWORK
    from models.expression.shipped import SHIPPED_FOLDER, shipped_models

    if (path := workspace.data(CHAMPION, EXACT)).exists():
        about = json.loads(workspace.data(CHAMPION, CHAMPION_FILE).read_text())
        return {"name": f"version {about['version'] or 'without number'}", "sha256": about["sha256"]}, path
    name = workspace.params.deepexp3d.init_from
    if name in shipped_models():
        path = SHIPPED_FOLDER / name / NETWORK
        return {"name": f"{name}, which came along", "sha256": sha256_of(path)}, path
    return {"name": "none", "sha256": ""}, None


def _errors(network: Path, faces: FrozenTestSet) -> np.ndarray:
    """Mean squared error of e of each picture (F,), squared standard deviations; exact arithmetic, one thread."""
    from models.expression.runtime import NetworkSession

    session = NetworkSession.load(network, runtime="onnxruntime", threads=1)
    parts = [slice(start, start + BATCH) for start in range(0, len(faces.truth), BATCH)]
    found = np.concatenate([session(faces.aligned[part], faces.aligned_points[part]) for part in parts])
    return np.mean((found - faces.truth) ** 2, axis=1)


def _groups(faces: FrozenTestSet) -> dict[str, np.ndarray]:
    from models.expression.comparison import thirds, view_groups

    strength = np.sqrt(np.mean(faces.truth**2, axis=1))
    return {
        "view": view_groups(faces.yaw),
        "expression": thirds(strength, ("weak", "medium", "strong")),
        "shape of the face": thirds(faces.shape, ("common", "medium", "rare")),
        "skin": thirds(faces.skin, ("darker", "medium", "lighter")),
    }


def _row(found) -> dict[str, float | int | str]:
    return asdict(found) | {"change": found.change, "verdict": found.verdict}


def _card(workspace: Workspace, network: Path, facts: dict[str, Any]) -> str:
    """The model card, with what this project measured."""
    from models.expression.model_card import model_card
    from models.expression.runtime import read_contract

    metrics = json.loads(workspace.data("expression_evaluation", "metrics.json").read_text())
    exported = json.loads(workspace.data("deepexp3d_export", "export.json").read_text())
    prefix = f"{exported['exported']}_"
    figures = {
        name.removeprefix(prefix): value for name, value in metrics["unseen_people"].items() if name.startswith(prefix)
    }
    name = f"{workspace.params.deepexp3d_export.registered_name}, trained in this project"
    trained = f"This network was trained in this project, on {exported['trained_on']}."
    lines = [model_card(name, read_contract(network), figures), f"## This version\n\n{trained}"]
    if "overall" in facts:
        lines.append(
            f"Beside the champion ({facts['champion']['name']}) on the frozen test set:\n\n{table(_table(facts))}"
        )
    return "\n\n".join(lines) + "\n"


def _table(facts: dict[str, Any]) -> pd.DataFrame:
    rows = {"all": facts["overall"], **facts["subgroups"]}
    return pd.DataFrame(
        [
            {
                "pictures of": name,
                "challenger": row["challenger"],
                "champion": row["champion"],
                "change, %": 100 * row["change"],
                "from": 100 * row["low"],
                "to": 100 * row["high"],
                "verdict": "REGRESSION" if name in facts["regressions"] else row["verdict"],
            }
            for name, row in rows.items()
        ]
    )


def _log(record: ExperimentRecord, network: Path, facts: dict[str, Any], aliases: list[str]) -> None:
    """Everything about the version into one run: figures, files, signature, example, card and where it comes from."""
    import mlflow
    import onnx

    from models.expression.runtime import IMAGE_INPUT, LANDMARK_INPUT, read_contract

    workspace = record.workspace
    contract = read_contract(network)
    image = np.zeros((1, IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8)
    landmarks = contract.template[None].astype(np.float32)
    example = {IMAGE_INPUT: image, LANDMARK_INPUT: landmarks} if contract.landmark_input else image
    exported = json.loads(workspace.data("deepexp3d_export", "export.json").read_text())
    record.log_metrics({f"test_mse/{name}": value for name, value in exported["test_mse"].items()})
    if "overall" in facts:
        record.log_metrics(
            {f"comparison/{name}": facts["overall"][name] for name in ("challenger", "champion", "change")}
        )
        record.log_metrics({f"change/{_plain(name)}": row["change"] for name, row in facts["subgroups"].items()})
    record.log_file(network, VERSION_FILES)
    record.log_file(workspace.data("deepexp3d_export", TRAINING_DATA), VERSION_FILES)
    for path in sorted(workspace.data(STAGE).iterdir()):
        record.log_file(path, "review")
    for name in ("expressions.jpg", "robustness.png"):
        if (path := workspace.data("expression_evaluation", name)).exists():
            record.log_file(path, "figures")
    for stage in ("deepexp3d", "deepexp3d_finetuned"):
        if (path := workspace.data(stage, "curves.png")).exists():
            record.log_file(path, f"figures/{stage}")
    versions = versioning.path_versions(workspace.root)
    tags = {
        NETWORK_TAG: facts["sha256"],
        CHECK_TAG: facts["check"],
        "outcome": facts["outcome"],
        "regressions": "; ".join(facts["regressions"]),
        "compared_with": facts["champion"]["name"],
        **{name: str(exported[name]) for name in ("exported", "backbone", "trained_on")},
        **{f"dvc_md5.{path}": versions[path] for path in DATA_VERSIONS if path in versions},
    }
    record.log_model(
        MODEL,
        lambda target: mlflow.onnx.save_model(
            onnx.load(network),
            target,
            signature=mlflow.models.infer_signature(example, np.zeros((1, len(contract.expression_std)), np.float32)),
            input_example=example,
            # Left to itself MLflow would load the model in a process of its own to find these out.
            pip_requirements=["onnx", "onnxruntime", "numpy"],
        ),
        registered_name=workspace.params.deepexp3d_export.registered_name,
        tags=tags,
        aliases=aliases,
        description=_summary(facts),
    )


def _summary(facts: dict[str, Any]) -> str:
    """The version's description in the registry, Markdown."""
    if "overall" not in facts:
        return f"Not compared: {facts['reason']}. Card: `review/{CARD}` of its run."
    overall = facts["overall"]
    worse = ", ".join(facts["regressions"]) or "none"
    return (
        f"Mean squared error {overall['challenger']:.4f}, {facts['champion']['name']} {overall['champion']:.4f} "
        f"({100 * overall['change']:+.1f} %, between {100 * overall['low']:+.1f} and {100 * overall['high']:+.1f} %): "
        f"**{facts['outcome']}**, check {facts['check']}. Subgroups that got worse: {worse}. "
        f"Card and picture: `review/` of its run."
    )


def _plain(name: str) -> str:
    """A name as MLflow allows it."""
    return re.sub(r"[^\w. /-]", "", name)


def _shown(folder: Path, facts: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "outcome": facts["outcome"],
        "check": facts["check"],
        "compared with": facts["champion"]["name"],
    }
    if "overall" in facts:
        shown |= {
            "MSE of the challenger": facts["overall"]["challenger"],
            "MSE of the champion": facts["overall"]["champion"],
            "change, %": 100 * facts["overall"]["change"],
            "regressions": len(facts["regressions"]),
            "by subgroup": _table(facts),
            "picture": folder / FIGURE,
        }
    else:
        shown["why not compared"] = facts["reason"]
    return shown


@dg.asset(
    name=STAGE,
    group_name="registry",
    deps=["deepexp3d_export", "frozen_test_set", "expression_evaluation"],
    kinds={"mlflow", "onnx"},
)
def challenger_review(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """The new network beside the champion on the frozen test set, and its entry in the registry as `challenger`.

    A paired bootstrap over people gives the interval; subgroups that got worse are named. The check refuses a network
    that is worse beyond doubt. Any other waits for a person: `deepexp3d approve`, the review page, or the version's tag
    `review` in MLflow.
    """
    return materialise(context, workspace, review_challenger)


if __name__ == "__main__":
    main(STAGE, review_challenger)
