"""How well expression is estimated (section IV-C, Fig. 4)."""

import json

import dagster as dg
import numpy as np
import pandas as pd

from assets.facevid_splits import read_splits
from assets.landmark_correspondence import load_detector_model
from assets.landmarks import warm_backend
from assets.morphable_model import load_model, no_synthetic_heads
from assets.raw_videos import read_manifest
from assets.stage import StageResult, WorkspaceResource, main, materialise
from assets.synthetic_facevid import truth_path
from assets.workspace import Workspace
from models.storage import load_arrays, written_whole

STAGE = "expression_evaluation"
NETWORKS = ("deepexp3d", "deepexp3d_finetuned")
PAPER_MSE = {"DeepExp3D": 0.007, "ITW": 0.026, "per-frame linear fit": 0.098}


def evaluate_expression(workspace: Workspace) -> StageResult:
    """Compare both networks and the per-frame baseline on the test people, against the fits and against the truth."""
    from models.expression.contract import NetworkContract
    from models.expression.evaluation import evaluate, predict_shards
    from models.expression.network import load_network

    shards = workspace.data("facevid_shards", "test")
    contract = NetworkContract.load(workspace.data("deepexp3d_finetuned", "network.json"))
    networks = {stage: load_network(workspace.data(stage))[0] for stage in NETWORKS}
    estimates = {}
    for stage, network in networks.items():
        estimates[stage], fitted, origin = predict_shards(
            network, shards, batch_size=workspace.params.expression_evaluation.batch_size
        )
    frames = pd.DataFrame(origin, columns=["video_id", "frame"])
    estimates["per-frame linear fit"] = _per_frame_baseline(workspace, frames) / contract.expression_std
    estimates["mean expression"] = np.broadcast_to(_training_mean(workspace), fitted.shape)
    truth = _truth(workspace, frames, contract)
    known = np.isfinite(truth).all(axis=1)
    rows = []
    references = {"whole-video fit": (fitted, np.ones(len(frames), bool)), "known truth (synthetic)": (truth, known)}
    for against, (reference, chosen) in references.items():
        if not chosen.any():
            continue
        candidates = estimates if against == "whole-video fit" else estimates | {"whole-video fit": fitted}
        for name, estimate in candidates.items():
            errors = evaluate(np.asarray(estimate)[chosen], reference[chosen], contract)
            rows.append(
                {
                    "method": name,
                    "against": against,
                    "mse": errors.mse,
                    "mse_mm2": errors.mse_mm2,
                    "vertex_rms": errors.vertex_rms,
                    "explained_variance": errors.explained_variance,
                    "images": errors.samples,
                }
            )
    table = pd.DataFrame(rows)
    folder = workspace.data(STAGE)
    unseen = evaluate_unseen_people(workspace, contract, networks)
    with written_whole(folder / "errors.csv") as path:
        table.to_csv(path, index=False)
    with written_whole(folder / "metrics.json") as path:
        metrics = {"errors": rows, "paper_mse": PAPER_MSE, "unseen_people": unseen.metadata.get("figures", {})}
        path.write_text(json.dumps(metrics, indent=1) + "\n")
    picture = folder / "expressions.jpg"
    _picture(
        workspace,
        frames,
        estimates["deepexp3d_finetuned"] * contract.expression_std,
        fitted * contract.expression_std,
        picture,
    )
    return StageResult(
        {
            "errors, in standard deviations, mm^2 and inter-ocular distances": table,
            "test images": len(frames),
            "image, estimate, whole-video fit": picture,
        }
        | _shown(unseen)
    )


def evaluate_unseen_people(workspace: Workspace, contract, networks: dict) -> StageResult:
    """What only rendered people of known expression can tell: independence of the view and the person, robustness.

    Metadata: `figures` by the keys of `models.expression.judgement` and `models.expression.robustness`, each with the
    network's name in front, and the curves' picture.
    """
    from models.expression.judgement import KnownFaces, neutral_figures, truth_figures, view_figures
    from models.expression.observed_faces import torch_expressions
    from models.expression.robustness import degraded_faces, flat_figures, robustness_curves, robustness_figure
    from models.expression.unseen_people import moments, neutral_and_smile, view_pairs

    params = workspace.params
    settings = params.expression_evaluation
    if reason := no_synthetic_heads(workspace):
        return StageResult(skipped=reason)
    if params.landmarks.backend == "recorded":
        return StageResult(skipped="skipped: recorded landmarks know nothing of rendered people")
    model, detector_model = load_model(workspace), load_detector_model(workspace)
    backend = warm_backend(params.landmarks)

    def known(pictures) -> tuple[KnownFaces, dict[str, np.ndarray]]:
        faces = KnownFaces.rendered(pictures, backend, contract.template, detector_model, params.reconstruction)
        size = len(contract.expression_std)
        answers = {f"{name}_": torch_expressions(network, faces.faces, size) for name, network in networks.items()}
        return faces, answers | {"single_image_": faces.single_image, "per_frame_": faces.per_frame}

    faces, answers = known(moments(model, settings.unseen))
    figures = truth_figures(answers, faces, contract)
    faces, answers = known(view_pairs(model, settings.unseen))
    figures |= view_figures(answers, faces, contract)
    faces, answers = known(neutral_and_smile(model, settings.unseen))
    figures |= neutral_figures(answers, faces)
    faces, answers = known(degraded_faces(model, settings.robustness))
    methods = {name.removesuffix("_"): values for name, values in answers.items() if name != "per_frame_"}
    curves = robustness_curves(faces.condition, faces.truth, methods)
    picture = workspace.data(STAGE, "robustness.png")
    rest = float(np.mean(faces.truth[faces.condition == "plain"] ** 2))
    labels = {name: name.replace("_", " ") for name in methods}
    with written_whole(picture) as path:
        robustness_figure(curves, labels, rest).savefig(path, dpi=90)
    return StageResult({"figures": figures | flat_figures(curves), "curves": picture})


def _shown(unseen: StageResult) -> dict:
    """What the page of the asset shows of the evaluation on unseen people."""
    if unseen.skipped:
        return {"rendered test people": unseen.skipped}
    figures = unseen.metadata["figures"]
    shown = ("mse", "view_invariance_mse", "identity_leakage", "neutral_variance")
    rows = [
        {"method": method.replace("_", " "), **{name: figures.get(f"{method}_{name}") for name in shown}}
        for method in (*NETWORKS, "single_image", "per_frame")
    ]
    return {
        "rendered test people": pd.DataFrame(rows),
        "chance of recognising a person": figures.get("identity_leakage_chance", float("nan")),
        "errors as pictures get worse": unseen.metadata["curves"],
    }


def _per_frame_baseline(workspace: Workspace, frames: pd.DataFrame) -> np.ndarray:
    """Expression (F, n_e) in mm by the per-frame linear fit, on the same frames."""
    from models.fitting.per_frame import fit_per_frame

    model = load_detector_model(workspace)
    landmarks = np.empty((len(frames), 68, 2))
    for video, positions in frames.groupby("video_id").groups.items():
        track = _track(workspace, video)
        place = {int(frame): position for position, frame in enumerate(track["frame_index"])}
        landmarks[positions] = [track["landmarks"][place[frame]] for frame in frames.frame[positions]]
    return fit_per_frame(landmarks, model, workspace.params.reconstruction).expression


def _truth(workspace: Workspace, frames: pd.DataFrame, contract) -> np.ndarray:
    """True expression (F, n_e) in standard deviations where a video is synthetic, NaN elsewhere."""
    truth = np.full((len(frames), len(contract.expression_std)), np.nan)
    manifest = read_manifest(workspace).set_index("video_id")
    sources = read_splits(workspace).set_index("video_id").source_video
    for video, positions in frames.groupby("video_id").groups.items():
        row = manifest.loc[sources[video]]
        if row.source == "synthetic" and video == sources[video]:
            name = row.path.rsplit("/", 1)[-1].removesuffix(".mp4")
            expression = load_arrays(truth_path(workspace, name))["expression"]
            truth[positions] = expression[frames.frame[positions]] / contract.expression_std
    return truth


def _training_mean(workspace: Workspace) -> np.ndarray:
    from models.expression.shards import read_samples

    return np.mean([sample.expression for sample in read_samples(workspace.data("facevid_shards", "train"))], axis=0)


def _track(workspace: Workspace, video: str) -> dict[str, np.ndarray]:
    batch = read_splits(workspace).set_index("video_id").partition[video]
    return load_arrays(workspace.data("tracked_landmarks", batch, f"{video}.npz"))


def _picture(workspace: Workspace, frames: pd.DataFrame, estimated: np.ndarray, fitted: np.ndarray, path) -> None:
    """The paper's Fig. 4: test images, estimated and fitted expressions, both on the fitted identity."""
    import cv2

    from models.expression.shards import read_samples
    from models.fitting.reconstruction import Reconstruction
    from models.rendering.mesh import render_face

    model = load_model(workspace)
    splits = read_splits(workspace).set_index("video_id")
    wanted = workspace.params.expression_evaluation.pictured_images
    # The strongest expression of each stretch of the test frames: rest looks the same whatever the method.
    strength = np.linalg.norm(fitted / model.expression_std, axis=1)
    chosen = [
        int(part[np.argmax(strength[part])]) for part in np.array_split(np.arange(len(frames)), wanted) if len(part)
    ]
    images = dict(enumerate(read_samples(workspace.data("facevid_shards", "test"))))
    columns = []
    for position in chosen:
        video = frames.video_id[position]
        fit = Reconstruction.load(workspace.data("reconstructions", splits.partition[video], f"{video}.npz"))
        photo = cv2.resize(images[position].image, (192, 192), interpolation=cv2.INTER_AREA)
        faces = [render_face(model, fit.identity, e[position], 192) for e in (estimated, fitted)]
        columns.append(np.concatenate([photo, *faces]))
    with written_whole(path) as temporary:
        cv2.imwrite(str(temporary), np.concatenate(columns, 1)[..., ::-1])


@dg.asset(
    name=STAGE,
    group_name="expression",
    deps=["deepexp3d", "deepexp3d_finetuned", "facevid_shards", "morphable_model", "synthetic_facevid"],
    kinds={"pytorch", "dvc"},
)
def expression_evaluation(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """MSE of the 28 coefficients on people never seen in training, beside the per-frame linear fit of the paper's [31].

    Against the whole-video fits, as the paper does (0.007, baseline 0.098), and, for synthetic videos, against the
    known truth, where the fits themselves can be judged too.
    """
    return materialise(context, workspace, evaluate_expression)


if __name__ == "__main__":
    main(STAGE, evaluate_expression)
