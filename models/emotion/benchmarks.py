"""The emotion benchmarks: which photographs of a data set take part, how they are split, and what the paper reached.

Those of Table I follow section IV-A; the others are sets that users hold as well. What the paper leaves open is said in
`docs/emotion.md`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.emotion.datasets.contents import DatasetContents, Photograph
from models.emotion.datasets.facts import DATASETS
from models.emotion.labels import EMOTIONS
from models.emotion.protocols import BY_SUBJECT, Measure, Protocol, Splitting
from models.emotion.published import ACCURACIES, Accuracy

FRONTAL, SEMI_PROFILE = (0.0,), (-45.0, 45.0)


@dataclass(frozen=True)
class Selection:
    """Which photographs of a set take part.

    Attributes
    ----------
    views : degrees of yaw that are taken; None takes all
    takes : takes that are taken; None takes all
    one_view : for each person, the photographs of one of the views only, drawn at random
    one_take : for each person and emotion one of the takes only, drawn at random
    neutral : whether neutral faces take part: all, one for each person, drawn at random, or none
    """

    views: tuple[float, ...] | None = None
    takes: tuple[str, ...] | None = None
    one_view: bool = False
    one_take: bool = False
    neutral: str = "all"

    def of(self, photographs: Iterable[Photograph], seed: int) -> tuple[Photograph, ...]:
        """The photographs that take part, sorted by path; the same seed draws the same."""
        rng = np.random.default_rng(seed)
        chosen = [
            photograph
            for photograph in photographs
            if (self.views is None or photograph.view in self.views)
            and (self.takes is None or photograph.take in self.takes)
            and (self.neutral != "none" or photograph.label != "neutral")
        ]
        if self.one_view:
            chosen = _drawn(chosen, rng, within=lambda p: (p.subject,), one=lambda p: p.view)
        if self.one_take:
            chosen = _drawn(chosen, rng, within=lambda p: (p.subject, p.label), one=lambda p: (p.take, p.path))
        if self.neutral == "one":
            calm = [photograph for photograph in chosen if photograph.label == "neutral"]
            kept = _drawn(calm, rng, within=lambda p: (p.subject,), one=lambda p: p.path)
            chosen = [photograph for photograph in chosen if photograph.label != "neutral"] + kept
        return tuple(sorted(chosen, key=lambda photograph: photograph.path))


@dataclass(frozen=True)
class Benchmark:
    """A benchmark.

    Attributes
    ----------
    name : as users and partitions call it
    dataset : the set whose photographs it takes, a key of `models.emotion.datasets.DATASETS`
    title, description : for readers
    selection : which photographs
    paper : how the paper splits them; for sets that the paper does not use, how others do
    expected : how many photographs that are in the complete set, None where nobody can know
    """

    name: str
    dataset: str
    title: str
    description: str
    selection: Selection
    paper: Protocol
    expected: int | None = None

    @property
    def published(self) -> Accuracy | None:
        """What Table III states of the paper's own method, per cent; None where the paper states nothing."""
        return next((row for row in ACCURACIES if row.benchmark == self.name), None)

    @property
    def emotions(self) -> tuple[str, ...]:
        """Those that the complete set shows."""
        known = DATASETS[self.dataset].labels or dict.fromkeys(EMOTIONS, 1)
        return tuple(
            emotion
            for emotion in EMOTIONS
            if known.get(emotion) and not (emotion == "neutral" and self.selection.neutral == "none")
        )

    def select(self, contents: DatasetContents, seed: int) -> tuple[Photograph, ...]:
        """The photographs that take part, sorted by path; what is picked at random, the seed decides."""
        return self.selection.of(contents.photographs, seed)

    def protocol(self, name: str) -> Protocol:
        """The protocol of a name: "paper" or "subject".

        Raises
        ------
        KeyError
            There is no protocol of this name.
        """
        return {"paper": self.paper, "subject": BY_SUBJECT}[name]


PROTOCOLS = ("paper", "subject")

# What the paper's mean and deviation are set beside; it does not say over how many repeats they are.
REPEATS = 10

_TEN_FOLDS = Protocol(
    "paper", "10 stratified folds of photographs; a person may be in training and test", Splitting.STRATIFIED
)
_TEN_FOLDS_OF_THE_PAPER = replace(_TEN_FOLDS, repeats=REPEATS)
_TEN_FOLDS_BY_CLASS = Protocol(
    "paper",
    "10 stratified folds of photographs, average of the classes' accuracies; a person may be in training and test",
    Splitting.STRATIFIED,
    Measure.CLASS_AVERAGE,
    repeats=REPEATS,
)
_PUBLISHED_BY_CLASS = Protocol(
    "paper", "the publisher's split, average of the classes' accuracies", Splitting.PUBLISHED, Measure.CLASS_AVERAGE
)
_PUBLISHED = Protocol("paper", "the publisher's split", Splitting.PUBLISHED)
_AS_GIVEN = Protocol(
    "paper", "the set's own split where it has one, else 10 stratified folds of photographs", Splitting.AS_GIVEN
)

_ALL: tuple[Benchmark, ...] = (
    Benchmark(
        name="radfd_frontal",
        dataset="rafd",
        title="RaFD, frontal",
        description="the frontal photograph of each person and emotion with the gaze straight ahead: 67 x 7",
        selection=Selection(views=FRONTAL, takes=("frontal",)),
        paper=_TEN_FOLDS_OF_THE_PAPER,
        expected=469,
    ),
    Benchmark(
        name="radfd_semiprofile",
        dataset="rafd",
        title="RaFD, semi-profile",
        description="for each person one of the angles 45 and 135 degrees, at random, gaze straight ahead: 67 x 7",
        selection=Selection(views=SEMI_PROFILE, takes=("frontal",), one_view=True),
        paper=_TEN_FOLDS_OF_THE_PAPER,
        expected=469,
    ),
    Benchmark(
        name="kdef_frontal",
        dataset="kdef",
        title="KDEF, frontal",
        description="for each person and emotion the frontal photograph of one of the sessions, at random: 70 x 7",
        selection=Selection(views=FRONTAL, one_take=True),
        paper=_TEN_FOLDS_OF_THE_PAPER,
        expected=490,
    ),
    Benchmark(
        name="kdef_semiprofile",
        dataset="kdef",
        title="KDEF, semi-profile",
        description="for each person one of the angles of 45 degrees, for each emotion one session, at random: 70 x 7",
        selection=Selection(views=SEMI_PROFILE, one_view=True, one_take=True),
        paper=_TEN_FOLDS_OF_THE_PAPER,
        expected=490,
    ),
    Benchmark(
        name="kdef",
        dataset="kdef",
        title="KDEF, frontal, both sessions",
        description="every frontal photograph: 70 x 7 x 2; folds that are not by person part the two sessions",
        selection=Selection(views=FRONTAL),
        paper=_TEN_FOLDS,
        expected=980,
    ),
    Benchmark(
        name="rafdb",
        dataset="rafdb",
        title="RAF-DB, basic",
        description="every photograph of a basic emotion, on the publisher's split",
        selection=Selection(),
        paper=_PUBLISHED_BY_CLASS,
        expected=15_339,
    ),
    Benchmark(
        name="cfee",
        dataset="cfee",
        title="CFEE, basic",
        description="every photograph of a basic emotion or of a neutral face",
        selection=Selection(),
        paper=_TEN_FOLDS_BY_CLASS,
        expected=1_610,
    ),
    Benchmark(
        name="ckplus",
        dataset="ckplus",
        title="CK+",
        description="the peak frame of each labelled sequence: six emotions, no neutral face",
        selection=Selection(takes=("peak",), neutral="none"),
        paper=_TEN_FOLDS_OF_THE_PAPER,
        expected=309,
    ),
    Benchmark(
        name="ckplus_neutral",
        dataset="ckplus",
        title="CK+, seven classes",
        description="the peak frames, and for each person the first frame of one sequence, drawn at random, as neutral",
        selection=Selection(neutral="one"),
        paper=_TEN_FOLDS,
    ),
    Benchmark(
        name="jaffe",
        dataset="jaffe",
        title="JAFFE",
        description="every photograph",
        selection=Selection(),
        paper=_TEN_FOLDS,
        expected=213,
    ),
    Benchmark(
        name="affectnet",
        dataset="affectnet",
        title="AffectNet",
        description="every photograph of the seven emotions, on the publisher's split",
        selection=Selection(),
        paper=_PUBLISHED_BY_CLASS,
    ),
    Benchmark(
        name="fer2013",
        dataset="fer2013",
        title="FER2013",
        description="every photograph, on the publisher's split",
        selection=Selection(),
        paper=_PUBLISHED,
        expected=35_887,
    ),
    Benchmark(
        name="custom",
        dataset="manifest",
        title="your own photographs",
        description="everything that the manifest names",
        selection=Selection(),
        paper=_AS_GIVEN,
    ),
)

BENCHMARKS: Mapping[str, Benchmark] = {benchmark.name: benchmark for benchmark in _ALL}


def _drawn(
    photographs: Sequence[Photograph],
    rng: np.random.Generator,
    *,
    within: Callable[[Photograph], tuple],
    one: Callable[[Photograph], object],
) -> list[Photograph]:
    """In each part that `within` makes, the photographs of one value of `one`, drawn at random among those there."""
    parts: dict[tuple, list[Photograph]] = defaultdict(list)
    for photograph in photographs:
        parts[within(photograph)].append(photograph)
    chosen = []
    for key in sorted(parts, key=lambda values: [(value is None, value or "") for value in values]):
        values = sorted({one(photograph) for photograph in parts[key]}, key=str)
        value = values[rng.integers(len(values))]
        chosen += [photograph for photograph in parts[key] if one(photograph) == value]
    return chosen
