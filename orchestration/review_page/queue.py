"""The queue of videos to be judged, as a value: where its reviewer is, what is done, what comes next."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from assets.manual_review import Verdict


@dataclass(frozen=True)
class ReviewQueue:
    """Videos in the order in which they are looked at, and what has been said of them.

    Attributes
    ----------
    order : ids of the videos, the most suspicious first; there is at least one
    verdicts : the verdict that holds on each judged video; of others, such as ones that are gone, too
    place : of the video that is looked at, in `order`
    """

    order: tuple[str, ...]
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    place: int = 0

    @property
    def current(self) -> str:
        """The video that is looked at."""
        return self.order[self.place]

    @property
    def done(self) -> int:
        """How many of the videos are judged, by whomever."""
        return sum(video in self.verdicts for video in self.order)

    @property
    def left(self) -> int:
        """How many are not."""
        return len(self.order) - self.done

    def stepped(self, steps: int) -> "ReviewQueue":
        """The queue at so many places further on; it ends at its ends."""
        return replace(self, place=min(max(self.place + steps, 0), len(self.order) - 1))

    def at(self, video: str) -> "ReviewQueue":
        """The queue at a given video; where it was, if the video is not in it."""
        return replace(self, place=self.order.index(video)) if video in self.order else self

    def at_next_open(self) -> "ReviewQueue":
        """The queue at the next video without a verdict, from the start again after the end; where it was, if none."""
        for ahead in range(len(self.order)):
            place = (self.place + ahead) % len(self.order)
            if self.order[place] not in self.verdicts:
                return replace(self, place=place)
        return self

    def with_verdicts(self, verdicts: Mapping[str, Verdict]) -> "ReviewQueue":
        """The queue with what holds by now; its place stays."""
        return replace(self, verdicts=verdicts)

    def with_order(self, order: tuple[str, ...]) -> "ReviewQueue":
        """The queue over other videos, at least one: at the same video; if that is gone, at the one in its place."""
        return replace(self, order=order, place=min(self.place, len(order) - 1)).at(self.current)

    def around(self, rows: int) -> range:
        """Places of at most `rows` videos to be listed: some before the current one, most after it."""
        first = max(0, min(self.place - rows // 4, len(self.order) - rows))
        return range(first, min(first + rows, len(self.order)))
