"""`deepexp3d evaluate bu3dfe`: the fusion paper's pipelines on scans in their publisher's layout."""

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from assets.workspace import Workspace
from models.errors import DeepExp3DError

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
    repeats: int | None,
    seed: int | None,
    workers: int,
    progress: Progress,
) -> str:
    """Depth maps of the scans, then training and test on every division of people; returns Table 1 in words.

    What is not asked for is as the project's parameters say. `out` keeps pairs, features and finished repeats, with
    which an evaluation goes on where it was stopped.

    Raises
    ------
    DeepExp3DError
        The folder does not hold the set, or a protocol or pipeline is unknown.
    """
    from assets.batches import chained
    from assets.depth_maps import prepare_scans, with_needed_reconstructions
    from assets.rgbd_networks import own_deepexp3d, rgbd_hardware, weight_files
    from models.rgbd.datasets import read_scans
    from models.rgbd.evaluation import evaluate_rgbd
    from models.rgbd.pipelines import unknown_pipelines
    from models.rgbd.protocol import Divisions

    if len(protocols) > 1 or not set(protocols) <= set(PROTOCOLS):
        raise DeepExp3DError(
            f"{BENCHMARK}: --protocol {', '.join(protocols)}: choose one of {', '.join(PROTOCOLS)} at a time."
        )
    if unknown := unknown_pipelines(pipelines):
        raise DeepExp3DError(f"{BENCHMARK}: --pipeline: {unknown}.")
    workspace = Workspace.open()
    params = workspace.params
    networks, evaluation = params.rgbd_networks, params.rgbd_evaluation.settings(params.rgbd_networks.training)
    chosen = list(pipelines) or list(networks.pipelines)
    divisions = None if divisions_file is None else Divisions.load(divisions_file)
    contents = read_scans(BENCHMARK, root, verify=params.bu3dfe_scans.verify)
    landmarks = params.landmarks.model_copy(update={"backend": backend})
    with _kept(out) as folder:
        prepared = prepare_scans(
            contents.scans,
            params.depth_maps,
            landmarks,
            synthetic=contents.synthetic,
            folder=folder / "pairs",
            fingerprint=chained(params.depth_maps.model_dump_json(), landmarks.model_dump_json(), version("deepexp3d")),
            workers=workers,
        )
        samples, remarks = with_needed_reconstructions(
            workspace, prepared.assembled.samples, chosen, backend=backend, workers=workers, progress=progress
        )
        result = evaluate_rgbd(
            samples,
            pipelines=chosen,
            settings=replace(
                evaluation,
                protocol=protocols[0] if protocols else evaluation.protocol,
                repeats=repeats or evaluation.repeats,
                seed=evaluation.seed if seed is None else seed,
            ),
            hardware=replace(rgbd_hardware(workspace), workers=workers),
            weights=weight_files(workspace),
            download=networks.download,
            deepexp3d=own_deepexp3d(workspace),
            divisions=divisions,
            folder=folder / "repeats",
            problems=(*contents.problems, *prepared.assembled.problems, *remarks),
            progress=progress,
        )
        written = [json_file] if json_file else []
        written += [out / "metrics.json"] if out else []
        for path in written:
            result.write(path)
            target = path.with_name(f"{path.stem}-divisions.json")
            shutil.copyfile(folder / "repeats" / "divisions.json", target)
    return f"{result.text()}\n\n{_best_of_table_2(result)}"


@contextlib.contextmanager
def _kept(out: Path | None) -> Iterator[Path]:
    """A folder for what is finished on the way; it goes with the command where nothing is to be kept."""
    if out is not None:
        yield out
        return
    with tempfile.TemporaryDirectory() as temporary:
        yield Path(temporary)


def _best_of_table_2(result) -> str:
    """What other methods reach on BU-3DFE, a line each."""
    rows = [f"  {row.published:6.2f}  {row.approach}" for row in result.table_2() if row.published is not None]
    return "Published on BU-3DFE (Table 2 and section 5.3):\n" + "\n".join(rows)


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
            f"--protocol {', '.join(PROTOCOLS)}; --pipeline names single ones",
        ),
    )
