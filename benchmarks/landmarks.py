"""How exact, steady and fast the landmark backends are: `python -m benchmarks.landmarks --json FILE`.

Measured on rendered heads, whose landmarks are known, and, where the variable LONDON_FACES names the folder of the Face
Research Lab London Set, on its photographs, whose 189 template points were placed by hand. Errors are in per cent of
the distance between the outer eye corners.
"""

import argparse
import csv
import itertools
import json
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from scipy.ndimage import minimum_filter1d

from models.errors import ModelMismatchError, WeightsMissingError
from models.landmarks import (
    Face,
    LandmarkBackend,
    landmark_video,
    load_backend,
    smooth,
    track_first_frame_faces,
)
from models.morphable_model import MorphableModel
from models.morphable_model.embedded import build_embedded_model
from models.morphable_model.model import (
    INNER_LIPS,
    JAW,
    LEFT_BROW,
    LEFT_EYE,
    LEFT_EYE_OUTER,
    NOSE,
    OUTER_LIPS,
    RIGHT_BROW,
    RIGHT_EYE,
    RIGHT_EYE_OUTER,
)
from models.rendering.synthetic_video import SyntheticVideo, SyntheticVideoSettings, synthesise_video
from models.video import sample_videos

REGIONS = {
    "jaw": JAW,
    "brows": np.concatenate([RIGHT_BROW, LEFT_BROW]),
    "nose": NOSE,
    "eyes": np.concatenate([RIGHT_EYE, LEFT_EYE]),
    "mouth": np.concatenate([OUTER_LIPS, INNER_LIPS]),
}
# Points that the 68 and the 189 of the London set define alike: (68, 189).
LONDON_POINTS = {
    "eye_corners": ((36, 18), (39, 22), (42, 23), (45, 27)),
    "brow_outer_ends": ((17, 71), (26, 82)),
    "brow_inner_ends": ((21, 76), (22, 77)),
    "nose_base": ((31, 64), (33, 55), (35, 69)),
    "mouth_corners": ((48, 87), (54, 93)),
    "lips": ((50, 89), (51, 90), (52, 91), (57, 106), (62, 96), (66, 101)),
    "chin": ((8, 129),),
}
# The upper edge of each brow, from its outer end, among the 189, and the points of the 68 that lie along it.
LONDON_BROWS = (((18, 19, 20), (71, 72, 73, 74, 75)), ((25, 24, 23), (82, 81, 80, 79, 78)))
# Lines along which the place of a point is a convention; across them it is not.
LINES = {"jaw": JAW, "brows": RIGHT_BROW, "bridge": NOSE[:4]}
YAW_LIMITS = (0, 15, 30, 60)
ROLLS = (0, 30, 45, 60, 90, 180)
FACE_WIDTHS = (24, 32, 48, 64, 96, 128)
CANVAS = (720, 1280)
CUTOFFS_HZ = (3.0, 4.0, 5.0, 6.0, 8.0, 12.0, np.inf)
BLINK_FRAMES = 700
WARM_UP, REPEATS = 3, 20


def heads(model: MorphableModel, subjects: int, settings: SyntheticVideoSettings) -> Iterator[SyntheticVideo]:
    """Videos of people who are in no training set."""
    for subject in range(subjects):
        yield synthesise_video(model, subject, clip=0, seed=20_001, settings=settings)


def eye_distance(video: SyntheticVideo) -> np.ndarray:
    """Distance (F,) in pixels that the outer eye corners would have in a frontal view."""
    points = video.model.landmarks(video.identity)
    return video.camera.scale * np.linalg.norm(points[RIGHT_EYE_OUTER] - points[LEFT_EYE_OUTER])


def nearest(faces: Iterable[Face | None], truth: np.ndarray) -> np.ndarray | None:
    """Points (68, 2) of the face that lies on the true points, if one does."""
    width = np.ptp(truth[:, 0])
    close = [face for face in faces if face and np.linalg.norm(face.points.mean(0) - truth.mean(0)) < width / 2]
    return max(close, key=lambda face: face.score).points if close else None


def followed(backend: LandmarkBackend, images: Iterable[np.ndarray], truth: np.ndarray) -> np.ndarray:
    """Points (F, 68, 2) of a face that is followed from frame to frame; NaN where it is not found."""
    found = np.full(truth.shape, np.nan)
    faces: list[Face] = []
    for frame, image in enumerate(images):
        faces = [face for face in backend.follow(image, faces) if face] if faces else []
        faces = faces or backend.detect(image)
        points = nearest(faces, truth[frame])
        if points is not None:
            found[frame] = points
    return found


def measure_rendered(backend: LandmarkBackend, model: MorphableModel, subjects: int, frames: int) -> dict[str, float]:
    """Errors, bias and jitter on rendered videos."""
    settings = SyntheticVideoSettings(frames=frames, interruption_share=0.0)
    errors, visibility, seen, jitter, yaws = [], [], [], [], []
    across: dict[str, list[np.ndarray]] = {name: [] for name in LINES}
    for video in heads(model, subjects, settings):
        pictures = [video.render(frame) for frame in range(frames)]
        found = followed(backend, (image for image, _ in pictures), video.landmarks)
        unit = eye_distance(video)[:, None, None] / 100
        error = (found - video.landmarks) / unit
        present = np.isfinite(found).all((1, 2))
        errors.append(error[present])
        visibility.append(np.array([visible for _, visible in pictures])[present])
        seen.append(present)
        facing = video.camera.rotation[present, :, 2]
        yaws.append(np.abs(np.degrees(np.arctan2(facing[:, 0], facing[:, 2]))))
        for name, line in LINES.items():
            tangent = np.gradient(video.landmarks[present][:, line], axis=1)
            tangent /= np.linalg.norm(tangent, axis=2, keepdims=True)
            offset = error[present][:, line]
            beside = np.abs(offset[..., 0] * tangent[..., 1] - offset[..., 1] * tangent[..., 0])
            across[name].append(beside[visibility[-1][:, line]])
        # The second difference of white noise is the square root of 6 times as large as the noise.
        jitter.append(np.diff(error, 2, axis=0)[np.convolve(present, np.ones(3), "valid") == 3] / np.sqrt(6))
    error, visible = np.concatenate(errors), np.concatenate(visibility)
    distance = np.linalg.norm(error, axis=-1)
    result = {"rendered_detection_rate": float(np.concatenate(seen).mean())}
    result["rendered_error"] = float(distance[visible].mean())
    for name, indices in REGIONS.items():
        shown = visible[:, indices]
        result[f"rendered_error_{name}"] = float(distance[:, indices][shown].mean())
        result[f"rendered_bias_down_{name}"] = float(error[:, indices, 1][shown].mean())
    for name, values in across.items():
        result[f"rendered_error_across_{name}"] = float(np.concatenate(values).mean())
    yaw = np.concatenate(yaws)
    for low, high in itertools.pairwise(YAW_LIMITS):
        turned = (yaw >= low) & (yaw < high)
        result[f"rendered_error_yaw_{low}_to_{high}"] = float(distance[turned][visible[turned]].mean())
    result["rendered_jitter"] = _root_mean_square(np.concatenate(jitter))
    return result


def measure_smoothing(model: MorphableModel, subjects: int, frames: int, jitter: float) -> dict[str, float]:
    """Error of true motion after jitter (per cent, independent in every frame) was added and smoothed away again."""
    rng = np.random.default_rng(0)
    result = {}
    videos = list(heads(model, subjects, SyntheticVideoSettings(frames=frames)))
    for cutoff in CUTOFFS_HZ:
        rest = []
        for video in videos:
            truth = video.landmarks / (eye_distance(video)[:, None, None] / 100)
            times = np.arange(frames) / video.settings.frames_per_second
            noisy = truth + rng.normal(0, jitter, truth.shape)
            rest.append(smooth(noisy, times, cutoff_hz=cutoff).landmarks - truth)
        result[f"smoothed_error_{_label(cutoff)}"] = _root_mean_square(np.concatenate(rest))
    return result


def measure_blinks(backend: LandmarkBackend, frames: int) -> dict[str, float]:
    """Share of the depth of blinks that smoothing leaves, over the sample clips that can be had."""
    depth: list[float] = []
    kept: dict[float, list[float]] = {cutoff: [] for cutoff in CUTOFFS_HZ}
    for clip in sample_videos():
        detections = landmark_video(clip.path, backend, max_frames=frames, redetect_every=30, max_side=1280)
        for track in track_first_frame_faces(detections).tracks:
            opening = _eye_opening(smooth(track.landmarks, track.timestamps, cutoff_hz=np.inf).landmarks)
            usual = np.median(opening)
            lowest = minimum_filter1d(opening, 11)
            blinks = np.flatnonzero((opening == lowest) & (opening < usual / 2))
            depth += (usual - opening[blinks]).tolist()
            for cutoff, depths in kept.items():
                smoothed = _eye_opening(smooth(track.landmarks, track.timestamps, cutoff_hz=cutoff).landmarks)
                depths += (usual - smoothed[blinks]).tolist()
    result: dict[str, float] = {"blinks": len(depth)}
    if depth:
        result |= {f"blink_depth_kept_{_label(c)}": float(np.sum(d) / np.sum(depth)) for c, d in kept.items()}
    return result


def _eye_opening(landmarks: np.ndarray) -> np.ndarray:
    """Mean distance (T,) between the lids over the distance between the outer eye corners."""
    upper, lower = landmarks[:, [37, 38, 43, 44]], landmarks[:, [41, 40, 47, 46]]
    across = np.linalg.norm(landmarks[:, RIGHT_EYE_OUTER] - landmarks[:, LEFT_EYE_OUTER], axis=1)
    return np.linalg.norm(upper - lower, axis=2).mean(1) / across


def _label(cutoff: float) -> str:
    return "unsmoothed" if np.isinf(cutoff) else f"{cutoff:g}_hz"


def _root_mean_square(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def measure_sizes(backend: LandmarkBackend, model: MorphableModel, subjects: int) -> dict[str, float]:
    """Share of rendered faces of given widths (of their 68 points) that are found in a 1280x720 frame."""
    import cv2

    settings = SyntheticVideoSettings(frames=1, glasses_share=0, occluder_share=0, interruption_share=0)
    found = dict.fromkeys(FACE_WIDTHS, 0)
    rng = np.random.default_rng(0)
    for video in heads(model, subjects, settings):
        image, truth = video.render(0)[0], video.landmarks[0]
        for width in FACE_WIDTHS:
            factor = width / np.ptp(truth[:, 0])
            small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
            canvas = np.full((*CANVAS, 3), 110, np.uint8)
            small = small[: CANVAS[0], : CANVAS[1]]
            row, column = (rng.integers(0, size - side + 1) for size, side in zip(CANVAS, small.shape[:2], strict=True))
            canvas[row : row + small.shape[0], column : column + small.shape[1]] = small
            there = (truth + 0.5) * factor - 0.5 + [column, row]
            found[width] += nearest(backend.detect(canvas), there) is not None
    return {f"detection_rate_{width}_px": count / subjects for width, count in found.items()}


def measure_rolls(backend: LandmarkBackend, model: MorphableModel, subjects: int) -> dict[str, float]:
    """Share of faces that are found when the image is turned by so many degrees."""
    import cv2

    settings = SyntheticVideoSettings(frames=1, largest_roll=1, glasses_share=0, occluder_share=0, interruption_share=0)
    found = dict.fromkeys(ROLLS, 0)
    for video in heads(model, subjects, settings):
        image, truth = video.render(0)[0], video.landmarks[0]
        middle = (image.shape[1] / 2, image.shape[0] / 2)
        for roll in ROLLS:
            turn = cv2.getRotationMatrix2D(middle, roll, 1)
            turned = cv2.warpAffine(image, turn, image.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
            there = truth @ turn[:, :2].T + turn[:, 2]
            points = nearest(backend.detect(turned), there)
            # Points of an upright face on a turned one lie on it too, but not where they belong.
            if points is not None:
                found[roll] += np.linalg.norm(points - there, axis=1).mean() < 0.1 * np.ptp(truth[:, 0])
    return {f"detection_rate_roll_{roll}": float(count / subjects) for roll, count in found.items()}


def measure_speed(backend: LandmarkBackend, model: MorphableModel) -> dict[str, float]:
    """Milliseconds to find and to follow one face in a 1280x720 frame."""
    settings = SyntheticVideoSettings(frames=1, size=CANVAS[0], glasses_share=0, occluder_share=0, interruption_share=0)
    image = next(heads(model, 1, settings)).render(0)[0]
    side = (CANVAS[1] - CANVAS[0]) // 2
    image = np.pad(image, ((0, 0), (side, side), (0, 0)), mode="edge")
    faces = backend.detect(image)
    result = {}
    for name, work in (("detect", lambda: backend.detect(image)), ("follow", lambda: backend.follow(image, faces))):
        for _ in range(WARM_UP):
            work()
        start = time.perf_counter()
        for _ in range(REPEATS):
            work()
        result[f"{name}_ms"] = (time.perf_counter() - start) / REPEATS * 1000
    return result


def measure_london(backend: LandmarkBackend, folder: Path) -> dict[str, float]:
    """Errors on the London set: detection on all photographs, points on the neutral ones."""
    import cv2

    truths = json.loads((folder / "landmarks_189.json").read_text())
    with open(folder / "manifest.csv", newline="") as file:
        names = [row["file"] for row in csv.DictReader(file)]
    errors = {region: [] for region in LONDON_POINTS}
    edges, found = [], 0
    for name in names:
        faces = backend.detect(cv2.cvtColor(cv2.imread(str(folder / name)), cv2.COLOR_BGR2RGB))
        found += len(faces) == 1
        if name not in truths or not faces:
            continue
        truth = np.array(truths[name])
        outer = dict(LONDON_POINTS["eye_corners"])
        unit = np.linalg.norm(truth[outer[RIGHT_EYE_OUTER]] - truth[outer[LEFT_EYE_OUTER]]) / 100
        for region, pairs in LONDON_POINTS.items():
            ours, theirs = np.array(pairs).T
            errors[region].append((faces[0].points[ours] - truth[theirs]) / unit)
        edges.append([_below_edge(faces[0].points, truth, *brow) / unit for brow in LONDON_BROWS])
    result = {"london_detection_rate": found / len(names), "london_photographs": len(names)}
    result["london_error_brow_edge"] = float(np.abs(edges).mean())
    result["london_bias_down_brow_edge"] = float(np.mean(edges))
    distances = []
    for region, values in errors.items():
        distance = np.linalg.norm(values, axis=-1)
        distances.append(distance)
        result[f"london_error_{region}"] = float(distance.mean())
        result[f"london_bias_down_{region}"] = float(np.mean(values, axis=(0, 1))[1])
    result["london_error"] = float(np.concatenate(distances, axis=1).mean())
    return result


def _below_edge(points: np.ndarray, truth: np.ndarray, ours: tuple[int, ...], edge: tuple[int, ...]) -> np.ndarray:
    """How far down, in pixels, points of the 68 lie from a brow's upper edge."""
    curve = truth[list(edge)]
    curve = curve[np.argsort(curve[:, 0])]
    at = points[list(ours)]
    return at[:, 1] - np.interp(at[:, 0], curve[:, 0], curve[:, 1])


def measure(model: MorphableModel, subjects: int, frames: int, london: Path | None) -> dict[str, float | str]:
    """All figures of all backends; a backend whose weights cannot be had is named with the reason."""
    figures: dict[str, float | str] = {}
    for name in ("mediapipe", "face-alignment"):
        prefix = name.replace("-", "_")
        try:
            backend = load_backend(name)
        except WeightsMissingError as error:
            figures[f"{prefix}_not_measured"] = str(error)
            continue
        rendered = measure_rendered(backend, model, subjects, frames)
        parts = [
            rendered,
            measure_smoothing(model, subjects, frames, rendered["rendered_jitter"]),
            measure_blinks(backend, BLINK_FRAMES),
            measure_sizes(backend, model, 2 * subjects),
            measure_rolls(backend, model, 2 * subjects),
            measure_speed(backend, model),
        ]
        if london is not None:
            parts.append(measure_london(backend, london))
        for part in parts:
            figures |= {f"{prefix}_{key}": value for key, value in part.items()}
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the figures here as one flat object")
    parser.add_argument("--model", type=Path, default=Path("data/morphable_model/model.npz"))
    parser.add_argument("--subjects", type=int, default=12)
    parser.add_argument("--frames", type=int, default=90)
    arguments = parser.parse_args()
    try:
        model = MorphableModel.load(arguments.model)
    except ModelMismatchError:
        model = build_embedded_model()
    london = os.environ.get("LONDON_FACES")
    figures = measure(model, arguments.subjects, arguments.frames, Path(london) if london else None)
    for name, value in figures.items():
        print(f"{name:55s} {value:.3f}" if isinstance(value, float) else f"{name:55s} {value}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
