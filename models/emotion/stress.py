"""Stress from facial video: the protocol of section IV-B and Table IV.

Every frame of a video has the label of its task. Classifiers are trained and tested in 5 folds by subject, 10 times
over, and the accuracy is told for each phase of the experiment; the first phase, in which people speak, is left out.
The paper counts frames. A video is what one wants to know about, so each one is also judged as a whole: by the mean
probability and by the majority of its frames, and by a classifier of its own on mean and deviation of e.

The paper does not say whether a classifier knows one phase or all of them, nor how it deals with frames by the
million; `StressSettings` names the choices. Scaling, search and calibration see training subjects alone.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models.emotion.datasets.contents import SYNTHETIC
from models.emotion.protocols import Folds, relative_name
from models.emotion.published import STRESS, STRESS_SET
from models.emotion.stress_settings import StressSettings
from models.emotion.stress_videos import (
    OK,
    Progress,
    StressVideo,
    VideoReading,
    phase_title,
    read_manifest,
    read_videos,
)
from models.errors import DatasetError

if TYPE_CHECKING:
    from models.expression.predictor import Predictor

log = logging.getLogger(__name__)

# What results and folds say they are of.
BENCHMARK = "srd15"
LABELS = ("non-stressful", "stressful")
# How an accuracy is counted: of frames, or of videos judged in one of three ways.
FRAMES = "frames"
MEAN_PROBABILITY, MAJORITY, STATISTICS = "video_mean_probability", "video_majority", "video_statistics"
LEVELS = {
    FRAMES: "frames",
    MEAN_PROBABILITY: "videos, by the mean probability of their frames",
    MAJORITY: "videos, by the majority of their frames",
    STATISTICS: "videos, by a classifier of the mean and deviation of e",
}


@dataclass(frozen=True)
class PublishedSet:
    """What is known of a set before one has it."""

    name: str
    subjects: int
    videos: int
    tasks: int


# Section IV-B. 24 subjects with 11 tasks each would make 264 videos; the paper counts 288.
SRD15 = PublishedSet(STRESS_SET, subjects=24, videos=288, tasks=11)


@dataclass(frozen=True)
class StressTable:
    """Frames with a face of all videos that take part.

    Attributes
    ----------
    features : (F, n_e) expression, standard deviations
    video : (F,) which video each frame is of, as an index into the following
    subject, phase : (V,) text
    stressful : (V,) bool
    """

    features: np.ndarray
    video: np.ndarray
    subject: np.ndarray
    phase: np.ndarray
    stressful: np.ndarray

    @classmethod
    def of(cls, readings: Sequence[VideoReading]) -> "StressTable":
        """The table of readings, each of which has a frame with a face."""
        found = [reading.expressions.expression[reading.expressions.found] for reading in readings]
        return cls(
            features=np.concatenate(found).astype(np.float64),
            video=np.repeat(np.arange(len(found)), [len(frames) for frames in found]),
            subject=np.array([reading.video.subject for reading in readings]),
            phase=np.array([reading.video.phase for reading in readings]),
            stressful=np.array([reading.video.stressful for reading in readings]),
        )

    @property
    def phases(self) -> tuple[str, ...]:
        """The phases, sorted."""
        return tuple(np.unique(self.phase).tolist())


@dataclass(frozen=True)
class StressAnswers:
    """What was answered when a subject was not trained on. R repeats, F frames, V videos.

    Attributes
    ----------
    frames : (R, F) probability of stress
    videos : (R, V) bool, the answers of the classifier of videos
    folds : how many there were
    parameters : hyper-parameters chosen for frames, one dict for each training
    """

    frames: np.ndarray
    videos: np.ndarray
    folds: int
    parameters: list[dict]


@dataclass(frozen=True)
class RepeatedAccuracy:
    """Share of right answers: mean and standard deviation over the repeats (None for a single one)."""

    mean: float
    deviation: float | None

    @classmethod
    def of(cls, repeats: np.ndarray) -> "RepeatedAccuracy":
        """Of the accuracies (R,) of the repeats."""
        return cls(float(repeats.mean()), float(repeats.std(ddof=1)) if len(repeats) > 1 else None)


@dataclass(frozen=True)
class PhaseResult:
    """One phase. `accuracy` by `LEVELS`; `chance` of always answering the commoner label, of frames and of videos."""

    phase: str
    videos: int
    subjects: int
    frames: int
    chance_frames: float
    chance_videos: float
    accuracy: Mapping[str, RepeatedAccuracy]


@dataclass(frozen=True)
class StressResult:
    """Everything that was measured.

    Attributes
    ----------
    phases : those that were taken into account
    average : by `LEVELS`, the mean over the phases, as the last line of Table IV
    readings : every video of these phases, unusable ones with the reason
    problems : what a reader of the figures should know, a sentence each
    protocol : in words
    folds, seed : as used
    drawn : in which fold each video was tested
    synthetic : whether the videos are rendered
    compared : whose published figures may stand beside these; None for rendered videos and for other sets
    complete : whether all of that set took part
    versions, machine : what ran, on what
    """

    phases: tuple[PhaseResult, ...]
    average: Mapping[str, RepeatedAccuracy]
    readings: tuple[VideoReading, ...]
    problems: tuple[str, ...]
    protocol: str
    folds: int
    seed: int
    drawn: Folds
    synthetic: bool
    compared: str | None
    complete: bool
    versions: Mapping[str, str] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)

    @property
    def published(self) -> dict[str | None, float]:
        """What the paper states, per cent, by phase; under None the average, where that is over the same phases."""
        if self.compared is None:
            return {}
        known = {row.phase: row.paper for row in STRESS}
        phases = {phase.phase for phase in self.phases}
        same = phases == set(known) - {None}
        return {phase: paper for phase, paper in known.items() if phase in phases or (phase is None and same)}

    @property
    def unusable(self) -> tuple[VideoReading, ...]:
        """Videos that took no part."""
        return tuple(reading for reading in self.readings if reading.status != OK)

    def to_json(self) -> dict[str, Any]:
        """Plain numbers, lists and text."""

        def plain(accuracies: Mapping[str, RepeatedAccuracy]) -> dict[str, dict[str, float | None]]:
            return {level: {"mean": value.mean, "deviation": value.deviation} for level, value in accuracies.items()}

        return {
            "benchmark": self.drawn.benchmark,
            "synthetic": self.synthetic,
            "compared": self.compared,
            "complete": self.complete,
            "published": {phase or "average": paper for phase, paper in self.published.items()},
            "phases": {
                result.phase: {
                    "title": phase_title(result.phase),
                    "videos": result.videos,
                    "subjects": result.subjects,
                    "frames": result.frames,
                    "chance": {"frames": result.chance_frames, "videos": result.chance_videos},
                    "accuracy": plain(result.accuracy),
                }
                for result in self.phases
            },
            "average": plain(self.average),
            "protocol": self.protocol,
            "folds": self.folds,
            "repeats": self.drawn.repeats,
            "seed": self.seed,
            "versions": dict(self.versions),
            "machine": dict(self.machine),
            "videos": len(self.readings),
            "unusable_videos": [
                {"video": str(reading.video.path), "reason": reading.status} for reading in self.unusable
            ],
            "problems": list(self.problems),
        }


def evaluate_stress(
    root: Path | str,
    *,
    settings: StressSettings | None = None,
    seed: int = 0,
    predictor: "Predictor | None" = None,
    progress: Progress | None = None,
    cache: Path | None = None,
    published: PublishedSet | None = SRD15,
    folds: Folds | None = None,
    workers: int = 1,
) -> StressResult:
    """Read a set's videos and do the whole protocol on them.

    Parameters
    ----------
    root : folder with `manifest.csv`, as `models.emotion.stress_videos` describes it
    settings : by default `StressSettings()`
    seed : of folds, drawn frames and searches; the same seed gives the same result
    predictor : what reads expressions; by default the one that `Predictor.load` finds
    progress : wraps what is gone through, given it, its name and its length; may show a bar
    cache : folder for the expressions of finished videos, from which an interrupted run resumes; of one network alone
    published : what the set should hold; None for another set than SRD'15. Rendered videos, and sets of another number
        of people, are compared with nothing published in any case
    folds : stored ones, instead of drawing; their videos, repeats and seed are taken
    workers : processes that train classifiers side by side; the result is the same with any number

    Raises
    ------
    DatasetError
        The manifest is missing or faulty, no video of it can be used, there are too few of some label or too few
        subjects to train and test, or the folds are of other videos or part a subject.
    """
    settings = settings or StressSettings()
    listed = read_manifest(root)
    chosen = [video for video in listed if video.phase not in settings.left_out_phases]
    if not chosen:
        raise DatasetError(
            f"{root}: all {len(listed)} videos are of phases that are left out "
            f"({', '.join(settings.left_out_phases)}); name other phases to leave out."
        )
    not_asked = 0
    if folds is not None:
        named = _named_in(folds, chosen, Path(root))
        chosen, not_asked = named, len(chosen) - len(named)
        settings, seed = replace(settings, repeats=folds.repeats), folds.seed
    if predictor is None:
        from models.expression.predictor import Predictor

        predictor = Predictor.load(features_only=True)
    readings = read_videos(
        chosen,
        predictor,
        stride=settings.frame_stride,
        max_side=settings.max_side,
        cache=cache,
        progress=progress,
    )
    usable = [reading for reading in readings if reading.status == OK]
    if not usable:
        raise DatasetError(f"{root}: none of the {len(chosen)} videos can be used; the first: {readings[0].status}")
    table = StressTable.of(usable)
    names = [relative_name(reading.video.path, Path(root)) for reading in usable]
    numbers = draw_stress_folds(table, settings, seed) if folds is None else folds.of(names)
    answers = cross_validate_stress(table, settings, seed=seed, folds=numbers, progress=progress, workers=workers)
    phases, average = accuracies(table, answers)
    synthetic = (Path(root) / SYNTHETIC).is_file()
    compared, differences = _compared(listed, None if synthetic else published)
    problems = [*differences, *_problems(readings, answers.folds, settings)]
    if not_asked:
        problems.append(f"{not_asked} videos of the manifest are not in the folds and took no part.")
    return StressResult(
        phases=phases,
        average=average,
        readings=tuple(readings),
        problems=tuple(problems),
        protocol=_in_words(settings),
        folds=answers.folds,
        seed=seed,
        drawn=Folds("subject", seed, dict(zip(names, map(tuple, numbers.T.tolist()), strict=True)), BENCHMARK),
        synthetic=synthetic,
        compared=compared,
        complete=compared is not None and not differences and len(usable) == len(readings) and not not_asked,
    )


def stress_text(result: StressResult) -> str:
    """The accuracies as a table for a terminal, with what was published, and everything that a reader should know."""
    head = "rendered, %" if result.synthetic else "accuracy, %"
    mark = "" if result.complete else " *"
    lines = [f"{head:<32}{'published':>10}{'frames':>16}{'mean prob.':>16}{'majority':>16}{'statistics':>16}"]
    rows = [(phase.phase, phase_title(phase.phase), phase.accuracy) for phase in result.phases]
    for phase, title, values in [*rows, (None, "Average", result.average)]:
        known = f"{result.published[phase]:.2f}{mark}" if phase in result.published else ""
        lines.append(f"{title:<32}{known:>10}" + "".join(f"{_told(values[level]):>16}" for level in LEVELS))
    lines += ["", f"{result.protocol}; seed {result.seed}"]
    if result.published and not result.complete:
        lines.append(f"* of all of {result.compared}, not of the videos that took part here")
    if result.synthetic:
        lines.append("Synthetic: the videos are rendered and their stress made up; nothing published compares with it.")
    return "\n".join([*lines, *result.problems])


def draw_stress_folds(table: StressTable, settings: StressSettings, seed: int) -> np.ndarray:
    """(R, V) the fold in which each video is tested, in each repeat.

    Each phase's labels are spread over the folds, and a subject is in the same fold in every phase.

    Raises
    ------
    DatasetError
        There are too few videos of a label, or too few subjects.
    """
    from models.emotion.search import stratified_folds

    strata = np.char.add(np.char.add(table.phase, ":"), _labels(table.stressful))
    numbers = np.zeros((settings.repeats, len(table.stressful)), int)
    try:
        for repeat, row in enumerate(numbers):
            for number, (_, unseen) in enumerate(
                stratified_folds(strata, table.subject, settings.folds, seed + repeat)
            ):
                row[unseen] = number
    except ValueError as error:
        raise DatasetError(_too_few(table, str(error))) from error
    return numbers


def cross_validate_stress(
    table: StressTable,
    settings: StressSettings,
    *,
    seed: int,
    folds: np.ndarray | None = None,
    progress: Progress | None = None,
    workers: int = 1,
) -> StressAnswers:
    """Train and test on every fold of every repeat, on `workers` processes; a subject is never in both.

    `folds` are as `draw_stress_folds` gives them, which draws them where there are none.

    Raises
    ------
    DatasetError
        A training part lacks a label, or has too few subjects to tune on.
    """
    show = progress or (lambda items, name, total: items)
    frames = np.full((settings.repeats, len(table.features)), np.nan)
    videos = np.zeros((settings.repeats, len(table.stressful)), bool)
    parameters = []
    numbers = draw_stress_folds(table, settings, seed) if folds is None else folds
    splits = [
        [(np.flatnonzero(row != number), np.flatnonzero(row == number)) for number in np.unique(row)] for row in numbers
    ]
    statistics = video_statistics(table)
    trainings = [
        _Training(table, statistics, settings, seed, repeat, number, seen, unseen)
        for repeat, parts in enumerate(splits)
        for number, fold in enumerate(parts)
        for seen, unseen in _parts(table.phase, *fold, settings.classifiers)
    ]
    outcomes = show(_outcomes(trainings, workers), "stress classifiers", len(trainings))
    for training, (stress, answers, chosen) in zip(trainings, outcomes, strict=True):
        frames[training.repeat, training.tested] = stress
        videos[training.repeat, training.unseen] = answers
        parameters.append(chosen)
    return StressAnswers(frames, videos, min(len(parts) for parts in splits), parameters)


@dataclass(frozen=True)
class _Training:
    """One training: `seen` and `unseen` are videos, of a fold of a repeat or of one phase of it."""

    table: StressTable
    statistics: np.ndarray
    settings: StressSettings
    seed: int
    repeat: int
    fold: int
    seen: np.ndarray
    unseen: np.ndarray

    @property
    def tested(self) -> np.ndarray:
        """Which frames (F,) are of unseen videos."""
        return np.isin(self.table.video, self.unseen)

    def outcome(self) -> tuple[np.ndarray, np.ndarray, dict]:
        """Probability of stress in every tested frame, the answer for every unseen video, and what was chosen.

        Raises
        ------
        DatasetError
            The seen videos lack a label, or are of too few subjects to tune on.
        """
        table, settings, seed = self.table, self.settings, self.seed + self.repeat
        if len(np.unique(table.stressful[self.seen])) < 2:
            raise DatasetError(_too_few(table, "a training part has videos of one label only"))
        rng = np.random.default_rng([self.seed, self.repeat, self.fold])
        try:
            frames, chosen = _stress_of_frames(table, self.seen, self.tested, settings, rng, seed)
            videos = _stress_of_videos(table, self.statistics, self.seen, self.unseen, settings, seed)
        except ValueError as error:
            raise DatasetError(_too_few(table, str(error))) from error
        return frames, videos, chosen


def _outcomes(trainings: Sequence[_Training], workers: int) -> Iterator[tuple[np.ndarray, np.ndarray, dict]]:
    """The outcomes of trainings, in their order."""
    if workers == 1:
        yield from (training.outcome() for training in trainings)
        return
    from joblib import Parallel, delayed

    yield from Parallel(n_jobs=workers, return_as="generator")(delayed(_Training.outcome)(one) for one in trainings)


def accuracies(
    table: StressTable, answers: StressAnswers
) -> tuple[tuple[PhaseResult, ...], dict[str, RepeatedAccuracy]]:
    """The accuracy of each phase, and the mean over the phases, at every level."""
    results, by_level = [], {level: [] for level in LEVELS}
    for phase in table.phases:
        videos = np.flatnonzero(table.phase == phase)
        frames = np.isin(table.video, videos)
        right = {
            level: np.array([(row == truth[where]).mean() for row in answer[:, where]])
            for level, (answer, truth, where) in _answers_of_levels(table, answers, frames, videos).items()
        }
        for level, values in right.items():
            by_level[level].append(values)
        results.append(
            PhaseResult(
                phase=phase,
                videos=len(videos),
                subjects=len(np.unique(table.subject[videos])),
                frames=int(frames.sum()),
                chance_frames=_chance(table.stressful[table.video[frames]]),
                chance_videos=_chance(table.stressful[videos]),
                accuracy={level: RepeatedAccuracy.of(values) for level, values in right.items()},
            )
        )
    average = {level: RepeatedAccuracy.of(np.mean(values, axis=0)) for level, values in by_level.items()}
    return tuple(results), average


def video_statistics(table: StressTable) -> np.ndarray:
    """Mean and standard deviation of e over the frames of each video, (V, 2 n_e)."""
    count = np.bincount(table.video, minlength=len(table.stressful))[:, None]
    sums = np.zeros((len(table.stressful), table.features.shape[1]))
    np.add.at(sums, table.video, table.features)
    mean = sums / count
    squares = np.zeros_like(sums)
    np.add.at(squares, table.video, (table.features - mean[table.video]) ** 2)
    return np.concatenate([mean, np.sqrt(squares / count)], axis=1)


def drawn_frames(video: np.ndarray, videos: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Indices of at most `count` frames of the given videos, sorted; of each as many, or all where it has fewer.

    What short videos leave of their part goes to the longer ones, so that the count is met where there are as many.

    Parameters
    ----------
    video : (F,) of which video each frame is
    videos : the videos to draw from
    """
    members = [np.flatnonzero(video == one) for one in videos]
    members.sort(key=len)
    drawn, left = [], count
    for place, frames in enumerate(members):
        share = min(len(frames), left // (len(members) - place))
        drawn.append(rng.choice(frames, share, replace=False))
        left -= share
    return np.sort(np.concatenate(drawn))


def _parts(
    phase: np.ndarray, seen: np.ndarray, unseen: np.ndarray, classifiers: str
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """What is trained on and tested on together: the fold as it is, or each phase of it."""
    if classifiers == "all":
        yield seen, unseen
        return
    for one in np.unique(phase[unseen]):
        yield seen[phase[seen] == one], unseen[phase[unseen] == one]


def _stress_of_frames(
    table: StressTable,
    seen: np.ndarray,
    tested: np.ndarray,
    settings: StressSettings,
    rng: np.random.Generator,
    seed: int,
) -> tuple[np.ndarray, dict]:
    """Probabilities of stress in the `tested` frames, learnt from frames of the `seen` videos; what was chosen."""
    from models.emotion.ecoc import EcocSvm
    from models.emotion.search import search

    def drawn(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        frames = drawn_frames(table.video, seen, count, rng)
        videos = table.video[frames]
        return table.features[frames], _labels(table.stressful[videos]), table.subject[videos]

    best = search(*drawn(min(settings.tuning_frames, settings.training_frames)), settings.search, seed=seed)
    features, labels, subjects = drawn(settings.training_frames)
    classifier = EcocSvm(**best.parameters, calibration_folds=settings.calibration_folds)
    classifier.fit(features, labels, groups=subjects)
    return classifier.predict_proba(table.features[tested])[:, 1], best.parameters


def _stress_of_videos(
    table: StressTable,
    statistics: np.ndarray,
    seen: np.ndarray,
    unseen: np.ndarray,
    settings: StressSettings,
    seed: int,
) -> np.ndarray:
    """Answers for the unseen videos by the statistics of the seen ones."""
    from models.emotion.ecoc import EcocSvm
    from models.emotion.search import search

    labels = _labels(table.stressful[seen])
    best = search(statistics[seen], labels, table.subject[seen], settings.search, seed=seed)
    classifier = EcocSvm(**best.parameters, calibration_folds=0).fit(statistics[seen], labels)
    return classifier.predict(statistics[unseen]) == LABELS[1]


def _labels(stressful: np.ndarray) -> np.ndarray:
    return np.array(LABELS)[stressful.astype(int)]


def _answers_of_levels(
    table: StressTable, answers: StressAnswers, frames: np.ndarray, videos: np.ndarray
) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """By level: answers (R, ...) as bool, their truth, and which of them belong to a phase."""
    count = np.bincount(table.video, minlength=len(table.stressful))

    def mean_of_videos(values: np.ndarray) -> np.ndarray:
        sums = [np.bincount(table.video, weights=row, minlength=len(count)) for row in values]
        return np.array(sums) / count

    stress_in_frames = answers.frames > 0.5
    return {
        FRAMES: (stress_in_frames, table.stressful[table.video], frames),
        MEAN_PROBABILITY: (mean_of_videos(answers.frames) > 0.5, table.stressful, videos),
        MAJORITY: (mean_of_videos(stress_in_frames.astype(float)) > 0.5, table.stressful, videos),
        STATISTICS: (answers.videos, table.stressful, videos),
    }


def _chance(stressful: np.ndarray) -> float:
    share = float(stressful.mean())
    return max(share, 1 - share)


def _told(value: RepeatedAccuracy) -> str:
    deviation = "" if value.deviation is None else f" ± {100 * value.deviation:.2f}"
    return f"{100 * value.mean:.2f}{deviation}"


def _named_in(folds: Folds, videos: Sequence[StressVideo], root: Path) -> list[StressVideo]:
    """The videos that folds name, in the manifest's order."""
    if folds.benchmark not in (None, BENCHMARK) or folds.protocol != "subject":
        raise DatasetError(
            f"the folds are of '{folds.benchmark or folds.protocol}', asked for is '{BENCHMARK}'; give folds that an "
            "evaluation of stress wrote."
        )
    there = {relative_name(video.path, root): video for video in videos}
    if missing := sorted(set(folds.numbers) - set(there)):
        raise DatasetError(
            f"{root}: the folds name {len(folds.numbers)} videos, of which the manifest lacks {len(missing)} (such as "
            f"{missing[0]}); give the folder that the folds were drawn on."
        )
    places: dict[str, tuple[int, ...]] = {}
    for name in folds.numbers:
        subject = there[name].subject
        if places.setdefault(subject, folds.numbers[name]) != folds.numbers[name]:
            raise DatasetError(
                f"{root}: the folds part the videos of {subject}, who would be in training and test at once; give "
                "folds as an evaluation wrote them, with the manifest that it read."
            )
    return [video for name, video in there.items() if name in folds.numbers]


def _compared(listed: Sequence[StressVideo], published: PublishedSet | None) -> tuple[str | None, list[str]]:
    """Which set's published figures a manifest's may stand beside, and how it differs from that set.

    A set of another number of people is another set, whatever it is called.
    """
    if published is None:
        return None, []
    subjects = len({video.subject for video in listed})
    if subjects == published.subjects:
        return published.name, list(_differences(listed, published))
    return None, [
        f"{published.name} has {published.subjects} subjects, the manifest lists {subjects}: it is taken for another "
        "set, and nothing published stands beside its figures."
    ]


def _differences(listed: Sequence[StressVideo], published: PublishedSet) -> Iterator[str]:
    # The paper's number of videos is not its subjects times its tasks: either may be that of the whole set.
    if len(listed) == published.subjects * published.tasks:
        listed_videos = published.videos
    else:
        listed_videos = len(listed)
    found = {
        "videos": listed_videos,
        "tasks": len({video.task for video in listed}),
    }
    for name, count in found.items():
        expected = getattr(published, name)
        if count != expected:
            yield f"{published.name} as published has {expected} {name}, the manifest lists {count}."


def _problems(readings: Sequence[VideoReading], folds: int, settings: StressSettings) -> Iterator[str]:
    if unusable := [reading for reading in readings if reading.status != OK]:
        yield f"{len(unusable)} of {len(readings)} videos took no part; the first: {unusable[0].status}"
    if folds < settings.folds:
        yield f"{settings.folds} folds were asked for; subjects and videos suffice for {folds}."
    owners: dict[str, set[str]] = {}
    for reading in readings:
        if reading.content:
            owners.setdefault(reading.content, set()).add(reading.video.subject)
    if shared := [subjects for subjects in owners.values() if len(subjects) > 1]:
        names = ", ".join(sorted(shared[0]))
        yield (
            f"{len(shared)} video(s) occur under several subjects ({names}), which may put one into training and "
            "testing at once: the accuracy is too high."
        )


def _too_few(table: StressTable, cause: str) -> str:
    rows = [
        f"phase {phase}: {int(table.stressful[table.phase == phase].sum())} stressful and "
        f"{int((~table.stressful[table.phase == phase]).sum())} non-stressful videos of "
        f"{len(np.unique(table.subject[table.phase == phase]))} subjects"
        for phase in table.phases
    ]
    return (
        f"too few videos to train and test by subject ({cause}); each phase needs both labels in several subjects. "
        f"Found {'; '.join(rows)}."
    )


def _in_words(settings: StressSettings) -> str:
    knowing = "one classifier a phase" if settings.classifiers == "phase" else "one classifier for all phases"
    without = f", without phase {', '.join(settings.left_out_phases)}" if settings.left_out_phases else ""
    return (
        f"{settings.folds} folds by subject, repeated {settings.repeats} times, {knowing}{without}; tuned inside the "
        f"training folds; one frame in {settings.frame_stride}, at most {settings.training_frames} in a training"
    )
