"""The pictures on which networks are compared: the same ones for every challenger, for years."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import dagster as dg
import numpy as np

from assets.landmarks import warm_backend
from assets.morphable_model import load_model, no_synthetic_heads
from assets.stage import StageResult, WorkspaceResource, main, materialise, skip_reason, skipped
from assets.workspace import Workspace
from models.packages import sha256_of
from models.storage import load_arrays, save_arrays, written_whole

STAGE = "frozen_test_set"
FACES, IDENTITY = "faces.npz", "identity.json"


@dataclass(frozen=True)
class FrozenTestSet:
    """Aligned faces of known expression.

    Attributes
    ----------
    aligned : (F, 224, 224, 3) uint8
    aligned_points : (F, 68, 2) what the detector found, pixels of `aligned`
    truth : (F, n_e) expression in standard deviations
    people : (F,) names
    yaw : (F,) degrees
    shape : (F,) root mean square of the person's identity, standard deviations
    skin : (F,) how light the person's face is in the pictures, 0 to 1
    """

    aligned: np.ndarray
    aligned_points: np.ndarray
    truth: np.ndarray
    people: np.ndarray
    yaw: np.ndarray
    shape: np.ndarray
    skin: np.ndarray

    @classmethod
    def load(cls, path: Path | str) -> "FrozenTestSet":
        """Read the arrays."""
        return cls(**load_arrays(path))


def freeze_test_set(workspace: Workspace) -> StageResult:
    """Render the test people once. A set that is there stays as it is, whatever became of the renderer since.

    Another face model, or other settings of `registry.test_set`, make another set: its name, the hash of its file, is
    in every comparison.
    """
    reason = no_synthetic_heads(workspace)
    if workspace.params.landmarks.backend == "recorded":
        reason = "skipped: recorded landmarks know nothing of rendered people"
    if reason:
        return skipped(workspace, STAGE, reason)
    folder = workspace.data(STAGE)
    wanted = asked_for(workspace)
    path = folder / IDENTITY
    known = json.loads(path.read_text()) if path.exists() else {}
    if known.get("asked_for") != wanted or not (folder / FACES).exists():
        save_arrays(folder / FACES, **vars(_rendered(workspace)))
        known = {"asked_for": wanted, "sha256": sha256_of(folder / FACES)}
        with written_whole(path) as temporary:
            temporary.write_text(json.dumps(known, indent=1) + "\n")
    faces = FrozenTestSet.load(folder / FACES)
    return StageResult({"pictures": len(faces.truth), "people": len(np.unique(faces.people)), "set": known["sha256"]})


def load_test_set(workspace: Workspace) -> tuple[FrozenTestSet, str] | None:
    """The frozen set and its name; None where there is none (`skip_reason` says why)."""
    if skip_reason(workspace, STAGE):
        return None
    folder = workspace.data(STAGE)
    return FrozenTestSet.load(folder / FACES), json.loads((folder / IDENTITY).read_text())["sha256"]


def asked_for(workspace: Workspace) -> dict:
    """What a set is made from, as plain JSON: another answer asks for another set."""
    model = load_model(workspace)
    return {
        "face_model": model.name,
        "expression_std": np.round(model.expression_std, 6).tolist(),
        "landmarks": workspace.params.landmarks.backend,
        **workspace.params.registry.test_set.model_dump(mode="json"),
    }


def _rendered(workspace: Workspace) -> FrozenTestSet:
    from models.expression.alignment import template
    from models.expression.evaluation_settings import UnseenSettings
    from models.expression.observed_faces import observe
    from models.expression.predictor import head_angles
    from models.expression.unseen_people import moments
    from models.fitting.pose import estimate_pose

    settings = workspace.params.registry.test_set
    model = load_model(workspace)
    unseen = UnseenSettings(people=settings.people, moments=settings.moments, largest_yaw=settings.largest_yaw)
    known = []

    def images():
        for face in moments(model, unseen, seed=settings.seed):
            known.append(replace(face, image=face.image[:0]))
            yield face.image

    found = observe(images(), warm_backend(workspace.params.landmarks), template(model))
    chosen = np.flatnonzero(found.found)
    expression = np.stack([face.expression for face in known])[chosen]
    landmarks = np.stack([face.landmarks for face in known])[chosen]
    identity = np.stack([face.identity for face in known])[chosen]
    people = np.array([f"rendered {face.subject}" for face in known])[chosen]
    moved = np.einsum("lck,fk->flc", model.landmark_expression_basis, expression)
    aligned = found.aligned[chosen]
    return FrozenTestSet(
        aligned=aligned,
        aligned_points=found.aligned_points[chosen],
        truth=expression / model.expression_std,
        people=people,
        yaw=head_angles(estimate_pose(model.landmark_mean + moved, landmarks).rotation)[:, 0],
        shape=np.sqrt(np.mean((identity / model.identity_std) ** 2, axis=1)),
        skin=_lightness(aligned, people),
    )


def _lightness(aligned: np.ndarray, people: np.ndarray) -> np.ndarray:
    """How light each person's cheeks and nose are: the median over all pictures, as lamps differ between them."""
    middle = aligned[:, 90:160, 62:162].mean(axis=(1, 2, 3)) / 255
    names, index = np.unique(people, return_inverse=True)
    return np.array([np.median(middle[index == place]) for place in range(len(names))])[index]


@dg.asset(
    name=STAGE,
    group_name="registry",
    deps=["morphable_model", "landmark_weights"],
    kinds={"dvc"},
)
def frozen_test_set(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """Rendered people of known expression, whom no training shows, as the real detector sees them: made once, kept."""
    return materialise(context, workspace, freeze_test_set)


if __name__ == "__main__":
    main(STAGE, freeze_test_set)
