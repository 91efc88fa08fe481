"""The network in use: what the registry's trail names, ready for processors, with what it has learned from."""

import json
import logging
import shutil
from pathlib import Path

import dagster as dg
import numpy as np

from assets import experiments
from assets.expression_drift import TRAINING_DATA
from assets.frozen_test_set import load_test_set
from assets.model_registry import (
    CHAMPION_FILE,
    EXACT,
    INT8_FILES,
    INT8_TAG,
    TrailEntry,
    champion_identity,
    client,
    current_champion,
    registered_name,
    version_files,
    version_of,
)
from assets.stage import StageResult, WorkspaceResource, main, materialise
from assets.workspace import Workspace
from models.errors import CredentialsMissingError, DeepExp3DError, StorageUnreachableError
from models.packages import sha256_of
from models.storage import written_whole

log = logging.getLogger(__name__)

STAGE = "champion"


def follow_champion(workspace: Workspace) -> StageResult:
    """Bring the files of the champion that `reviews/registry.csv` names to `data/champion`.

    `network.onnx` computes in 8 bits; `exact.onnx` is the network as it was exported.

    Raises
    ------
    DeepExp3DError
        There is no champion, or its files are nowhere.
    """
    from models.expression.runtime import NETWORK

    entry = current_champion(workspace)
    if entry is None:
        raise DeepExp3DError(f"{workspace.path('reviews', 'registry.csv')}: names no champion; run challenger_review.")
    folder = workspace.data(STAGE)
    if champion_identity(workspace) != entry.sha256 or not (folder / NETWORK).exists():
        source = _source(workspace, entry)
        (folder / CHAMPION_FILE).unlink(missing_ok=True)
        for name, origin in {EXACT: source / NETWORK, TRAINING_DATA: source / TRAINING_DATA}.items():
            with written_whole(folder / name) as path:
                shutil.copyfile(origin, path)
        _write_int8(workspace, source, folder)
    facts = {"name": registered_name(workspace), "version": entry.version, "sha256": entry.sha256}
    # Last: a folder without it is not finished.
    with written_whole(folder / CHAMPION_FILE) as path:
        path.write_text(json.dumps(facts, indent=1) + "\n")
    published = _published(workspace, entry, folder / NETWORK)
    return StageResult(
        {
            "version": entry.version or "not registered yet",
            "event": f"{entry.event} by {entry.reviewer} at {entry.time}: {entry.reason}",
            "size of the 8-bit network, MB": (folder / NETWORK).stat().st_size / 1e6,
            **_quantisation_error(workspace, folder),
            "8-bit network in the registry": published,
        }
    )


def _source(workspace: Workspace, entry: TrailEntry) -> Path:
    """A folder with the champion's `network.onnx` and `training_data.npz`: the last export, or the registry."""
    from models.expression.runtime import NETWORK

    export = workspace.data("deepexp3d_export")
    if (export / NETWORK).exists() and sha256_of(export / NETWORK) == entry.sha256:
        return export
    version = version_of(workspace, entry)
    if version is None:
        raise DeepExp3DError(
            f"{export / NETWORK}: is not the champion of reviews/registry.csv (sha256 {entry.sha256[:12]}), and "
            f"{experiments.tracking_uri(workspace)} does not have that either; deliver what waits (deepexp3d upload), "
            "or name the registry that has it in MLFLOW_TRACKING_URI."
        )
    return version_files(workspace, version)


def _write_int8(workspace: Workspace, source: Path, folder: Path) -> None:
    """The 8-bit network: as it was made at the first promotion, else made on half of the test people."""
    from models.expression.quantisation import quantise
    from models.expression.runtime import NETWORK, read_contract

    made = source / INT8_FILES / NETWORK
    test_set = load_test_set(workspace)
    if made.exists() or test_set is None:
        with written_whole(folder / NETWORK) as path:
            shutil.copyfile(made if made.exists() else folder / EXACT, path)
        return
    faces = test_set[0]
    chosen = _calibration_half(faces.people)
    landmarks = faces.aligned_points[chosen] if read_contract(folder / EXACT).landmark_input else None
    quantise(folder / EXACT, faces.aligned[chosen], landmarks, folder / NETWORK)


def _calibration_half(people: np.ndarray) -> np.ndarray:
    """Mask (F,) of the pictures of every second person."""
    return np.isin(people, np.unique(people)[::2])


def _quantisation_error(workspace: Workspace, folder: Path) -> dict[str, float]:
    """By how much 8 bits raise the error, on the people on whom the ranges were not found."""
    from models.expression.quantisation import relative_mse_increase
    from models.expression.runtime import NETWORK, NetworkSession

    if (test_set := load_test_set(workspace)) is None:
        return {}
    faces = test_set[0]
    others = ~_calibration_half(faces.people)
    exact, rounded = (
        NetworkSession.load(folder / name, runtime="onnxruntime", threads=1)(
            faces.aligned[others], faces.aligned_points[others]
        )
        for name in (EXACT, NETWORK)
    )
    return {"error added by 8 bits, %": 100 * relative_mse_increase(rounded, exact, faces.truth[others])}


def _published(workspace: Workspace, entry: TrailEntry, network: Path) -> str:
    """Put the 8-bit network beside its version, for machines that have the registry alone; says whether it is there."""
    sha256 = sha256_of(network)
    try:
        version = version_of(workspace, entry)
        if version is None:
            return "waits for the registry"
        if version.tags.get(INT8_TAG) != sha256:
            with experiments.reaching(workspace):
                api = client(workspace)
                api.log_artifact(version.run_id, str(network), INT8_FILES)
                api.set_model_version_tag(version.name, version.version, INT8_TAG, sha256)
    except (StorageUnreachableError, CredentialsMissingError) as error:
        log.warning("%s The champion is in use here all the same.", error)
        return "waits for the registry"
    return "yes"


@dg.asset(
    name=STAGE,
    group_name="registry",
    deps=["challenger_review", "frozen_test_set"],
    kinds={"onnx", "mlflow"},
)
def champion(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """The network that `predict`, `serve` and the emotion classifiers use, in 8 bits.

    It follows the last promotion or rollback in `reviews/registry.csv`, which the sensor `registry_changes` writes once
    a person has approved a challenger.
    """
    return materialise(context, workspace, follow_champion)


if __name__ == "__main__":
    main(STAGE, follow_champion)
