"""The papers' kind of landmarks: the 3D-aware 68 points of `face-alignment` (Bulat and Tzimiropoulos, 2017).

Its weights are not shipped here. They are looked for where PyTorch keeps downloaded weights
(`$TORCH_HOME/hub/checkpoints`) and fetched by the package's own addresses where that is possible.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models.errors import WeightsMissingError
from models.landmarks.backend import Face, as_rgb, box_around, overlap, without_duplicates
from models.packages import sha256_of

LANDMARKER_WEIGHTS = "3DFAN4-7835d9f11d.pth.tar"
DETECTOR_WEIGHTS = "s3fd-619a316812.pth"
# The package's third file. Only its three-dimensional mode needs it, and it can only be read by unpickling.
DEPTH_WEIGHTS = "depth-2a464da4ea.pth.tar"

# A face is looked for again within this many widths of its last box.
SEARCH_MARGIN = 0.75
SAME_FACE = 0.2


class FaceAlignmentBackend:
    """68 points that are projections of points on the head, so that the jaw keeps its place as the head turns.

    Parameters
    ----------
    network : a `face_alignment.FaceAlignment`
    detection_threshold : detector score from which a box is a face
    """

    name = "face-alignment"

    def __init__(self, network: Any, detection_threshold: float = 0.5) -> None:
        self._network = network
        self.detection_threshold = detection_threshold

    @classmethod
    def load(cls, device: str = "cpu", **options: Any) -> "FaceAlignmentBackend":
        """Backend with the published weights, on a torch device.

        Raises
        ------
        WeightsMissingError
            The weights are not there and cannot be fetched, or are not the published ones.
        """
        import face_alignment
        from face_alignment.api import models_urls as landmark_urls
        from face_alignment.detection.sfd.sfd_detector import models_urls as detector_urls

        detector = _checkpoint(DETECTOR_WEIGHTS, detector_urls["s3fd"])
        _checkpoint(LANDMARKER_WEIGHTS, landmark_urls["3DFAN-4"])
        network = face_alignment.FaceAlignment(
            # 3D-aware points without their depth.
            face_alignment.LandmarksType.TWO_HALF_D,
            device=device,
            # A path is read with `weights_only`; the package's own download of this file would be unpickled.
            face_detector_kwargs={"path_to_detector": str(detector)},
            compile=False,
        )
        return cls(network, **options)

    def detect(self, image: np.ndarray, known: Sequence[Face] = ()) -> list[Face]:
        """All faces of an image, the largest first.

        If there is none, the image is tried with a border (for faces that fill or leave it), then at twice its size
        (for small ones).
        """
        image = as_rgb(image)
        border = max(image.shape[:2]) // 2
        for pad, enlarge in ((0, 1), (border, 1), (0, 2)):
            view = np.pad(image, ((pad, pad), (pad, pad), (0, 0)), mode="edge").repeat(enlarge, 0).repeat(enlarge, 1)
            faces = [_shifted(face, enlarge, np.full(2, -pad)) for face in self._faces(view)]
            if faces:
                return without_duplicates(faces)
        return []

    def follow(self, image: np.ndarray, faces: list[Face]) -> list[Face | None]:
        """The faces in the next frame, each looked for around its last place; None where one is lost."""
        image = as_rgb(image)
        return [self._found_again(image, face) for face in faces]

    def _found_again(self, image: np.ndarray, face: Face) -> Face | None:
        reach = SEARCH_MARGIN * (face.box[2:] - face.box[:2])
        size = np.array([image.shape[1], image.shape[0]])
        low = np.clip(face.box[:2] - reach, 0, size).astype(int)
        high = np.clip(face.box[2:] + reach, 0, size).astype(int)
        if (high - low).min() < 1:
            return None
        part = image[low[1] : high[1], low[0] : high[0]]
        candidates = [_shifted(candidate, 1, low) for candidate in self._faces(part)]
        nearest = max(candidates, key=lambda candidate: float(overlap(candidate.box, face.box)), default=None)
        return nearest if nearest is not None and overlap(nearest.box, face.box) > SAME_FACE else None

    def _faces(self, image: np.ndarray) -> list[Face]:
        """What the package finds in an image as it is."""
        boxes = self._network.face_detector.detect_from_image(image.copy())
        boxes = [box for box in boxes if box[4] >= self.detection_threshold]
        if not boxes:
            return []
        found = self._network.get_landmarks_from_image(image, detected_faces=boxes)
        points = [np.asarray(each, np.float32)[:, :2] for each in found]
        return [Face(each, box_around(each), float(box[4])) for each, box in zip(points, boxes, strict=True)]


def _shifted(face: Face, enlargement: int, offset: np.ndarray) -> Face:
    """A face of an enlarged, then shifted part in the coordinates of the whole image."""
    points = ((face.points + 0.5) / enlargement - 0.5 + offset).astype(np.float32)
    return Face(points, box_around(points), face.score)


def _checkpoint(name: str, url: str) -> Path:
    """Path of published weights, fetched if need be; the name ends in the start of their sha256."""
    import torch

    path = Path(torch.hub.get_dir()) / "checkpoints" / name
    prefix = re.search(r"-([0-9a-f]{10})\.", name)[1]
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, str(path), hash_prefix=prefix, progress=False)
        except (OSError, RuntimeError) as error:
            raise WeightsMissingError(
                f"{path}: the weights of face-alignment are not there and cannot be fetched ({error}). "
                f"Put {LANDMARKER_WEIGHTS} and {DETECTOR_WEIGHTS} into {path.parent} ({DEPTH_WEIGHTS} is not needed), "
                "or choose the backend mediapipe."
            ) from error
    if not sha256_of(path).startswith(prefix):
        raise WeightsMissingError(
            f"{path}: is not the published file (its sha256 does not start with {prefix}); delete it and fetch it anew."
        )
    return path
