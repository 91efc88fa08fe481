"""Rendered faces with exact labels, as training data beside the fitted videos."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
from tqdm import tqdm

from assets.facevid_shards import samples_figure
from assets.landmark_correspondence import load_detector_model, offsets_path
from assets.landmarks import warm_backend
from assets.morphable_model import model_path, no_synthetic_heads
from assets.params import Landmarks, RenderedFaces
from assets.pool import each
from assets.stage import SKIPPED, StageResult, WorkspaceResource, main, materialise, skipped
from assets.workspace import Workspace
from models.errors import DeepExp3DError, ImageError
from models.packages import sha256_of

STAGE = "rendered_faces"
SKINS = "skins.npz"
SUBJECTS_PER_JOB = 25


@dataclass(frozen=True)
class RenderJob:
    """A few subjects in a row, and the file that their samples go to."""

    subjects: range
    part: Path
    model: Path
    skins: Path | None
    detector: Landmarks
    settings: RenderedFaces

    def __str__(self) -> str:
        return f"rendered people {self.subjects.start} to {self.subjects.stop - 1}"


def write_rendered_faces(workspace: Workspace) -> StageResult:
    """Write train and val chunks of rendered faces, and a picture of some of them.

    A killed run goes on where it was: what is rendered is kept until all of it is.
    """
    if reason := no_synthetic_heads(workspace):
        return skipped(workspace, STAGE, reason)
    workspace.data(STAGE, SKIPPED).unlink(missing_ok=True)
    settings = workspace.params.rendered_faces
    if not settings.subjects:
        return skipped(workspace, STAGE, "skipped: rendered_faces.subjects is 0 in params.yaml")
    counts, refused = render_shards(workspace, settings, workspace.data(STAGE))
    picture = workspace.data(STAGE, "samples.jpg")
    _figure(workspace.data(STAGE, "train"), picture)
    return StageResult(
        {"data": "synthetic"}
        | {f"{split} images": count for split, count in counts.items()}
        | {"images without a detectable face": refused, "skin": settings.photographs or "painted", "samples": picture}
    )


def render_shards(workspace: Workspace, settings: RenderedFaces, folder: Path) -> tuple[dict[str, int], int]:
    """Render `settings.subjects` people into `folder/train` and the others into `folder/val`.

    Returns
    -------
    counts : images of each split
    refused : images in which the detector found no face

    Raises
    ------
    ImageError
        The folder of photographs is missing or has no face in it.
    """
    from models.expression.rendered_samples import load_samples
    from models.expression.shards import write_shards

    photographs = photographs_to_wear(workspace, settings)
    scratch = workspace.scratch(STAGE, _fingerprint(workspace, settings, photographs))
    skins = _skins(workspace, photographs, scratch / SKINS) if photographs else None
    people = {"train": range(settings.subjects), "val": range(-settings.validation_subjects, 0)}
    counts, refused = {}, 0
    for split, subjects in people.items():
        jobs = _jobs(workspace, settings, subjects, skins, scratch)
        missing = [job for job in jobs if not job.part.exists()]
        for _, outcome in each(render_part, missing, workspace.workers, f"{split} faces"):
            if isinstance(outcome, DeepExp3DError):
                raise outcome
        refused += sum(load_samples(job.part).refused for job in jobs)
        counts[split] = write_shards(
            _samples(jobs), folder / split, chunk_mb=settings.chunk_mb, jpeg_quality=settings.jpeg_quality
        )
    shutil.rmtree(scratch, ignore_errors=True)
    return counts, refused


def render_part(job: RenderJob) -> None:
    """Render the subjects of a job into its file."""
    from models.expression.rendered_samples import render_samples, save_samples
    from models.morphable_model import MorphableModel
    from models.rendering.photographed_skin import PhotographedSkin

    settings = job.settings
    samples = render_samples(
        MorphableModel.load(job.model),
        warm_backend(job.detector),
        # Numbers of people count up from zero; those kept for validation lie beyond all others.
        [subject % 2**31 for subject in job.subjects],
        seed=settings.seed,
        settings=settings.image,
        skins=None if job.skins is None else PhotographedSkin.load(job.skins),
        jpeg_quality=settings.jpeg_quality,
    )
    save_samples(job.part, samples)


def _jobs(
    workspace: Workspace, settings: RenderedFaces, subjects: range, skins: Path | None, scratch: Path
) -> list[RenderJob]:
    starts = range(subjects.start, subjects.stop, SUBJECTS_PER_JOB)
    return [
        RenderJob(
            subjects=range(start, min(start + SUBJECTS_PER_JOB, subjects.stop)),
            part=scratch / f"people-{start % 2**31:010d}.npz",
            model=model_path(workspace),
            skins=skins,
            detector=_detector(workspace),
            settings=settings,
        )
        for start in starts
    ]


def _samples(jobs: list[RenderJob]) -> Iterator:
    from models.expression.rendered_samples import load_samples
    from models.expression.shards import Sample

    for job in jobs:
        part = load_samples(job.part)
        for place, image in enumerate(part.images):
            name = f"render-{part.subject[place]}"
            yield Sample(image, part.expression[place], part.landmarks[place], name, int(part.take[place]))


def photographs_to_wear(workspace: Workspace, settings: RenderedFaces) -> list[Path]:
    """The photographs whose skin is worn, those that are held out left aside; none where no folder is named.

    Raises
    ------
    ImageError
        The folder is missing, or no photograph is left.
    """
    if settings.photographs is None:
        return []
    folder = workspace.path(settings.photographs)
    photographs = sorted(folder.glob(settings.photographs_pattern))
    if not photographs:
        raise ImageError(
            f"{folder}: holds no photograph named {settings.photographs_pattern}; correct "
            "rendered_faces.photographs in params.yaml, or set it to null for painted skin."
        )
    kept = [path for place, path in enumerate(photographs) if not held_out(place, settings)]
    if not kept:
        raise ImageError(
            f"{folder}: rendered_faces.hold_out_every of {settings.hold_out_every} leaves no photograph to wear; "
            "set it to 0 or to 2 and more in params.yaml."
        )
    return kept


def _skins(workspace: Workspace, photographs: list[Path], path: Path) -> Path:
    """The file with the skins of the photographs, which are unwrapped once."""
    from models.rendering.photographed_skin import unwrap_photographs

    if not path.exists():
        shown = tqdm(photographs, desc="skin", unit="photograph")
        unwrap_photographs(shown, load_detector_model(workspace), warm_backend(_detector(workspace))).save(path)
    return path


def _detector(workspace: Workspace) -> Landmarks:
    """The landmark detector of the project; nobody has recorded the points of faces that are yet to be rendered."""
    chosen = workspace.params.landmarks
    return chosen.model_copy(update={"backend": "mediapipe"}) if chosen.backend == "recorded" else chosen


def held_out(place: int, settings: RenderedFaces) -> bool:
    """Whether a photograph, by its place among the sorted ones, is kept from training."""
    return bool(settings.hold_out_every) and place % settings.hold_out_every == settings.hold_out_every - 1


def _fingerprint(workspace: Workspace, settings: RenderedFaces, photographs: list[Path]) -> str:
    """Hash of what decides each part: `settings` take the place of the project's own."""
    sources = [sha256_of(path) for path in (model_path(workspace), offsets_path(workspace), *photographs)]
    return workspace.fingerprint(STAGE, settings.model_dump_json(), *sources, apart_from=[STAGE])


def _figure(shards: Path, picture: Path) -> None:
    from models.expression.shards import ShardReader

    reader = ShardReader(shards)
    samples_figure([reader.sample(place) for place in range(0, len(reader), max(1, len(reader) // 24))][:24], picture)


@dg.asset(
    name=STAGE, group_name="expression", deps=["morphable_model", "landmark_correspondence"], kinds={"litdata", "dvc"}
)
def rendered_faces(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """Faces of many people in many expressions, rendered with exact labels and found by the real detector."""
    return materialise(context, workspace, write_rendered_faces)


if __name__ == "__main__":
    main(STAGE, write_rendered_faces)
