"""A scan and its photograph as two images that show the same (section 4.2)."""

from dataclasses import dataclass

import numpy as np

from models.errors import ImageError, NoFaceError, ScanError
from models.expression.images import read_image
from models.landmarks.backend import LandmarkBackend
from models.rgbd.contents import Scan
from models.rgbd.cropping import face_box
from models.rgbd.landmark_start import disagreement, landmark_start, relief_start
from models.rgbd.meshes import read_landmarks, read_mesh
from models.rgbd.orientation import orientation, turned_back
from models.rgbd.range_image import RangeImage, range_image
from models.rgbd.registration import Registration, laid_upon, register, warped
from models.rgbd.settings import PreparationSettings


@dataclass(frozen=True)
class PreparedPair:
    """A photograph and the depth of what it shows, pixel by pixel.

    Attributes
    ----------
    colour : (S, S, 3) uint8, the photograph made to fit a square; black beside it
    depth : (S, S) float32 mm, larger is nearer; NaN where the scan has nothing
    valid : (S, S) bool, where the scan has something
    registration : from pixels of the range image to those of `colour`
    box : (4,) int, left, top, right, bottom of the square around the face; it may reach beyond the images
    scan : its range image, before the registration
    remarks : what was done to the scan or what it lacks, "upside down: turned back"; none of an ordinary one
    """

    colour: np.ndarray
    depth: np.ndarray
    valid: np.ndarray
    registration: Registration
    box: np.ndarray
    scan: RangeImage
    remarks: tuple[str, ...] = ()


def prepare_pair(
    scan: Scan, settings: PreparationSettings | None = None, backend: LandmarkBackend | None = None
) -> PreparedPair:
    """Read a scan and its photograph, make a range image, register it and find the face.

    Parameters
    ----------
    backend : finds the face in the photograph, and in the relief of a scan without landmarks: there the registration
        begins. Without it, or where it finds none, the whole photograph is searched for the scan

    Raises
    ------
    ScanError
        Scan or photograph cannot be read or do not belong together, or the scan is turned and shall be left out;
        `reason` says which in a few words.
    """
    settings = settings or PreparationSettings()
    try:
        photograph = read_image(scan.image)
    except ImageError as error:
        raise ScanError(str(error), "unreadable photograph") from error
    mesh = read_mesh(scan.scan)
    landmarks = read_landmarks(scan.landmarks) if scan.landmarks is not None else None
    found = orientation(mesh, landmarks)
    remarks = []
    if found.turned:
        if settings.turned == "leave_out":
            raise ScanError(f"{scan.scan}: the scan is {found.position}; turn it, or have it turned.", "turned scan")
        mesh, landmarks = turned_back(mesh, landmarks, found)
        remarks.append(f"{found.position}: turned back")
    if mesh.texture_coordinates is None:
        remarks.append("without texture coordinates: used with the photograph alone")
    try:
        depth_image = range_image(mesh, settings.range_image)
        colour = fitted(photograph, settings.range_image.size)
        points = _points(colour, backend)
        start = None if points is None else _start(landmarks, depth_image, points, backend)
        registration = register(depth_image, colour, settings.registration, start)
        if start is not None:
            _require_agreement(registration.matrix, start, points, settings.registration.largest_disagreement)
        depth = warped(depth_image.depth, registration.matrix, colour.shape[:2])
        box = face_box(depth, settings.cropping)
    except ScanError as error:
        raise ScanError(f"{scan.scan} with {scan.image.name}: {error}", error.reason) from error
    return PreparedPair(colour, depth, np.isfinite(depth), registration, box, depth_image, tuple(remarks))


def _points(colour: np.ndarray, backend: LandmarkBackend | None) -> np.ndarray | None:
    """Landmarks (68, 2) of the largest face in a photograph; None where none is found."""
    faces = [] if backend is None else backend.detect(colour)
    return faces[0].points if faces else None


def _start(
    landmarks: np.ndarray | None, scan: RangeImage, points: np.ndarray, backend: LandmarkBackend
) -> np.ndarray | None:
    """Where the registration begins (2, 3); None where landmarks do not tell."""
    try:
        if landmarks is not None:
            return landmark_start(landmarks, scan, points)
        return relief_start(scan, points, backend)
    except NoFaceError:
        return None


def _require_agreement(matrix: np.ndarray, start: np.ndarray, points: np.ndarray, largest: float) -> None:
    """Refuse a registration that has left the face: of another person's photograph fine structure leads anywhere."""
    apart = disagreement(matrix, start, points)
    if apart > largest:
        raise ScanError(
            f"Scan and photograph do not belong together: the registration puts eyes, nose and lips {apart:.3f} "
            f"distances of the eyes beside where landmarks show them, {largest:.3f} is the most; check that both are "
            "of one person and moment.",
            "mismatch",
        )


def fitted(photograph: np.ndarray, size: int) -> np.ndarray:
    """A photograph (H, W, 3) in the middle of a black square (size, size, 3), as large as it fits."""
    import cv2

    height, width = photograph.shape[:2]
    scale = size / max(height, width)
    if scale != 1:
        shape = (max(1, round(width * scale)), max(1, round(height * scale)))
        interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        photograph = cv2.resize(photograph, shape, interpolation=interpolation)
        height, width = photograph.shape[:2]
    square = np.zeros((size, size, 3), np.uint8)
    top, left = (size - height) // 2, (size - width) // 2
    square[top : top + height, left : left + width] = photograph
    return square


def overlay(pair: PreparedPair) -> np.ndarray:
    """Figure 2 of the paper (S, 3 S, 3) uint8: depth over the grey photograph before and after the registration, and
    the registered depth with the square around the face.
    """
    import cv2

    grey = cv2.cvtColor(pair.colour, cv2.COLOR_RGB2GRAY).astype(np.float32)
    size = grey.shape
    before = warped(pair.scan.depth, laid_upon(pair.scan.depth.shape, size), size)
    panels = [_blended(grey, _shown(depth)) for depth in (before, pair.depth)]
    alone = cv2.cvtColor((255 * np.nan_to_num(_shown(pair.depth))).astype(np.uint8), cv2.COLOR_GRAY2RGB)
    left, top, right, bottom = (int(edge) for edge in pair.box)
    cv2.rectangle(alone, (left, top), (right - 1, bottom - 1), (255, 200, 0), 2)
    return np.concatenate([*panels, alone], axis=1)


def _shown(depth: np.ndarray) -> np.ndarray:
    """Depth as brightness (H, W) in [0.1, 1], NaN where there is none."""
    if not np.isfinite(depth).any():
        return depth
    low, high = np.nanpercentile(depth, [2, 99.8])
    return 0.1 + 0.9 * ((depth - low) / max(high - low, 1e-6)).clip(0, 1)


def _blended(grey: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Depth in warm colour over a grey photograph, so that an eye that lies beside its socket is seen."""
    there = np.isfinite(depth)[..., None]
    warm = 255 * np.nan_to_num(depth)[..., None] * np.array([1.0, 0.75, 0.35])
    photograph = np.repeat(grey[..., None], 3, axis=2)
    return np.where(there, 0.55 * photograph + 0.45 * warm, photograph).astype(np.uint8)
