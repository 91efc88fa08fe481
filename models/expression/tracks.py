"""Faces of a video under numbers that last: through crossings, and through short absences."""

from dataclasses import dataclass, replace

import numpy as np

from models.landmarks.backend import Face, LandmarkBackend, overlap

# Frames between two looks for faces that have come into the picture; fewer while one is being missed.
FRAMES_BETWEEN_LOOKS = 25
FRAMES_BETWEEN_LOOKS_FOR_THE_LOST = 5
# How long a face that is gone is remembered, seconds.
MEMORY = 1.0
# Boxes that share more than this are of one face.
SAME_FACE = 0.4
# Farthest from its expected place, in sizes of the face, that a face is known again by; and by which factor its size
# may have changed.
REACH, SIZE_CHANGE = 1.0, 1.7
# How much a difference in looks (of colours from 0 to 1) counts beside one in place (in sizes of the face).
LOOKS_WEIGHT = 3.0
# What speaks for the face that a track followed by itself, among several that are close together.
OWN_BONUS = 0.3
# Weight of the newest frame in the speed of a face.
SPEED_SHARE = 0.5
# Side of the thumbnail that looks are compared by, pixels; pixels of the image along each; and the part around the face
# that it shows, in sizes of the face.
THUMBNAIL, THUMBNAIL_SAMPLES, THUMBNAIL_MARGIN = 6, 4, 0.2


@dataclass(frozen=True)
class _Track:
    """A face that has a number. `speed` (2,) pixels a second; `looks` (6, 6, 3) in [0, 1]; `time` when last seen."""

    number: int
    face: Face
    time: float
    speed: np.ndarray
    looks: np.ndarray

    def expected(self, time: float) -> np.ndarray:
        """Where the face's middle (2,) should be if it moves on as it did."""
        return _middle(self.face) + self.speed * (time - self.time)


class FaceTracks:
    """Follows faces from frame to frame and looks for new ones every so often.

    Where two faces come so close that both might be followed to the same one, each goes to the number whose movement
    and looks it fits; the number that is left without one is remembered, and given back to a face that appears where
    the lost one should be by now, or where it was, within a second.

    Parameters
    ----------
    backend : finds and follows faces
    """

    def __init__(self, backend: LandmarkBackend):
        self.backend = backend
        self._tracks: list[_Track] = []
        self._lost: list[_Track] = []
        self._frames = 0
        self._numbers = 0

    def next(self, image: np.ndarray, time: float) -> dict[int, Face]:
        """Number and face of everybody in the next frame.

        Parameters
        ----------
        image : (H, W, 3) uint8
        time : seconds, later than that of the frame before
        """
        before = self._tracks
        self._tracks = self._followed(image, time)
        gone = [track for track in before if all(track.number != now.number for now in self._tracks)]
        self._lost = [track for track in self._lost + gone if time - track.time <= MEMORY]
        if self._is_time_to_look(bool(gone)):
            self._look_for_others(image, time)
        self._frames += 1
        return {track.number: track.face for track in self._tracks}

    def _is_time_to_look(self, somebody_went: bool) -> bool:
        between = FRAMES_BETWEEN_LOOKS_FOR_THE_LOST if self._lost else FRAMES_BETWEEN_LOOKS
        return somebody_went or not self._tracks or self._frames % between == 0

    def _followed(self, image: np.ndarray, time: float) -> list[_Track]:
        """Tracks that go on in this frame."""
        # One by one: together, the backend would decide itself which of two tracks on one face is dropped.
        found = [(track, self.backend.follow(image, [track.face])[0]) for track in self._tracks]
        found = [(track, face) for track, face in found if face is not None]
        alone = [all(face is other or overlap(face.box, other.box) == 0 for _, other in found) for _, face in found]
        kept = [_moved(track, face, image, time) for (track, face), apart in zip(found, alone, strict=True) if apart]
        crowded = [pair for pair, apart in zip(found, alone, strict=True) if not apart]
        return kept + _contested(crowded, image, time)

    def _look_for_others(self, image: np.ndarray, time: float) -> None:
        known = [track.face for track in self._tracks]
        faces = [
            face
            for face in self.backend.detect(image, known=known)
            if all(overlap(face.box, other.box) < SAME_FACE for other in known)
        ]
        costs = {
            (place, track.number): _cost_of_return(track, face, image, time)
            for place, face in enumerate(faces)
            for track in self._lost
        }
        again = _cheapest_pairs({pair: cost for pair, cost in costs.items() if np.isfinite(cost)})
        for place, face in enumerate(faces):
            looks, still = _looks(image, face), np.zeros(2)
            number = again.get(place)
            if number is None:
                number, self._numbers = self._numbers, self._numbers + 1
            self._tracks.append(_Track(number, face, time, still, looks))
        self._lost = [track for track in self._lost if track.number not in again.values()]


def _contested(pairs: list[tuple[_Track, Face]], image: np.ndarray, time: float) -> list[_Track]:
    """Tracks of faces that touch, each face given to the track that it fits best."""
    distinct: list[Face] = []
    for _, face in sorted(pairs, key=lambda pair: -pair[1].score):
        if all(overlap(face.box, other.box) < SAME_FACE for other in distinct):
            distinct.append(face)
    looks = [_looks(image, face) for face in distinct]
    costs = {}
    for place, face in enumerate(distinct):
        for track, own in pairs:
            distance = np.linalg.norm(track.expected(time) - _middle(face)) / _size(track.face)
            cost = distance + LOOKS_WEIGHT * _difference(track.looks, looks[place])
            costs[place, track.number] = cost - OWN_BONUS * (overlap(own.box, face.box) >= SAME_FACE)
    tracks = {track.number: track for track, _ in pairs}
    given = _cheapest_pairs(costs)
    # What a face looks like is not learned while another is in front of it.
    return [
        replace(_moved(tracks[number], distinct[place], image, time), looks=tracks[number].looks)
        for place, number in given.items()
    ]


def _cheapest_pairs(costs: dict[tuple[int, int], float]) -> dict[int, int]:
    """First and second of the pairs that cost least, each used once."""
    chosen: dict[int, int] = {}
    for first, second in sorted(costs, key=costs.get):
        if first not in chosen and second not in chosen.values():
            chosen[first] = second
    return chosen


def _cost_of_return(track: _Track, face: Face, image: np.ndarray, time: float) -> float:
    """How badly a new face fits one that was lost; infinite if it cannot be the same."""
    size = _size(track.face)
    growth = _size(face) / size
    places = (track.expected(time), _middle(track.face))
    distance = min(np.linalg.norm(place - _middle(face)) for place in places) / size
    if distance > REACH or not 1 / SIZE_CHANGE < growth < SIZE_CHANGE:
        return np.inf
    return distance + LOOKS_WEIGHT * _difference(track.looks, _looks(image, face))


def _moved(track: _Track, face: Face, image: np.ndarray, time: float) -> _Track:
    """A track one frame on."""
    interval = time - track.time
    step = (_middle(face) - _middle(track.face)) / interval if interval > 0 else track.speed
    speed = track.speed + SPEED_SHARE * (step - track.speed)
    return _Track(track.number, face, time, speed, _looks(image, face))


def _middle(face: Face) -> np.ndarray:
    return face.box.reshape(2, 2).mean(axis=0).astype(float)


def _size(face: Face) -> float:
    return max(1.0, float((face.box[2:] - face.box[:2]).max()))


def _difference(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.sqrt(np.mean((first - second) ** 2)))


def _looks(image: np.ndarray, face: Face) -> np.ndarray:
    """A thumbnail (6, 6, 3) in [0, 1] of a face and a little of what is around it."""
    margin = THUMBNAIL_MARGIN * _size(face)
    columns, rows = (
        np.linspace(low - margin, high + margin, THUMBNAIL * THUMBNAIL_SAMPLES).round().astype(int).clip(0, side - 1)
        for low, high, side in zip(face.box[:2], face.box[2:], image.shape[1::-1], strict=True)
    )
    samples = image[np.ix_(rows, columns)].reshape(THUMBNAIL, THUMBNAIL_SAMPLES, THUMBNAIL, THUMBNAIL_SAMPLES, 3)
    return samples.mean(axis=(1, 3)) / 255
