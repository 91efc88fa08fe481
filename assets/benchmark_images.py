"""Labelled images of the emotion benchmarks (Table I), one partition a benchmark."""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pandas as pd

from assets.morphable_model import model_path, no_synthetic_heads
from assets.params import BenchmarkImages
from assets.pool import each
from assets.stage import (
    SKIPPED,
    StageResult,
    WorkspaceResource,
    dataset_folder,
    main,
    materialise,
    skip,
    skipped,
)
from assets.workspace import Workspace
from models.emotion.labels import EMOTIONS
from models.errors import DeepExp3DError
from models.storage import written_whole

STAGE = "benchmark_images"

# Partition -> the set whose licence its user must hold; None for those that everybody has.
BENCHMARKS = {
    "radfd_frontal": "RaFD",
    "radfd_semiprofile": "RaFD",
    "kdef_frontal": "KDEF",
    "kdef_semiprofile": "KDEF",
    "rafdb": "RAF-DB",
    "cfee": "CFEE",
    "ckplus": "CK+",
    "synthetic": None,
    "custom": "your labelled images (one folder per emotion, or a manifest.csv)",
}
benchmarks = dg.StaticPartitionsDefinition(list(BENCHMARKS))


FOLDERS = {
    "radfd_frontal": "rafd",
    "radfd_semiprofile": "rafd",
    "kdef_frontal": "kdef",
    "kdef_semiprofile": "kdef",
    "rafdb": "rafdb",
    "cfee": "cfee",
    "ckplus": "ckplus",
    "custom": "custom",
}


@dataclass(frozen=True)
class PersonJob:
    """All posed images of one synthetic person."""

    person: int
    folder: Path
    model: Path
    settings: BenchmarkImages

    def __str__(self) -> str:
        return f"person {self.person}"


def gather_benchmark_images(workspace: Workspace, benchmark: str) -> StageResult:
    """Write `images.parquet` (path, subject, label) of one benchmark; render the synthetic one."""
    if benchmark == "synthetic":
        if reason := no_synthetic_heads(workspace):
            return skipped(workspace, STAGE, reason, benchmark)
        images = _rendered(workspace)
    elif benchmark == "custom" and (root := dataset_folder(workspace, "custom")):
        images = _labelled(workspace, root)
    else:
        return skip(workspace, STAGE, BENCHMARKS[benchmark], FOLDERS[benchmark], benchmark)
    folder = workspace.data(STAGE, benchmark)
    (folder / SKIPPED).unlink(missing_ok=True)
    with written_whole(folder / "images.parquet") as path:
        images.to_parquet(path)
    picture = folder / "examples.jpg"
    _examples(workspace, images, picture)
    counts = images.groupby("label").size().reindex(EMOTIONS, fill_value=0)
    return StageResult(
        {
            "data": "synthetic" if benchmark == "synthetic" else "real",
            "images": len(images),
            "people": int(images.subject.nunique()),
            "images per emotion": counts.rename("images").reset_index(),
            "examples": picture,
        }
    )


def render_person(job: PersonJob) -> list[dict]:
    """Render every emotion of one person; returns rows of the table."""
    import cv2

    from models.morphable_model import MorphableModel
    from models.rendering.synthetic_images import render_emotion_image

    model = MorphableModel.load(job.model)
    rows = []
    for emotion in EMOTIONS:
        for take in range(job.settings.takes):
            path = job.folder / f"person{job.person:03d}_{emotion}_{take}.jpg"
            picture = render_emotion_image(
                model, emotion, job.person, take, seed=job.settings.seed, settings=job.settings.image
            )
            with written_whole(path) as temporary:
                cv2.imwrite(str(temporary), picture.image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
            rows.append({"path": path, "subject": f"synthetic-{job.person:03d}", "label": emotion})
    return rows


def _rendered(workspace: Workspace) -> pd.DataFrame:
    settings = workspace.params.benchmark_images
    folder = workspace.data(STAGE, "synthetic", "images")
    shutil.rmtree(folder, ignore_errors=True)
    jobs = [PersonJob(person, folder, model_path(workspace), settings) for person in range(settings.people)]
    rows = []
    for _, outcome in each(render_person, jobs, workspace.workers, "posed images"):
        if isinstance(outcome, DeepExp3DError):
            raise outcome
        rows += outcome
    return _relative(workspace, pd.DataFrame(rows))


def _labelled(workspace: Workspace, root: Path) -> pd.DataFrame:
    from models.emotion.datasets import read_dataset

    images = read_dataset("manifest", root).photographs
    return _relative(
        workspace,
        pd.DataFrame([{"path": i.path, "subject": i.subject or Path(i.path).name, "label": i.label} for i in images]),
    )


def _relative(workspace: Workspace, images: pd.DataFrame) -> pd.DataFrame:
    images["path"] = [str(Path(path).relative_to(workspace.root)) for path in images.path]
    return images.sort_values("path", ignore_index=True)


def _examples(workspace: Workspace, images: pd.DataFrame, path: Path, people: int = 4) -> None:
    """A contact sheet: a column an emotion, a row a person."""
    import cv2
    import numpy as np

    blank = np.full((128, 128, 3), 255, np.uint8)
    rows = []
    for subject in images.subject.drop_duplicates().head(people):
        cells = []
        for emotion in EMOTIONS:
            chosen = images.path[(images.subject == subject) & (images.label == emotion)]
            picture = cv2.imread(str(workspace.path(chosen.iloc[0]))) if len(chosen) else None
            cells.append(blank if picture is None else cv2.resize(picture, (128, 128), interpolation=cv2.INTER_AREA))
        rows.append(np.concatenate(cells, 1))
    with written_whole(path) as temporary:
        cv2.imwrite(str(temporary), np.concatenate(rows))


@dg.asset(
    name=STAGE,
    group_name="emotion",
    partitions_def=benchmarks,
    deps=["morphable_model"],
    kinds={"dvc"},
)
def benchmark_images(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """Paths and labels of a benchmark's images: neutral, angry, disgusted, fearful, happy, sad, surprised.

    `synthetic` is rendered here; `custom` is whatever labelled images a user puts into `data/datasets/custom`; the
    licensed sets say where they belong until they are there.
    """
    benchmark = context.partition_key
    return materialise(context, workspace, gather_benchmark_images, benchmark, stage=f"{STAGE}@{benchmark}")


if __name__ == "__main__":
    main(STAGE, gather_benchmark_images, sys.argv[1])
