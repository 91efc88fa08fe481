"""Scans with true expression, for fine-tuning (section III-C)."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from assets.facevid_shards import samples_figure
from assets.landmark_correspondence import offsets_path, read_detector_errors
from assets.morphable_model import model_path, no_synthetic_heads
from assets.params import FourDfab
from assets.pool import each
from assets.stage import SKIPPED, StageResult, WorkspaceResource, dataset_folder, main, materialise, skipped
from assets.workspace import Workspace
from models.emotion.labels import EMOTIONS
from models.errors import DeepExp3DError

STAGE = "four_dfab_samples"
# Enough that loading the model does not matter, few enough that all processes end together.
PEOPLE_PER_JOB = 4


@dataclass(frozen=True)
class ScanJob:
    """All scans of a few people."""

    people: range
    model: Path
    offsets: Path
    settings: FourDfab

    def __str__(self) -> str:
        return f"people {self.people.start} to {self.people.stop - 1}"


def write_scan_samples(workspace: Workspace) -> StageResult:
    """Write train and val chunks of scans: six posed expressions a person, from rest to the peak and back.

    Raises
    ------
    DeepExp3DError
        4DFAB is at hand: reading its scans is not part of this release, and synthetic scans must not pass for them.
    """
    from models.expression.shards import read_samples, write_shards

    if folder := dataset_folder(workspace, "4dfab"):
        raise DeepExp3DError(f"{folder}: this release cannot read 4DFAB's scans; move it away to use synthetic scans.")
    if reason := no_synthetic_heads(workspace):
        return skipped(workspace, STAGE, reason)
    workspace.data(STAGE, SKIPPED).unlink(missing_ok=True)
    settings = workspace.params.four_dfab_samples
    people = {
        "train": range(settings.people),
        "val": range(settings.people, settings.people + settings.validation_people),
    }
    quality = workspace.params.facevid_shards
    counts = {
        split: write_shards(
            _samples(workspace, numbers, split),
            workspace.data(STAGE, split),
            chunk_mb=quality.chunk_mb,
            jpeg_quality=quality.jpeg_quality,
        )
        for split, numbers in people.items()
    }
    picture = workspace.data(STAGE, "samples.jpg")
    step = max(1, counts["train"] // 24)
    shown = [sample for place, sample in enumerate(read_samples(workspace.data(STAGE, "train"))) if place % step == 0]
    samples_figure(shown[:24], picture)
    return StageResult(
        {"data": "synthetic"} | {f"{split} images": n for split, n in counts.items()} | {"samples": picture}
    )


def scan_samples(job: ScanJob) -> list:
    """Aligned frames of the scans of a job's people, with the true expression."""
    from models.expression.alignment import align, template, transformed
    from models.expression.shards import Sample
    from models.morphable_model import MorphableModel
    from models.rendering.synthetic_images import posing_subject, synthesise_scan

    settings = job.settings
    # Cut out by the points that a detector would find, as all other images are.
    model = MorphableModel.load(job.model).with_detector(read_detector_errors(job.offsets))
    target = template(model)
    samples = []
    for person in job.people:
        # A person takes longer to make than a picture.
        someone = posing_subject(model, person, settings.seed, settings.image)
        for emotion in EMOTIONS:
            if emotion == "neutral":
                continue
            scan = synthesise_scan(
                model,
                emotion,
                person,
                settings.frames,
                settings.largest_yaw,
                settings.seed,
                settings.image,
                person=someone,
            )
            for frame, picture in enumerate(scan.frames()):
                image, matrix = align(picture.image, picture.landmarks, target)
                name = f"scan-person{person:03d}-{emotion}"
                landmarks = transformed(picture.landmarks, matrix)
                samples.append(Sample(image, picture.expression / model.expression_std, landmarks, name, frame))
    return samples


def _samples(workspace: Workspace, people: range, split: str) -> Iterator:
    settings = workspace.params.four_dfab_samples
    jobs = [
        ScanJob(
            people=people[start : start + PEOPLE_PER_JOB],
            model=model_path(workspace),
            offsets=offsets_path(workspace),
            settings=settings,
        )
        for start in range(0, len(people), PEOPLE_PER_JOB)
    ]
    # Chunks must not depend on which process was quicker.
    waiting = {}
    following = iter(jobs)
    current = next(following)
    for job, outcome in each(scan_samples, jobs, workspace.workers, f"{split} scans"):
        if isinstance(outcome, DeepExp3DError):
            raise outcome
        waiting[job.people] = outcome
        while current is not None and current.people in waiting:
            yield from waiting.pop(current.people)
            current = next(following, None)


@dg.asset(
    name=STAGE, group_name="expression", deps=["morphable_model", "landmark_correspondence"], kinds={"litdata", "dvc"}
)
def four_dfab_samples(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """Renders of scans whose expression is true rather than fitted: synthetic ones, in place of 4DFAB."""
    return materialise(context, workspace, write_scan_samples)


if __name__ == "__main__":
    main(STAGE, write_scan_samples)
