"""The manifest of a video collection: one row per file found, those that cannot be used with the reason why."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.errors import VideoError
from models.packages import sha256_of
from models.video.decoding import probe

if TYPE_CHECKING:
    import pandas
    import pandera.pandas

SUFFIXES = (".mp4", ".mov", ".avi", ".mkv", ".webm")
OK, REFUSED = "ok", "refused"
COLUMNS = (
    "video_id",
    "partition",
    "path",
    "sha256",
    "source",
    "subject",
    "licence",
    "fps",
    "frames",
    "width",
    "height",
    "codec",
    "pixel_format",
    "duration",
    "rotation",
    "variable_frame_rate",
    "status",
    "reason",
)


def find_videos(folders: Iterable[Path | str]) -> list[Path]:
    """Video files (mp4, mov, avi, mkv, webm; any case) in folders and all their subfolders, sorted by path.

    Hidden files and folders are left out. A folder without any video gives an empty list.

    Raises
    ------
    VideoError
        A folder does not exist.
    """
    found = set()
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise VideoError(f"{folder}: there is no such folder; make it and put videos there, or name another.")
        for path in folder.rglob("*"):
            hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
            if path.suffix.lower() in SUFFIXES and not hidden and path.is_file():
                found.add(path)
    return sorted(found)


def describe_video(
    path: Path | str, source: str, subject: str | None, licence: str, partition: str | None = None
) -> dict[str, Any]:
    """Manifest row of one file. Never raises for a bad file: it gets status "refused" and the reason.

    A damaged file of which some frames can be decoded is "ok", with the damage as its reason.
    """
    path = Path(path)
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    row |= {"partition": partition, "path": str(path), "source": source, "subject": subject, "licence": licence}
    row |= {"status": REFUSED, "reason": ""}
    try:
        info = probe(path)
        row["sha256"] = sha256_of(path)
    except (VideoError, OSError) as error:
        row["reason"] = str(error)
    else:
        row |= {
            "fps": info.fps,
            "frames": info.frames,
            "width": info.width,
            "height": info.height,
            "codec": info.codec,
            "pixel_format": info.pixel_format,
            "duration": info.duration,
            "rotation": info.rotation,
            "variable_frame_rate": info.variable_frame_rate,
            "status": OK,
            "reason": info.damage,
        }
    row["video_id"] = video_id(path, source, row["sha256"])
    return row


def video_id(path: Path | str, source: str, sha256: str | None) -> str:
    """Readable name that stays the same wherever the file lies: source, file name, start of the content's hash."""
    words = (re.sub(r"[^a-z0-9]+", "_", word.lower()).strip("_") for word in (source, Path(path).stem))
    return "-".join([*(word for word in words if word), sha256[:8] if sha256 else "unread"])


def manifest_of(rows: Iterable[dict[str, Any]]) -> "pandas.DataFrame":
    """Manifest table of rows from `describe_video`, checked against `manifest_schema`.

    A second file with the content of an earlier one is refused: it would let one clip into two splits.

    Raises
    ------
    pandera.errors.SchemaErrors
        A row breaks the contract.
    """
    import pandas

    first_with: dict[str, str] = {}
    taken: dict[str, int] = {}
    table = []
    for original in rows:
        row = dict(original)
        if row["sha256"] in first_with and row["status"] == OK:
            row |= {"status": REFUSED, "reason": f"{row['path']}: the same content as {first_with[row['sha256']]}."}
        elif row["sha256"]:
            first_with[row["sha256"]] = row["path"]
        taken[row["video_id"]] = taken.get(row["video_id"], 0) + 1
        if taken[row["video_id"]] > 1:
            row["video_id"] += f"-{taken[row['video_id']]}"
        table.append(row)
    frame = pandas.DataFrame(table, columns=list(COLUMNS))
    return manifest_schema().validate(frame, lazy=True)


def manifest_schema() -> "pandera.pandas.DataFrameSchema":
    """Contract of `data/raw_videos/manifest.parquet`. Figures of a refused file may be null, those of an ok one not."""
    import pandera.pandas as pandera

    def text(*checks, nullable=False, **options):
        return pandera.Column("string", *checks, nullable=nullable, coerce=True, **options)

    def number(kind, *checks):
        return pandera.Column(kind, *checks, nullable=True, coerce=True)

    measured = ["sha256", "fps", "frames", "width", "height", "codec", "pixel_format", "duration", "rotation"]
    return pandera.DataFrameSchema(
        {
            "video_id": text(pandera.Check.str_matches(r"^[a-z0-9_]+(-[a-z0-9_]+)*$"), unique=True),
            "partition": text(nullable=True),
            "path": text(),
            "sha256": text(pandera.Check.str_matches(r"^[0-9a-f]{64}$"), nullable=True),
            "source": text(),
            "subject": text(nullable=True),
            "licence": text(),
            "fps": number("Float64", pandera.Check.gt(0)),
            "frames": number("Int64", pandera.Check.ge(1)),
            "width": number("Int64", pandera.Check.ge(1)),
            "height": number("Int64", pandera.Check.ge(1)),
            "codec": text(nullable=True),
            "pixel_format": text(nullable=True),
            "duration": number("Float64", pandera.Check.ge(0)),
            "rotation": number("Int64", pandera.Check.isin([-90, 0, 90, 180])),
            "variable_frame_rate": number("boolean"),
            "status": text(pandera.Check.isin([OK, REFUSED])),
            "reason": text(),
        },
        checks=[
            pandera.Check(
                lambda table: (table["status"] != OK) | table[measured].notna().all(axis=1),
                error="an ok video lacks one of its figures",
            ),
            pandera.Check(
                lambda table: (table["status"] != REFUSED) | (table["reason"].str.len() > 0),
                error="a refused video lacks its reason",
            ),
        ],
        strict=True,
        ordered=True,
    )
