"""The landmarks of photographs: found once, and kept in a file that knows photographs by what they hold."""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np

from models.errors import ImageError
from models.expression.concurrency import mapped
from models.landmarks.backend import load_backend
from models.landmarks.blendshapes import BLENDSHAPE_POINTS
from models.packages import sha256_of
from models.storage import load_arrays, save_arrays

log = logging.getLogger(__name__)

# Width in pixels of the smallest face that is looked for: who labels emotions photographs faces, not crowds.
SMALLEST_FACE = 64
# Largest side of a photograph that is looked at.
LARGEST_SIDE = 4096
# So many photographs are looked at before what was found is written: no more is lost when a process is killed.
SAVED_TOGETHER = 1000


@dataclass(frozen=True)
class Detections:
    """The largest face of each of F photographs.

    Attributes
    ----------
    points : (F, 68, 2) pixels; NaN where there is no face
    blendshape_points : (F, 146, 2) pixels, the points `BLENDSHAPE_POINTS` of MediaPipe; NaN where there is no face, or
        the backend has no such points
    unreadable : what is wrong with the photographs that cannot be read
    """

    points: np.ndarray
    blendshape_points: np.ndarray
    unreadable: Mapping[Path, str] = field(default_factory=dict)

    @property
    def found(self) -> np.ndarray:
        """(F,) bool, whether a face was found."""
        return np.isfinite(self.points).all(axis=(1, 2))


def detect_photographs(
    paths: Sequence[Path],
    backend: str = "mediapipe",
    *,
    cache: Path | None = None,
    threads: int = 1,
    progress: Callable[[Iterable, str, int | None], Iterable] | None = None,
) -> Detections:
    """Find the largest face of every photograph.

    Parameters
    ----------
    paths : F image files
    backend : name of the landmark backend
    cache : file (.npz) with the landmarks of photographs that were looked at before, known by the hash of their bytes;
        those looked at now are added. None keeps nothing
    threads : photographs that are looked at side by side
    progress : wraps what is gone through, given it, its name and its length; may show a bar

    Raises
    ------
    WeightsMissingError
        The backend's weights are neither cached nor obtainable.
    OSError
        A photograph is missing.
    """
    show = progress or (lambda items, name, total: items)
    digests = list(mapped(sha256_of, paths, threads if threads > 1 else 0))
    known = _Known.load(cache)
    unseen = list({digest: path for digest, path in zip(digests, paths, strict=True) if digest not in known}.items())
    looks = mapped(_Looker(backend), unseen, threads if threads > 1 else 0)
    looks = iter(show(looks, "landmarks", len(unseen)) if unseen else looks)
    unreadable = {}
    while chunk := list(islice(looks, SAVED_TOGETHER)):
        for digest, path, outcome in chunk:
            if isinstance(outcome, ImageError):
                unreadable[path] = str(outcome)
            else:
                known.add(digest, *outcome)
        known.save(cache)
    return Detections(*known.of(digests), unreadable)


class _Looker:
    """Finds landmarks; each thread has a backend of its own, which none of them shares."""

    def __init__(self, backend: str):
        self.backend = backend
        self.local = threading.local()

    def __call__(self, photograph: tuple[str, Path]):
        from models.expression.images import read_photograph

        digest, path = photograph
        if not hasattr(self.local, "backend"):
            options = {"smallest_face": SMALLEST_FACE} if self.backend == "mediapipe" else {}
            self.local.backend = load_backend(self.backend, **options)
        try:
            faces = self.local.backend.detect(read_photograph(path, LARGEST_SIDE).image)
        except ImageError as error:
            return digest, path, error
        points, blendshape_points = np.full((68, 2), np.nan), np.full((len(BLENDSHAPE_POINTS), 2), np.nan)
        if faces:
            points = faces[0].points
            if faces[0].dense is not None and len(faces[0].dense) > BLENDSHAPE_POINTS[-1]:
                blendshape_points = faces[0].dense[BLENDSHAPE_POINTS, :2]
        return digest, path, (points, blendshape_points)


class _Known:
    """Landmarks by hash."""

    def __init__(self, found: dict[str, tuple[np.ndarray, np.ndarray]]):
        self.found = found
        self.saved = len(found)

    @classmethod
    def load(cls, cache: Path | None) -> "_Known":
        if cache is None or not cache.exists():
            return cls({})
        try:
            arrays = load_arrays(cache)
            rows = zip(arrays["sha256"], arrays["points"], arrays["blendshape_points"], strict=True)
            return cls({str(digest): (points, others) for digest, points, others in rows})
        except (ValueError, KeyError, OSError, EOFError) as error:
            log.warning("%s: not readable (%s); the photographs are looked at again.", cache, error)
            return cls({})

    def __contains__(self, digest: str) -> bool:
        return digest in self.found

    def add(self, digest: str, points: np.ndarray, blendshape_points: np.ndarray) -> None:
        self.found[digest] = (np.asarray(points, np.float32), np.asarray(blendshape_points, np.float32))

    def of(self, digests: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Points (F, 68, 2) and blendshape points (F, 146, 2)."""
        nothing = (np.full((68, 2), np.nan), np.full((len(BLENDSHAPE_POINTS), 2), np.nan))
        pairs = [self.found.get(digest, nothing) for digest in digests]
        return (
            np.array([points for points, _ in pairs], np.float32).reshape(-1, 68, 2),
            np.array([others for _, others in pairs], np.float32).reshape(-1, len(BLENDSHAPE_POINTS), 2),
        )

    def save(self, cache: Path | None) -> None:
        if cache is None or len(self.found) == self.saved:
            return
        digests = sorted(self.found)
        points, blendshape_points = self.of(digests)
        save_arrays(cache, sha256=np.array(digests), points=points, blendshape_points=blendshape_points)
        self.saved = len(self.found)
