"""Contact sheets of the fits: a picture beside every fit, and the worst of a run on its asset's page."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from assets.params import ReconstructionSheets
from models.errors import DeepExp3DError, DiskFullError
from models.fitting.reconstruction import Reconstruction
from models.morphable_model import MorphableModel
from models.storage import load_arrays, written_whole

# What of `dvc.yaml`'s stage is about the sheets alone: fits do not depend on it.
LOOKS = ("reconstruction_sheets", "assets/reconstruction_sheets.py", "models/visualisation")

# The worst sheets on the asset's page: how many at most, how wide a column of them is in pixels, and the bytes that a
# Dagster event may grow by.
WORST_SHOWN, COLUMN_WIDTH, GAP, WORST_BYTES = 6, 700, 16, 220_000
WORST_QUALITIES = (80, 65, 50, 35)


@dataclass(frozen=True)
class SheetJob:
    """The sheet of one track. `fingerprint` identifies everything that it shows."""

    fingerprint: str
    video: Path
    track: Path
    path: Path
    settings: ReconstructionSheets


def sheet_path(fit: Path) -> Path:
    """Where the sheet of a fit lies: beside it."""
    return fit.with_suffix(".jpg")


def bring_sheet_up_to_date(job: SheetJob, fit: Reconstruction, model: MorphableModel) -> str:
    """Draw a sheet unless it is there already, and return why there is none; an empty text where there is one.

    A sheet is for looking at only: a video that is gone, or is another one by now, costs the sheet and nothing else.

    Raises
    ------
    DiskFullError
        No space left.
    """
    if job.settings.enabled and _is_current(job.path, job.fingerprint):
        return ""
    job.path.unlink(missing_ok=True)
    if not job.settings.enabled:
        return "switched off"
    from models.visualisation.contact_sheet import draw_contact_sheet

    arrays = load_arrays(job.track)
    try:
        sheet = draw_contact_sheet(
            job.video,
            job.path.stem,
            fit,
            arrays["landmarks"],
            arrays["timestamps"],
            model,
            moments=job.settings.moments,
            side=job.settings.side,
        )
    except DeepExp3DError as error:
        if isinstance(error, DiskFullError):
            raise
        return str(error)
    _save_marked(sheet, job.path, job.fingerprint, job.settings.jpeg_quality)
    return ""


def worst_sheets(sheets: list[Path], out: Path) -> Path | None:
    """Write the first few sheets as one small picture, two beside each other, and return it; None without any."""
    from PIL import Image

    pictures = []
    for path in [path for path in sheets if path.exists()][:WORST_SHOWN]:
        with Image.open(path) as sheet:
            height = round(sheet.height * COLUMN_WIDTH / sheet.width)
            pictures.append(np.asarray(sheet.resize((COLUMN_WIDTH, height), Image.Resampling.LANCZOS)))
    if not pictures:
        return None
    # Fewer sheets rather than unreadable ones.
    for shown in range(len(pictures), 0, -1):
        page = Image.fromarray(_in_two_columns(pictures[:shown]))
        for quality in WORST_QUALITIES:
            with written_whole(out) as temporary:
                page.save(temporary, "JPEG", quality=quality)
            if out.stat().st_size <= WORST_BYTES:
                return out
    return out


def sheet_table(index: pd.DataFrame, root: Path, sheet_of: dict[str, Path]) -> pd.DataFrame:
    """Fits as a table for the asset's page, the largest residual first, each with where its sheet lies."""
    worst = index.sort_values("residual", ascending=False, kind="stable")
    return pd.DataFrame(
        {
            "track": worst.track_id,
            "residual, %": 100 * worst.residual.astype(float),
            "|i|": worst.identity_norm.astype(float),
            "converged": worst.converged.astype(bool),
            "sheet": [
                str(sheet_of[row.track_id].relative_to(root)) if not row.no_sheet else row.no_sheet
                for row in worst.itertuples()
            ],
        }
    )


def _in_two_columns(pictures: list[np.ndarray]) -> np.ndarray:
    rows = []
    for first in range(0, len(pictures), 2):
        pair = pictures[first : first + 2]
        width = min(2, len(pictures)) * (COLUMN_WIDTH + GAP) - GAP
        row = np.full((max(len(picture) for picture in pair) + GAP, width, 3), 255, np.uint8)
        for column, picture in enumerate(pair):
            left = column * (COLUMN_WIDTH + GAP)
            row[: len(picture), left : left + COLUMN_WIDTH] = picture
        rows.append(row)
    return np.concatenate(rows)


def _is_current(path: Path, fingerprint: str) -> bool:
    """Whether a sheet is whole and was drawn from just these inputs."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as sheet:
            sheet.load()
            return sheet.info.get("comment") == fingerprint.encode()
    except (OSError, UnidentifiedImageError):
        return False


def _save_marked(sheet: np.ndarray, path: Path, fingerprint: str, quality: int) -> None:
    """Write a JPEG that says, as its comment, what it was drawn from: there is never one without the other."""
    from PIL import Image

    with written_whole(path) as temporary:
        Image.fromarray(sheet).save(temporary, "JPEG", quality=quality, comment=fingerprint.encode())
