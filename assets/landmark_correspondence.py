"""Where the landmark detector's points lie on the face model, and how they err."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import dagster as dg
import numpy as np
import pandas as pd

from assets.landmarks import warm_backend
from assets.morphable_model import load_model, model_path, no_synthetic_heads
from assets.params import Landmarks
from assets.pool import each
from assets.stage import StageResult, WorkspaceResource, main, materialise
from assets.workspace import Workspace
from models.errors import DeepExp3DError, ModelMismatchError
from models.landmarks.settings import CorrespondenceSettings
from models.morphable_model import MorphableModel
from models.morphable_model.detector_errors import DetectorErrors
from models.morphable_model.model import INNER_LIPS, JAW, LEFT_BROW, LEFT_EYE, NOSE, OUTER_LIPS, RIGHT_BROW, RIGHT_EYE
from models.storage import load_arrays, save_arrays

if TYPE_CHECKING:
    from models.landmarks.correspondence import Sighting

STAGE = "landmark_correspondence"
# Enough that loading the model does not matter, few enough that all processes end together.
PEOPLE_PER_JOB = 5
REGIONS = {
    "jaw": JAW,
    "brows": np.r_[RIGHT_BROW, LEFT_BROW],
    "nose": NOSE,
    "eyes": np.r_[RIGHT_EYE, LEFT_EYE],
    "mouth": np.r_[OUTER_LIPS, INNER_LIPS],
}


@dataclass(frozen=True)
class SightingJob:
    """A few rendered people for the detector to look at."""

    people: range
    model: Path
    detector: Landmarks
    settings: CorrespondenceSettings

    def __str__(self) -> str:
        return f"rendered people {self.people.start} to {self.people.stop - 1}"


def learn_landmark_correspondence(workspace: Workspace) -> StageResult:
    """Learn the errors of the chosen backend's points on rendered heads.

    Recorded points count as the model's own, and so do all where the face model cannot be rendered as a head.
    """
    from models.landmarks.correspondence import Correspondence, correspondence_of

    chosen = workspace.params.landmarks
    reason = no_synthetic_heads(workspace)
    if chosen.backend == "recorded" or reason:
        none = DetectorErrors.none(68, load_model(workspace).expression_size)
        found = Correspondence(none, np.zeros(68), np.zeros(68), 0)
    else:
        found = correspondence_of(
            load_model(workspace), _sightings(workspace), workspace.params.landmark_correspondence
        )
    save_arrays(offsets_path(workspace), before=found.before, after=found.after, **found.errors.arrays())
    rows = [
        {
            "region": name,
            "without offsets, %": float(100 * found.before[points].mean()),
            "with offsets, %": float(100 * found.after[points].mean()),
        }
        for name, points in REGIONS.items()
    ]
    return StageResult(
        {
            "backend": chosen.backend,
            "pictures": found.pictures,
            "status": reason or "learned",
            "data": "synthetic",
            "distance from the model's points, of the inter-ocular distance": pd.DataFrame(rows),
        }
    )


def look_at_people(job: SightingJob) -> list["Sighting"]:
    """What the detector finds of the people of a job."""
    from models.landmarks.correspondence import sightings_of

    model, backend = MorphableModel.load(job.model), warm_backend(job.detector)
    return [seen for person in job.people for seen in sightings_of(model, backend, person, job.settings)]


def _sightings(workspace: Workspace) -> list["Sighting"]:
    """Of all people, in their order: which process was quicker must not matter.

    Raises
    ------
    WeightsMissingError
        The detector cannot be had.
    """
    settings = workspace.params.landmark_correspondence
    jobs = [
        SightingJob(
            people=range(start, min(start + PEOPLE_PER_JOB, settings.people)),
            model=model_path(workspace),
            detector=workspace.params.landmarks,
            settings=settings,
        )
        for start in range(0, settings.people, PEOPLE_PER_JOB)
    ]
    found = {}
    for job, outcome in each(look_at_people, jobs, workspace.workers, "detector on the model"):
        if isinstance(outcome, DeepExp3DError):
            raise outcome
        found[job.people.start] = outcome
    return [seen for start in sorted(found) for seen in found[start]]


def load_detector_model(workspace: Workspace) -> MorphableModel:
    """The face model whose landmarks are those that the landmark backend finds."""
    return load_model(workspace).with_detector(read_detector_errors(offsets_path(workspace)))


def read_detector_errors(path: Path) -> DetectorErrors:
    """How the detector's points differ from the model's landmarks, from the file of this stage.

    Raises
    ------
    ModelMismatchError
        The file is missing or damaged.
    """
    try:
        arrays = load_arrays(path)
        return DetectorErrors(**{item.name: arrays[item.name] for item in fields(DetectorErrors)})
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise ModelMismatchError(
            f"{path}: no readable offsets ({error}); make them with `python -m assets.landmark_correspondence`."
        ) from error


def offsets_path(workspace: Workspace) -> Path:
    return workspace.data(STAGE, "offsets.npz")


@dg.asset(name=STAGE, group_name="face_model", deps=["morphable_model", "landmark_weights"], kinds={"numpy", "dvc"})
def landmark_correspondence(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """Offsets from the model's 68 landmarks to the points of the same name that the detector finds, and its errors.

    A detector's brow is the upper edge of a brow, and its jaw what is seen of one. Fits that do not know it take the
    difference for identity and expression. Its errors are alike at neighbouring points, too: what they have in common
    is learned with the offsets.
    """
    return materialise(context, workspace, learn_landmark_correspondence)


if __name__ == "__main__":
    main(STAGE, learn_landmark_correspondence)
