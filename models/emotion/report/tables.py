"""Tables I to IV and the errors of sections IV-A and IV-C: published figures, and those measured here beside them.

A figure that was not measured says why. Figures of rendered faces are marked synthetic and stand in tables and rows of
their own: they tell that everything works, and are no measurement of any published benchmark.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from models.emotion import published
from models.emotion.report.measurements import MeasuredAccuracy, Measurements
from models.emotion.view_invariance import SETS

NOT_RUN = "not run: data absent"
NOT_MEASURED = "not measured"
# Of people who are nobody's benchmark but this project's.
RENDERED_BENCHMARK = "synthetic"
# What the paper classifies: the network's expressions.
OWN_FEATURES = "deepexp3d"
# In the cells after one that says why there is nothing.
NOTHING = "–"


class Kind(StrEnum):
    """What a cell is, for those who draw it."""

    TEXT = "text"
    NUMBER = "number"
    MEASURED = "measured"
    ABSENT = "absent"
    SYNTHETIC = "synthetic"


@dataclass(frozen=True)
class Cell:
    """One cell of a table."""

    text: str
    kind: Kind = Kind.TEXT


@dataclass(frozen=True)
class Row:
    """One row. `own` marks the method that is rebuilt here, `first` the first row of a group."""

    cells: tuple[Cell, ...]
    own: bool = False
    first: bool = False


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes
    ----------
    name : for anchors and labels
    number : "Table I", or the section where the figures stand in the text
    title : what it shows
    columns : their headings
    aligned_right : which of them hold numbers
    rows : as many cells each as there are columns
    notes : what a reader must know, a sentence or two each
    """

    name: str
    number: str
    title: str
    columns: tuple[str, ...]
    aligned_right: tuple[bool, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()


def all_tables(measured: Measurements) -> tuple[Table, ...]:
    """Every table, in the paper's order."""
    return (
        databases_table(measured),
        run_time_table(measured),
        accuracy_table(measured),
        further_accuracies_table(measured),
        *features_tables(measured),
        class_accuracy_table(measured),
        stress_table(measured),
        *other_stress_tables(measured),
        expression_error_table(measured),
        view_table(measured),
        *rendered_tables(measured),
        disagreements_table(),
    )


def databases_table(measured: Measurements) -> Table:
    """Table I, and what lies here of each set."""
    rows, notes = [], []
    for row in published.DATABASES:
        found = measured.found.get(row.dataset)
        if found is None:
            here = Cell("data absent", Kind.ABSENT)
        else:
            people = f", {found.people} people" if found.people else ""
            here = Cell(f"{found.images:,} images{people}", Kind.MEASURED)
            notes += [f"{row.name}: {problem}" for problem in found.problems]
        texts = (row.name, row.images, row.subjects, row.emotions, row.elicitation, row.resolution)
        rows.append(Row((*map(Cell, texts), here)))
    return Table(
        name="table_1",
        number="Table I",
        title="Databases of emotions",
        columns=("dataset", "images", "subjects", "emotions", "elicitation", "resolution", "found here"),
        aligned_right=(False, True, True, False, False, False, False),
        rows=tuple(rows),
        notes=(
            "B, N, C: basic, neutral, compound emotions. Found here: readable photographs of the seven emotions.",
            *notes,
        ),
    )


# Figures of `benchmarks.inference`, in milliseconds, in the order of Table II's rows here.
_OWN_TIMES = {
    "resnet50_photograph_ms": "DeepExp3D here, ResNet-50, a photograph",
    "resnet50_frame_ms": "DeepExp3D here, ResNet-50, a camera's frame",
    "small_photograph_ms": "DeepExp3D here, small, a photograph",
    "small_frame_ms": "DeepExp3D here, small, a camera's frame",
}
_OTHER_TIMES = {
    "mediapipe_blendshapes_ms": "MediaPipe Face Landmarker with blendshapes",
    "per_image_fit_ms": "3DMM fit of one image",
    "per_frame_baseline_ms": "per-frame linear fit [31]",
    "eos_ms": "eos, fit_shape_and_pose",
}


def run_time_table(measured: Measurements) -> Table:
    """Table II, and what this machine takes."""
    figures = measured.inference or {}
    # The paper's time is that of a whole framework from image to emotion: a photograph's is its counterpart.
    rows = [
        Row(
            (
                Cell(row.method),
                Cell(row.printed, Kind.NUMBER),
                _seconds(figures, "resnet50_photograph_ms") if row.method == published.PAPER else Cell(""),
            ),
            own=row.method == published.PAPER,
        )
        for row in published.RUN_TIMES
    ]
    here = [(key, words) for key, words in (_OWN_TIMES | _OTHER_TIMES).items() if key in figures]
    for place, (key, words) in enumerate(here):
        untrained = figures.get(f"{key.split('_')[0]}_random_weights") and key in _OWN_TIMES
        words += " (untrained weights)" if untrained else ""
        rows.append(Row((Cell(words), Cell(""), _seconds(figures, key)), first=place == 0))
    load = figures.get("load_average")
    return Table(
        name="table_2",
        number="Table II",
        title="Seconds for the expression in a single image",
        columns=("method", "published", "measured here"),
        aligned_right=(False, True, True),
        rows=tuple(rows),
        notes=(
            "Published on a Tesla V100 and a Xeon E5-1660 v4; measured on the machine below, by python -m "
            "benchmarks.inference --json FILE"
            + (f" with {figures['threads']:g} threads" if "threads" in figures else "")
            + (f", load average {load:.1f} at its start." if load is not None else "."),
            "A photograph is decoded and its face looked for anew; a camera's frame is followed from the one before.",
        ),
    )


def accuracy_table(measured: Measurements) -> Table:
    """Table III. The paper's own rows have what was measured here beside them."""
    rows, previous = [], None
    for row in published.ACCURACIES:
        own = row.benchmark is not None
        paper, subject, remark = _measured_cells(measured, row.benchmark) if own else (Cell(""), Cell(""), Cell(""))
        rows.append(
            Row(
                (
                    Cell(row.dataset if row.dataset != previous else ""),
                    Cell(row.approach),
                    Cell(row.printed, Kind.NUMBER),
                    *(paper, subject, remark),
                ),
                own=own,
                first=row.dataset != previous,
            )
        )
        previous = row.dataset
    return Table(
        name="table_3",
        number="Table III",
        title="Accuracy of facial expression recognition, %",
        columns=("dataset", "approach", "published", "here: paper's protocol", "here: by subject", "measured on"),
        aligned_right=(False, False, True, True, True, False),
        rows=tuple(rows),
        notes=(
            "The paper's protocol splits photographs: a person may be in training and test. By subject nobody is. In "
            "both, hyper-parameters are tuned inside the training folds.",
            *_part_notes(rows),
            *measured.left_out,
        ),
    )


def further_accuracies_table(measured: Measurements) -> Table:
    """Benchmarks without a figure in Table III: semi-profiles and other sets."""
    in_table = {row.benchmark for row in published.ACCURACIES}
    names = [name for name in measured.benchmark_titles if name not in in_table | {RENDERED_BENCHMARK}]
    rows = []
    for name in names:
        paper, subject, remark = _measured_cells(measured, name)
        rows.append(Row((Cell(measured.benchmark_titles[name]), paper, subject, remark)))
    return Table(
        name="further_accuracies",
        number="Beyond Table III",
        title="Semi-profiles (Figs. 2 and 3) and other sets, %",
        columns=("benchmark", "here: paper's protocol", "here: by subject", "measured on"),
        aligned_right=(False, True, True, False),
        rows=tuple(rows),
        notes=("The paper gives the accuracies of semi-profiles in its figures alone.", *_part_notes(rows)),
    )


def features_tables(measured: Measurements) -> tuple[Table, ...]:
    """Other features on the same folds; no table where there were none."""
    rows = []
    for benchmark, results in measured.accuracies.items():
        names = list(dict.fromkeys(result.features for result in results))
        if names == [OWN_FEATURES]:
            continue
        for place, name in enumerate(names):
            pair = [
                next((r for r in results if r.features == name and r.by_subject is by), None) for by in (False, True)
            ]
            title = measured.benchmark_titles.get(benchmark, benchmark) if place == 0 else ""
            words = _FEATURES.get(name, name)
            rows.append(
                Row((Cell(title), Cell(words), *map(_accuracy, pair)), own=name == OWN_FEATURES, first=not place)
            )
    if not rows:
        return ()
    return (
        Table(
            name="features",
            number="Features compared",
            title="Accuracy on the same folds, %",
            columns=("benchmark", "features", "here: paper's protocol", "here: by subject"),
            aligned_right=(False, False, True, True),
            rows=tuple(rows),
            notes=(
                "The shared fit sees all photographs of a person at once and therefore knows more than the others.",
                *_part_notes(rows),
            ),
        ),
    )


_FEATURES = {
    "deepexp3d": "DeepExp3D, 28",
    "image_fit": "fit of each image, 28",
    "shared_fit": "fit with shared identity, 28",
    "blendshapes": "MediaPipe blendshapes, 52",
}


def class_accuracy_table(measured: Measurements) -> Table:
    """The classes whose accuracies section IV-A names."""
    rows = []
    for benchmark, classes in published.CLASS_ACCURACIES.items():
        results = _of_data(measured, benchmark, synthetic=False)
        for place, (emotion, accuracy) in enumerate(classes.items()):
            cells = (_not_run(measured, benchmark), Cell(NOTHING, Kind.ABSENT))
            if results:
                cells = tuple(_class_accuracy(result, emotion) for result in _by_protocol(results))
            title = measured.benchmark_titles.get(benchmark, benchmark) if place == 0 else ""
            rows.append(
                Row((Cell(title), Cell(emotion), Cell(f"{accuracy:.1f}", Kind.NUMBER), *cells), first=place == 0)
            )
    return Table(
        name="class_accuracies",
        number="Section IV-A, Fig. 3",
        title="Classes of KDEF that are named rightly, %",
        columns=("benchmark", "emotion", "published", "here: paper's protocol", "here: by subject"),
        aligned_right=(False, False, True, True, True),
        rows=tuple(rows),
        notes=_part_notes(rows),
    )


_STRESS_LEVELS = {
    "frames": "here: frames",
    "video_mean_probability": "here: videos, mean probability",
    "video_majority": "here: videos, majority",
    "video_statistics": "here: videos, statistics of e",
}


def stress_table(measured: Measurements) -> Table:
    """Table IV, with frames and whole videos as measured here."""
    stress = measured.stress if measured.stress and _compared_stress(measured.stress) else None
    mark = "" if stress is None or stress.get("complete", True) else " *"
    rows = []
    for row in published.STRESS:
        result = None
        if stress is not None:
            result = stress["average"] if row.phase is None else stress["phases"].get(row.phase, {}).get("accuracy")
        cells = [_not_run(measured, "stress_detection"), *[Cell(NOTHING, Kind.ABSENT)] * (len(_STRESS_LEVELS) - 1)]
        if result:
            cells = _stress_cells(result, Kind.MEASURED, mark)
        numbers = [Cell(f"{value:.2f}", Kind.NUMBER) for value in (row.head_motility, row.dwnet, row.paper)]
        rows.append(Row((Cell(row.name), *numbers, *cells), own=row.phase is None, first=row.phase is None))
    known = {row.phase for row in published.STRESS}
    for phase, result in (stress or {"phases": {}})["phases"].items():
        if phase not in known:
            cells = _stress_cells(result["accuracy"], Kind.MEASURED, mark)
            rows.append(Row((Cell(result["title"]), Cell(""), Cell(""), Cell(""), *cells)))
    return Table(
        name="table_4",
        number="Table IV",
        title="Accuracy of stress detection on SRD'15, %",
        columns=("phase", "head motility [24]", "DWNet1D [27]", published.PAPER, *_STRESS_LEVELS.values()),
        aligned_right=(False, *[True] * 7),
        rows=tuple(rows),
        notes=(*_stress_notes(stress), *(["* Not of all of the set: see the notes."] if mark else [])),
    )


def other_stress_tables(measured: Measurements) -> tuple[Table, ...]:
    """Stress in another set than that of Table IV, with nothing published beside it; no table where there is none."""
    stress = measured.stress
    if stress is None or stress.get("synthetic") or _compared_stress(stress):
        return ()
    return (
        _stress_alone(
            stress,
            name="other_stress",
            number="Beyond Table IV",
            title="Accuracy of stress detection on another set than SRD'15, %",
            kind=Kind.MEASURED,
        ),
    )


_METHODS_HERE = {
    "deepexp3d": "DeepExp3D before fine-tuning",
    "mean expression": "always the mean expression of the training videos",
}


def expression_error_table(measured: Measurements) -> Table:
    """Section IV-C: error of e against whole-video fits."""
    expression = measured.expression or {}
    videos = expression.get("test_videos") or {"all": 0, "rendered": 0}
    kind = Kind.SYNTHETIC if videos["all"] and videos["rendered"] == videos["all"] else Kind.MEASURED
    fitted = {row["method"]: row["mse"] for row in expression.get("errors", ()) if row["against"] == "whole-video fit"}
    counterparts = {published.PAPER: "deepexp3d_finetuned", "Linear shape model fitting [31]": "per-frame linear fit"}
    rows = [
        Row(
            (
                Cell(method),
                Cell(f"{mse:.3f}", Kind.NUMBER),
                _error(fitted, counterparts[method], kind)
                if method in counterparts
                else Cell("not rebuilt", Kind.ABSENT),
            ),
            own=method == published.PAPER,
        )
        for method, mse in published.EXPRESSION_MSE.items()
    ]
    for place, method in enumerate(name for name in fitted if name not in counterparts.values()):
        words = _METHODS_HERE.get(method, method)
        rows.append(Row((Cell(f"here: {words}"), Cell(""), _error(fitted, method, kind)), first=place == 0))
    return Table(
        name="expression_errors",
        number="Section IV-C",
        title="Mean squared error of e against whole-video fits of test videos",
        columns=("method", "published", "measured here, std²"),
        aligned_right=(False, True, True),
        rows=tuple(rows),
        notes=(
            "The paper states no unit, so that the columns cannot be compared with each other, only within themselves.",
            *(
                [f"Measured on {videos['all']} test videos; {videos['rendered']} are rendered."]
                if videos["all"]
                else []
            ),
        ),
    )


def view_table(measured: Measurements) -> Table:
    """Section IV-A: how far e of one moment is apart between angles."""
    real = {name: result for name, result in measured.views.items() if not result.get("synthetic")}
    rows = [
        Row(
            (
                Cell("RaFD"),
                Cell("semi-profile, 45°"),
                Cell(f"{published.VIEW_MSE:.3f}", Kind.NUMBER),
                *_view_cells(measured, "rafd", (real.get("rafd") or {}).get("semi_profile")),
            ),
            own=True,
        )
    ]
    for name, result in measured.views.items():
        for place, view in enumerate(result["views"]):
            mark = ", rendered (synthetic)" if result.get("synthetic") else ""
            cells = (Cell(SETS.get(name, name) + mark), Cell(f"{view['view']:+.0f}°"), Cell(""))
            rows.append(Row((*cells, *_view_cells(measured, name, view)), first=place == 0))
    if "kdef" not in real:
        rows.append(Row((Cell("KDEF"), Cell("45°, 90°"), Cell(""), *_view_cells(measured, "kdef", None))))
    unseen = (measured.expression or {}).get("unseen_people") or {}
    key = "deepexp3d_finetuned_view_invariance_mse"
    if key in unseen:
        share = unseen.get(f"{key}_share")
        rows.append(
            Row(
                (
                    Cell("rendered people (synthetic)"),
                    Cell("semi-profile, 45°"),
                    Cell(""),
                    Cell(f"{unseen[key]:.3f}", Kind.SYNTHETIC),
                    Cell("" if share is None else f"{100 * share:.0f} %", Kind.SYNTHETIC),
                    Cell(f"{unseen.get('deepexp3d_finetuned_view_pairs', 0):,}", Kind.SYNTHETIC),
                ),
                first=True,
            )
        )
    return Table(
        name="view_invariance",
        number="Section IV-A",
        title="Mean squared error of e between a turned and the frontal photograph of one moment",
        columns=("set", "angle", "published", "measured here, std²", "share of e's variance", "pairs"),
        aligned_right=(False, False, True, True, True, True),
        rows=tuple(rows),
        notes=(
            "The paper states no unit. The share tells how much of what distinguishes expressions the angle changes: "
            "0 % is perfect, 200 % is what photographs have that know nothing of each other.",
            *_part_notes(rows),
        ),
    )


def rendered_tables(measured: Measurements) -> tuple[Table, ...]:
    """What was measured on rendered stand-ins in the layouts of the sets; no table where there were none."""
    rows = []
    for benchmark in measured.accuracies:
        results = _of_data(measured, benchmark, synthetic=True)
        if results:
            title = measured.benchmark_titles.get(benchmark, benchmark)
            rows.append(Row((Cell(title), *map(_accuracy, _by_protocol(results)), _images(results))))
    tables = []
    if rows:
        tables.append(
            Table(
                name="rendered_accuracies",
                number="Synthetic",
                title="Accuracy on rendered people in the layouts of the sets, %",
                columns=("layout", "here: paper's protocol", "here: by subject", "measured on"),
                aligned_right=(False, True, True, False),
                rows=tuple(rows),
                notes=(
                    "Rendered faces take the place of absent sets, so that every step is tried; nothing published "
                    "can be compared with them.",
                ),
            )
        )
    if stress := _rendered_stress(measured):
        title = "Accuracy of stress detection on rendered videos, %"
        tables.append(
            _stress_alone(stress, name="rendered_stress", number="Synthetic", title=title, kind=Kind.SYNTHETIC)
        )
    return tuple(tables)


def disagreements_table() -> Table:
    """Where the paper's text, its tables and the sets' publishers disagree."""
    return Table(
        name="disagreements",
        number="Notes",
        title="Where the paper's text, its tables and the publishers of the sets disagree",
        columns=("figure", "what is said where"),
        aligned_right=(False, False),
        rows=tuple(Row((Cell(item.where), Cell(item.what))) for item in published.DISAGREEMENTS),
    )


def _measured_cells(measured: Measurements, benchmark: str) -> tuple[Cell, Cell, Cell]:
    """Accuracy by the paper's protocol, accuracy by subject, and what was measured on."""
    results = _of_data(measured, benchmark, synthetic=False)
    if not results:
        return _not_run(measured, benchmark), Cell(NOTHING, Kind.ABSENT), Cell("")
    return (*map(_accuracy, _by_protocol(results)), _images(results))


def _of_data(measured: Measurements, benchmark: str, *, synthetic: bool) -> list[MeasuredAccuracy]:
    return [result for result in measured.accuracies.get(benchmark, ()) if result.synthetic is synthetic]


def _images(results: Sequence[MeasuredAccuracy]) -> Cell:
    """How many images, and the file of an evaluation by command that the figures are from."""
    images = [f"{results[0].images:,} images"] if results[0].images else []
    return Cell(", ".join([*images, *sorted({result.source for result in results} - {""})]))


def _by_protocol(results: Sequence[MeasuredAccuracy]) -> tuple[MeasuredAccuracy | None, MeasuredAccuracy | None]:
    """The result of the paper's protocol, and that by subject, of the network's features."""
    own = [result for result in results if result.features == OWN_FEATURES]
    paper = next((result for result in own if not result.by_subject), None)
    subject = next((result for result in own if result.by_subject), None)
    return paper, subject


def _class_accuracy(result: MeasuredAccuracy | None, emotion: str) -> Cell:
    if result is None or emotion not in result.class_accuracy:
        return Cell(NOT_MEASURED, Kind.ABSENT)
    kind = Kind.SYNTHETIC if result.synthetic else Kind.MEASURED
    return Cell(f"{100 * result.class_accuracy[emotion]:.1f}" + _part_mark(result), kind)


def _accuracy(result: MeasuredAccuracy | None) -> Cell:
    if result is None:
        return Cell(NOT_MEASURED, Kind.ABSENT)
    deviation = None if result.deviation is None else 100 * result.deviation
    kind = Kind.SYNTHETIC if result.synthetic else Kind.MEASURED
    return Cell(_per_cent(100 * result.accuracy, deviation) + _part_mark(result), kind)


# After a figure that is not of all of the set.
_PART = " *"


def _part_mark(result: MeasuredAccuracy) -> str:
    """Rendered sets, which stand apart and are called so, are not marked as well."""
    return "" if result.complete or result.synthetic else _PART


def _part_notes(rows: Sequence[Row]) -> tuple[str, ...]:
    """What the mark means, where there is one."""
    marked = any(cell.text.endswith(_PART) for row in rows for cell in row.cells)
    return ("* Not of all of the set: does not compare with what is published.",) if marked else ()


def _not_run(measured: Measurements, name: str) -> Cell:
    reason = measured.not_run.get(name)
    # Whatever "skipped: put SET at PLACE" says is told once, at the end of the report.
    absent = reason is None or "put " in reason
    return Cell(NOT_RUN if absent else f"not run: {reason}", Kind.ABSENT)


def _per_cent(accuracy: float, deviation: float | None) -> str:
    return f"{accuracy:.2f}" if deviation is None else f"{accuracy:.2f} ± {deviation:.2f}"


def _rendered_stress(measured: Measurements) -> Mapping[str, Any] | None:
    return measured.stress if measured.stress and measured.stress.get("synthetic") else None


def _compared_stress(stress: Mapping[str, Any]) -> bool:
    """Whether figures are of the set that Table IV is of, and not of rendered people or of another set."""
    return not stress.get("synthetic") and stress.get("compared", published.STRESS_SET) == published.STRESS_SET


def _stress_alone(stress: Mapping[str, Any], *, name: str, number: str, title: str, kind: Kind) -> Table:
    """Stress by phase, beside which nothing published stands."""
    phases = [(result["title"], result["accuracy"]) for result in stress["phases"].values()]
    return Table(
        name=name,
        number=number,
        title=title,
        columns=("phase", *_STRESS_LEVELS.values()),
        aligned_right=(False, *[True] * len(_STRESS_LEVELS)),
        rows=tuple(
            Row((Cell(phase), *_stress_cells(accuracy, kind)))
            for phase, accuracy in [*phases, ("Average", stress["average"])]
        ),
        notes=tuple(_stress_notes(stress)),
    )


def _stress_cells(accuracies: Mapping[str, Mapping[str, float]], kind: Kind, mark: str = "") -> list[Cell]:
    return [_repeated(accuracies[level], kind, mark) for level in _STRESS_LEVELS]


def _repeated(value: Mapping[str, float], kind: Kind, mark: str) -> Cell:
    deviation = None if value["deviation"] is None else 100 * value["deviation"]
    return Cell(_per_cent(100 * value["mean"], deviation) + mark, kind)


def _seconds(figures: Mapping[str, float], key: str) -> Cell:
    if key not in figures:
        return Cell(NOT_MEASURED, Kind.ABSENT)
    return Cell(f"{figures[key] / 1e3:.4f}", Kind.MEASURED)


def _error(errors: Mapping[str, float], method: str, kind: Kind) -> Cell:
    if method not in errors:
        return Cell(NOT_MEASURED, Kind.ABSENT)
    return Cell(f"{errors[method]:.3f}", kind)


def _view_cells(measured: Measurements, name: str, view: Mapping[str, Any] | None) -> tuple[Cell, Cell, Cell]:
    if view is None:
        return _not_run(measured, "view_invariance"), Cell(""), Cell("")
    result = measured.views[name]
    kind = Kind.SYNTHETIC if result.get("synthetic") else Kind.MEASURED
    mark = "" if result.get("complete", True) or result.get("synthetic") else _PART
    share = "" if view["share"] is None else f"{100 * view['share']:.0f} %"
    return Cell(f"{view['mse']:.3f}{mark}", kind), Cell(share, kind), Cell(f"{view['pairs']:,}", kind)


def _stress_notes(stress: Mapping[str, Any] | None) -> Iterable[str]:
    if stress is None:
        yield "Frames are what the paper counts; the other columns judge each video as a whole."
        return
    chances: Sequence[str] = [
        f"{result['title']} {100 * result['chance']['frames']:.1f} and {100 * result['chance']['videos']:.1f}"
        for result in stress["phases"].values()
    ]
    yield f"{stress['protocol'][0].upper()}{stress['protocol'][1:]}."
    yield f"Always naming the commoner label gives, in % of frames and of videos: {'; '.join(chances)}."
    yield from stress.get("problems", ())
