"""`deepexp3d evaluate bu3dfe`: the fusion paper's pipelines on scans in their publisher's layout."""

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from assets.params import Params
from assets.workspace import Workspace
from models.errors import DeepExp3DError

if TYPE_CHECKING:
    from models.rgbd.network_settings import RgbdEvaluationSettings

BENCHMARK = "bu3dfe"
PROTOCOLS = ("paper", "redrawn", "all", "tenfold")

Progress = Callable[[Iterable, str, int | None], Iterable]


def evaluate_fusion(
    root: Path,
    *,
    protocols: Sequence[str],
    pipelines: Sequence[str],
    divisions_file: Path | None,
    json_file: Path | None,
    out: Path | None,
    backend: str,
    paper: bool,
    repeats: int | None,
    epochs: int | None,
    seed: int | None,
    workers: int,
    progress: Progress,
) -> str:
    """Depth maps of the scans, then training and test on every division of people; returns both tables in words, or
    what several protocols come to.

    What is not asked for is as the project's parameters say, or as the paper has it with `paper`. `out` gets figures
    and tables, and keeps pairs, features and finished repeats, with which an evaluation goes on where it was stopped.

    Raises
    ------
    DeepExp3DError
        The folder does not hold the set, or a protocol or pipeline is unknown.
    """
    from assets.batches import chained
    from assets.depth_maps import prepare_scans, remarks_on, with_needed_reconstructions, write_pairs
    from assets.rgbd_evaluation import write_confusions
    from assets.rgbd_networks import own_deepexp3d, rgbd_hardware, weight_files
    from models.rgbd.datasets import read_scans
    from models.rgbd.pipelines import unknown_pipelines
    from models.rgbd.protocol import Divisions, require_people
    from models.rgbd.protocol_comparison import compare_protocols

    if not set(protocols) <= set(PROTOCOLS):
        raise DeepExp3DError(f"{BENCHMARK}: --protocol {', '.join(protocols)}: choose of {', '.join(PROTOCOLS)}.")
    if len(protocols) > 1 and divisions_file is not None:
        raise DeepExp3DError(f"{BENCHMARK}: --folds are of one protocol; name that one alone.")
    if unknown := unknown_pipelines(pipelines):
        raise DeepExp3DError(f"{BENCHMARK}: --pipeline: {unknown}.")
    workspace = Workspace.open()
    params = workspace.params
    chosen = list(pipelines) or _pipelines(params, paper)
    settings = _settings(params, paper=paper, repeats=repeats, epochs=epochs, seed=seed)
    divisions = None if divisions_file is None else Divisions.load(divisions_file)
    # Stored divisions are of the protocol that they were drawn for.
    asked = list(dict.fromkeys(protocols)) if divisions is None else [divisions.protocol]
    contents = read_scans(BENCHMARK, root, verify=params.bu3dfe_scans.verify)
    require_people(contents.scans, params.depth_maps.intensities)
    landmarks = params.landmarks.model_copy(update={"backend": backend})
    with _kept(out) as folder:
        prepared = prepare_scans(
            contents.scans,
            params.depth_maps,
            landmarks,
            synthetic=contents.synthetic,
            folder=folder / "pairs",
            fingerprint=chained(
                params.depth_maps.model_dump_json(exclude={"reconstruction_network"}),
                landmarks.model_dump_json(),
                version("deepexp3d"),
            ),
            workers=workers,
        )
        samples, remarks = with_needed_reconstructions(
            workspace, prepared.assembled.samples, chosen, backend=backend, workers=workers, progress=progress
        )
        if out is not None:
            write_pairs(prepared, out)
        comparison = compare_protocols(
            samples,
            asked or [settings.protocol],
            settings=settings,
            folder=folder / "repeats",
            pipelines=chosen,
            hardware=replace(rgbd_hardware(workspace), workers=workers),
            weights=weight_files(workspace),
            download=params.rgbd_networks.download,
            deepexp3d=own_deepexp3d(workspace),
            divisions=divisions,
            problems=(
                *contents.problems,
                *prepared.assembled.problems,
                *remarks_on(prepared.table),
                *remarks,
            ),
            progress=progress,
        )
        several = len(comparison.results) > 1
        for path in (json_file, None if out is None else out / "metrics.json"):
            if path is not None:
                (comparison if several else comparison.results[0]).write(path)
                for result in comparison.results:
                    kind = f"{result.protocol}-divisions" if several else "divisions"
                    stored = folder / "repeats" / result.protocol / "divisions.json"
                    shutil.copyfile(stored, path.with_name(f"{path.stem}-{kind}.json"))
        if out is not None:
            for result in comparison.results:
                write_confusions(result, out / result.protocol if several else out)
    return comparison.text() if several else comparison.results[0].text()


def _pipelines(params: Params, paper: bool) -> list[str]:
    """What is evaluated where none is named."""
    from models.rgbd.pipelines import PAPER_PIPELINES

    return list(PAPER_PIPELINES) if paper else list(params.rgbd_networks.pipelines)


def _settings(
    params: Params, *, paper: bool, repeats: int | None, epochs: int | None, seed: int | None
) -> "RgbdEvaluationSettings":
    """The parameters' settings or the paper's, changed as asked for."""
    from models.rgbd.network_settings import RgbdTrainingSettings

    training = params.rgbd_networks.training
    settings = params.rgbd_evaluation.settings(training)
    if paper:
        # What section 5.1 leaves open stays as the parameters have it.
        training = RgbdTrainingSettings(
            fusion_levels=training.fusion_levels,
            fine_tune_backbones=training.fine_tune_backbones,
            backbone_learning_rate=training.backbone_learning_rate,
        )
        settings = replace(settings, protocol="paper", repeats=None, people=None)
    return replace(
        settings,
        repeats=repeats or settings.repeats,
        seed=settings.seed if seed is None else seed,
        training=replace(training, epochs=epochs or training.epochs),
    )


@contextlib.contextmanager
def _kept(out: Path | None) -> Iterator[Path]:
    """A folder for what is finished on the way; it goes with the command where nothing is to be kept."""
    if out is not None:
        yield out
        return
    with tempfile.TemporaryDirectory() as temporary:
        yield Path(temporary)


def list_entry() -> str:
    """The benchmark for `--list`: whom to ask, how its folder looks, what is published."""
    from models.emotion.benchmark_tables import set_entry
    from models.rgbd.datasets import EXAMPLE, SOURCE
    from models.rgbd.published import TABLE_1

    best = max(TABLE_1, key=lambda row: row.accuracy)
    return set_entry(
        "BU-3DFE",
        SOURCE,
        f"folders of people, {EXAMPLE} and its photograph, or a manifest.csv",
        BENCHMARK,
        best.printed,
        (
            "six expressions from depth, colour and both; third and fourth intensity of 60 people",
            f"--protocol {', '.join(PROTOCOLS)}; --pipeline names single ones, --paper takes its repeats and epochs",
        ),
    )
