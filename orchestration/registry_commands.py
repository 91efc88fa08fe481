"""What the registry's commands do and say."""

from assets import registry_review
from assets.champion import follow_champion
from assets.experiment_record import waiting_records
from assets.model_registry import CHAMPION, EXACT, current_champion, has_registry, read_trail
from assets.workspace import Workspace
from models.errors import DeepExp3DError

LINES_SHOWN = 12


def versions_text(workspace: Workspace) -> str:
    """Champion, those that wait, and the last lines of the trail.

    Raises
    ------
    StorageUnreachableError, CredentialsMissingError
        The registry does not answer, or refuses.
    """
    champion = current_champion(workspace)
    lines = ["no champion yet"]
    if champion is not None:
        about = f"{champion.event} by {champion.reviewer} at {champion.time}: {champion.reason}"
        lines = [f"champion    {champion.version or 'without number'}  {about}"]
    for found in registry_review.pending_reviews(workspace) if has_registry(workspace) else []:
        lines.append(f"challenger  {found.version}  {found.outcome}, check {found.check}  {found.link}")
        lines += [f"            worse in {name}" for name in found.regressions]
    if waiting := waiting_records(workspace):
        lines.append(f"{len(waiting)} runs wait for MLflow: deepexp3d upload")
    lines += ["", "what happened:"]
    for entry in read_trail(workspace)[-LINES_SHOWN:]:
        lines.append(f"  {entry.time}  {entry.event:11} {entry.version:>3}  {entry.reviewer}: {entry.reason}")
    return "\n".join(lines)


def approve_and_promote(workspace: Workspace, version: int, reviewer: str, reason: str) -> str:
    """Approve a version, make it champion, and bring it into use here; returns what to say.

    Raises
    ------
    DeepExp3DError
        As `assets.registry_review.approve`.
    """
    registry_review.approve(workspace, version, reviewer, reason)
    registry_review.promote_approved(workspace)
    return _in_use(workspace)


def roll_back_and_use(workspace: Workspace, reviewer: str, reason: str, to: int | None) -> str:
    """Roll back, and bring the earlier network into use here; returns what to say.

    Raises
    ------
    DeepExp3DError
        As `assets.registry_review.rollback`.
    """
    registry_review.rollback(workspace, reviewer, reason, to)
    return _in_use(workspace)


def _in_use(workspace: Workspace) -> str:
    champion = current_champion(workspace)
    if champion is None:
        raise DeepExp3DError("the registry's trail names no champion; run the pipeline (make run).")
    # A machine that only has the registry fetches the champion when it predicts.
    if not workspace.data(CHAMPION, EXACT).exists():
        return f"version {champion.version} is champion"
    follow_champion(workspace)
    return (
        f"version {champion.version} is champion and in use; its classifiers follow with the next `make run`, or by "
        "themselves where Dagster's automation is on"
    )
