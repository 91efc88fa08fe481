"""Numbers of faces last: through crossings, turns and short absences."""

from dataclasses import dataclass

import numpy as np
import pytest

from models.expression.tracks import FaceTracks
from models.landmarks.backend import Face, box_around, overlap

HEIGHT, WIDTH, RATE = 240, 480, 25
UNIT = np.stack(np.meshgrid(np.linspace(0, 1, 4), np.linspace(0, 1, 17)), -1).reshape(-1, 2)


@dataclass
class Person:
    """A coloured square that moves: `path` gives its left upper corner, or None while it is away."""

    colour: tuple[int, int, int]
    size: int
    path: list


class SquareFaces:
    """A backend that finds coloured squares, the one in front hiding what is behind it.

    Like a real detector it finds what fills the place where a face was, whoever that is.
    """

    name = "squares"

    def __init__(self, people: list[Person]):
        self.people = people
        self.frame = -1
        self.detections = 0

    def image(self) -> np.ndarray:
        """The next frame; later people stand in front."""
        self.frame += 1
        image = np.full((HEIGHT, WIDTH, 3), 60, np.uint8)
        for person in self.people:
            if person.path[self.frame] is not None:
                x, y = np.round(person.path[self.frame]).astype(int)
                image[max(0, y) : y + person.size, max(0, x) : x + person.size] = person.colour
        return image

    def visible(self) -> list[tuple[Person, Face]]:
        shown: list[tuple[Person, Face]] = []
        for person in reversed(self.people):
            if person.path[self.frame] is None:
                continue
            points = (np.asarray(person.path[self.frame]) + UNIT * person.size).astype(np.float32)
            face = Face(points, box_around(points), 0.9)
            if all(overlap(face.box, other.box) < 0.35 for _, other in shown):
                shown.append((person, face))
        return shown

    def detect(self, image, known=()):
        self.detections += 1
        return [face for _, face in self.visible()]

    def follow(self, image, faces):
        found = [face for _, face in self.visible()]
        return [
            max(
                (other for other in found if overlap(other.box, face.box) > 0.2),
                default=None,
                key=lambda other: overlap(other.box, face.box),
            )
            for face in faces
        ]


def numbers_of(people: list[Person]) -> list[list[int | None]]:
    """The number that each person has in each frame, None where it is hidden or away."""
    backend = SquareFaces(people)
    tracks = FaceTracks(backend)
    history = []
    for frame in range(len(people[0].path)):
        numbered = tracks.next(backend.image(), frame / RATE)
        seen = {id(person): face for person, face in backend.visible()}
        history.append(
            [
                next(
                    (
                        number
                        for number, face in numbered.items()
                        if id(person) in seen and overlap(face.box, seen[id(person)].box) > 0.9
                    ),
                    None,
                )
                for person in people
            ]
        )
    return history


def line(start, stop, frames):
    return list(np.linspace(start, stop, frames))


def test_two_faces_that_cross_keep_their_numbers():
    frames = 60
    left = Person((200, 150, 120), 70, line((20, 80), (380, 80), frames))
    right = Person((110, 80, 60), 70, line((380, 90), (20, 90), frames))
    history = numbers_of([left, right])
    assert history[0] == history[-1]
    assert None not in history[-1]
    for person in range(2):
        assert {row[person] for row in history} - {None} == {history[0][person]}


def test_faces_of_one_colour_that_cross_are_told_by_their_movement():
    frames = 60
    people = [
        Person((200, 150, 120), 70, line((20, 80), (380, 80), frames)),
        Person((200, 150, 120), 70, line((380, 85), (20, 85), frames)),
    ]
    history = numbers_of(people)
    assert history[0] == history[-1]


def test_faces_that_meet_and_turn_back_are_told_by_their_looks():
    half = 25
    left = line((20, 80), (190, 80), half)
    right = line((380, 90), (210, 90), half)
    people = [
        Person((220, 180, 150), 70, left + left[::-1]),
        Person((90, 60, 50), 70, right + right[::-1]),
    ]
    history = numbers_of(people)
    assert history[0] == history[-1]
    assert None not in history[-1]


def test_a_face_that_comes_back_within_a_second_gets_its_number_back():
    there = [(100, 60)] * 10
    person = Person((200, 150, 120), 80, there + [None] * 15 + [(108, 62)] * 10)
    other = Person((110, 80, 60), 80, [(300, 60)] * 35)
    history = numbers_of([person, other])
    assert history[-1] == history[0]


def test_a_face_that_comes_back_later_or_elsewhere_is_somebody_new():
    there = [(60, 60)] * 10
    late = numbers_of([Person((200, 150, 120), 80, there + [None] * 40 + there)])
    elsewhere = numbers_of([Person((200, 150, 120), 80, there + [None] * 5 + [(330, 60)] * 10)])
    assert (late[0], late[-1]) == ([0], [1])
    assert (elsewhere[0], elsewhere[-1]) == ([0], [1])


def test_a_moving_face_that_is_hidden_is_expected_further_on():
    """It leaves behind a pillar and comes out on its other side, farther than a face's width from where it went."""
    frames = 40
    path = line((10, 60), (390, 60), frames)
    path[12:28] = [None] * 16
    history = numbers_of([Person((200, 150, 120), 60, path)])
    assert history[-1] == history[0] == [0]


def test_a_newcomer_is_found_and_looks_are_rare():
    backend = SquareFaces(
        [Person((200, 150, 120), 70, [(20, 60)] * 60), Person((90, 60, 50), 70, [None] * 20 + [(300, 60)] * 40)]
    )
    tracks = FaceTracks(backend)
    counts = [len(tracks.next(backend.image(), frame / RATE)) for frame in range(60)]
    assert counts[19] == 1
    assert counts[35] == 2
    assert backend.detections < 8


@pytest.mark.parametrize("frames", [1, 5])
def test_nobody_has_no_number(frames):
    backend = SquareFaces([Person((200, 150, 120), 70, [None] * frames)])
    tracks = FaceTracks(backend)
    assert [tracks.next(backend.image(), frame / RATE) for frame in range(frames)] == [{}] * frames
