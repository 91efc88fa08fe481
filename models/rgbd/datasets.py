"""BU-3DFE in its publisher's layout, and scans of one's own by a table.

root/F0001/F0001_AN01WH_F3D.wrl      the scanned face: person, emotion, intensity, ethnicity
root/F0001/F0001_AN01WH_F2D.bmp      its photograph from the front
root/F0001/F0001_AN01WH_F3D.bnd      83 landmarks on the scan
root/F0001/F0001_AN01WH_RAW.wrl      before it was cleaned: left out and counted

root/manifest.csv                    columns scan, image (relative to root), subject, emotion and, if known,
                                     intensity, landmarks, ethnicity
"""

import csv
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from models.emotion.datasets.inspection import damage, files_in, named, subfolders
from models.emotion.datasets.tables import delimiter, opened_table
from models.emotion.labels import EMOTIONS, emotion_of
from models.errors import DatasetError, ScanError
from models.expression.images import IMAGE_SUFFIXES
from models.rgbd.contents import INTENSITIES, Scan, ScanContents, sort_key
from models.rgbd.meshes import MESH_SUFFIXES, VRML_SUFFIXES, read_landmarks, read_mesh

MANIFEST = "manifest.csv"
EXAMPLE = "F0001/F0001_AN01WH_F3D.wrl"
SOURCE = "Binghamton University, on request, for members of universities and other institutions"
CITATION = (
    "Yin, L., Wei, X., Sun, Y., Wang, J., & Rosato, M. J. (2006). A 3D facial expression database for facial behavior "
    "research. 7th International Conference on Automatic Face and Gesture Recognition, 211-216."
)

# Section 4.1: 56 women and 44 men; six expressions at four intensities and neutral.
WOMEN, MEN = 56, 44
SCANS_EACH = 6 * len(INTENSITIES) + 1
PUBLISHED_SCANS = (WOMEN + MEN) * SCANS_EACH

_NAME = re.compile(
    r"(?P<subject>[FM]\d{4})_(?P<emotion>NE|AN|DI|FE|HA|SA|SU)(?P<intensity>\d\d)(?P<ethnicity>[A-Z]{2})"
    r"_(?P<kind>F3D|F2D|RAW)(?P<more>\w*)",
    re.IGNORECASE,
)
# The intensity of a manifest that tells none: an expression as people show it when asked for it.
_FULL = INTENSITIES[-1]


@dataclass
class _Files:
    """The files of one scan, as far as they are there."""

    scan: Path | None = None
    image: Path | None = None
    landmarks: Path | None = None


@dataclass
class _Reading:
    """What has been noted of one folder so far."""

    root: Path
    verify: bool
    scans: list[Scan] = field(default_factory=list)
    left_out: Counter = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def note(self, what: str, names: Iterable[str]) -> None:
        if names := list(names):
            self.problems.append(f"{what} ({len(names)}): {named(names)}.")

    def leave_out(self, reason: str, what: str, names: Iterable[str]) -> None:
        names = list(names)
        self.left_out[reason] += len(names)
        self.note(what, names)

    def shown(self, path: Path) -> str:
        return str(path.relative_to(self.root) if path.is_relative_to(self.root) else path)

    def contents(self, name: str) -> ScanContents:
        """Leave out what cannot be opened, and sort the rest.

        Raises
        ------
        DatasetError
            Nothing is left.
        """
        unreadable, broken = [], defaultdict(list)
        kept = []
        for scan in self.scans:
            if reason := damage(scan.image, self.verify):
                unreadable.append(f"{self.shown(scan.image)} ({reason})")
            elif error := _damage(scan.scan, self.verify):
                broken[error.reason].append(str(error).replace(str(scan.scan), self.shown(scan.scan)))
            else:
                kept.append(scan)
        self.leave_out("unreadable photograph", "Photographs that cannot be opened", unreadable)
        for reason, sentences in sorted(broken.items()):
            self.leave_out(
                reason, f"Scans that cannot be used for '{reason}'", (text.rstrip(".") for text in sentences)
            )
        without = {scan: message for scan in kept if (message := _broken_landmarks(scan))}
        self.note("Landmarks that cannot be read, without which their scans are used", without.values())
        kept = [_without_landmarks(scan) if scan in without else scan for scan in kept]
        if not kept:
            raise DatasetError(
                f"{self.root}: holds no scan that can be used. "
                + (" ".join(self.problems) or "It is empty.")
                + f" Expected files such as {EXAMPLE} with a photograph {_photograph_of(EXAMPLE)}."
            )
        return ScanContents(
            name=name,
            root=self.root,
            scans=tuple(sorted(kept, key=sort_key)),
            left_out={reason: count for reason, count in sorted(self.left_out.items()) if count},
            problems=tuple(self.problems),
        )


def read_scans(name: str, root: Path | str, verify: bool = False) -> ScanContents:
    """Scans with their photographs as they lie on disk, and how they differ from the published set.

    A set that was copied in part is read; what it lacks is in the contents' `problems`. A `manifest.csv` in the folder
    goes before the publisher's layout.

    Parameters
    ----------
    name : "bu3dfe" or "manifest"
    root : the set's folder
    verify : read every mesh and image in full, which takes minutes for 2,500 scans; else only how they begin

    Raises
    ------
    DatasetError
        There is no such folder, it does not hold the set (the message says what was expected, what was found, and where
        the right folder seems to be), the manifest cannot be read, or no scan can be used.
    ValueError
        There is no such set.
    """
    if name not in ("bu3dfe", "manifest"):
        raise ValueError(f"There is no set of scans '{name}'; choose 'bu3dfe' or 'manifest'.")
    root = Path(root)
    if not root.is_dir():
        raise DatasetError(
            f"{root}: there is no such folder; give the one of BU-3DFE, in which {EXAMPLE} lies. The set comes from "
            f"{SOURCE}."
        )
    if (root / MANIFEST).is_file():
        return _read_manifest(root, verify)
    if name == "manifest":
        raise DatasetError(
            f"{root}: has no {MANIFEST}; write one with the columns scan, image, subject, emotion and intensity."
        )
    _require_bu3dfe(root)
    return _read_bu3dfe(root, verify)


def looks_like_bu3dfe(folder: Path) -> bool:
    """Whether files that are called as those of BU-3DFE are lie in a folder or in folders of people below it."""
    return any(_NAME.fullmatch(path.stem) for below in (folder, *subfolders(folder)) for path in files_in(below))


def _require_bu3dfe(root: Path) -> None:
    below = subfolders(root)
    # A folder of one person, or of people; what lies two steps below is another folder's.
    if looks_like_bu3dfe(root):
        return
    nearby = next((folder for folder in (*below, root.absolute().parent) if looks_like_bu3dfe(folder)), None)
    found = [f"folders {named([path.name for path in below])}"] if below else []
    if files := files_in(root):
        found.append(f"files {named([path.name for path in files])}")
    cure = (
        f"The right folder seems to be {nearby}."
        if nearby is not None
        else f"Expected one folder for each person, F0001 to F{WOMEN:04d} and M0001 to M{MEN:04d}, or a {MANIFEST}."
    )
    raise DatasetError(
        f"{root}: this is not the folder of BU-3DFE. Expected {EXAMPLE} in it, found {'; '.join(found) or 'nothing'}. "
        + cure
    )


def _read_bu3dfe(root: Path, verify: bool) -> ScanContents:
    reading = _Reading(root, verify)
    found: dict[tuple[str, str, int], _Files] = {}
    ethnicities: dict[tuple[str, str, int], str] = {}
    raw, doubled, unknown = [], [], []
    for path in _files_below(root):
        match = _NAME.fullmatch(path.stem)
        suffix = path.suffix.lower()
        if match is None:
            if suffix in (*MESH_SUFFIXES, *IMAGE_SUFFIXES):
                unknown.append(reading.shown(path))
            continue
        kind, exact = match["kind"].upper(), not match["more"]
        if kind == "RAW" or not exact:
            if kind == "RAW" and exact and suffix in MESH_SUFFIXES:
                raw.append(path)
            continue
        key = match["subject"].upper(), emotion_of(match["emotion"]), int(match["intensity"])
        files = found.setdefault(key, _Files())
        ethnicities.setdefault(key, match["ethnicity"].upper())
        part = _part(kind, suffix)
        if part is None:
            continue
        if getattr(files, part) is None:
            setattr(files, part, path)
        else:
            doubled.append(reading.shown(path))
    reading.left_out["raw scan"] = len(raw)
    reading.note("Files that are there twice, of which only the first counts", doubled)
    reading.note("Files that are not called as those of BU-3DFE are", unknown)
    wrong = {key for key in found if key[2] not in (INTENSITIES if key[1] != "neutral" else (0,))}
    reading.leave_out(
        "unknown intensity", "Scans of an intensity that is not published", (_named(*key) for key in sorted(wrong))
    )
    pairs = {key: files for key, files in found.items() if key not in wrong}
    reading.leave_out(
        "no photograph",
        "Scans without a photograph (..._F2D.bmp)",
        sorted(_named(*key) for key, files in pairs.items() if files.scan and not files.image),
    )
    reading.leave_out(
        "no scan",
        "Photographs without a scan (..._F3D.wrl)",
        sorted(_named(*key) for key, files in pairs.items() if files.image and not files.scan),
    )
    reading.scans = [
        Scan(files.scan, files.image, files.landmarks, *key, ethnicities[key])
        for key, files in pairs.items()
        if files.scan and files.image
    ]
    contents = reading.contents("bu3dfe")
    return ScanContents(
        contents.name, root, contents.scans, contents.left_out, contents.problems + tuple(_differences(contents.scans))
    )


def _part(kind: str, suffix: str) -> str | None:
    """What a file is of its scan; None for those that are not needed, as the texture beside the mesh is not."""
    if kind == "F3D":
        return "scan" if suffix in VRML_SUFFIXES else "landmarks" if suffix == ".bnd" else None
    return "image" if suffix in IMAGE_SUFFIXES else None


def _files_below(root: Path) -> Iterator[Path]:
    """All files, sorted, without hidden ones and what archives of a Mac leave."""
    for parent, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        yield from (Path(parent, name) for name in sorted(files) if not name.startswith("."))


def _differences(scans: tuple[Scan, ...]) -> Iterator[str]:
    """How the scans differ in number from those published, and which lack of people who are there."""
    there = {(scan.subject, scan.emotion, scan.intensity) for scan in scans}
    people = sorted({subject for subject, _, _ in there})
    if len(scans) != PUBLISHED_SCANS:
        yield (
            f"{PUBLISHED_SCANS:,} scans of {WOMEN + MEN} people are published, {len(scans):,} of {len(people)} were "
            "found that can be used."
        )
    women = sum(subject.startswith("F") for subject in people)
    if (women, len(people) - women) != (WOMEN, MEN):
        yield f"{WOMEN} women and {MEN} men are published, {women} and {len(people) - women} were found."
    wanted = [("neutral", 0)] + [(emotion, level) for emotion in EMOTIONS[1:] for level in INTENSITIES]
    missing = [
        _named(person, emotion, level)
        for person in people
        for emotion, level in wanted
        if (person, emotion, level) not in there
    ]
    if missing:
        yield f"Expressions that are missing of people who are there ({len(missing)}): {named(missing)}."


def _named(subject: str, emotion: str, intensity: int) -> str:
    return f"{subject} {emotion}" + (f" {intensity}" if intensity or emotion != "neutral" else "")


def _damage(path: Path, verify: bool) -> ScanError | None:
    """Why a mesh cannot be used; None where it can, as far as its beginning tells unless all of it is read."""
    try:
        if verify:
            read_mesh(path)
            return None
        if path.stat().st_size == 0:
            return ScanError(f"{path}: is empty.")
        if path.suffix.lower() in VRML_SUFFIXES:
            with open(path, "rb") as file:
                begins = file.read(8)
            # A mark of the byte order, or of compression, may stand in front.
            if not begins.removeprefix(b"\xef\xbb\xbf").startswith((b"#VRML", b"\x1f\x8b")):
                return ScanError(f"{path}: is no VRML.")
    except ScanError as error:
        return error
    except OSError as error:
        return ScanError(f"{path}: cannot be read ({error.strerror}).", "missing scan")
    return None


def _broken_landmarks(scan: Scan) -> str | None:
    try:
        if scan.landmarks is not None:
            read_landmarks(scan.landmarks)
    except ScanError as error:
        return str(error).replace(str(scan.landmarks), scan.landmarks.name).rstrip(".")
    return None


def _without_landmarks(scan: Scan) -> Scan:
    return Scan(scan.scan, scan.image, None, scan.subject, scan.emotion, scan.intensity, scan.ethnicity)


def _photograph_of(scan: str) -> str:
    return scan.replace("_F3D.wrl", "_F2D.bmp")


def _read_manifest(root: Path, verify: bool) -> ScanContents:
    reading = _Reading(root, verify)
    manifest = root / MANIFEST
    wrong, no_scan, no_image, kinds, doubled = [], [], [], [], []
    with opened_table(manifest) as file:
        rows = csv.DictReader(file, delimiter=delimiter(file))
        needed = ("scan", "image", "subject", "emotion")
        if lacking := [column for column in needed if column not in (rows.fieldnames or ())]:
            raise DatasetError(f"{manifest}: lacks the column {', '.join(lacking)}; it needs {', '.join(needed)}.")
        for row in rows:
            cells = {column: (value or "").strip() for column, value in row.items() if isinstance(column, str)}
            place = f"line {rows.line_num}"
            emotion = emotion_of(cells["emotion"])
            intensity = _intensity(cells.get("intensity", ""), emotion)
            if emotion is None or intensity is None or not cells["subject"]:
                wrong.append(f"{place}: subject '{cells['subject']}', emotion '{cells['emotion']}', intensity "
                             f"'{cells.get('intensity', '')}'")  # fmt: skip
                continue
            scan, image = root / cells["scan"], root / cells["image"]
            landmarks = root / cells["landmarks"] if cells.get("landmarks") else None
            if not _is_file(scan):
                no_scan.append(f"{cells['scan']} ({place})")
            elif not _is_file(image):
                no_image.append(f"{cells['image'] or 'nothing'} ({place})")
            elif scan.suffix.lower() not in MESH_SUFFIXES:
                kinds.append(f"{cells['scan']} ({place})")
            else:
                ethnicity = cells.get("ethnicity", "")
                found = Scan(scan, image, landmarks, cells["subject"], emotion, intensity, ethnicity)
                if found in reading.scans:
                    doubled.append(place)
                else:
                    reading.scans.append(found)
    reading.leave_out(
        "row that tells no expression",
        f"Rows of {MANIFEST} without a subject, an emotion out of {', '.join(EMOTIONS)}, or an intensity from "
        f"{INTENSITIES[0]} to {INTENSITIES[-1]} or none",
        wrong,
    )
    reading.note(f"Rows of {MANIFEST} that are there twice, of which only the first counts", doubled)
    reading.leave_out("no scan", f"Rows of {MANIFEST} whose scan is not there", no_scan)
    reading.leave_out("no photograph", f"Rows of {MANIFEST} whose photograph is not there", no_image)
    reading.leave_out("other format", f"Scans that are none of {', '.join(MESH_SUFFIXES)}", kinds)
    return reading.contents("manifest")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        # A name that is too long, or a folder that may not be looked into.
        return False


def _intensity(cell: str, emotion: str | None) -> int | None:
    """An intensity out of a cell; None for one that is wrong. Neutral has none, and an empty cell means the highest."""
    if emotion == "neutral":
        return 0
    if not cell:
        return _FULL
    return int(cell) if cell.isdecimal() and int(cell) in INTENSITIES else None
