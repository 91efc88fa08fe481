"""What an emotion data set holds, in one form for every set, and how it differs from the published one."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from models.emotion.labels import EMOTIONS

# The file that tells a rendered set from a real one.
SYNTHETIC = "SYNTHETIC.txt"


@dataclass(frozen=True)
class Photograph:
    """One photograph of one face, with what the set's publisher says of it.

    Attributes
    ----------
    path : of the image file; begins with the root that the set was read from, but for the images that FER2013 has in a
        table, which lie in the project's cache
    label : a name out of `EMOTIONS`
    subject : the person, None where the set does not tell
    view : degrees of yaw as the publisher states it: 0 frontal, ±45 semi-profile, ±90 profile. Positive where the face
        is turned to the subject's left, so that the camera sees more of the right cheek, as in `Predictor`'s yaw
    moment : shared by the photographs of one moment, taken at once from several angles; None where there is one angle
    take : distinguishes repetitions: the session of KDEF ("A", "B"), the gaze of RaFD ("frontal", "left", "right"),
        "peak" or "onset" of a CK+ sequence, the number of a JAFFE pose
    split : "train" or "test" where the publisher has split the set ("validation" where there are three parts)
    attributes : "gender" ("female", "male"), "ethnicity", "age" and others, as far as the set tells
    """

    path: Path
    label: str
    subject: str | None
    view: float = 0.0
    moment: str | None = None
    take: str | None = None
    split: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DatasetContents:
    """A data set as it was found on disk.

    Attributes
    ----------
    name : a key of `models.emotion.datasets.DATASETS`
    root : the folder that was read
    photographs : those that show one of `EMOTIONS` and can be opened, sorted by path
    left_out : reason -> number of images that belong to the set and are no part of `photographs` ("contempt", ...)
    problems : what differs from the published set, a sentence each with what was expected and what was found
    """

    name: str
    root: Path
    photographs: tuple[Photograph, ...]
    left_out: Mapping[str, int]
    problems: tuple[str, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Photographs of each emotion, in the order of `EMOTIONS`."""
        found = Counter(photograph.label for photograph in self.photographs)
        return {emotion: found[emotion] for emotion in EMOTIONS}

    @property
    def subjects(self) -> tuple[str, ...]:
        """The people, sorted; empty where the set does not tell."""
        return tuple(sorted({photograph.subject for photograph in self.photographs if photograph.subject is not None}))

    @property
    def synthetic(self) -> bool:
        """Whether the photographs are rendered, which a file beside them or a folder above tells."""
        return any((folder / SYNTHETIC).is_file() for folder in (self.root, self.root.parent))
