"""What people decide about networks: approve, refuse, promote, roll back; each with name, reason and a line in the
trail."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from assets import experiments
from assets.model_registry import (
    ACCESSIONS,
    APPROVED,
    CHAMPION,
    CHECK_TAG,
    NETWORK_TAG,
    PROMOTED,
    PROMOTED_TAG,
    REASON_TAG,
    REFUSED,
    REFUSED_BY_CHECK,
    REVIEW_TAG,
    REVIEWED_TAG,
    REVIEWER_TAG,
    ROLLED_BACK,
    SUPERSEDED,
    SUPERSEDED_TAG,
    TrailEntry,
    all_versions,
    append_to_trail,
    client,
    current_champion,
    get_version,
    has_registry,
    now,
    previous_champion,
    read_trail,
    registered_name,
    require_passed,
    version_files,
    version_of,
    version_of_alias,
)
from assets.workspace import Workspace
from models.errors import DeepExp3DError, ModelMismatchError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PendingReview:
    """A challenger that waits for a person.

    Attributes
    ----------
    version : in the registry
    check : "passed" or "refused"; a refused one cannot be approved
    outcome : "better", "worse", "undecided" or why nothing was compared
    regressions : subgroups that got worse
    compared_with : the champion at that time
    created : seconds since 1970, for people to read
    link : its run in MLflow
    tags : all that the registry says of it
    """

    version: int
    check: str
    outcome: str
    regressions: tuple[str, ...]
    compared_with: str
    created: float
    link: str
    tags: dict[str, str]


def pending_reviews(workspace: Workspace) -> list[PendingReview]:
    """Networks later than the champion on which nobody has decided, or whose approval was superseded, newest first.

    Raises
    ------
    StorageUnreachableError, CredentialsMissingError
        The registry does not answer, or refuses.
    """
    if not has_registry(workspace):
        return []
    champion = version_of_alias(workspace, CHAMPION)
    latest = int(champion.version) if champion else 0
    return [
        _pending(workspace, version)
        for version in all_versions(workspace)
        if int(version.version) > latest
        and version.tags.get(REVIEW_TAG, SUPERSEDED) == SUPERSEDED
        and NETWORK_TAG in version.tags
    ]


def review_files(workspace: Workspace, version: int | str) -> Path:
    """A folder with `comparison.json`, `comparison.png` (where there was a champion) and `card.md` of a version.

    Raises
    ------
    DeepExp3DError
        There is no such version.
    ModelMismatchError
        It was not made by the pipeline.
    StorageUnreachableError, CredentialsMissingError
        The registry does not answer, or refuses.
    """
    import mlflow

    found = get_version(workspace, version)
    if NETWORK_TAG not in found.tags:
        raise ModelMismatchError(
            f"{found.name} version {version} was not made by the pipeline: nothing is known of it."
        )
    folder = workspace.data(".registry", found.name, f"{version}-{found.tags[NETWORK_TAG][:12]}")
    if not (folder / "review" / "comparison.json").exists():
        with experiments.reaching(workspace):
            client(workspace)
            mlflow.artifacts.download_artifacts(f"runs:/{found.run_id}/review", dst_path=str(folder))
    return folder / "review"


def approve(workspace: Workspace, version: int | str, reviewer: str, reason: str) -> None:
    """Say that a challenger may become champion; `promote_approved`, or the sensor, makes it so.

    Raises
    ------
    DeepExp3DError
        Reviewer or reason is empty, there is no such version, somebody has decided already, or the check refused it.
    ModelMismatchError
        It is no DeepExp3D.
    StorageUnreachableError, CredentialsMissingError
        The registry does not answer, or refuses.
    """
    with _deciding(workspace):
        found = get_version(workspace, version)
        if found.tags.get(CHECK_TAG) == REFUSED_BY_CHECK:
            raise DeepExp3DError(
                f"{found.name} version {version}: the check refused it, being worse than the champion beyond doubt; "
                "approve another, or train again."
            )
        version_files(workspace, found)
        _decide(workspace, found, APPROVED, reviewer, reason)


def refuse(workspace: Workspace, version: int | str, reviewer: str, reason: str) -> None:
    """Say that a challenger shall not become champion; errors as of `approve`."""
    with _deciding(workspace):
        _decide(workspace, get_version(workspace, version), REFUSED, reviewer, reason)


def promote_approved(workspace: Workspace) -> list[TrailEntry]:
    """Bring the trail up to what people decided in MLflow: promote the newest approved version, or follow the alias.

    Older approvals are superseded by it.

    Returns
    -------
    The new lines of the trail.

    Raises
    ------
    ModelMismatchError
        What was approved, or what the alias points to, is no DeepExp3D; nothing was changed.
    DeepExp3DError
        The alias points to a version that the check refused; nothing was changed.
    StorageUnreachableError, CredentialsMissingError
        The registry does not answer, or refuses.
    """
    if not has_registry(workspace):
        return []
    with _deciding(workspace):
        champion = current_champion(workspace)
        alias = version_of_alias(workspace, CHAMPION)
        if alias is not None and champion is not None and alias.tags.get(NETWORK_TAG) != champion.sha256:
            tags = alias.tags
            reason = tags.get(REASON_TAG, "the alias was moved in MLflow")
            return _promoted(workspace, alias, PROMOTED, tags.get(REVIEWER_TAG, "MLflow"), reason)
        for version in all_versions(workspace):
            tags = version.tags
            if tags.get(REVIEW_TAG) != APPROVED or PROMOTED_TAG in tags:
                continue
            if alias is not None and int(version.version) <= int(alias.version):
                break
            if tags.get(CHECK_TAG) == REFUSED_BY_CHECK:
                log.warning("%s version %s is approved, but the check refused it: left.", version.name, version.version)
                continue
            reviewer = tags.get(REVIEWER_TAG, "a person in MLflow")
            return _promoted(workspace, version, PROMOTED, reviewer, tags.get(REASON_TAG, "approved in MLflow"))
    return []


def rollback(workspace: Workspace, reviewer: str, reason: str, to: int | str | None = None) -> TrailEntry:
    """Make an earlier version champion again: `to`, or the one before the present champion.

    Approvals that were not followed yet are superseded by it: nothing but a new decision brings another champion.

    Raises
    ------
    DeepExp3DError
        Reviewer or reason is empty, there is no earlier champion, no such version, or it never was champion, is it
        already, or was refused by the check.
    ModelMismatchError
        It is no DeepExp3D.
    StorageUnreachableError, CredentialsMissingError
        The registry does not answer, or refuses.
    """
    _signed(reviewer, reason)
    with _deciding(workspace):
        if to is None:
            earlier = previous_champion(read_trail(workspace))
            version = None if earlier is None else version_of(workspace, earlier)
            if version is None:
                raise DeepExp3DError(
                    f"{registered_name(workspace)}: there is no earlier champion to go back to; name a version by --to."
                )
        else:
            version = get_version(workspace, to)
            reigned = {entry.sha256 for entry in read_trail(workspace) if entry.event in ACCESSIONS}
            if version.tags.get(NETWORK_TAG) not in reigned:
                raise DeepExp3DError(
                    f"{version.name} version {to} was never champion: approve it instead (deepexp3d approve {to})."
                )
        champion = current_champion(workspace)
        alias = version_of_alias(workspace, CHAMPION)
        settled = champion is not None and champion.sha256 == version.tags.get(NETWORK_TAG)
        if settled and alias is not None and alias.version == version.version:
            raise DeepExp3DError(f"{version.name} version {version.version} is the champion already; name another.")
        return _promoted(workspace, version, ROLLED_BACK, reviewer, reason)[-1]


def _pending(workspace: Workspace, version: Any) -> PendingReview:
    tags = dict(version.tags)
    with experiments.reaching(workspace):
        experiment = client(workspace).get_run(version.run_id).info.experiment_id
    return PendingReview(
        version=int(version.version),
        check=tags.get(CHECK_TAG, ""),
        outcome=tags.get("outcome", ""),
        regressions=tuple(filter(None, tags.get("regressions", "").split("; "))),
        compared_with=tags.get("compared_with", ""),
        created=version.creation_timestamp / 1000,
        link=experiments.run_link(workspace, experiment, version.run_id),
        tags=tags,
    )


@contextmanager
def _deciding(workspace: Workspace) -> Iterator[None]:
    """One decision at a time."""
    try:
        with FileLock(workspace.path(".dvc", "registry-decision.lock"), timeout=120):
            yield
    except Timeout:
        raise DeepExp3DError("somebody else's decision has been under way for two minutes; try again.") from None


def _signed(reviewer: str, reason: str) -> None:
    if not reviewer.strip() or not reason.strip():
        raise DeepExp3DError("a decision needs the reviewer's name and a reason; give both.")


def _decide(workspace: Workspace, version: Any, event: str, reviewer: str, reason: str) -> None:
    _signed(reviewer, reason)
    if (decided := version.tags.get(REVIEW_TAG)) and decided != SUPERSEDED:
        raise DeepExp3DError(
            f"{version.name} version {version.version}: {version.tags.get(REVIEWER_TAG, 'somebody')} has {decided} it "
            f"already ({version.tags.get(REASON_TAG, 'no reason given')})."
        )
    sha256 = version.tags.get(NETWORK_TAG, "")
    # The decision's own tag comes last: without it nothing follows.
    tags = {REVIEWER_TAG: reviewer, REASON_TAG: reason, REVIEWED_TAG: now(), REVIEW_TAG: event}
    _tag(workspace, version, tags)
    append_to_trail(workspace, event, version=str(version.version), sha256=sha256, reviewer=reviewer, reason=reason)


def _promoted(workspace: Workspace, version: Any, event: str, reviewer: str, reason: str) -> list[TrailEntry]:
    """Set other approvals aside, move the alias and write the line; returns the new lines, this one last.

    Killed before the alias is moved, it begins again as long as the decision stands. Killed after that, the alias is
    ahead, and `promote_approved` catches up.
    """
    require_passed(version)
    version_files(workspace, version)
    before = version_of_alias(workspace, CHAMPION)
    superseded = _superseded(workspace, version, event, reviewer)
    with experiments.reaching(workspace):
        client(workspace).set_registered_model_alias(registered_name(workspace), CHAMPION, version.version)
    # Not before the alias: what bears the tag is never promoted again.
    _tag(workspace, version, {PROMOTED_TAG: now(), "promoted_by": reviewer, "promoted_reason": reason})
    if before is not None and before.version != version.version:
        _tag(workspace, before, {"replaced_by": str(version.version)})
    entry = append_to_trail(
        workspace,
        event,
        version=str(version.version),
        sha256=version.tags[NETWORK_TAG],
        reviewer=reviewer,
        reason=reason,
    )
    return [*superseded, entry]


def _superseded(workspace: Workspace, champion: Any, event: str, reviewer: str) -> list[TrailEntry]:
    """Mark what is approved and not promoted: else it would follow unasked once an older version is champion again."""
    entries = []
    for version in all_versions(workspace):
        tags = version.tags
        if version.version == champion.version or tags.get(REVIEW_TAG) != APPROVED or PROMOTED_TAG in tags:
            continue
        done = "was promoted in its place" if event == PROMOTED else "became champion again before it was promoted"
        entry = append_to_trail(
            workspace,
            SUPERSEDED,
            version=str(version.version),
            sha256=tags.get(NETWORK_TAG, ""),
            reviewer=reviewer,
            reason=f"version {champion.version} {done}",
        )
        _tag(workspace, version, {SUPERSEDED_TAG: str(champion.version), REVIEW_TAG: SUPERSEDED})
        entries.append(entry)
    return entries


def _tag(workspace: Workspace, version: Any, tags: dict[str, str]) -> None:
    with experiments.reaching(workspace):
        api = client(workspace)
        for name, value in tags.items():
            api.set_model_version_tag(version.name, version.version, name, value)
