"""Asset checks: what each asset's files must hold. One check an asset, run with it, shown on its page."""

import json
from collections.abc import Callable, Iterator

import dagster as dg
import numpy as np
import pandas as pd

from assets.batches import read_index
from assets.benchmark_images import BENCHMARKS
from assets.manual_review import read_verdicts
from assets.model_registry import PASSED, champion_identity, current_champion
from assets.morphable_model import load_model
from assets.raw_videos import all_batches, read_manifest
from assets.stage import WorkspaceResource, skip_reason
from assets.workspace import Workspace
from models.emotion.labels import EMOTIONS
from models.errors import DeepExp3DError
from models.packages import sha256_of
from models.storage import load_arrays

# Yields (what must hold, whether it does, the figure that tells).
Findings = Iterator[tuple[str, bool, object]]
Check = Callable[[Workspace], Findings]
CONTRACTS: dict[str, tuple[Check, dg.AssetCheckSeverity, bool]] = {}


def contract(
    asset: str, severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR, blocking: bool = False
) -> Callable[[Check], Check]:
    """Register the contract of an asset; a warning where what is broken is a hope rather than a promise.

    A blocking one stops the run, so that nothing is made from what broke it.
    """

    def register(check: Check) -> Check:
        CONTRACTS[asset] = (check, severity, blocking)
        return check

    return register


def all_checks() -> list[dg.AssetChecksDefinition]:
    """The checks of all assets that have a contract."""
    return [*(_asset_check(asset, *contract) for asset, contract in CONTRACTS.items()), no_regression]


@dg.asset_check(asset="challenger_review", description="No subgroup got worse by more than is tolerated.")
def no_regression(workspace: WorkspaceResource) -> dg.AssetCheckResult:
    """Subgroups that got worse are for the reviewer to weigh: a warning."""
    facts = _comparison(workspace.open())
    return dg.AssetCheckResult(
        passed=not facts["regressions"],
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(facts["regressions"]) or "none",
        metadata={name: 100 * row["change"] for name, row in facts.get("subgroups", {}).items()},
    )


def _asset_check(
    asset: str, findings: Check, severity: dg.AssetCheckSeverity, blocking: bool
) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=asset, name="contract", description=findings.__doc__, blocking=blocking)
    def check(workspace: WorkspaceResource) -> dg.AssetCheckResult:
        try:
            found = list(findings(workspace.open()))
        except (DeepExp3DError, FileNotFoundError) as error:
            return dg.AssetCheckResult(passed=False, description=str(error))
        broken = [text for text, holds, _ in found if not holds]
        return dg.AssetCheckResult(
            passed=not broken,
            severity=severity,
            description="; ".join(broken) or "all hold",
            metadata={text: f"{'yes' if holds else 'NO'}: {figure}" for text, holds, figure in found},
        )

    return check


@contract("morphable_model")
def _morphable_model(workspace: Workspace) -> Findings:
    """Bases of the sizes asked for (a converted model has its own), positive deviations, 68 landmarks, eyes apart."""
    model = load_model(workspace)
    settings = workspace.params.morphable_model
    sizes = (model.identity_size, model.expression_size)
    yield (
        "as many components as asked for",
        settings.source is not None or sizes == (settings.identity_components, settings.expression_components),
        sizes,
    )
    yield "positive standard deviations", bool((model.identity_std > 0).all() and (model.expression_std > 0).all()), ""
    yield "landmark weights sum to one", bool(np.allclose(model.landmark_weights.sum(1), 1, atol=1e-5)), ""
    distance = model.interocular_distance
    yield "outer eye corners 70 to 110 mm apart", 70 < distance < 110, round(distance, 1)


@contract("landmark_weights")
def _landmark_weights(workspace: Workspace) -> Findings:
    """The detectors' files are there."""
    files = sorted(file.name for file in workspace.data("landmark_weights").glob("*.tflite"))
    yield "detector and landmark network", len(files) >= 2, files


@contract("landmark_correspondence")
def _landmark_correspondence(workspace: Workspace) -> Findings:
    """Offsets of 68 points that bring the model's points closer to the detector's."""
    arrays = load_arrays(workspace.data("landmark_correspondence", "offsets.npz"))
    yield "68 points", arrays["offsets"].shape == (68, 3), arrays["offsets"].shape
    figures = (round(float(arrays["before"].mean()), 4), round(float(arrays["after"].mean()), 4))
    yield "closer with than without", figures[1] <= figures[0], figures
    largest = float(np.abs(arrays["offsets"]).max())
    yield "less than 25 mm", largest < 25, round(largest, 1)


@contract("synthetic_facevid")
def _synthetic_facevid(workspace: Workspace) -> Findings:
    """As many videos as asked for, each with its truth; or why there are none."""
    if reason := skip_reason(workspace, "synthetic_facevid"):
        yield "skipped", True, reason
        return
    settings = workspace.params.synthetic_facevid
    videos = {file.stem for file in workspace.data("synthetic_facevid", "videos").glob("*.mp4")}
    truths = {file.stem for file in workspace.data("synthetic_facevid", "truth").glob("*.npz")}
    yield "number of videos", len(videos) == settings.people * settings.clips_per_person, len(videos)
    yield "a truth for each video", videos == truths, len(truths)


@contract("sample_clips")
def _sample_clips(workspace: Workspace) -> Findings:
    """Every clip has a licence. None at all is allowed: the packages may be out of reach."""
    clips = pd.read_csv(workspace.data("sample_clips", "subjects.csv"))
    yield "a licence for each clip", bool(clips.licence.notna().all()), len(clips)


@contract("raw_videos")
def _raw_videos(workspace: Workspace) -> Findings:
    """One row a file, unique names, figures in range, a reason for every refusal."""
    manifest = read_manifest(workspace)
    usable = manifest[manifest.status == "ok"]
    yield "unique video_id", bool(manifest.video_id.is_unique), len(manifest)
    yield "some video can be used", len(usable) > 0, len(usable)
    yield (
        "frame rates from 1 to 1000",
        bool(usable.fps.between(1, 1000).all()),
        f"{usable.fps.min():.3g} to {usable.fps.max():.3g}",
    )
    yield "every refusal has a reason", bool((manifest.reason[manifest.status != "ok"].str.len() > 0).all()), ""


@contract("landmarks")
def _landmarks(workspace: Workspace) -> Findings:
    """Every usable video has a row in its batch's index; points are finite; scores are probabilities."""
    index = read_index(workspace, "landmarks", all_batches(workspace))
    found = index[index.status == "ok"]
    yield "faces in some video", len(found) > 0, f"{len(found)} of {len(index)}"
    for row in _spread(found):
        arrays = load_arrays(workspace.data("landmarks", row.partition, f"{row.track_id}.npz"))
        shape = arrays["landmarks"].shape
        yield f"{row.track_id}: shape", shape == (len(arrays["frame_index"]), 68, 2), shape
        yield f"{row.track_id}: finite", bool(np.isfinite(arrays["landmarks"]).all()), ""
        yield f"{row.track_id}: score in [0, 1]", bool(((arrays["score"] >= 0) & (arrays["score"] <= 1)).all()), ""


@contract("tracked_landmarks")
def _tracked_landmarks(workspace: Workspace) -> Findings:
    """One row a frame, no gaps, at most F frames, time that goes forward."""
    settings = workspace.params.tracking
    index = read_index(workspace, "tracked_landmarks", all_batches(workspace))
    kept = index[index.status == "ok"]
    yield (
        "at most F frames",
        bool((kept.frames <= settings.frames_wanted).all()),
        int(kept.frames.max()) if len(kept) else 0,
    )
    yield (
        "a reason for every lost track",
        bool((index.reason[index.status != "ok"].str.len() > 0).all()),
        len(index) - len(kept),
    )
    for row in _spread(kept):
        arrays = load_arrays(workspace.data("tracked_landmarks", row.partition, f"{row.track_id}.npz"))
        yield f"{row.track_id}: no gaps", bool((np.diff(arrays["frame_index"]) == 1).all()), len(arrays["frame_index"])
        yield f"{row.track_id}: finite", bool(np.isfinite(arrays["landmarks"]).all()), ""
        yield f"{row.track_id}: time goes forward", bool((np.diff(arrays["timestamps"]) > 0).all()), ""


@contract("reconstructions")
def _reconstructions(workspace: Workspace) -> Findings:
    """Sizes of equation (1), proper rotations, positive scales, residuals of a fit and not of a failure."""
    model = load_model(workspace)
    index = read_index(workspace, "reconstructions", all_batches(workspace))
    fitted = index[index.status == "ok"]
    yield "some fit", len(fitted) > 0, f"{len(fitted)} of {len(index)}"
    if len(fitted):
        median = float(fitted.residual.median())
        yield "median residual below 5 % of the inter-ocular distance", median < 0.05, f"{100 * median:.2f} %"
    for row in _spread(fitted):
        arrays = load_arrays(workspace.data("reconstructions", row.partition, f"{row.track_id}.npz"))
        sizes = (arrays["identity"].shape, arrays["expression"].shape)
        wanted = ((model.identity_size,), (row.frames, model.expression_size))
        yield f"{row.track_id}: sizes", sizes == wanted, sizes
        turn = arrays["rotation"].astype(float)
        deviation = float(np.abs(turn @ turn.transpose(0, 2, 1) - np.eye(3)).max())
        yield f"{row.track_id}: rotations", deviation < 1e-3 and bool((np.linalg.det(turn) > 0).all()), deviation
        yield f"{row.track_id}: positive scale", bool((arrays["scale"] > 0).all()), ""


@contract("manual_review")
def _manual_review(workspace: Workspace) -> Findings:
    """A readable table of verdicts."""
    yield "readable", True, len(read_verdicts(workspace))


@contract("pruned_videos")
def _pruned_videos(workspace: Workspace) -> Findings:
    """A verdict on every video, a reason for each that left, and a funnel that adds up."""
    videos = pd.read_parquet(workspace.data("pruned_videos", "videos.parquet"))
    funnel = pd.read_csv(workspace.data("pruned_videos", "funnel.csv"))
    named = set(videos.source_video) | set(videos.video_id)
    missing = set(read_manifest(workspace).video_id) - named
    yield "a verdict on every video", not missing, sorted(missing)[:5]
    yield "a reason for each that left", bool((videos.stage[~videos.kept] != "").all()), int((~videos.kept).sum())
    yield "the funnel adds up", int(funnel.left.iloc[-1]) == int(videos.kept.sum()), int(videos.kept.sum())


@contract("facevid_splits")
def _facevid_splits(workspace: Workspace) -> Findings:
    """Nobody is in two splits; all that was kept is in one."""
    splits = pd.read_parquet(workspace.data("facevid_splits", "splits.parquet"))
    several = splits.groupby("subject").split.nunique()
    yield "nobody in two splits", bool((several == 1).all()), int(several.max())
    yield "no split is empty", splits.split.nunique() == 3, splits.split.value_counts().to_dict()


@contract("facevid_shards")
def _facevid_shards(workspace: Workspace) -> Findings:
    """Images of 224x224 and finite targets of 28 coefficients within the fit's bounds."""
    from models.expression.shards import number_of_samples

    for split in ("train", "val", "test"):
        count = number_of_samples(workspace.data("facevid_shards", split))
        yield f"{split}: images", count > 0, count
    yield from _samples_hold(workspace, "facevid_shards")


@contract("rendered_faces")
def _rendered_faces(workspace: Workspace) -> Findings:
    """Images of 224x224 and finite targets of 28 coefficients; or why there are none."""
    if reason := skip_reason(workspace, "rendered_faces"):
        yield "skipped", True, reason
        return
    yield from _samples_hold(workspace, "rendered_faces")


@contract("four_dfab_samples")
def _four_dfab_samples(workspace: Workspace) -> Findings:
    """Images of 224x224 and finite targets of 28 coefficients; or why there are none."""
    if reason := skip_reason(workspace, "four_dfab_samples"):
        yield "skipped", True, reason
        return
    yield from _samples_hold(workspace, "four_dfab_samples")


@contract("deepexp3d")
def _deepexp3d(workspace: Workspace) -> Findings:
    """A network with its contract, and an error that is a number and fell."""
    yield from _training_holds(workspace, "deepexp3d")


@contract("deepexp3d_finetuned")
def _deepexp3d_finetuned(workspace: Workspace) -> Findings:
    """A network with its contract, and an error that is a number."""
    yield from _training_holds(workspace, "deepexp3d_finetuned")


@contract("expression_evaluation", dg.AssetCheckSeverity.WARN)
def _expression_evaluation(workspace: Workspace) -> Findings:
    """Finite errors, and a network that is better than always answering the mean expression."""
    errors = pd.read_csv(workspace.data("expression_evaluation", "errors.csv"))
    yield "finite errors", bool(np.isfinite(errors.mse).all()), len(errors)
    against = errors[errors.against == "whole-video fit"].set_index("method").mse
    figures = (round(against["deepexp3d_finetuned"], 3), round(against["mean expression"], 3))
    yield "better than the mean expression", figures[0] < figures[1], figures


@contract("deepexp3d_export")
def _deepexp3d_export(workspace: Workspace) -> Findings:
    """An ONNX file that agrees with the network it was made from."""
    metrics = json.loads(workspace.data("deepexp3d_export", "export.json").read_text())
    yield "agrees with torch", metrics["largest_difference"] < 1e-3, metrics["largest_difference"]


@contract("frozen_test_set")
def _frozen_test_set(workspace: Workspace) -> Findings:
    """The file that was frozen, with nearly all the people asked for; or why there is none."""
    from assets.frozen_test_set import FACES, load_test_set

    if reason := skip_reason(workspace, "frozen_test_set"):
        yield "skipped", True, reason
        return
    faces, name = load_test_set(workspace)
    yield "unchanged", sha256_of(workspace.data("frozen_test_set", FACES)) == name, name[:12]
    people, wanted = len(np.unique(faces.people)), workspace.params.registry.test_set.people
    yield "90 % of the people found", people >= 0.9 * wanted, f"{people} of {wanted}"
    yield "finite truth", bool(np.isfinite(faces.truth).all()), faces.truth.shape


@contract("challenger_review", blocking=True)
def _challenger_review(workspace: Workspace) -> Findings:
    """A challenger that is not worse than the champion beyond doubt and beyond `registry.tolerance`."""
    facts = _comparison(workspace)
    text = facts["reason"] or facts["outcome"]
    if overall := facts.get("overall"):
        text += f", {100 * overall['change']:+.1f} % ({100 * overall['low']:+.1f} to {100 * overall['high']:+.1f})"
    yield "not worse than the champion", facts["check"] == PASSED, text


@contract("champion")
def _champion(workspace: Workspace) -> Findings:
    """A network of this project, the one that the registry's trail names."""
    from models.expression.runtime import NETWORK, read_contract

    entry = current_champion(workspace)
    yield "the one of the trail", champion_identity(workspace) == entry.sha256, entry.version or "not registered yet"
    size = len(read_contract(workspace.data("champion", NETWORK)).expression_std)
    yield "one output a coefficient", size == load_model(workspace).expression_size, size


@contract("expression_drift", dg.AssetCheckSeverity.WARN)
def _expression_drift(workspace: Workspace) -> Findings:
    """Expressions of new videos that are distributed like those that the champion learned from."""
    facts = json.loads(workspace.data("expression_drift", "drift.json").read_text())
    bound = workspace.params.retraining.drift_bound
    figures = f"{facts['drift']:.3f} in {facts['new_videos']} videos; bound {bound:g}, by chance {facts['chance']:.3f}"
    yield "no more drift than the bound and than chance", not facts["exceeded"], figures


@contract("rendered_benchmarks")
def _rendered_benchmarks(workspace: Workspace) -> Findings:
    """Sets that say that they are rendered, with all seven emotions where their layout has them."""
    from models.emotion.datasets import read_dataset

    if reason := skip_reason(workspace, "rendered_benchmarks"):
        yield "skipped", True, reason
        return
    for name in workspace.params.rendered_benchmarks.people:
        folder = workspace.data("rendered_benchmarks", name)
        contents = read_dataset(name, folder)
        yield f"{folder.name}: labelled synthetic", contents.synthetic, ""
        yield f"{folder.name}: all emotions", all(contents.counts.values()), contents.counts


@contract("benchmark_images")
def _benchmark_images(workspace: Workspace) -> Findings:
    """Known labels; every file there."""
    for benchmark in _present(workspace, "benchmark_images"):
        images = pd.read_parquet(workspace.data("benchmark_images", benchmark, "images.parquet"))
        yield f"{benchmark}: known labels", bool(images.label.isin(EMOTIONS).all()), sorted(images.label.unique())
        yield f"{benchmark}: files are there", all(workspace.path(path).exists() for path in images.path), len(images)


@contract("expression_vectors")
def _expression_vectors(workspace: Workspace) -> Findings:
    """Finite vectors for nearly all images."""
    for benchmark in _present(workspace, "expression_vectors"):
        vectors = pd.read_parquet(workspace.data("expression_vectors", benchmark, "vectors.parquet"))
        found = vectors.filter(like="e_").notna().all(axis=1)
        yield f"{benchmark}: faces found in 90 % of the images", found.mean() >= 0.9, f"{100 * found.mean():.1f} %"


@contract("emotion_classifier", dg.AssetCheckSeverity.WARN)
def _emotion_classifier(workspace: Workspace) -> Findings:
    """An accuracy above chance."""
    for benchmark in _present(workspace, "emotion_classifier"):
        metrics = json.loads(workspace.data("emotion_classifier", benchmark, "metrics.json").read_text())
        chance = 1 / len(metrics["labels"])
        yield f"{benchmark}: above chance", metrics["accuracy"] > chance, round(metrics["accuracy"], 3)


@contract("stress_detection", dg.AssetCheckSeverity.WARN)
def _stress_detection(workspace: Workspace) -> Findings:
    """Nearly all videos of use, and frames judged better than by chance in every phase."""
    if reason := skip_reason(workspace, "stress_detection"):
        yield "skipped", True, reason
        return
    metrics = json.loads(workspace.data("stress_detection", "metrics.json").read_text())
    unusable = len(metrics["unusable_videos"])
    yield "90 % of the videos are of use", unusable <= 0.1 * metrics["videos"], f"{unusable} of {metrics['videos']}"
    for phase, row in metrics["phases"].items():
        accuracy = row["accuracy"]["frames"]["mean"]
        yield f"phase {phase}: above chance", accuracy > 0.5, round(accuracy, 3)


@contract("view_invariance", dg.AssetCheckSeverity.WARN)
def _view_invariance(workspace: Workspace) -> Findings:
    """Angles differ by less than expressions do."""
    if reason := skip_reason(workspace, "view_invariance"):
        yield "skipped", True, reason
        return
    metrics = json.loads(workspace.data("view_invariance", "metrics.json").read_text())
    for name, result in metrics.items():
        for view in result["views"]:
            share = view["share"] or 0.0
            yield f"{name}, {view['view']:+.0f} degrees: less than the variance of e", share < 1, round(share, 3)


@contract("bu3dfe_scans")
def _bu3dfe_scans(workspace: Workspace) -> Findings:
    """Every scan and photograph there, all six expressions; or why there are none."""
    from assets.bu3dfe_scans import load_scans

    if reason := skip_reason(workspace, "bu3dfe_scans"):
        yield "skipped", True, reason
        return
    contents = load_scans(workspace)
    yield (
        "files are there",
        all(scan.scan.exists() and scan.image.exists() for scan in contents.scans),
        len(contents.scans),
    )
    expressions = {emotion: count for emotion, count in contents.counts.items() if emotion != "neutral"}
    yield "all six expressions", all(expressions.values()), expressions


@contract("depth_maps")
def _depth_maps(workspace: Workspace) -> Findings:
    """Finite depth in [0, 1] under a face, and a reason for every scan that was left out; or why there are none."""
    from models.rgbd.samples import RgbdSamples

    if reason := skip_reason(workspace, "depth_maps"):
        yield "skipped", True, reason
        return
    samples = RgbdSamples.load(workspace.data("depth_maps", "samples.npz"))
    depth = samples.depth
    yield "depth in [0, 1]", bool(np.isfinite(depth).all() and depth.min() >= 0 and depth.max() <= 1), len(samples)
    covered = float((depth > 0).mean(axis=(1, 2)).min())
    yield "a face in every depth map", covered > 0.2, f"{100 * covered:.0f} % covered at least"
    table = pd.read_csv(workspace.data("depth_maps", "pairs.csv"))
    refused = table[table.status != "ok"]
    yield "a reason for every scan left out", bool(refused.why.notna().all()), f"{len(refused)} of {len(table)}"


@contract("rgbd_networks")
def _rgbd_networks(workspace: Workspace) -> Findings:
    """Networks that come back from their files, with losses that are numbers; or why there are none."""
    from models.rgbd.persistence import load_pipeline

    if reason := skip_reason(workspace, "rgbd_networks"):
        yield "skipped", True, reason
        return
    for name in workspace.params.rgbd_networks.pipelines:
        network = load_pipeline(workspace.data("rgbd_networks", name))
        yield f"{name}: finite loss", bool(np.isfinite(network.losses).all()), round(network.loss, 4)


@contract("rgbd_evaluation", dg.AssetCheckSeverity.WARN)
def _rgbd_evaluation(workspace: Workspace) -> Findings:
    """Nobody is tested who was learned from, and accuracies are above chance; or why there are none."""
    from models.rgbd.pipelines import CLASSES
    from models.rgbd.protocol import Divisions

    if reason := skip_reason(workspace, "rgbd_evaluation"):
        yield "skipped", True, reason
        return
    folder = workspace.data("rgbd_evaluation")
    divisions = Divisions.load(folder / "divisions.json")
    yield "nobody learned from and tested", True, f"{len(divisions.repeats)} repeats"
    for one in json.loads((folder / "metrics.json").read_text())["results"]:
        yield f"{one['pipeline']}: above chance", one["accuracy"] > 1 / len(CLASSES), round(one["accuracy"], 3)


@contract("results_report")
def _results_report(workspace: Workspace) -> Findings:
    """A page that stands alone, and a summary that can be read."""
    page = workspace.path("reports", "index.html").read_text()
    yield "needs no other file", 'src="http' not in page and "src='http" not in page, f"{len(page) / 1e6:.1f} MB"
    summary = json.loads(workspace.path("reports", "summary.json").read_text())
    yield "wall seconds of all stages", summary["wall_seconds_total"] > 0, summary["wall_seconds_total"]


def _comparison(workspace: Workspace) -> dict:
    return json.loads(workspace.data("challenger_review", "comparison.json").read_text())


def _samples_hold(workspace: Workspace, stage: str) -> Findings:
    from models.expression.shards import read_samples

    bound = workspace.params.reconstruction.expression_bound
    for place, sample in enumerate(read_samples(workspace.data(stage, "train"))):
        if place == 100:
            break
        if sample.image.shape != (224, 224, 3) or not np.abs(sample.expression).max() <= bound + 1e-3:
            yield f"{sample.video_id}, frame {sample.frame}", False, float(np.abs(sample.expression).max())
    yield "images of 224x224, coefficients within bounds", True, "first 100 samples"


def _training_holds(workspace: Workspace, stage: str) -> Findings:
    from models.expression.network import load_network

    _, network = load_network(workspace.data(stage))
    yield "one output a coefficient", len(network.expression_std) == load_model(workspace).expression_size, ""
    history = pd.read_csv(workspace.data(stage, "history.csv"))
    yield "finite validation error", bool(np.isfinite(history["val/mse"]).all()), float(history["val/mse"].min())


def _present(workspace: Workspace, stage: str) -> list[str]:
    """Benchmarks of which a stage has results."""
    return [
        name for name in BENCHMARKS if workspace.data(stage, name).exists() and not skip_reason(workspace, stage, name)
    ]


def _spread(rows: pd.DataFrame, wanted: int = 20) -> Iterator:
    """At most `wanted` rows, evenly spread: a check must not take as long as the work."""
    chosen = np.unique(np.linspace(0, len(rows) - 1, min(wanted, len(rows))).astype(int)) if len(rows) else []
    return rows.iloc[chosen].itertuples()
