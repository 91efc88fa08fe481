"""Depth maps registered to the photographs by mutual information (section 4.2 of the fusion paper)."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import numpy as np
import pandas as pd

from assets.batches import chained, is_current
from assets.bu3dfe_scans import load_scans
from assets.landmarks import warm_backend
from assets.params import DepthMaps, Landmarks
from assets.pool import each
from assets.stage import SKIPPED, StageResult, WorkspaceResource, main, materialise, skip_reason, skipped
from assets.workspace import Workspace
from models.errors import DeepExp3DError
from models.packages import sha256_of
from models.storage import load_arrays, save_arrays, written_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from models.rgbd.contents import Scan
    from models.rgbd.samples import AssembledSamples, RgbdSamples

STAGE = "depth_maps"
SAMPLES = "samples.npz"
TABLE = "pairs.csv"
OVERLAYS, REGISTRATION = "overlays.jpg", "registration.png"
# Width of a picture of one pair.
PICTURE_WIDTH = 960
# Of the files of single pairs.
PAIR_FORMAT = 3
# Between several remarks on one pair.
AND = "; "

Progress = Callable[[Iterable, str, int | None], Iterable]


@dataclass(frozen=True)
class PairJob:
    """One scan and its photograph: `output` keeps the pair, `fingerprint` identifies settings and code."""

    scan: "Scan"
    settings: DepthMaps
    landmarks: Landmarks
    synthetic: bool
    output: Path
    fingerprint: str

    def __str__(self) -> str:
        return self.scan.name


@dataclass(frozen=True)
class PreparedScans:
    """Everything that was made of a set of scans.

    Attributes
    ----------
    assembled : samples, and why others are not among them
    table : a row for each scan, with figures of its registration or the reason for leaving it out
    pictures : (H, W, 3) uint8 each, Fig. 2 for some of the pairs
    """

    assembled: "AssembledSamples"
    table: pd.DataFrame
    pictures: Sequence[np.ndarray]


def make_depth_maps(workspace: Workspace) -> StageResult:
    """Register every scan to its photograph; what fails is recorded, and the rest goes on.

    Pairs are kept as they are finished: a killed run goes on where it was.
    """
    if reason := skip_reason(workspace, "bu3dfe_scans"):
        return skipped(workspace, STAGE, reason)
    contents = load_scans(workspace)
    settings = workspace.params.depth_maps
    # What is reconstructed of photographs comes after the pairs, which stay what they are.
    fingerprint = workspace.fingerprint(
        STAGE, apart_from=("rgbd_networks.pipelines", "models/rgbd/reconstructed_depth.py")
    )
    prepared = prepare_scans(
        contents.scans,
        settings,
        workspace.params.landmarks,
        synthetic=contents.synthetic,
        folder=workspace.scratch(STAGE, fingerprint),
        fingerprint=fingerprint,
        workers=workspace.workers,
    )
    folder = workspace.data(STAGE)
    (folder / SKIPPED).unlink(missing_ok=True)
    assembled = prepared.assembled
    samples, problems = with_needed_reconstructions(
        workspace,
        assembled.samples,
        workspace.params.rgbd_networks.pipelines,
        backend=workspace.params.landmarks.backend,
        workers=workspace.workers,
    )
    samples.save(folder / SAMPLES)
    write_pairs(prepared, folder)
    kept = prepared.table[prepared.table.status == "ok"]
    errors = kept.error_px.dropna()
    return StageResult(
        {
            "data": "synthetic" if contents.synthetic else "real",
            "pairs": len(samples),
            "people": len(np.unique(samples.subjects)),
            "left out": assembled.left_out or "nothing",
            "why": " ".join(assembled.problems[:10]) or "nothing was left out",
            "remarks": " ".join(remarks_on(prepared.table)) or "none",
            "mutual information, nats, median": float(kept.information_after.median()),
            "reconstructions of the photographs": _reconstructed(samples, problems),
            **({"distance from the truth, pixels, median": float(errors.median())} if len(errors) else {}),
            "before, after, and registered depth (Fig. 2)": folder / OVERLAYS,
            "registration": folder / REGISTRATION,
        }
    )


def write_pairs(prepared: PreparedScans, folder: Path) -> None:
    """What became of each scan as `pairs.csv`, the paper's Fig. 2 of some pairs, and a figure of the registration."""
    with written_whole(folder / TABLE) as path:
        prepared.table.to_csv(path, index=False)
    _write_picture(np.concatenate(prepared.pictures), folder / OVERLAYS)
    with written_whole(folder / REGISTRATION) as path:
        registration_figure(prepared.table[prepared.table.status == "ok"]).savefig(path, dpi=110)


def remarks_on(table: pd.DataFrame) -> tuple[str, ...]:
    """What was done to scans that are used, or what they lack: a sentence for each such thing with how many and which.

    Parameters
    ----------
    table : of `PreparedScans`
    """
    from models.emotion.datasets.inspection import named

    scans: dict[str, list[str]] = {}
    for row in table[table.status == "ok"].itertuples():
        for remark in filter(None, row.remark.split(AND)):
            scans.setdefault(remark, []).append(row.scan)
    return tuple(f"{remark[0].upper()}{remark[1:]} ({len(names)}): {named(names)}." for remark, names in scans.items())


def with_needed_reconstructions(
    workspace: Workspace,
    samples: "RgbdSamples",
    pipelines: Sequence[str],
    *,
    backend: str,
    workers: int,
    progress: Progress | None = None,
) -> tuple["RgbdSamples", tuple[str, ...]]:
    """Samples with depth and expression reconstructed from their photographs, if any of the pipelines learns from them.

    Returns
    -------
    The samples, and what a reader must know of the reconstructions

    Raises
    ------
    WeightsMissingError, ModelMismatchError
        There is no such network, or it was trained on another face model than the project's.
    """
    from models.rgbd.pipelines import PIPELINES

    if not any(PIPELINES[name].reconstructs for name in pipelines):
        return samples, ()
    from assets.landmark_correspondence import load_detector_model
    from models.expression.predictor import Predictor
    from models.expression.shipped import SHIPPED_MODELS
    from models.rgbd.reconstructed_depth import with_reconstructions

    named = workspace.params.depth_maps.reconstruction_network
    network = named if named in SHIPPED_MODELS else workspace.path(named)
    predictor = Predictor.load(network, features_only=True, backend=backend, threads=workers)
    return with_reconstructions(samples, predictor, load_detector_model(workspace), progress=progress)


def _reconstructed(samples: "RgbdSamples", problems: Sequence[str]) -> str:
    if samples.expression is None:
        return "no pipeline learns from them"
    return " ".join(problems) or "all of them"


def prepare_scans(
    scans: Sequence["Scan"],
    settings: DepthMaps,
    landmarks: Landmarks,
    *,
    synthetic: bool,
    folder: Path,
    fingerprint: str,
    workers: int,
) -> PreparedScans:
    """Pairs of all scans of the wanted intensities that show one of the six expressions.

    Parameters
    ----------
    folder : keeps every finished pair; those that are there and current are not made again
    fingerprint : of settings and code

    Raises
    ------
    DatasetError
        None of them can be prepared.
    """
    from models.rgbd.contents import file_stems
    from models.rgbd.pipelines import CLASSES
    from models.rgbd.samples import gathered_samples

    wanted = [scan for scan in scans if scan.emotion in CLASSES and scan.intensity in settings.intensities]
    jobs = [
        PairJob(
            scan,
            settings,
            landmarks,
            synthetic,
            output=folder / f"{stem}.npz",
            fingerprint=fingerprint,
        )
        for scan, stem in zip(wanted, file_stems(wanted), strict=True)
    ]
    done = {job.scan: outcome for job, outcome in each(prepare_job, jobs, workers, STAGE)}
    outcomes = [done[scan] for scan in wanted]
    assembled = gathered_samples(zip(wanted, outcomes, strict=True), synthetic=synthetic)
    made = [one for one in outcomes if not isinstance(one, DeepExp3DError)]
    shown = np.linspace(0, len(made) - 1, min(settings.pictured_scans, len(made))).astype(int)
    return PreparedScans(
        assembled,
        pd.DataFrame([_row(scan, outcome) for scan, outcome in zip(wanted, outcomes, strict=True)]),
        [_decoded(made[place]["picture"]) for place in shown],
    )


def prepare_job(job: PairJob) -> dict[str, np.ndarray]:
    """The pair of one scan, from its file where that is current."""
    files = [path for path in (job.scan.scan, job.scan.image, job.scan.landmarks) if path is not None]
    fingerprint = chained(job.fingerprint, f"pair {PAIR_FORMAT}, synthetic {job.synthetic}", *map(sha256_of, files))
    if not is_current(job.output, fingerprint):
        save_arrays(job.output, **_prepared(job), fingerprint=np.array(fingerprint))
    return load_arrays(job.output)


def _prepared(job: PairJob) -> dict[str, np.ndarray]:
    from models.rgbd.preparation import overlay, prepare_pair
    from models.rgbd.registration import laid_upon, mean_distance
    from models.rgbd.samples import sample_of

    pair = prepare_pair(job.scan, job.settings.preparation, warm_backend(job.landmarks))
    unregistered = laid_upon(pair.scan.depth.shape, pair.colour.shape[:2])
    found = pair.registration
    return {
        **sample_of(pair),
        "picture": _encoded(overlay(pair)),
        "moved_px": np.array(mean_distance(found.matrix, unregistered, pair.scan.valid)),
        "error_px": np.array(_error(job, pair) if job.synthetic else np.nan),
        "information_start": np.array(found.metric_before),
        "information_after": np.array(found.metric_after),
        "turn_degrees": np.array(found.turn),
        "scale": np.array(found.scale),
        "remark": np.array(AND.join(pair.remarks)),
    }


def _error(job: PairJob, pair) -> float:
    """Pixels between where registration and texture put a rendered scan; NaN for one that was turned or has none."""
    from models.rgbd.meshes import read_mesh
    from models.rgbd.registration import mean_distance
    from models.rgbd.texture_placement import texture_placement

    truth = texture_placement(read_mesh(job.scan.scan), pair.scan, len(pair.colour))
    if truth is None or pair.remarks:
        return float("nan")
    return mean_distance(pair.registration.matrix, truth, pair.scan.valid)


FIGURES = ("moved_px", "error_px", "information_start", "information_after", "turn_degrees", "scale")


def _row(scan: "Scan", outcome: dict[str, np.ndarray] | DeepExp3DError) -> dict[str, Any]:
    row = {"scan": scan.name, "subject": scan.subject, "emotion": scan.emotion, "intensity": scan.intensity}
    if isinstance(outcome, DeepExp3DError):
        reason = getattr(outcome, "reason", "scan that cannot be prepared")
        return row | {"status": reason, "why": str(outcome)}
    return row | {
        "status": "ok",
        "why": "",
        "remark": str(outcome["remark"]),
        **{name: round(float(outcome[name]), 4) for name in FIGURES},
    }


def registration_figure(pairs: pd.DataFrame) -> "Figure":
    """How much mutual information registrations found, and how far they moved scans, or missed a known truth."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.5, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    order = np.argsort(pairs.information_after.to_numpy())
    for name, label in (("information_start", "at the start"), ("information_after", "registered")):
        left.plot(np.arange(1, len(order) + 1), pairs[name].to_numpy()[order], ".", label=label)
    left.set_xlabel("pairs, sorted")
    left.set_ylabel("mutual information, nats")
    left.set_ylim(bottom=0)
    left.legend(frameon=False)
    known = pairs.error_px.notna().all()
    right.hist(pairs.error_px if known else pairs.moved_px, bins=20, color="#2f5f96")
    right.set_xlabel("distance from the truth, pixels (synthetic)" if known else "moved by, pixels")
    right.set_ylabel("pairs")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _encoded(picture: np.ndarray) -> np.ndarray:
    """A picture made narrower, as the bytes (B,) uint8 of a JPEG."""
    import cv2

    height = round(PICTURE_WIDTH * picture.shape[0] / picture.shape[1])
    narrow = cv2.resize(picture, (PICTURE_WIDTH, height), interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", narrow[..., ::-1])[1]


def _decoded(picture: np.ndarray) -> np.ndarray:
    import cv2

    return cv2.imdecode(picture, cv2.IMREAD_COLOR)[..., ::-1]


def _write_picture(picture: np.ndarray, path: Path) -> None:
    import cv2

    with written_whole(path) as temporary:
        cv2.imwrite(str(temporary), picture[..., ::-1])


@dg.asset(
    name=STAGE,
    group_name="rgbd",
    deps=["bu3dfe_scans", "landmark_weights", "landmark_correspondence", "morphable_model"],
    kinds={"numpy", "dvc"},
)
def depth_maps(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """Range images of the scans, registered to their photographs by maximisation of mutual information.

    A scan that is broken, belongs to another photograph or cannot be registered is left out, counted and named in
    `pairs.csv`; the picture shows some pairs before and after, as Fig. 2 of the paper. Where a pipeline learns from
    them, DeepExp3D's reconstructions of the photographs are added.
    """
    return materialise(context, workspace, make_depth_maps)


if __name__ == "__main__":
    main(STAGE, make_depth_maps)
