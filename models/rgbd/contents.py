"""What a set of 3D scans with photographs holds, in one form for every set, and how it differs from the published."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from models.emotion.datasets.contents import SYNTHETIC
from models.emotion.labels import EMOTIONS

# How intense an expression is in BU-3DFE, low to highest.
INTENSITIES = (1, 2, 3, 4)
# How much of a scan's name the name of a file takes.
_LONGEST_STEM = 80


@dataclass(frozen=True)
class Scan:
    """One 3D scan of one face and the photograph that belongs to it (section 4.1).

    Attributes
    ----------
    scan : file of the mesh: WRL, PLY or OBJ
    image : file of its photograph, seen from the front
    landmarks : file of its landmarks (`.bnd`), None where there is none
    subject : the person, "F0001"
    emotion : a name out of `EMOTIONS`
    intensity : 1 to 4, 0 for neutral
    ethnicity : as the publisher codes it ("WH"), "" where the set does not tell
    """

    scan: Path
    image: Path
    landmarks: Path | None
    subject: str
    emotion: str
    intensity: int
    ethnicity: str = ""

    @property
    def name(self) -> str:
        """Person, emotion and intensity, "F0001 angry 3": what sentences call the scan."""
        return " ".join([self.subject, self.emotion] + [str(self.intensity)] * (self.intensity > 0))


@dataclass(frozen=True)
class ScanContents:
    """A set of scans as it was found on disk.

    Attributes
    ----------
    name : "bu3dfe" or "manifest"
    root : the folder that was read
    scans : those that have a photograph and can be opened, sorted by subject, emotion and intensity
    left_out : reason -> number of scans that are no part of `scans` ("no photograph", "raw scan", ...)
    problems : what differs from the published set, a sentence each with what was expected and what was found
    """

    name: str
    root: Path
    scans: tuple[Scan, ...]
    left_out: Mapping[str, int]
    problems: tuple[str, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Scans of each emotion, in the order of `EMOTIONS`."""
        found = Counter(scan.emotion for scan in self.scans)
        return {emotion: found[emotion] for emotion in EMOTIONS}

    @property
    def subjects(self) -> tuple[str, ...]:
        """The people, sorted."""
        return tuple(sorted({scan.subject for scan in self.scans}))

    @property
    def synthetic(self) -> bool:
        """Whether the scans are rendered, which a file beside them or a folder above tells."""
        return any((folder / SYNTHETIC).is_file() for folder in (self.root, self.root.parent))


def sort_key(scan: Scan) -> tuple[str, int, int, str]:
    """By subject, by emotion in the order of `EMOTIONS`, by intensity."""
    return scan.subject, EMOTIONS.index(scan.emotion), scan.intensity, scan.scan.name


def file_stems(scans: Iterable[Scan]) -> list[str]:
    """For each scan how files are called that are made of it, "F0001_angry_3": all different, and without folders.

    Tables name people as they like, and may have several scans of one expression: the second of a name gets a number.
    """
    stems, taken = [], set()
    for scan in scans:
        stem = re.sub(r"[^\w-]+", "_", scan.name)[-_LONGEST_STEM:]
        number = 1
        while (numbered := stem if number == 1 else f"{stem}-{number}").casefold() in taken:
            number += 1
        taken.add(numbered.casefold())
        stems.append(numbered)
    return stems
