"""3D scans with texture of BU-3DFE (section 4.1 of the fusion paper), or rendered people in their place."""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import pandas as pd

from assets.morphable_model import load_model, no_synthetic_heads
from assets.stage import SKIPPED, StageResult, WorkspaceResource, dataset_folder, main, materialise, skip, skipped
from assets.workspace import Workspace
from models.storage import written_whole

if TYPE_CHECKING:
    from models.rgbd.contents import ScanContents

STAGE = "bu3dfe_scans"
FOLDER = "bu3dfe"
RENDERED = "rendered"


def gather_scans(workspace: Workspace) -> StageResult:
    """Write which scans there are, of the set or else of the rendered people that stand in for it."""
    from models.rgbd.datasets import read_scans

    settings = workspace.params.bu3dfe_scans
    folder = workspace.data(STAGE)
    root = dataset_folder(workspace, FOLDER)
    if root is None:
        if not settings.rendered.people:
            return skip(workspace, STAGE, "BU-3DFE", FOLDER)
        if reason := no_synthetic_heads(workspace):
            return skipped(workspace, STAGE, reason)
        root = _rendered(workspace, folder / RENDERED)
    else:
        shutil.rmtree(folder / RENDERED, ignore_errors=True)
    contents = read_scans(FOLDER, root, verify=settings.verify)
    (folder / SKIPPED).unlink(missing_ok=True)
    _save(workspace, contents)
    counts = pd.DataFrame({"emotion": list(contents.counts), "scans": list(contents.counts.values())})
    return StageResult(
        {
            "data": "synthetic" if contents.synthetic else "real",
            "scans": len(contents.scans),
            "people": len(contents.subjects),
            "scans per emotion": counts,
            "left out": dict(contents.left_out) or "nothing",
            "differences from the published set": " ".join(contents.problems) or "none",
        }
    )


def load_scans(workspace: Workspace) -> "ScanContents":
    """The scans as `gather_scans` found them."""
    from models.rgbd.contents import Scan, ScanContents

    about = json.loads(workspace.data(STAGE, "contents.json").read_text())
    table = pd.read_parquet(workspace.data(STAGE, "scans.parquet"))
    scans = [
        Scan(
            scan=workspace.path(row.scan),
            image=workspace.path(row.image),
            landmarks=workspace.path(row.landmarks) if row.landmarks else None,
            subject=row.subject,
            emotion=row.emotion,
            intensity=int(row.intensity),
            ethnicity=row.ethnicity,
        )
        for row in table.itertuples()
    ]
    return ScanContents(
        about["name"], workspace.path(about["root"]), tuple(scans), about["left_out"], tuple(about["problems"])
    )


def _rendered(workspace: Workspace, folder: Path) -> Path:
    from models.rgbd.rendered_scans import write_rendered_bu3dfe

    settings = workspace.params.bu3dfe_scans.rendered
    write_rendered_bu3dfe(
        folder,
        load_model(workspace),
        people=settings.people,
        seed=settings.seed,
        settings=settings.scan,
        workers=workspace.workers,
    )
    return folder


def _save(workspace: Workspace, contents: "ScanContents") -> None:
    def inside(path: Path | None) -> str:
        if path is None:
            return ""
        # A manifest may name files elsewhere.
        return (path.relative_to(workspace.root) if path.is_relative_to(workspace.root) else path).as_posix()

    rows = [
        {
            "scan": inside(scan.scan),
            "image": inside(scan.image),
            "landmarks": inside(scan.landmarks),
            "subject": scan.subject,
            "emotion": scan.emotion,
            "intensity": scan.intensity,
            "ethnicity": scan.ethnicity,
        }
        for scan in contents.scans
    ]
    with written_whole(workspace.data(STAGE, "scans.parquet")) as path:
        pd.DataFrame(rows).to_parquet(path)
    about = {
        "name": contents.name,
        "root": inside(contents.root),
        "left_out": dict(contents.left_out),
        "problems": list(contents.problems),
    }
    with written_whole(workspace.data(STAGE, "contents.json")) as path:
        path.write_text(json.dumps(about, indent=1) + "\n")


@dg.asset(name=STAGE, group_name="rgbd", deps=["morphable_model"], kinds={"dvc"})
def bu3dfe_scans(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """Scans, photographs and landmarks of 100 people, six expressions at four intensities, and what a copy lacks.

    Until BU-3DFE, or another set with a manifest, is at `data/datasets/bu3dfe`, rendered people stand in for it.
    """
    return materialise(context, workspace, gather_scans)


if __name__ == "__main__":
    main(STAGE, gather_scans)
