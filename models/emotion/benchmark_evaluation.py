"""A benchmark from the publisher's folder to the figures of the paper's tables (sections III-D and IV-A).

result = evaluate_benchmark("kdef_frontal", "KDEF_and_AKDEF/KDEF", protocol="subject")
result.accuracy, result.deviation, result.confusion
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import numpy as np

from models.emotion.benchmark_result import BenchmarkResult, machine, versions
from models.emotion.benchmarks import BENCHMARKS, PROTOCOLS, Benchmark
from models.emotion.datasets import DatasetContents, Photograph, duplicates, read_dataset
from models.emotion.detections import Detections, detect_photographs
from models.emotion.evaluation import class_accuracies, confusion_counts, cross_validate
from models.emotion.features import FEATURES, FeatureSources, FeatureTable, compute_features
from models.emotion.labels import EMOTIONS
from models.emotion.protocols import (
    HELD_OUT,
    LEARNED,
    Folds,
    Measure,
    Protocol,
    Splitting,
    draw_folds,
    person_of,
    relative_name,
)
from models.emotion.settings import EvaluationSettings, WithoutFace
from models.errors import DatasetError

if TYPE_CHECKING:
    from models.morphable_model.model import MorphableModel

# What happens to photographs in which no face is found.
WITHOUT_FACE = get_args(WithoutFace)
# Attributes by which accuracies are told apart.
SUBGROUPS = ("gender", "ethnicity", "age")
# Examples that a problem names.
EXAMPLES = 3
# Photographs of a class that learning needs at least: two for the folds that judge a setting.
FEWEST = 2

Progress = Callable[[Iterable, str, int | None], Iterable]


@dataclass(frozen=True)
class OpenedBenchmark:
    """A benchmark whose folder was read.

    Attributes
    ----------
    benchmark, contents : what was asked for, and what was found
    photographs : those that take part, sorted by path
    seed : that random picks were made with
    """

    benchmark: Benchmark
    contents: DatasetContents
    photographs: tuple[Photograph, ...]
    seed: int

    @property
    def root(self) -> Path:
        """The set's folder."""
        return self.contents.root

    @property
    def names(self) -> list[str]:
        """The photographs' paths relative to the set's folder."""
        return [relative_name(photograph.path, self.root) for photograph in self.photographs]

    @property
    def labels(self) -> np.ndarray:
        """(F,) emotions."""
        return np.array([photograph.label for photograph in self.photographs])

    @property
    def people(self) -> np.ndarray:
        """(F,) who is on each photograph; who is not named counts as a person of its own."""
        return np.array([person_of(photograph) for photograph in self.photographs])

    @property
    def people_known(self) -> int | None:
        """How many people there are; None where nobody says."""
        return len({one.subject for one in self.photographs} - {None}) or None


def open_benchmark(name: str, root: Path | str, *, seed: int = 0, folds: Folds | None = None) -> OpenedBenchmark:
    """Read a benchmark's folder and pick the photographs that take part, or those that `folds` names.

    Raises
    ------
    DatasetError
        There is no such benchmark, the folder does not hold its set, none of its photographs takes part, `folds` are of
        another benchmark, or photographs that they name are missing.
    """
    benchmark = benchmark_called(name)
    if folds is not None and folds.benchmark not in (None, name):
        raise DatasetError(
            f"the folds were drawn for '{folds.benchmark}', asked for is '{name}'; give folds that an evaluation of "
            f"'{name}' wrote, or evaluate '{folds.benchmark}'."
        )
    contents = read_dataset(benchmark.dataset, root)
    chosen = benchmark.select(contents, seed) if folds is None else _named_in(folds, contents, benchmark)
    if not chosen:
        views = ", ".join(f"{view:g}" for view in sorted({photograph.view for photograph in contents.photographs}))
        raise DatasetError(
            f"{root}: no photograph is part of '{name}'; expected {benchmark.description}; found "
            f"{len(contents.photographs)} photographs, of the views {views or 'none'}."
        )
    return OpenedBenchmark(benchmark, contents, chosen, seed if folds is None else folds.seed)


def benchmark_called(name: str, further: Sequence[str] = ()) -> Benchmark:
    """The benchmark of a name.

    Raises
    ------
    DatasetError
        There is none. `further` names what the caller could have given besides.
    """
    if name not in BENCHMARKS:
        of_set = [benchmark.name for benchmark in BENCHMARKS.values() if benchmark.dataset == name]
        if of_set:
            of_set += [other for other in further if other.startswith(f"{name}_")]
            raise DatasetError(f"{name}: is a data set, of which there are several benchmarks: {', '.join(of_set)}.")
        raise DatasetError(f"{name}: no benchmark is called so; choose one of {', '.join((*BENCHMARKS, *further))}.")
    return BENCHMARKS[name]


def known_protocols(opened: OpenedBenchmark, folds: Folds | None = None) -> list[str]:
    """The protocol of stored folds, or else those that the photographs allow."""
    if folds is not None:
        return [folds.protocol]
    return ["paper"] if opened.people_known is None else list(PROTOCOLS)


def evaluate_benchmark(
    benchmark: str,
    root: Path | str,
    *,
    features: str = "deepexp3d",
    protocol: str = "paper",
    settings: EvaluationSettings | None = None,
    seed: int = 0,
    pick_seed: int | None = None,
    model: Path | str | None = None,
    face_model: "MorphableModel | None" = None,
    backend: str = "mediapipe",
    without_face: str = "leave_out",
    folds: Folds | None = None,
    cache: Path | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> BenchmarkResult:
    """Cross-validate the emotion classifier on a benchmark.

    Parameters
    ----------
    benchmark : a key of `BENCHMARKS`
    root : the set's folder, in its publisher's layout
    features : a key of `FEATURES`
    protocol : "paper", or "subject" for folds by person
    settings : of folds, where they are not the publisher's, of repeats and search; by default `EvaluationSettings()`
        with as many repeats as the protocol says
    seed : of folds and searches
    pick_seed : of photographs that are picked at random; by default `seed`
    model : the network, as in `Predictor.load`, for the features `deepexp3d`
    face_model : for the fits; one that knows the detector where there is one
    backend : of the landmarks
    without_face : "leave_out" or "wrong": how photographs count in which no face is found
    folds : stored ones, instead of picking and drawing
    cache : file (.npz) that keeps landmarks
    workers : threads and processes; the result is the same with any number
    progress : wraps what is gone through, given it, its name and its length; may show a bar

    Raises
    ------
    DatasetError
        As `open_benchmark` and `draw_folds`; or too few photographs show a face.
    ModelMismatchError, WeightsMissingError
        What the features need is missing.
    """
    opened = open_benchmark(benchmark, root, seed=seed if pick_seed is None else pick_seed, folds=folds)
    (result,) = compare_features(
        opened,
        [features],
        [protocol],
        settings=settings,
        seed=seed,
        model=model,
        face_model=face_model,
        backend=backend,
        without_face=without_face,
        folds=folds,
        cache=cache,
        workers=workers,
        progress=progress,
    )
    return result


def compare_features(
    opened: OpenedBenchmark,
    features: Sequence[str],
    protocols: Sequence[str],
    *,
    settings: EvaluationSettings | None = None,
    seed: int | None = None,
    tables: Mapping[str, FeatureTable] | None = None,
    model: Path | str | None = None,
    face_model: "MorphableModel | None" = None,
    backend: str = "mediapipe",
    without_face: str = "leave_out",
    folds: Folds | None = None,
    cache: Path | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> Iterator[BenchmarkResult]:
    """Several features under several protocols, from the same landmarks and on the same folds, one by one.

    Parameters and errors are those of `evaluate_benchmark`, and beside them:

    Parameters
    ----------
    seed : of folds and searches; by default that of the picks
    tables : features that are known already, by name; their photographs are not looked at for them
    """
    settings = settings or EvaluationSettings(repeats=None)
    if unknown := [name for name in features if name not in FEATURES]:
        raise DatasetError(f"{', '.join(unknown)}: no features are called so; choose of {', '.join(FEATURES)}.")
    if unknown := [name for name in protocols if name not in PROTOCOLS]:
        raise DatasetError(f"{', '.join(unknown)}: no protocol is called so; choose of {', '.join(PROTOCOLS)}.")
    declared = {name: replace(opened.benchmark.protocol(name), folds=settings.folds) for name in protocols}
    seed = opened.seed if seed is None else seed
    drawn = {name: _folds_of(opened, protocol, settings, folds, seed) for name, protocol in declared.items()}
    tables = dict(tables or {})
    unknown = [name for name in features if name not in tables]
    sources = _sources(unknown, model, face_model, workers)
    begin = time.monotonic()
    detections = None
    if unknown:
        detections = detect_photographs(
            [photograph.path for photograph in opened.photographs],
            backend,
            cache=cache,
            threads=workers,
            progress=progress,
        )
    seconds = {"landmarks": time.monotonic() - begin}
    for name in features:
        begin = time.monotonic()
        table = tables.get(name)
        if table is None:
            table = compute_features(name, opened.photographs, detections, sources, progress=progress)
        seconds["features"] = time.monotonic() - begin
        for protocol in protocols:
            begin = time.monotonic()
            result = evaluate_features(
                opened,
                table,
                declared[protocol],
                drawn[protocol],
                settings,
                without_face=without_face,
                workers=workers,
                progress=progress,
            )
            seconds["evaluation"] = time.monotonic() - begin
            yield replace(
                result,
                features=name,
                problems=result.problems + (() if detections is None else _unread(detections, opened.root)),
                versions=versions(backend, name, sources, model),
                machine=machine(workers),
                seconds={part: round(value, 1) for part, value in seconds.items()},
            )


def evaluate_features(
    opened: OpenedBenchmark,
    table: FeatureTable,
    protocol: Protocol,
    folds: Folds,
    settings: EvaluationSettings,
    *,
    without_face: str = "leave_out",
    workers: int = 1,
    progress: Progress | None = None,
) -> BenchmarkResult:
    """Cross-validate the classifier on features of a benchmark's photographs, in the same order.

    Raises
    ------
    DatasetError
        Photographs of too few people, or too few of a class, show a face.
    """
    if without_face not in WITHOUT_FACE:
        raise DatasetError(f"without_face is '{without_face}'; choose one of {', '.join(WITHOUT_FACE)}.")
    labels, found = opened.labels, table.found
    numbers = folds.of(opened.names)
    used = found & (numbers != HELD_OUT).all(axis=0)
    _check_enough(opened, labels[used], numbers[:, used])
    try:
        evaluation = cross_validate(
            table.values[used],
            labels[used],
            opened.people[used] if protocol.keeps_people_together else None,
            settings,
            seed=folds.seed,
            folds=numbers[:, used],
            workers=workers,
            progress=progress,
        )
    except ValueError as error:
        raise DatasetError(f"{opened.root}: a training part is too small to be tuned on: {error}") from error
    answers = np.full(numbers.shape, "", dtype=labels.dtype)
    answers[:, used] = evaluation.predictions
    counted = (numbers >= 0) & (found | (without_face == "wrong"))
    repeats = [_score(labels[use], row[use], protocol.measure) for row, use in zip(answers, counted, strict=True)]
    tests = [
        _score(labels[use], row[use], protocol.measure)
        for row, rows_numbers, rows_counted in zip(answers, numbers, counted, strict=True)
        for fold in np.unique(rows_numbers[rows_counted])
        for use in [rows_counted & (rows_numbers == fold)]
    ]
    truth = np.broadcast_to(labels, answers.shape)[counted]
    given = answers[counted]
    present = tuple(emotion for emotion in EMOTIONS if emotion in labels)
    accuracies = class_accuracies(truth, given, present)
    asked = (numbers >= 0).any(axis=0)
    published = opened.benchmark.published if protocol.name == "paper" else None
    parts = _what_is_not_whole(opened)
    problems = opened.contents.problems + _problems(opened, protocol, folds)
    if published is not None and (parts or opened.contents.synthetic):
        reasons = "; ".join((*(["the photographs are rendered"] if opened.contents.synthetic else []), *parts))
        problems += (f"* The published figure is of the whole set and does not compare with this one: {reasons}.",)
    return BenchmarkResult(
        benchmark=opened.benchmark.name,
        dataset=opened.contents.name,
        title=opened.benchmark.title,
        features="",
        protocol=protocol.name,
        description=_splitting_in_words(protocol, numbers),
        measure=str(protocol.measure),
        by_subject=protocol.keeps_people_together,
        synthetic=opened.contents.synthetic,
        without_face=without_face,
        labels=present,
        accuracy=float(np.mean(repeats)),
        deviation=float(np.std(repeats, ddof=1)) if len(repeats) > 1 else None,
        fold_deviation=float(np.std(tests, ddof=1)) if len(tests) > 1 else None,
        chance=_chance(truth, present, protocol.measure),
        class_accuracy=dict(zip(present, accuracies.tolist(), strict=True)),
        confusion=confusion_counts(truth, given, present),
        subgroups=_subgroups(opened.photographs, labels, answers, counted),
        photographs=len(labels),
        asked=int(asked.sum()),
        without_face_count=int((~found).sum()),
        asked_without_face=int((asked & ~found).sum()),
        people=opened.people_known,
        counts={label: int((labels == label).sum()) for label in present},
        left_out=dict(opened.contents.left_out),
        parameters=tuple(evaluation.parameters),
        problems=problems,
        published=published,
        complete=not parts,
        seed=folds.seed,
        folds=folds,
        truth=dict(zip(opened.names, labels.tolist(), strict=True)),
        answers={name: tuple(column) for name, column in zip(opened.names, answers.T.tolist(), strict=True)},
    )


def _score(truth: np.ndarray, answers: np.ndarray, measure: Measure) -> float:
    if measure is Measure.CLASS_AVERAGE:
        return float(np.mean([(answers[truth == label] == label).mean() for label in np.unique(truth)]))
    return float((answers == truth).mean())


def _chance(truth: np.ndarray, present: tuple[str, ...], measure: Measure) -> float:
    """What always giving the most frequent answer scores."""
    if measure is Measure.CLASS_AVERAGE:
        return 1 / len(present)
    return float(np.unique(truth, return_counts=True)[1].max() / len(truth))


def _subgroups(
    photographs: Sequence[Photograph], labels: np.ndarray, answers: np.ndarray, counted: np.ndarray
) -> dict[str, dict[str, dict[str, float]]]:
    """Attribute -> value -> share of right answers and number of photographs that were asked."""
    groups: dict[str, dict[str, dict[str, float]]] = {}
    for attribute in SUBGROUPS:
        values = np.array([_group(photograph.attributes.get(attribute, "")) for photograph in photographs])
        for value in np.unique(values[values != ""]):
            use = counted & (values == value)
            if use.any():
                right = (answers == labels)[use]
                groups.setdefault(attribute, {})[str(value)] = {
                    "accuracy": float(right.mean()),
                    "photographs": int(use.any(axis=0).sum()),
                }
    return groups


def _group(value: str) -> str:
    """The group that an attribute's value belongs to: years are grouped by tens."""
    return f"{int(value) // 10 * 10} to {int(value) // 10 * 10 + 9}" if value.isdigit() else value


def _named_in(folds: Folds, contents: DatasetContents, benchmark: Benchmark) -> tuple[Photograph, ...]:
    """The photographs that folds name, all of which must be some that the benchmark may pick together."""
    there = {relative_name(photograph.path, contents.root): photograph for photograph in contents.photographs}
    if missing := sorted(set(folds.numbers) - set(there)):
        raise DatasetError(
            f"{contents.root}: the folds name {len(folds.numbers)} photographs, of which {len(missing)} are not there "
            f"(such as {', '.join(missing[:EXAMPLES])}); give the folder that the folds were drawn on."
        )
    named = tuple(there[name] for name in sorted(folds.numbers, key=lambda name: there[name].path))
    # Whatever the seed, a pick among what was picked before leaves it as it is.
    kept = {photograph.path for photograph in benchmark.selection.of(named, 0)}
    if foreign := [relative_name(one.path, contents.root) for one in named if one.path not in kept]:
        raise DatasetError(
            f"the folds name {len(foreign)} of {len(named)} photographs that are no part of '{benchmark.name}' "
            f"(such as {', '.join(foreign[:EXAMPLES])}); expected {benchmark.description}. Give others."
        )
    return named


def _folds_of(
    opened: OpenedBenchmark, protocol: Protocol, settings: EvaluationSettings, folds: Folds | None, seed: int
) -> Folds:
    if folds is None:
        return draw_folds(
            opened.photographs,
            opened.root,
            protocol,
            repeats=settings.repeats or protocol.repeats,
            seed=seed,
            benchmark=opened.benchmark.name,
        )
    if folds.protocol != protocol.name:
        raise DatasetError(
            f"the folds were drawn for the protocol '{folds.protocol}', asked for is '{protocol.name}'; ask for theirs."
        )
    return folds


def _sources(features: Sequence[str], model, face_model, workers: int) -> FeatureSources:
    predictor = None
    if "deepexp3d" in features:
        from models.expression.predictor import Predictor

        predictor = Predictor.load(model, features_only=True, threads=workers)
    return FeatureSources(predictor, face_model, workers)


def _check_enough(opened: OpenedBenchmark, labels: np.ndarray, numbers: np.ndarray) -> None:
    """Every training part must have some of every class."""
    expected = sorted(set(opened.labels))
    if len(expected) < 2:
        raise DatasetError(
            f"{opened.root}: expected photographs of two emotions or more, found {', '.join(expected)} alone."
        )
    for row in numbers:
        for fold in np.unique(row[row >= 0]):
            seen = Counter(labels[row != fold].tolist())
            if lacking := [f"{seen[label]} of '{label}'" for label in expected if seen[label] < FEWEST]:
                raise DatasetError(
                    f"{opened.root}: to learn from, a fold leaves {', '.join(lacking)} in which a face was found; "
                    f"expected {FEWEST} of each emotion at least. Add photographs, or check that faces can be seen."
                )


def _problems(opened: OpenedBenchmark, protocol: Protocol, folds: Folds) -> tuple[str, ...]:
    """What a reader must know of the photographs that were asked, beside what the set's reader says."""
    benchmark, found = opened.benchmark, len(opened.photographs)
    problems = []
    if benchmark.expected is not None and found != benchmark.expected:
        problems.append(f"The benchmark has {benchmark.expected} photographs, {found} of them are here.")
    if absent := _absent_emotions(opened):
        problems.append(f"No photograph is {' or '.join(absent)}: fewer emotions are easier to tell apart.")
    numbers = folds.of(opened.names)
    split_here = bool((numbers >= 0).all())
    if held_out := int((numbers == HELD_OUT).any(axis=0).sum()):
        problems.append(
            f"{held_out} photographs of the set's validation part are held out: neither learned from nor asked."
        )
    unsplit = sum(photograph.split is None for photograph in opened.photographs)
    if protocol.splitting is Splitting.AS_GIVEN and split_here and 0 < unsplit < found:
        problems.append(
            f"{unsplit} of {found} photographs have no split in the manifest, so that the split of the others is not "
            "used, and folds take its place: fill the column, or empty it."
        )
    used = [len(np.unique(row[row >= 0])) for row in numbers]
    if split_here and min(used) < protocol.folds:
        counts = Counter(opened.labels.tolist())
        label, least = min(counts.items(), key=lambda item: item[1])
        people = f", and there are {opened.people_known} people" if protocol.keeps_people_together else ""
        problems.append(
            f"Expected {protocol.folds} folds, made {min(used)}: there are {least} photographs of '{label}'{people}."
        )
    unnamed = sum(photograph.subject is None for photograph in opened.photographs)
    if protocol.keeps_people_together and unnamed:
        problems.append(f"Nobody says who is on {unnamed} photographs: each counts as a person of its own.")
    return tuple(problems) + _doubled(opened, numbers)


def _absent_emotions(opened: OpenedBenchmark) -> list[str]:
    found = set(opened.labels)
    if opened.benchmark.published is None and opened.benchmark.expected is None:
        return []
    return [emotion for emotion in opened.benchmark.emotions if emotion not in found]


def _what_is_not_whole(opened: OpenedBenchmark) -> tuple[str, ...]:
    """Why the photographs are not those of the whole benchmark, in a few words each; nothing where they are."""
    expected, found = opened.benchmark.expected, len(opened.photographs)
    parts = [f"no photograph is {emotion}" for emotion in _absent_emotions(opened)]
    if expected is not None and found != expected:
        parts.append(f"{found} of {expected} photographs are here")
    return tuple(parts)


def _splitting_in_words(protocol: Protocol, numbers: np.ndarray) -> str:
    """The protocol's description; where the set decides how it is split, what was done."""
    if protocol.splitting is not Splitting.AS_GIVEN:
        return protocol.description
    if LEARNED in numbers:
        return "the set's own split"
    return f"{len(np.unique(numbers))} stratified folds of photographs; a person may be in training and test"


def _doubled(opened: OpenedBenchmark, numbers: np.ndarray) -> tuple[str, ...]:
    """A sentence on identical photographs of which one was learned from when another was asked."""
    used = (numbers != HELD_OUT).all(axis=0)
    column = {photograph.path: place for place, photograph in enumerate(opened.photographs)}
    parted = [
        group
        for group in duplicates([one for one, takes_part in zip(opened.photographs, used, strict=True) if takes_part])
        if np.ptp(numbers[:, [column[photograph.path] for photograph in group]], axis=1).any()
    ]
    if not parted:
        return ()
    example = " and ".join(relative_name(photograph.path, opened.root) for photograph in parted[0])
    return (
        f"{len(parted)} photographs are there more than once and lie in different folds (such as {example}): "
        "what is asked has been learned from.",
    )


def _unread(detections: Detections, root: Path) -> tuple[str, ...]:
    if not detections.unreadable:
        return ()
    names = ", ".join(relative_name(path, root) for path in list(detections.unreadable)[:EXAMPLES])
    return (f"{len(detections.unreadable)} photographs cannot be read and count as without a face: {names}.",)
