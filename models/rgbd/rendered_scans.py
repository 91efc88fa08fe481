"""Rendered scans with photographs in exactly the layout of BU-3DFE, with which everything can be tried (section 4.1).

A person of the morphable model poses as the people of BU-3DFE did, six expressions at four intensities and neutral. A
scanner that stands where the camera does sees the front of the face as a net of points, with noise and small holes; the
photograph is turned, shifted and scaled a little against it. What a name says of gender and ethnicity is made up: it
only makes the name one of the publisher's.
"""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from models.emotion.datasets.contents import SYNTHETIC
from models.emotion.labels import EMOTIONS
from models.errors import DatasetError
from models.morphable_model.model import JAW, LEFT_BROW, LEFT_EYE, NOSE, RIGHT_BROW, RIGHT_EYE, MorphableModel
from models.processes import shared_out
from models.rendering.head import rotation_from_angles
from models.rendering.rasteriser import NOTHING, camera_points, rasterise
from models.rendering.settings import SyntheticImageSettings
from models.rendering.shading import sample_lighting
from models.rendering.subject import Subject
from models.rendering.synthetic_images import SyntheticImage, posing_subject, studio_images
from models.rgbd.meshes import Mesh
from models.rgbd.settings import RenderedScanSettings
from models.storage import written_whole

# Written anew rather than taken from the reader, so that a set which is read back shows a mistake in either.
_CODES = dict(zip(EMOTIONS, ("NE", "AN", "DI", "FE", "HA", "SA", "SU"), strict=True))
_ETHNICITIES = ("WH", "AE", "BL", "AM", "LA", "IN")
_WOMEN, _MEN = 56, 44
_MOST_PEOPLE = _WOMEN + _MEN

# What a scanner sees of a head, mm beyond the landmarks of jaw and brows, and where it sees the surface too aslant.
_BESIDE, _BELOW, _ABOVE = 2.0, 2.0, 52.0
_LARGEST_STEP = 9.0
_BROW_HEIGHT = 4.0  # mm


@dataclass(frozen=True)
class RenderedScan:
    """A scan, its photograph, and how they lie to each other.

    Attributes
    ----------
    mesh : as the scanner saw it; its texture coordinates point at the photograph
    photograph : (H, W, 3) uint8
    landmarks : (83, 3) float32 mm, vertices of the mesh, in the order of BU-3DFE
    landmark_vertices : (83,) which vertices
    to_photograph : (2, 3) takes x and y of the scan, in mm, to pixels of the photograph
    """

    mesh: Mesh
    photograph: np.ndarray
    landmarks: np.ndarray
    landmark_vertices: np.ndarray
    to_photograph: np.ndarray


@dataclass(frozen=True)
class _Commission:
    """What it takes to scan people."""

    folder: Path
    model: MorphableModel
    seed: int
    settings: RenderedScanSettings


def write_rendered_bu3dfe(
    folder: Path | str,
    model: MorphableModel,
    *,
    people: int,
    seed: int,
    settings: RenderedScanSettings | None = None,
    workers: int = 1,
) -> None:
    """Render a set of scans in BU-3DFE's layout, which `read_scans("bu3dfe", folder)` reads.

    A file `SYNTHETIC.txt` says that it is rendered. An earlier rendered set in the folder is replaced. The same numbers
    give the same set, whatever the number of `workers`; another `light` changes the photographs and nothing else.

    Parameters
    ----------
    people : of whom each is scanned 25 times, if all intensities are wanted; at most 100
    workers : processes

    Raises
    ------
    DatasetError
        The folder holds anything but a rendered set.
    ModelMismatchError
        The model cannot be rendered.
    ValueError
        The set has no names for so many people.
    """
    settings = settings or RenderedScanSettings()
    folder = Path(folder)
    if not 1 <= people <= _MOST_PEOPLE:
        raise ValueError(f"BU-3DFE has names for 1 to {_MOST_PEOPLE} people, not for {people}.")
    if folder.exists() and any(folder.iterdir()):
        if not (folder / SYNTHETIC).is_file():
            raise DatasetError(f"{folder}: is not empty and holds no rendered set; choose another folder for one.")
        shutil.rmtree(folder)
    with written_whole(folder / SYNTHETIC) as path:
        path.write_text(
            f"These scans and photographs are rendered: {people} synthetic people, seed {seed}, light "
            f"'{settings.light}', in the layout of BU-3DFE. They show nobody of that set. Gender and ethnicity in "
            "names are made up.\n"
        )
    shared_out(partial(_scan_people, _Commission(folder, model, seed, settings)), people, workers)


def rendered_scans(
    model: MorphableModel, person: int, seed: int = 0, settings: RenderedScanSettings | None = None
) -> Iterator[tuple[str, int, RenderedScan]]:
    """The scans of a person, each with its emotion and intensity (0 for neutral): 25, if all intensities are wanted.

    Raises
    ------
    ModelMismatchError
        The model cannot be rendered.
    """
    settings = settings or RenderedScanSettings()
    studio = SyntheticImageSettings(
        size=settings.size,
        face_size=(0.27, 0.30),
        intensity=settings.peak,
        blend_share=0.0,
        habit=0.3,
        yaw_spread=1.5,
        largest_blur=0.4,
        largest_noise=2.0,
        oversampling=1.0,
    )
    someone = posing_subject(model, person, seed, studio)
    for emotion in EMOTIONS:
        levels = [(0, 0.0)] if emotion == "neutral" else list(enumerate(settings.intensities, 1))
        for level, strength in levels:
            if level and level not in settings.levels:
                continue
            rng = np.random.default_rng([seed, person, EMOTIONS.index(emotion), level, 6])
            lighting = sample_lighting(rng.spawn(1)[0]) if settings.light == "changed" else None
            ((shot,),) = studio_images(
                model, emotion, person, intensities=(strength,), take=level, seed=seed, settings=studio,
                person=someone, lighting=lighting,
            )  # fmt: skip
            yield emotion, level, _scanned(model, someone, shot, settings, rng)


def _scanned(
    model: MorphableModel, person: Subject, shot: SyntheticImage, settings: RenderedScanSettings, rng
) -> RenderedScan:
    """The front of a photographed head as a scanner sees it."""
    turn = rotation_from_angles(0, 0, rng.uniform(-1, 1) * settings.largest_turn)
    rotation = turn @ shot.camera.rotation[0]
    vertices = person.vertices + (model.expression_basis @ shot.expression).reshape(-1, 3)
    points = model.landmarks(shot.identity, person.resting + shot.expression) @ rotation.T
    # Scanners have an origin of their own.
    middle = points[JAW].mean(0) + rng.uniform(-10, 10, 3)
    points = points - middle
    x, y = _net(points, settings.spacing)
    scale = 1 / settings.spacing
    seen = camera_points(vertices, scale, rotation, scale * np.array([-middle[0] - x[0], middle[1] + y[0]]))
    seen[:, 2] -= middle[2]
    raster = rasterise(seen, model.triangles, (len(y), len(x)), cull_back_faces=True)
    depth = np.where(raster.depth > NOTHING, raster.depth, np.nan)
    depth[~_face_oval(points, x, y)] = np.nan
    depth += settings.noise * rng.standard_normal(depth.shape).astype(np.float32)
    _punch_holes(depth, settings.holes, rng)
    cloud = np.stack([*np.meshgrid(x, y), depth], -1).astype(np.float32)
    # The photograph is taken with the same view, but for the turn in the image's plane, shift and scale.
    magnification, place = shot.camera.scale[0], shot.camera.translation[0]
    flip = np.diag([1.0, -1.0])
    linear = magnification * flip @ turn[:2, :2].T
    to_photograph = np.column_stack([linear, place + linear @ middle[:2]])
    mesh = _connected(cloud, to_photograph, shot.image.shape[:2])
    nearest = _nearest_vertices(mesh.vertices, _bu3dfe_landmarks(points))
    return RenderedScan(mesh, shot.image, mesh.vertices[nearest], nearest, to_photograph)


def _net(landmarks: np.ndarray, spacing: float) -> tuple[np.ndarray, np.ndarray]:
    """Where a scanner measures: x (W,) to the right and y (H,) downwards, in mm."""
    low, high = landmarks[:, :2].min(0), landmarks[:, :2].max(0)
    x = np.arange(low[0] - _BESIDE - spacing, high[0] + _BESIDE + spacing, spacing)
    y = np.arange(high[1] + _ABOVE + spacing, low[1] - _BELOW - spacing, -spacing)
    return x, y


def _face_oval(landmarks: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Which points of a net (H, W) belong to the face: what the publisher cut out of the raw scans."""
    low, high = landmarks[:, :2].min(0) - [_BESIDE, _BELOW], landmarks[:, :2].max(0) + [_BESIDE, _ABOVE]
    middle, half = (low + high) / 2, (high - low) / 2
    return ((x - middle[0]) / half[0]) ** 2 + ((y[:, None] - middle[1]) / half[1]) ** 2 < 1


def _punch_holes(depth: np.ndarray, holes: float, rng: np.random.Generator) -> None:
    """Take round holes out of a net, in place."""
    rows, columns = np.mgrid[: depth.shape[0], : depth.shape[1]]
    for _ in range(rng.poisson(holes)):
        row, column = rng.uniform(0.15, 0.85, 2) * depth.shape
        depth[(rows - row) ** 2 + (columns - column) ** 2 < rng.uniform(0.8, 2.5) ** 2] = np.nan


def _connected(cloud: np.ndarray, to_photograph: np.ndarray, size: tuple[int, int]) -> Mesh:
    """A net of points (H, W, 3) as a surface: neighbours are joined unless one lies far behind the other."""
    number = np.full(cloud.shape[:2], -1)
    there = np.isfinite(cloud[..., 2])
    corners = [np.s_[:-1, :-1], np.s_[1:, :-1], np.s_[1:, 1:], np.s_[:-1, 1:]]
    triangles = []
    for chosen in ((0, 1, 2), (0, 2, 3)):
        z = np.stack([cloud[corners[k]][..., 2] for k in chosen])
        joined = np.ptp(z, axis=0) < _LARGEST_STEP
        triangles.append((chosen, joined))
    used = np.zeros_like(there)
    for chosen, joined in triangles:
        for k in chosen:
            used[corners[k]] |= joined
    number[used] = np.arange(used.sum())
    faces = np.concatenate(
        [np.stack([number[corners[k]][joined] for k in chosen], 1) for chosen, joined in triangles]
    ).astype(np.int32)
    vertices = cloud[used]
    pixels = vertices[:, :2] @ to_photograph[:, :2].T + to_photograph[:, 2]
    height, width = size
    coordinates = np.column_stack([(pixels[:, 0] + 0.5) / width, 1 - (pixels[:, 1] + 0.5) / height])
    return Mesh(vertices, faces, coordinates.astype(np.float32))


def _bu3dfe_landmarks(points: np.ndarray) -> np.ndarray:
    """The 83 landmarks (83, 3) of BU-3DFE out of the 68 (68, 3) of MULTI-PIE: eyes, brows, nose, lips, outline."""
    brows = [
        np.concatenate([_spread(points[brow], 5), _spread(points[brow][::-1] - [0, _BROW_HEIGHT, 0], 5)])
        for brow in (RIGHT_BROW, LEFT_BROW)
    ]
    eyes = [_spread(points[[*eye, eye[0]]], 9)[:-1] for eye in (RIGHT_EYE, LEFT_EYE)]
    return np.concatenate([*eyes, *brows, _spread(points[NOSE], 12), points[48:68], _spread(points[JAW], 15)])


def _spread(line: np.ndarray, count: int) -> np.ndarray:
    """`count` points (count, 3) along a line of points."""
    at = np.linspace(0, len(line) - 1, count)
    return np.column_stack([np.interp(at, np.arange(len(line)), line[:, axis]) for axis in range(3)])


def _nearest_vertices(vertices: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Indices of the vertices nearest to points (P, 3), as seen from the front."""
    from scipy.spatial import cKDTree

    return cKDTree(vertices[:, :2]).query(points[:, :2])[1]


def _scan_people(commission: _Commission, people: Sequence[int]) -> None:
    for person in people:
        subject = subject_name(person)
        folder = commission.folder / subject
        for emotion, level, scan in rendered_scans(commission.model, person, commission.seed, commission.settings):
            ethnicity = _ETHNICITIES[person % len(_ETHNICITIES)]
            write_scan(scan, folder / f"{subject}_{_CODES[emotion]}{level:02d}{ethnicity}")


def subject_name(person: int) -> str:
    """The name of a person, women and men in turn as long as there are names for both."""
    if person < 2 * _MEN:
        return f"{'FM'[person % 2]}{person // 2 + 1:04d}"
    return f"F{person - _MEN + 1:04d}"


def write_scan(scan: RenderedScan, stem: Path) -> None:
    """Write a scan's mesh, photograph and landmarks; `stem` is their path up to `_F3D.wrl`."""
    import cv2

    image = stem.parent / f"{stem.name}_F2D.bmp"
    with written_whole(image) as temporary:
        cv2.imwrite(str(temporary), scan.photograph[..., ::-1])
    with written_whole(stem.parent / f"{stem.name}_F3D.wrl") as temporary:
        temporary.write_text(_vrml(scan.mesh, image.name))
    with written_whole(stem.parent / f"{stem.name}_F3D.bnd") as temporary:
        rows = zip(scan.landmark_vertices, scan.landmarks, strict=True)
        temporary.write_text("".join(f"{index}\t{x:.4f}\t{y:.4f}\t{z:.4f}\n" for index, (x, y, z) in rows))


def _vrml(mesh: Mesh, image: str) -> str:
    points = ",\n".join(f"{x:.4f} {y:.4f} {z:.4f}" for x, y, z in mesh.vertices.tolist())
    faces = ",\n".join(f"{a}, {b}, {c}, -1" for a, b, c in mesh.triangles.tolist())
    texture = ",\n".join(f"{u:.6f} {v:.6f}" for u, v in mesh.texture_coordinates.tolist())
    return (
        "#VRML V2.0 utf8\n\n"
        f'Shape {{\n appearance Appearance {{\n  texture ImageTexture {{ url "{image}" }}\n }}\n'
        " geometry IndexedFaceSet {\n  solid FALSE\n"
        f"  coord Coordinate {{\n   point [\n{points}\n   ]\n  }}\n"
        f"  coordIndex [\n{faces}\n  ]\n"
        f"  texCoord TextureCoordinate {{\n   point [\n{texture}\n   ]\n  }}\n"
        f"  texCoordIndex [\n{faces}\n  ]\n }}\n}}\n"
    )
