"""One page with everything that was measured, and the same figures for machines."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd

from assets.morphable_model import load_model
from assets.paper_tables import EVALUATIONS, fusion_measurements, gather_measurements, provenance
from assets.raw_videos import read_manifest
from assets.stage import StageResult, WorkspaceResource, embedded_picture, main, materialise, skip_reason
from assets.synthetic_facevid import truth_path
from assets.workspace import Workspace
from models.emotion.report.measurements import Measurements
from models.storage import load_arrays, written_whole

log = logging.getLogger(__name__)

STAGE = "results_report"
# What they show -> their files in `data/depth_maps`.
FUSION_PICTURES = {
    "Depth over the photograph before and after the registration, and the registered depth, as Fig. 2.": "overlays.jpg",
    "Mutual information of photographs and scans, and how far scans moved.": "registration.png",
}
TEMPLATE = Path(__file__).with_suffix(".html")


def write_report(workspace: Workspace) -> StageResult:
    """Write `reports/index.html`, which needs no other file, `summary.json`, and the tables as Markdown and LaTeX.

    `reports/inference.json`, where `python -m benchmarks.inference --json` wrote one, fills Table II. What `deepexp3d
    evaluate BENCHMARK --json reports/evaluations/NAME.json` wrote stands among the figures measured here.
    """
    from models.emotion.report.latex import to_latex
    from models.emotion.report.markdown import to_markdown
    from models.emotion.report.tables import all_tables
    from models.rgbd.report_tables import fusion_tables

    folder = workspace.path("reports")
    measured = gather_measurements(workspace)
    fusion, not_run = fusion_measurements(workspace)
    tables = (*all_tables(measured), *fusion_tables(fusion, not_run))
    made_from = provenance(workspace)
    sections = {
        "videos": _videos(workspace),
        "fit": _fit_against_truth(workspace),
        "expression": _expression(workspace),
        "emotion": _emotion(workspace, measured, folder),
        "stress": measured.stress,
        "views": measured.views,
        "fusion": _fusion(workspace, fusion),
        "skipped": _skipped(workspace),
        "timings": _timings(workspace),
    }
    for reason in measured.left_out:
        log.warning("reports/%s/%s", EVALUATIONS, reason)
    summary = summary_of(sections)
    overlays = _overlays(workspace, folder)
    with written_whole(folder / "summary.json") as path:
        path.write_text(json.dumps(summary, indent=1) + "\n")
    for name, document in {"tables.md": to_markdown, "tables.tex": to_latex}.items():
        with written_whole(folder / name) as path:
            path.write_text(document(tables, made_from), encoding="utf-8")
    with written_whole(folder / "index.html") as path:
        path.write_text(_page(workspace, sections, summary, overlays, tables, made_from), encoding="utf-8")
    return StageResult(
        {
            "page": folder / "index.html",
            "tables": folder / "tables.md",
            "wall seconds of the last runs": summary["wall_seconds_total"],
            **{name: value for name, value in summary["metrics"].items() if value is not None},
            **({"fits on real frames": overlays[0]["path"]} if overlays else {}),
        }
    )


def summary_of(sections: dict[str, Any]) -> dict[str, Any]:
    """The machine-readable side: wall seconds, counts, every metric."""
    timings = sections["timings"]
    emotion = {f"emotion.{row['benchmark']}.accuracy": row["accuracy"] for row in sections["emotion"]}
    if sections["stress"]:
        emotion |= {f"stress.{level}": value["mean"] for level, value in sections["stress"]["average"].items()}
    for name, result in sections["views"].items():
        if result["semi_profile"]:
            emotion[f"view_invariance.{name}.mse"] = result["semi_profile"]["mse"]
    fusion = {f"fusion.{name}.accuracy": value for name, value in sections["fusion"]["accuracies"].items()}
    fit = {f"fit.{name}": value for name, value in sections["fit"].items()}
    expression = {
        f"expression.{row['method']}.{row['against']}.mse".replace(" ", "_"): row["mse"]
        for row in sections["expression"]["errors"]
    }
    return {
        "wall_seconds": timings,
        "wall_seconds_total": round(sum(timings.values()), 3),
        "counts": sections["videos"]["counts"],
        "metrics": {**fit, **expression, **emotion, **fusion},
        "skipped": {name: row["reason"] for row in sections["skipped"] for name in row["assets"]},
    }


def _videos(workspace: Workspace) -> dict[str, Any]:
    videos = pd.read_parquet(workspace.data("pruned_videos", "videos.parquet"))
    manifest = read_manifest(workspace)
    splits = pd.read_parquet(workspace.data("facevid_splits", "splits.parquet"))
    counts = {
        "videos": len(manifest),
        **{f"videos_{source}": int(count) for source, count in manifest.source.value_counts().items()},
        "tracks": len(videos),
        "tracks_kept": int(videos.kept.sum()),
        "frames_kept": int(videos.frames[videos.kept].sum()),
        **{f"{split}_tracks": int(count) for split, count in splits.split.value_counts().items()},
    }
    return {
        "counts": counts,
        "funnel": pd.read_csv(workspace.data("pruned_videos", "funnel.csv")),
        "funnel_picture": workspace.data("pruned_videos", "funnel.png"),
        "removed": videos[~videos.kept][["video_id", "stage", "reason"]],
        "sources": manifest.groupby(["source", "licence"])
        .agg(videos=("video_id", "size"), frames=("frames", "sum"))
        .reset_index(),
    }


def _fit_against_truth(workspace: Workspace) -> dict[str, float]:
    """Errors of the whole-video fits of synthetic videos, whose truth is known, over all frames."""
    from models.fitting.pose import rotation_angle_degrees
    from models.fitting.reconstruction import Reconstruction

    model = load_model(workspace)
    manifest = read_manifest(workspace).set_index("video_id")
    videos = pd.read_parquet(workspace.data("pruned_videos", "videos.parquet"))
    squared, energy, centred, centred_energy, angles, count = 0.0, 0.0, 0.0, 0.0, [], 0
    for row in videos[videos.kept].itertuples():
        about = manifest.loc[row.source_video]
        if about.source != "synthetic" or row.video_id != row.source_video:
            continue
        truth = load_arrays(truth_path(workspace, Path(about.path).stem))
        fit = Reconstruction.load(workspace.data("reconstructions", row.partition, f"{row.video_id}.npz"))
        frames = load_arrays(workspace.data("tracked_landmarks", row.partition, f"{row.video_id}.npz"))["frame_index"]
        true = truth["expression"][frames]
        error = fit.expression - true
        squared += float((error**2).sum())
        energy += float((true**2).sum())
        centred += float(((error - error.mean(0)) ** 2).sum())
        centred_energy += float(((true - true.mean(0)) ** 2).sum())
        angles.append(rotation_angle_degrees(fit.rotation, truth["rotation"][frames]))
        count += len(frames)
    if not count:
        return {}
    return {
        "videos_frames": count,
        "unexplained_expression_energy": squared / energy,
        "unexplained_expression_variance": centred / centred_energy,
        "vertex_rms_over_interocular": float(np.sqrt(squared / count / len(model.mean)) / model.interocular_distance),
        "rotation_error_deg_median": float(np.median(np.concatenate(angles))),
    }


def _expression(workspace: Workspace) -> dict[str, Any]:
    metrics = json.loads(workspace.data("expression_evaluation", "metrics.json").read_text())
    return {
        "errors": metrics["errors"],
        "paper_mse": metrics["paper_mse"],
        "picture": workspace.data("expression_evaluation", "expressions.jpg"),
        "unseen": metrics["unseen_people"],
        "robustness": workspace.data("expression_evaluation", "robustness.png"),
        "curves": {name: workspace.data(name, "curves.png") for name in ("deepexp3d", "deepexp3d_finetuned")},
    }


def _emotion(workspace: Workspace, measured: Measurements, folder: Path) -> list[dict[str, Any]]:
    """The benchmarks that were run, each with the confusion matrix of the result that its table shows first."""
    return [
        {
            "benchmark": name,
            "title": measured.benchmark_titles[name],
            "accuracy": results[0].accuracy,
            "protocol": results[0].protocol,
            "synthetic": results[0].synthetic,
            "picture": _confusion(workspace, measured, name, folder),
        }
        for name, results in measured.accuracies.items()
    ]


def _confusion(workspace: Workspace, measured: Measurements, benchmark: str, folder: Path) -> Path | None:
    """The first result's confusion matrix: the stage's picture, or, of an evaluation by command, one drawn here."""
    from models.emotion.confusion_figure import confusion_figure

    first = measured.accuracies[benchmark][0]
    if not first.source:
        # The paper's protocol comes first where there are two.
        pictures = sorted(workspace.data("emotion_classifier", benchmark).glob("confusion-deepexp3d-*.png"))
        return pictures[0] if pictures else None
    if not first.confusion:
        return None
    title = f"{measured.benchmark_titles[benchmark]}\n{first.features}, {first.source}"
    with written_whole(folder / "confusions" / f"{Path(first.source).stem}.png") as path:
        confusion_figure(np.array(first.confusion), tuple(first.labels), title).savefig(path, dpi=110)
    return folder / "confusions" / f"{Path(first.source).stem}.png"


def _fusion(workspace: Workspace, metrics: dict[str, Any] | None) -> dict[str, Any]:
    """Accuracies of the pipelines, and pictures of how scans lie on their photographs."""
    pictures = {name: workspace.data("depth_maps", file) for name, file in FUSION_PICTURES.items()}
    return {
        "accuracies": {one["pipeline"]: one["accuracy"] for one in metrics["results"]} if metrics else {},
        "synthetic": bool(metrics and metrics["synthetic"]),
        "pictures": {name: path for name, path in pictures.items() if path.is_file()},
    }


def _skipped(workspace: Workspace) -> list[dict[str, Any]]:
    """Assets without results, by the reason that they share."""
    assets: dict[str, list[str]] = {}
    for stage, partitions in workspace.partitions.items():
        for partition in partitions:
            reason = skip_reason(workspace, stage, *([partition] if partition else []))
            if reason:
                assets.setdefault(reason, []).append(f"{stage}[{partition}]" if partition else stage)
    return [{"assets": names, "reason": reason} for reason, names in assets.items()]


def _timings(workspace: Workspace) -> dict[str, float]:
    rows = [json.loads(file.read_text()) for file in sorted(workspace.data(".timings").glob("*.json"))]
    return {row["stage"]: row["wall_seconds"] for row in rows if row["stage"] != STAGE}


def _overlays(workspace: Workspace, folder: Path) -> list[dict[str, Any]]:
    """Fitted meshes over frames of real videos, one sheet a video: three moments, the frame above, the mesh below."""
    import cv2

    from models.fitting.reconstruction import Reconstruction
    from models.rendering.mesh import draw_mesh
    from models.video.decoding import read_frames

    model = load_model(workspace)
    manifest = read_manifest(workspace).set_index("video_id")
    videos = pd.read_parquet(workspace.data("pruned_videos", "videos.parquet"))
    kept = videos[videos.kept]
    real = kept[kept.source_video.map(manifest.source) != "synthetic"]
    sheets = []
    for row in (real if len(real) else kept).head(workspace.params.results_report.overlay_videos).itertuples():
        fit = Reconstruction.load(workspace.data("reconstructions", row.partition, f"{row.video_id}.npz"))
        track = load_arrays(workspace.data("tracked_landmarks", row.partition, f"{row.video_id}.npz"))
        # The strongest expression in each third of the track.
        strength = np.linalg.norm(fit.expression / model.expression_std, axis=1)
        chosen = {
            int(track["frame_index"][part[np.argmax(strength[part])]]): int(part[np.argmax(strength[part])])
            for part in np.array_split(np.arange(len(strength)), 3)
            if len(part)
        }
        columns = []
        for frame in read_frames(
            workspace.path(manifest.path[row.source_video]), max_side=workspace.params.landmarks.max_side
        ):
            if frame.index not in chosen:
                if frame.index > max(chosen):
                    break
                continue
            position = chosen[frame.index]
            translation = frame.from_video(fit.translation[position])
            mesh = draw_mesh(
                frame.image,
                model.shape(fit.identity, fit.expression[position]),
                model,
                fit.scale[position] * frame.scale.mean(),
                fit.rotation[position],
                translation,
                alpha=0.85,
            )
            points = frame.from_video(track["landmarks"][position])
            columns.append(np.concatenate([_face_crop(frame.image, points, cv2), _face_crop(mesh, points, cv2)]))
        path = folder / "overlays" / f"{row.video_id}.jpg"
        with written_whole(path) as temporary:
            cv2.imwrite(str(temporary), np.concatenate(columns, 1)[..., ::-1])
        about = manifest.loc[row.source_video]
        sheets.append({"path": path, "title": Path(about.path).name, "licence": about.licence, "source": about.source})
    return sheets


def _face_crop(image: np.ndarray, points: np.ndarray, cv2, side: int = 260) -> np.ndarray:
    centre, reach = points.mean(0), 0.95 * np.ptp(points, axis=0).max()
    scale = side / (2 * reach)
    matrix = np.array([[scale, 0, side / 2 - scale * centre[0]], [0, scale, side / 2 - scale * centre[1]]])
    return cv2.warpAffine(image, matrix, (side, side), flags=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)


def _page(
    workspace: Workspace, sections: dict, summary: dict, overlays: list, tables: Sequence, made_from: Sequence
) -> str:
    import jinja2

    views_picture = workspace.data("view_invariance", "views.png")
    template = jinja2.Template(TEMPLATE.read_text(encoding="utf-8"), autoescape=True)
    return template.render(
        **sections,
        summary=summary,
        overlays=overlays,
        tables=tables,
        made_from=made_from,
        picture=embedded_picture,
        model_picture=workspace.data("morphable_model", "model.png"),
        samples_picture=workspace.data("facevid_shards", "samples.jpg"),
        views_picture=views_picture if views_picture.is_file() else None,
    )


@dg.asset(
    name=STAGE,
    group_name="report",
    deps=[
        *("pruned_videos", "facevid_splits", "facevid_shards"),
        *("deepexp3d", "deepexp3d_finetuned", "expression_evaluation", "deepexp3d_export"),
        *("emotion_classifier", "stress_detection", "view_invariance", "depth_maps", "rgbd_evaluation"),
    ],
    kinds={"html"},
)
def results_report(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """`reports/index.html` and `reports/summary.json`: published figures beside measured ones, and the pictures."""
    return materialise(context, workspace, write_report)


if __name__ == "__main__":
    main(STAGE, write_report)
