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
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models.emotion.published import STRESS
from models.emotion.stress_settings import StressSettings
from models.emotion.stress_videos import OK, Progress, VideoReading, phase_title, read_manifest, read_videos
from models.errors import DatasetError

if TYPE_CHECKING:
    from models.expression.predictor import Predictor

log = logging.getLogger(__name__)

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
SRD15 = PublishedSet("SRD'15", subjects=24, videos=288, tasks=11)


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
    """Share of right answers: mean and standard deviation over the repeats (0 for a single one)."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, repeats: np.ndarray) -> "RepeatedAccuracy":
        """Of the accuracies (R,) of the repeats."""
        return cls(float(repeats.mean()), float(repeats.std(ddof=1)) if len(repeats) > 1 else 0.0)


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
    """

    phases: tuple[PhaseResult, ...]
    average: Mapping[str, RepeatedAccuracy]
    readings: tuple[VideoReading, ...]
    problems: tuple[str, ...]
    protocol: str
    folds: int
    seed: int

    @property
    def unusable(self) -> tuple[VideoReading, ...]:
        """Videos that took no part."""
        return tuple(reading for reading in self.readings if reading.status != OK)

    def to_json(self) -> dict[str, Any]:
        """Plain numbers, lists and text."""

        def plain(accuracies: Mapping[str, RepeatedAccuracy]) -> dict[str, dict[str, float]]:
            return {level: {"mean": value.mean, "deviation": value.deviation} for level, value in accuracies.items()}

        return {
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
            "seed": self.seed,
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
    published : what the set should hold; None for another set than SRD'15
    workers : processes that train classifiers side by side; the result is the same with any number

    Raises
    ------
    DatasetError
        The manifest is missing or faulty, no video of it can be used, or there are too few of some label or too few
        subjects to train and test.
    """
    settings = settings or StressSettings()
    listed = read_manifest(root)
    chosen = [video for video in listed if video.phase not in settings.left_out_phases]
    if not chosen:
        raise DatasetError(
            f"{root}: all {len(listed)} videos are of phases that are left out "
            f"({', '.join(settings.left_out_phases)}); name other phases to leave out."
        )
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
    answers = cross_validate_stress(table, settings, seed=seed, progress=progress, workers=workers)
    phases, average = accuracies(table, answers)
    problems = [
        *([] if published is None else _differences(listed, published)),
        *_problems(readings, answers.folds, settings),
    ]
    return StressResult(phases, average, tuple(readings), tuple(problems), _in_words(settings), answers.folds, seed)


def stress_text(result: StressResult) -> str:
    """The accuracies as a table for a terminal, with what was published, and everything that a reader should know."""
    published = {row.phase: row.paper for row in STRESS}
    if {phase.phase for phase in result.phases} != set(published) - {None}:
        # The published average is over other phases.
        del published[None]
    lines = [f"{'accuracy, %':<32}{'published':>10}{'frames':>16}{'mean prob.':>16}{'majority':>16}{'statistics':>16}"]
    rows = [(phase.phase, phase_title(phase.phase), phase.accuracy) for phase in result.phases]
    for phase, title, values in [*rows, (None, "Average", result.average)]:
        cells = [f"{100 * values[level].mean:.2f} ± {100 * values[level].deviation:.2f}" for level in LEVELS]
        known = f"{published[phase]:.2f}" if phase in published else ""
        lines.append(f"{title:<32}{known:>10}" + "".join(f"{cell:>16}" for cell in cells))
    lines += ["", f"{result.protocol}; seed {result.seed}", *result.problems]
    return "\n".join(lines)


def cross_validate_stress(
    table: StressTable, settings: StressSettings, *, seed: int, progress: Progress | None = None, workers: int = 1
) -> StressAnswers:
    """Train and test on every fold of every repeat, on `workers` processes; a subject is never in both.

    Raises
    ------
    DatasetError
        A training part lacks a label, or has too few subjects to tune on.
    """
    from models.emotion.search import stratified_folds

    show = progress or (lambda items, name, total: items)
    frames = np.full((settings.repeats, len(table.features)), np.nan)
    videos = np.zeros((settings.repeats, len(table.stressful)), bool)
    parameters = []
    # Each phase's labels are spread over the folds, and a subject is in the same fold in every phase.
    strata = np.char.add(np.char.add(table.phase, ":"), _labels(table.stressful))
    try:
        splits = [
            stratified_folds(strata, table.subject, settings.folds, seed + repeat) for repeat in range(settings.repeats)
        ]
    except ValueError as error:
        raise DatasetError(_too_few(table, str(error))) from error
    statistics = video_statistics(table)
    trainings = [
        _Training(table, statistics, settings, seed, repeat, number, seen, unseen)
        for repeat, folds in enumerate(splits)
        for number, fold in enumerate(folds)
        for seen, unseen in _parts(table.phase, *fold, settings.classifiers)
    ]
    outcomes = show(_outcomes(trainings, workers), "stress classifiers", len(trainings))
    for training, (stress, answers, chosen) in zip(trainings, outcomes, strict=True):
        frames[training.repeat, training.tested] = stress
        videos[training.repeat, training.unseen] = answers
        parameters.append(chosen)
    return StressAnswers(frames, videos, min(len(folds) for folds in splits), parameters)


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


def _differences(listed: Sequence, published: PublishedSet) -> Iterator[str]:
    found = {
        "videos": len(listed),
        "subjects": len({video.subject for video in listed}),
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
