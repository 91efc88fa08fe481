"""The registry of networks: who is champion, how it came to be, and where its files are.

MLflow holds the versions and the alias `champion`. `reviews/registry.csv`, under version control, tells what happened,
line by line; the order of its lines counts, never their times, so that a clock that jumps changes nothing.
"""

import csv
import io
import json
import logging
import shutil
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from assets import experiments
from assets.workspace import Workspace
from models.errors import CredentialsMissingError, DeepExp3DError, ModelMismatchError, StorageUnreachableError
from models.packages import sha256_of
from models.storage import written_whole

log = logging.getLogger(__name__)

CHAMPION, CHALLENGER = "champion", "challenger"
FIRST, APPROVED, REFUSED, PROMOTED, ROLLED_BACK = "first", "approved", "refused", "promoted", "rolled back"
# Of an approval, when another version became champion before it was followed.
SUPERSEDED = "superseded"
# Events after which another network is champion.
ACCESSIONS = (FIRST, PROMOTED, ROLLED_BACK)

# Tags of a version.
REVIEW_TAG, REVIEWER_TAG, REASON_TAG, REVIEWED_TAG = "review", "reviewer", "review_reason", "reviewed_at"
NETWORK_TAG, INT8_TAG, CHECK_TAG, PROMOTED_TAG = "network_sha256", "int8_sha256", "check", "promoted_at"
SUPERSEDED_TAG = "superseded_by"
# Values of the tag `check`.
PASSED, REFUSED_BY_CHECK = "passed", "refused"
# Folders of a version's run that hold its own files, and those of the 8-bit network made at its promotion.
VERSION_FILES, INT8_FILES = "network", "int8"
# What a champion's folder says of itself.
CHAMPION_FILE = "registry.json"
EXACT = "exact.onnx"


@dataclass(frozen=True)
class TrailEntry:
    """A line of the trail.

    Attributes
    ----------
    event : "first", "approved", "refused", "superseded", "promoted" or "rolled back"
    version : in the registry; empty where it had none yet, the registry having been out of reach
    sha256 : of `network.onnx`, in 32-bit floating point
    replaces : version of the champion before
    reviewer, reason : who, and why
    time : ISO 8601, UTC
    """

    event: str
    version: str
    sha256: str
    replaces: str
    reviewer: str
    reason: str
    time: str


COLUMNS = [field.name for field in fields(TrailEntry)]


def classifier_name(benchmark: str) -> str:
    """Registered name of a benchmark's emotion classifier."""
    return f"emotion-{benchmark}"


def trail_path(workspace: Workspace) -> Path:
    """The file of the trail."""
    return workspace.path("reviews", "registry.csv")


def read_trail(workspace: Workspace) -> list[TrailEntry]:
    """What happened, the oldest first.

    Raises
    ------
    DeepExp3DError
        The file lacks a column, or names an event that there is not.
    """
    path = trail_path(workspace)
    if not path.exists():
        return []
    with open(path, newline="") as file:
        rows = csv.DictReader(file)
        if missing := [name for name in COLUMNS if name not in (rows.fieldnames or [])]:
            raise DeepExp3DError(
                f"{path}: lacks the column {', '.join(missing)}; its first line is {','.join(COLUMNS)}."
            )
        trail = [TrailEntry(**{name: row[name] or "" for name in COLUMNS}) for row in rows]
    for line, entry in enumerate(trail, start=2):
        if entry.event not in (APPROVED, REFUSED, SUPERSEDED, *ACCESSIONS):
            raise DeepExp3DError(f"{path}, line {line}: there is no event '{entry.event}'; correct it.")
    return trail


def current_champion(workspace: Workspace) -> TrailEntry | None:
    """The line that made the present champion; None before the first."""
    return next((entry for entry in reversed(read_trail(workspace)) if entry.event in ACCESSIONS), None)


def previous_champion(trail: list[TrailEntry]) -> TrailEntry | None:
    """The champion that a rollback goes back to: rolling back twice goes back two versions, not there and back."""
    reigns: list[TrailEntry] = []
    for entry in trail:
        if entry.event == ROLLED_BACK:
            earlier = [place for place, reign in enumerate(reigns) if reign.sha256 == entry.sha256]
            reigns = reigns[: earlier[-1]] if earlier else reigns
        if entry.event in ACCESSIONS:
            reigns.append(entry)
    return reigns[-2] if len(reigns) > 1 else None


def append_to_trail(
    workspace: Workspace, event: str, *, version: str, sha256: str, reviewer: str, reason: str
) -> TrailEntry:
    """Add a line, whole or not at all; two reviewers at once wait for one another."""
    path = trail_path(workspace)
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(workspace.path(".dvc", "registry-trail.lock")):
        trail = read_trail(workspace)
        champion = current_champion(workspace)
        entry = TrailEntry(
            event=event,
            version=version,
            sha256=sha256,
            replaces=champion.version if champion and event in ACCESSIONS else "",
            reviewer=reviewer,
            reason=reason,
            time=now(),
        )
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(map(asdict, [*trail, entry]))
        with written_whole(path) as temporary:
            temporary.write_text(text.getvalue())
    return entry


def now() -> str:
    """The time, for people to read: ISO 8601, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def has_registry(workspace: Workspace) -> bool:
    """Whether there is a registry to ask: a server, or the project's own database once something was logged."""
    address = experiments.tracking_uri(workspace)
    return not address.startswith("sqlite:///") or Path(address.removeprefix("sqlite:///")).exists()


def registered_name(workspace: Workspace) -> str:
    """Under which name networks are registered."""
    return workspace.params.deepexp3d_export.registered_name


def client(workspace: Workspace):
    """MLflow's client of the project's registry; use it within `experiments.reaching`."""
    return experiments.connect(workspace, "challenger_review").MlflowClient()


def version_of_alias(workspace: Workspace, alias: str) -> Any | None:
    """The version that an alias points to; None where nothing has that alias.

    Raises
    ------
    StorageUnreachableError, CredentialsMissingError
        The registry does not answer, or refuses.
    """
    from mlflow.exceptions import MlflowException

    with experiments.reaching(workspace):
        try:
            return client(workspace).get_model_version_by_alias(registered_name(workspace), alias)
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise


def get_version(workspace: Workspace, version: str | int) -> Any:
    """A version of the network.

    Raises
    ------
    DeepExp3DError
        There is no such version.
    StorageUnreachableError, CredentialsMissingError
        The registry does not answer, or refuses.
    """
    from mlflow.exceptions import MlflowException

    name = registered_name(workspace)
    with experiments.reaching(workspace):
        try:
            return client(workspace).get_model_version(name, str(version))
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
    raise DeepExp3DError(f"{name} has no version {version}; `deepexp3d versions` lists those that it has.")


def version_of(workspace: Workspace, entry: TrailEntry) -> Any | None:
    """The version that a line of the trail speaks of: by its file, for numbers are those of one registry alone.

    None where the registry does not have it (yet); errors as of `version_of_alias`.
    """
    found = [one for one in all_versions(workspace) if one.tags.get(NETWORK_TAG) == entry.sha256]
    numbered = [one for one in found if str(one.version) == entry.version]
    return next(iter(numbered or found), None)


def all_versions(workspace: Workspace) -> list[Any]:
    """Every version of the network, the newest first; errors as of `version_of_alias`."""
    with experiments.reaching(workspace):
        found = client(workspace).search_model_versions(f"name = '{registered_name(workspace)}'")
    return sorted(found, key=lambda version: -int(version.version))


def require_passed(version: Any) -> None:
    """Let no version become or stay champion that is worse than one before it.

    Raises
    ------
    DeepExp3DError
        The blocking check refused the version.
    """
    if version.tags.get(CHECK_TAG) == REFUSED_BY_CHECK:
        raise DeepExp3DError(
            f"{version.name} version {version.version}: the check refused it, being worse than the champion beyond "
            "doubt, and it cannot be champion; point the alias to a version that passed (`deepexp3d rollback --to N` "
            "does), or train again."
        )


def version_files(workspace: Workspace, version: Any) -> Path:
    """A folder with a version's files, from the registry once and from `data/.registry` afterwards.

    It holds `network.onnx` as exported and, where the version was champion once, `int8/network.onnx`.

    Raises
    ------
    ModelMismatchError
        The version is no DeepExp3D, or not the file that was registered.
    StorageUnreachableError, CredentialsMissingError
        The registry does not answer, or refuses.
    """
    from models.expression.runtime import NETWORK, read_contract

    cure = "point the alias to a version that the pipeline registered (`deepexp3d rollback` does)."
    what = f"{version.name} version {version.version}"
    if NETWORK_TAG not in version.tags or not version.run_id:
        raise ModelMismatchError(f"{what} is no DeepExp3D: it has no tag {NETWORK_TAG}, or no run; {cure}")
    folder = workspace.data(".registry", version.name, f"{version.version}-{version.tags[NETWORK_TAG][:12]}")
    wanted = {VERSION_FILES: (folder, version.tags[NETWORK_TAG])}
    if INT8_TAG in version.tags:
        wanted[INT8_FILES] = (folder / INT8_FILES, version.tags[INT8_TAG])
    for files, (target, sha256) in wanted.items():
        if not _is(target / NETWORK, sha256):
            _download(workspace, version, files, target)
            if not _is(target / NETWORK, sha256):
                raise ModelMismatchError(f"{what}: {files}/{NETWORK} is not the file that was registered; {cure}")
            read_contract(target / NETWORK)
    return folder


def champion_folder(workspace: Workspace) -> Path:
    """The folder of the champion's network, as a predictor takes it: it follows the alias in the registry.

    The project's own `data/champion` where that is it, else a verified copy by version below `data/.registry`, with the
    classifier that belongs to it where the registry has one. While the registry is out of reach the last known champion
    goes on serving.

    Raises
    ------
    ModelMismatchError
        The alias points to something that is no DeepExp3D.
    DeepExp3DError
        There is no champion yet, or the alias points to a version that the check refused.
    StorageUnreachableError, CredentialsMissingError
        The registry does not answer, or refuses, and no champion is known here.
    """
    return _folder_of_alias(workspace, CHAMPION)


def model_of_name(workspace: Workspace, name: str | None) -> str | Path | None:
    """What `Predictor.load` takes: the folder of "champion" or "challenger", any other name as it is."""
    return _folder_of_alias(workspace, name) if name in (CHAMPION, CHALLENGER) else name


def _folder_of_alias(workspace: Workspace, alias: str) -> Path:
    from models.expression.runtime import NETWORK

    own = workspace.data(CHAMPION)
    known = workspace.data(".registry", f"{alias}.json")
    try:
        version = version_of_alias(workspace, alias) if has_registry(workspace) else None
    except (StorageUnreachableError, CredentialsMissingError) as error:
        last = own if alias == CHAMPION else Path()
        if known.exists():
            last = workspace.root / json.loads(known.read_text())["folder"]
        if not (last / NETWORK).exists():
            raise
        log.warning("%s The last known %s is used: %s", error, alias, last)
        return last
    if version is None:
        if alias == CHAMPION and (own / NETWORK).exists():
            return own
        raise DeepExp3DError(
            f"{registered_name(workspace)} has no {alias} in {experiments.tracking_uri(workspace)}; "
            "run the pipeline (make run), or name a network."
        )
    if alias == CHAMPION:
        require_passed(version)
    folder = version_files(workspace, version)
    if alias == CHAMPION and champion_identity(workspace) == version.tags[NETWORK_TAG]:
        folder = own
    elif (folder / INT8_FILES / NETWORK).exists():
        folder = folder / INT8_FILES
    if folder != own:
        _fetch_classifier(workspace, folder)
    with written_whole(known) as path:
        path.write_text(json.dumps({"folder": str(folder.relative_to(workspace.root)), "version": version.version}))
    return folder


def champion_identity(workspace: Workspace) -> str | None:
    """The hash of the exact network whose files `data/champion` holds; None where it holds none."""
    path = workspace.data(CHAMPION, CHAMPION_FILE)
    return json.loads(path.read_text())["sha256"] if path.exists() else None


def _fetch_classifier(workspace: Workspace, folder: Path) -> None:
    """Put beside a network the newest emotion classifier that was trained on what it reads, if there is one."""
    from models.expression.runtime import CLASSIFIER, NETWORK

    if (folder / CLASSIFIER).exists():
        return
    sha256 = sha256_of(folder / NETWORK)
    with experiments.reaching(workspace):
        api = client(workspace)
        for benchmark in ("custom", "synthetic"):
            name = classifier_name(benchmark)
            found = api.search_model_versions(f"name = '{name}' and tags.`{NETWORK_TAG}` = '{sha256}'")
            for version in sorted(found, key=lambda one: -int(one.version))[:1]:
                uri = api.get_model_version_download_uri(name, version.version)
                with written_whole(folder / CLASSIFIER) as path:
                    shutil.copyfile(_artifact(f"{uri}/{CLASSIFIER_FILE}", folder), path)
                return


# As MLflow's scikit-learn flavour calls it.
CLASSIFIER_FILE = "model.skops"


def _artifact(uri: str, folder: Path) -> str:
    import mlflow

    return mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(folder / ".download"))


def _download(workspace: Workspace, version: Any, files: str, target: Path) -> None:
    with experiments.reaching(workspace):
        client(workspace)
        found = Path(_artifact(f"runs:/{version.run_id}/{files}", target))
        target.mkdir(parents=True, exist_ok=True)
        for path in found.iterdir():
            path.replace(target / path.name)
    shutil.rmtree(target / ".download", ignore_errors=True)


def _is(path: Path, sha256: str) -> bool:
    return path.is_file() and sha256_of(path) == sha256
