"""Films of fits, drawn in the background when somebody is about to look at them."""

import logging
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from threading import Condition, Thread

from models.errors import DeepExp3DError

log = logging.getLogger(__name__)

# Films that are drawn at the same time, and that wait at most: of more, the ones asked for first are given up.
WORKERS = 2
MOST_WAITING = 4


@dataclass(frozen=True)
class Film:
    """How far a film is: `share` of it is drawn; `path` once it is there; `error` in words where it cannot be."""

    share: float = 0.0
    path: Path | None = None
    error: str = ""


class FilmMaker:
    """Draws films one after the other, what was asked for last first.

    Parameters
    ----------
    draw : function of an item and of a function that is to be told the share that is done; returns the film's path
    """

    def __init__(self, draw: Callable[[Hashable, Callable[[float], None]], Path]):
        self._draw = draw
        self._films: dict[Hashable, Film] = {}
        self._waiting: list[Hashable] = []
        self._change = Condition()
        for _ in range(WORKERS):
            Thread(target=self._work, daemon=True).start()

    def film(self, item: Hashable) -> Film:
        """Where a film is by now; it is asked for if it was not before, or was given up."""
        with self._change:
            if item not in self._films:
                self._films[item] = Film()
                self._waiting.append(item)
                for given_up in self._waiting[:-MOST_WAITING]:
                    del self._films[given_up]
                del self._waiting[:-MOST_WAITING]
                self._change.notify()
            return self._films[item]

    def _work(self) -> None:
        while True:
            with self._change:
                while not self._waiting:
                    self._change.wait()
                item = self._waiting.pop()
            self._tell(item, self._drawn(item))

    def _drawn(self, item: Hashable) -> Film:
        try:
            return Film(1.0, self._draw(item, lambda share: self._tell(item, Film(share))))
        except DeepExp3DError as error:
            return Film(error=str(error))
        except Exception as error:
            # The worker must outlive what nobody foresaw, and the reviewer must see it.
            log.exception("%s: no film", item)
            return Film(error=f"no film could be drawn ({error}); the log says more.")

    def _tell(self, item: Hashable, film: Film) -> None:
        with self._change:
            self._films[item] = film
