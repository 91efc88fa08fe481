"""Films are drawn in the background: once, the last asked for first, and an error is told."""

import threading

import pytest

from models.errors import VideoError
from orchestration.review_page.films import MOST_WAITING, WORKERS, FilmMaker


class Drawing:
    """Draws films only once it is let go, and notes which."""

    def __init__(self, errors=None):
        self.begun, self.drawn, self.errors = [], [], errors or {}
        self.go, self.all_begun = threading.Event(), threading.Semaphore(0)
        self.finished = threading.Semaphore(0)

    def __call__(self, item, progress):
        self.begun.append(item)
        progress(0.5)
        self.all_begun.release()
        assert self.go.wait(30)
        self.finished.release()
        if item in self.errors:
            raise self.errors[item]
        self.drawn.append(item)
        return item


def settled(maker, item):
    """The film once it is there, or cannot be."""
    for _ in range(3000):
        film = maker.film(item)
        if film.path or film.error:
            return film
        threading.Event().wait(0.01)
    raise AssertionError(f"{item} was never drawn")


def test_a_film_is_drawn_once_and_its_share_is_told_on_the_way():
    drawing = Drawing()
    maker = FilmMaker(drawing)
    assert maker.film("a").path is None
    assert drawing.all_begun.acquire(timeout=30)
    assert maker.film("a").share == 0.5
    drawing.go.set()
    assert settled(maker, "a").path == "a"
    assert maker.film("a").path == "a"
    assert drawing.drawn == ["a"]


def test_what_was_asked_for_last_comes_first_and_what_waits_too_long_is_given_up():
    drawing = Drawing()
    maker = FilmMaker(drawing)
    for item in range(WORKERS):
        maker.film(item)
        assert drawing.all_begun.acquire(timeout=30)
    waiting = [f"film {number}" for number in range(MOST_WAITING + 1)]
    for item in waiting:
        maker.film(item)
    drawing.go.set()
    for item in waiting[1:]:
        settled(maker, item)
    assert drawing.begun[WORKERS] == waiting[-1]
    assert waiting[0] not in drawing.begun


@pytest.mark.parametrize(
    ("error", "said"), [(VideoError("clip.mp4: is gone; copy it."), "clip.mp4: is gone"), (RuntimeError("odd"), "odd")]
)
def test_a_film_that_cannot_be_drawn_says_why_and_stops_no_other(error, said):
    drawing = Drawing(dict.fromkeys(range(WORKERS), error))
    drawing.go.set()
    maker = FilmMaker(drawing)
    for item in range(WORKERS):
        assert said in settled(maker, item).error
    assert settled(maker, "other").path == "other"
