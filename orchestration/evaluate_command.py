"""`deepexp3d evaluate` on photographs, their angles, and videos of stress: without Dagster, as the stages do it."""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from assets.workspace import Workspace
from models.errors import OutputError
from models.storage import require_writable

if TYPE_CHECKING:
    from models.emotion.settings import EvaluationSettings
    from models.emotion.stress_settings import StressSettings

# The benchmark of videos, which has a protocol of its own.
STRESS = "srd15"

Progress = Callable[[Iterable, str, int | None], Iterable]


def evaluate_photographs(
    benchmark: str,
    root: Path,
    *,
    features: Sequence[str],
    protocols: Sequence[str],
    folds_file: Path | None,
    json_file: Path | None,
    out: Path | None,
    model: Path | str | None,
    backend: str,
    without_face: str | None,
    repeats: int | None,
    seed: int | None,
    workers: int,
    progress: Progress,
    tell: Callable[[str], None],
) -> None:
    """Accuracies of features under protocols, told and then written. What is not asked for is as the project says.

    Raises
    ------
    DeepExp3DError
        The folder does not hold the set, or something that the features need is missing.
    """
    from models.emotion.benchmark_evaluation import compare_features, known_protocols, open_benchmark
    from models.emotion.benchmark_files import landmark_cache, write_figures, write_folder
    from models.emotion.benchmark_tables import results_text
    from models.emotion.features import FITS
    from models.emotion.protocols import Folds

    defaults = _defaults_of_photographs()
    features = features or defaults.features
    folds = None if folds_file is None else Folds.load(folds_file)
    opened = open_benchmark(benchmark, root, seed=defaults.pick_seed if seed is None else seed, folds=folds)
    results = list(
        compare_features(
            opened,
            features,
            protocols or known_protocols(opened, folds),
            # The pipeline's repeats are few because it goes through every benchmark; the command has the protocol's.
            settings=replace(defaults.settings, repeats=repeats),
            seed=defaults.seed if seed is None else seed,
            model=model,
            face_model=_detector_model() if set(features) & set(FITS) else None,
            backend=backend,
            without_face=without_face or defaults.without_face,
            folds=folds,
            cache=None if out is None else landmark_cache(out, backend),
            workers=workers,
            progress=progress,
        )
    )
    tell(results_text(results))
    with _said_in_a_line():
        if json_file is not None:
            write_figures(results, json_file)
        if out is not None:
            write_folder(results, out)


def stress_entry() -> str:
    """The benchmark of videos for `--list`."""
    from models.emotion.benchmark_tables import set_entry
    from models.emotion.published import STRESS as PUBLISHED
    from models.emotion.stress_videos import COLUMNS, MANIFEST

    average = next(row.paper for row in PUBLISHED if row.phase is None)
    return set_entry(
        "SRD'15",
        "its authors, on request; any videos in this form will do",
        f"videos and a {MANIFEST} with the columns {', '.join(COLUMNS)}",
        STRESS,
        f"{average:.2f}",
        ("stressful or not, by frame and by video; each phase for itself", "5 folds by subject, 10 repeats"),
    )


def evaluate_stress_videos(
    root: Path,
    *,
    folds_file: Path | None,
    json_file: Path | None,
    out: Path | None,
    model: Path | str | None,
    backend: str,
    repeats: int | None,
    seed: int | None,
    workers: int,
    progress: Progress,
    tell: Callable[[str], None],
) -> None:
    """Stress in the videos of a manifest (Table IV), told and then written, as the project's parameters say."""
    from models.emotion.benchmark_files import FIGURES, folds_beside
    from models.emotion.benchmark_result import library_versions, machine, network_in_words, write_json
    from models.emotion.protocols import Folds
    from models.emotion.stress import evaluate_stress, stress_text
    from models.expression.predictor import Predictor
    from models.expression.runtime import NETWORK
    from models.expression.shipped import model_folder
    from models.packages import sha256_of

    protocol, own_seed = _settings_of_stress()
    network = sha256_of(model_folder(model) / NETWORK)[:16]
    result = evaluate_stress(
        root,
        settings=replace(protocol, repeats=repeats or protocol.repeats),
        seed=own_seed if seed is None else seed,
        predictor=Predictor.load(model, features_only=True, backend=backend, threads=workers),
        progress=progress,
        cache=None if out is None else out / f"expressions-{backend}-{network}",
        folds=None if folds_file is None else Folds.load(folds_file),
        workers=workers,
    )
    versions = {"landmarks": backend} | library_versions() | {"network": network_in_words(model)}
    result = replace(result, versions=versions, machine=machine(workers))
    tell(stress_text(result))
    with _said_in_a_line():
        for path in (json_file, None if out is None else out / FIGURES):
            if path is not None:
                write_json(result.to_json(), path)
                result.drawn.save(folds_beside(path, result.drawn))


def require_known(benchmark: str, further: Sequence[str] = ()) -> None:
    """Refuse a name that is no benchmark's, with all that are; `further` are known to the caller.

    Raises
    ------
    DatasetError
        Nothing is called so.
    """
    from models.emotion.benchmark_evaluation import benchmark_called

    others = (*sorted(_view_benchmarks()), STRESS, *further)
    if benchmark not in others:
        benchmark_called(benchmark, others)


def is_view_benchmark(benchmark: str) -> bool:
    """Whether a name is that of a comparison of angles."""
    return benchmark in _view_benchmarks()


def evaluate_view_invariance(
    benchmark: str,
    root: Path,
    *,
    json_file: Path | None,
    out: Path | None,
    model: Path | str | None,
    backend: str,
    workers: int,
    progress: Progress,
    tell: Callable[[str], None],
) -> None:
    """How far e of the same moment is apart between angles, told and then written.

    Raises
    ------
    DeepExp3DError
        The folder does not hold the set, nothing in it can be compared, or there is no such network.
    """
    from models.emotion.benchmark_files import landmark_cache
    from models.emotion.benchmark_result import network_in_words, write_json
    from models.emotion.view_evaluation import evaluate_views, require_pairs, views_text, write_views
    from models.expression.predictor import Predictor

    evaluation = evaluate_views(
        _view_benchmarks()[benchmark],
        root,
        predictor=Predictor.load(model, features_only=True, threads=workers),
        backend=backend,
        cache=None if out is None else landmark_cache(out, backend),
        workers=workers,
        progress=progress,
    )
    require_pairs(evaluation, root)
    evaluation = replace(evaluation, versions={**evaluation.versions, "network": network_in_words(model)})
    tell(views_text(evaluation))
    with _said_in_a_line():
        if json_file is not None:
            write_json(evaluation.to_json(), json_file)
        if out is not None:
            write_views(evaluation, out)


def _view_benchmarks() -> dict[str, str]:
    """Name of each comparison of angles -> its set."""
    from models.emotion.view_invariance import SETS, view_benchmark

    return {view_benchmark(dataset): dataset for dataset in SETS}


def processors(workers: int) -> int:
    """How many of them work: those asked for, or for 0 all that this process may use."""
    return workers or len(os.sched_getaffinity(0))


class _Defaults(NamedTuple):
    """What holds where nobody asks for something else; as in `compare_features`."""

    settings: "EvaluationSettings"
    features: Sequence[str]
    without_face: str
    seed: int
    pick_seed: int


def _defaults_of_photographs() -> _Defaults:
    """Those of the project at hand, else the settings' own.

    The network that comes with the installation is of use without a project.
    """
    from models.emotion.settings import PICK_SEED, SEED, EvaluationSettings, Features

    workspace = _project_at_hand()
    if workspace is None:
        return _Defaults(EvaluationSettings(), [str(Features.deepexp3d)], "leave_out", SEED, PICK_SEED)
    params = workspace.params.emotion_classifier
    return _Defaults(
        EvaluationSettings(params.folds, params.repeats, params.search),
        [str(name) for name in params.features],
        params.without_face,
        params.seed,
        workspace.params.benchmark_images.seed,
    )


def _settings_of_stress() -> tuple["StressSettings", int]:
    """The protocol and its seed, of the project at hand, else the defaults."""
    from models.emotion.stress_settings import SEED, StressSettings

    workspace = _project_at_hand()
    if workspace is None:
        return StressSettings(), SEED
    return workspace.params.stress_detection.protocol, workspace.params.stress_detection.seed


def _project_at_hand() -> Workspace | None:
    """The project that this is called from; None outside of one."""
    here = Path.cwd()
    if "DEEPEXP3D_ROOT" in os.environ or any((folder / "params.yaml").exists() for folder in (here, *here.parents)):
        return Workspace.open()
    return None


def require_outputs(json_file: Path | None, out: Path | None) -> None:
    """Refuse places where results cannot be written, before anything is computed.

    Raises
    ------
    OutputError
        One of them is of no use.
    """
    if json_file is not None:
        require_writable(json_file)
    if out is not None:
        require_writable(out, folder=True)


@contextlib.contextmanager
def _said_in_a_line() -> Iterator[None]:
    """Results that cannot be written after all are told in a line: the figures are on the screen already."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{error.filename2 or error.filename}: cannot be written ({error.strerror}); the figures are those above. "
            "Give another place and run again."
        ) from error


def _detector_model():
    """The face model of the project at hand, which knows how the landmark detector errs."""
    from assets.landmark_correspondence import load_detector_model

    return load_detector_model(Workspace.open())
