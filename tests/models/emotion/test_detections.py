"""Landmarks are found once, and known again whatever a photograph is called."""

import cv2
import numpy as np
import pytest

from models.emotion.detections import detect_photographs
from models.landmarks.backend import Face, box_around


class CountingBackend:
    """Finds a face in every photograph that is not black, and remembers how often it looked."""

    looks = 0

    def __init__(self, **options):
        pass

    def detect(self, image, known=()):
        CountingBackend.looks += 1
        if image.max() == 0:
            return []
        points = np.full((68, 2), image.mean(), np.float32) + np.arange(68, dtype=np.float32)[:, None]
        return [Face(points, box_around(points), 0.9, np.full((478, 3), image.mean(), np.float32))]


@pytest.fixture(autouse=True)
def counting_backend(monkeypatch):
    CountingBackend.looks = 0
    monkeypatch.setattr("models.emotion.detections.load_backend", lambda name, **options: CountingBackend())


@pytest.fixture
def photographs(tmp_path):
    """Four photographs, the third of them black."""
    paths = [tmp_path / f"{number}.png" for number in range(4)]
    for number, path in enumerate(paths):
        cv2.imwrite(str(path), np.full((20, 20, 3), 0 if number == 2 else 10 * number + 5, np.uint8))
    return paths


@pytest.mark.parametrize("threads", [1, 3])
def test_faces_are_told_from_photographs_without(photographs, threads):
    found = detect_photographs(photographs, threads=threads)
    np.testing.assert_array_equal(found.found, [True, True, False, True])
    np.testing.assert_allclose(found.points[[0, 1, 3], 0, 0], [5, 15, 35])
    assert found.blendshape_points.shape == (4, 146, 2)


def test_photographs_that_were_looked_at_are_known_again_under_other_names(photographs, tmp_path):
    cache = tmp_path / "results" / "landmarks.npz"
    first = detect_photographs(photographs, cache=cache)
    assert CountingBackend.looks == 4
    renamed = [path.rename(path.with_name(f"renamed-{path.name}")) for path in photographs]
    second = detect_photographs(renamed, cache=cache)
    assert CountingBackend.looks == 4
    np.testing.assert_array_equal(first.points, second.points)
    np.testing.assert_array_equal(first.blendshape_points, second.blendshape_points)


def test_a_changed_photograph_is_looked_at_again(photographs, tmp_path):
    cache = tmp_path / "landmarks.npz"
    detect_photographs(photographs, cache=cache)
    cv2.imwrite(str(photographs[0]), np.full((20, 20, 3), 200, np.uint8))
    assert detect_photographs(photographs, cache=cache).points[0, 0, 0] == 200
    assert CountingBackend.looks == 5


def test_a_photograph_that_is_there_twice_is_looked_at_once(photographs):
    found = detect_photographs([photographs[0], photographs[0]])
    assert CountingBackend.looks == 1
    np.testing.assert_array_equal(found.points[0], found.points[1])


def test_a_damaged_cache_is_made_anew(photographs, tmp_path):
    cache = tmp_path / "landmarks.npz"
    cache.write_bytes(b"no archive")
    assert detect_photographs(photographs, cache=cache).found.sum() == 3
    detect_photographs(photographs, cache=cache)
    assert CountingBackend.looks == 4


def test_a_damaged_photograph_is_named_and_stops_nobody(photographs):
    photographs[1].write_bytes(photographs[1].read_bytes()[:40])
    found = detect_photographs(photographs)
    np.testing.assert_array_equal(found.found, [True, False, False, True])
    (path,) = found.unreadable
    assert path == photographs[1]


def test_work_done_is_kept_when_a_process_is_stopped(photographs, tmp_path, monkeypatch):
    monkeypatch.setattr("models.emotion.detections.SAVED_TOGETHER", 2)
    cache = tmp_path / "landmarks.npz"

    def stopped(items, name, total):
        for number, item in enumerate(items):
            if number == 3:
                raise KeyboardInterrupt
            yield item

    with pytest.raises(KeyboardInterrupt):
        detect_photographs(photographs, cache=cache, progress=stopped)
    before = CountingBackend.looks
    detect_photographs(photographs, cache=cache)
    assert CountingBackend.looks == before + 2
