"""The photographs of the emotion benchmarks (Table I), one partition a benchmark."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import pandas as pd

from assets.rendered_benchmarks import STAGE as RENDERED
from assets.rendered_benchmarks import dataset_root
from assets.stage import SKIPPED, StageResult, WorkspaceResource, main, materialise, skip, skip_reason, skipped
from assets.workspace import Workspace
from models.emotion.labels import EMOTIONS
from models.storage import written_whole

if TYPE_CHECKING:
    from models.emotion.benchmark_evaluation import OpenedBenchmark

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


# Where each benchmark's set lies below `data/datasets`, and its stand-in below `data/rendered_benchmarks`.
FOLDERS = {
    "radfd_frontal": "rafd",
    "radfd_semiprofile": "rafd",
    "kdef_frontal": "kdef",
    "kdef_semiprofile": "kdef",
    "rafdb": "rafdb",
    "cfee": "cfee",
    "ckplus": "ckplus",
    "synthetic": "manifest",
    "custom": "custom",
}


def gather_benchmark_images(workspace: Workspace, benchmark: str) -> StageResult:
    """Write which photographs take part in a benchmark, and what is known of them."""
    from models.emotion.benchmark_evaluation import open_benchmark

    root = dataset_root(workspace, FOLDERS[benchmark])
    if root is None and benchmark == "synthetic":
        reason = skip_reason(workspace, RENDERED) or "skipped: rendered_benchmarks.people has no 'manifest'"
        return skipped(workspace, STAGE, reason, benchmark)
    if root is None:
        return skip(workspace, STAGE, BENCHMARKS[benchmark], FOLDERS[benchmark], benchmark)
    opened = open_benchmark(_form_of(benchmark), root, seed=workspace.params.benchmark_images.seed)
    folder = workspace.data(STAGE, benchmark)
    (folder / SKIPPED).unlink(missing_ok=True)
    images = _save(workspace, opened, folder)
    picture = folder / "examples.jpg"
    _examples(workspace, images, picture)
    counts = images.groupby("label").size().reindex(EMOTIONS, fill_value=0)
    return StageResult(
        {
            "data": "synthetic" if opened.contents.synthetic else "real",
            "images": len(images),
            "people": int(images.subject.nunique()),
            "images per emotion": counts.rename("images").reset_index(),
            "differences from the published set": " ".join(opened.contents.problems) or "none",
            "examples": picture,
        }
    )


def load_benchmark(workspace: Workspace, benchmark: str) -> "OpenedBenchmark":
    """The benchmark as `gather_benchmark_images` found it."""
    from models.emotion.benchmark_evaluation import OpenedBenchmark, benchmark_called
    from models.emotion.datasets.contents_file import load_contents

    folder = workspace.data(STAGE, benchmark)
    about = json.loads((folder / "benchmark.json").read_text())
    contents = load_contents(folder / "photographs.json", workspace.path(about["root"]))
    known = benchmark_called(_form_of(benchmark))
    if benchmark == "synthetic":
        known = replace(known, name=benchmark, title="rendered people", description="every rendered image")
    return OpenedBenchmark(known, contents, contents.photographs, about["seed"])


def _form_of(benchmark: str) -> str:
    """The benchmark of `models.emotion.benchmarks` that a partition is."""
    return "custom" if benchmark == "synthetic" else benchmark


def _save(workspace: Workspace, opened: "OpenedBenchmark", folder: Path) -> pd.DataFrame:
    """Write the photographs, in full and as a table of paths, people and labels, which is returned."""
    from models.emotion.datasets.contents_file import save_contents

    save_contents(replace(opened.contents, photographs=opened.photographs), folder / "photographs.json")
    about = {"root": opened.root.relative_to(workspace.root).as_posix(), "seed": opened.seed}
    with written_whole(folder / "benchmark.json") as path:
        path.write_text(json.dumps(about) + "\n")
    images = pd.DataFrame(
        {
            "path": [photograph.path.relative_to(workspace.root).as_posix() for photograph in opened.photographs],
            "subject": opened.people,
            "label": opened.labels,
        }
    )
    with written_whole(folder / "images.parquet") as path:
        images.to_parquet(path)
    return images


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
    deps=["morphable_model", "rendered_benchmarks"],
    kinds={"dvc"},
)
def benchmark_images(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """Paths and labels of a benchmark's images: neutral, angry, disgusted, fearful, happy, sad, surprised.

    `synthetic` are rendered people; `custom` is whatever labelled images a user puts into `data/datasets/custom`; for
    the licensed sets their rendered stand-ins serve until they are at `data/datasets`.
    """
    benchmark = context.partition_key
    return materialise(context, workspace, gather_benchmark_images, benchmark, stage=f"{STAGE}@{benchmark}")


if __name__ == "__main__":
    main(STAGE, gather_benchmark_images, sys.argv[1])
