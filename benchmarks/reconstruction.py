"""Known-truth benchmark of the whole-video fit, beside its peers on the same videos.

    python -m benchmarks.reconstruction --json FILE [--quick] [--model FILE]

Every video is simulated (`models.fitting.simulation`) from the embedded model, whose expression statistics come from
the generator "natural"; seeds differ from those of the model's samples. Unless a key says otherwise: 1,000 frames,
landmark noise of 1 % of the inter-ocular distance, head motion of 30, 15 and 10 degrees, mean over the seeds.

Keys of the JSON object (shares, unless a unit is given):

unexplained_expression_variance                  over all vertices of the head, rest as origin
unexplained_expression_variance_noise_0.3, _noise_2    at 0.3 and 2 % noise
unexplained_expression_variance_outliers         with 10 % of the landmarks anywhere
unexplained_expression_variance_occluded         half the face hidden in 10 % of the frames, 5 % without landmarks
unexplained_expression_variance_bias             constant offsets of 1 % between detector and mesh
unexplained_expression_variance_frontal          head facing the camera all the time
unexplained_expression_variance_other_generator  expressions of the generator "bumps", not the prior's own
unexplained_expression_variance_200              200 frames
unexplained_landmark_variance                    over the 68 landmarks instead of the vertices
per_frame_unexplained_expression_variance        the papers' baseline [31]
bounded_unexplained_expression_variance          per-frame bounded least squares, `scipy.optimize.lsq_linear`, and on
whole_video_on_bounded_frames                    the same frames the whole-video fit
expression_mse, per_frame_expression_mse         squared standard deviations
vertex_error                                     root mean square over the inter-ocular distance
identity_error                                   squared, over the squared norm of the truth
rotation_error_deg, rotation_error_deg_frontal   mean angle, degrees
jitter                                           root mean square second difference of the error, mm
frontal_only_ratio                               frontal over moving unexplained variance
interval_coverage_90                             share of true coefficients inside the fit's own 90 % intervals
frames_per_second                                2,000 frames, median of three fits
per_frame_frames_per_second, bounded_frames_per_second    the peers
time_ratio_10000_to_2000                         of the fits' wall times
peak_memory_mb                                   of the process, after 10,000 frames
"""

import argparse
import hashlib
import json
import resource
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.optimize import lsq_linear

import models.morphable_model
from models.fitting import FitSettings, fit_per_frame, fit_video
from models.fitting.evaluation import evaluate, unexplained_expression_variance
from models.fitting.pose import estimate_pose
from models.fitting.simulation import SimulatedVideo, SimulationSettings, simulate_video
from models.morphable_model import MorphableModel
from models.packages import cache_folder
from models.storage import written_whole

# Two-sided 90 % quantile of the normal distribution.
QUANTILE_90 = 1.6449
FIRST_SEED = 10
BOUNDED_FRAMES = 12


def embedded_model() -> MorphableModel:
    """The embedded model, built once for each version of the code that builds it."""
    sources = sorted(Path(models.morphable_model.__file__).parent.glob("*.py"))
    version = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]
    path = cache_folder() / "benchmarks" / f"model-{version}.npz"
    if not path.exists():
        from models.morphable_model.embedded import build_embedded_model

        build_embedded_model().save(path)
    return MorphableModel.load(path)


def fit_bounded_per_frame(landmarks: np.ndarray, model: MorphableModel, noise: float, alternations: int = 3):
    """Expressions (F, n_e) mm by per-frame bounded least squares (trust-region reflective), as the papers' group.

    Box bounds of 0.8 (identity) and 1.5 (expression) standard deviations, unit priors, pose in alternation.
    """
    size = model.identity_size
    basis = np.concatenate(
        [model.landmark_identity_basis * model.identity_std, model.landmark_expression_basis * model.expression_std], 2
    )
    bound = np.repeat([0.8, 1.5], [size, model.expression_size])
    expressions = []
    for image in landmarks:
        shape = model.landmark_mean
        for _ in range(alternations):
            camera = estimate_pose(shape, image[None])
            pixels = noise * model.interocular_distance * camera.scale[0]
            rows = np.einsum("dc,lck->ldk", camera.projection()[0], basis).reshape(-1, basis.shape[2]) / pixels
            right = (image - camera.project(model.landmark_mean)[0]).reshape(-1) / pixels
            found = lsq_linear(
                np.vstack([rows, np.eye(len(bound))]), np.r_[right, np.zeros(len(bound))], (-bound, bound), method="trf"
            ).x
            shape = model.landmark_mean + basis @ found
        expressions.append(found[size:] * model.expression_std)
    return np.array(expressions)


def measure(model: MorphableModel, quick: bool) -> dict[str, float]:
    """All keys of the module's docstring."""
    seeds = range(FIRST_SEED, FIRST_SEED + (2 if quick else 6))
    usual = SimulationSettings(frames=400 if quick else 1000)
    conditions = {
        "": usual,
        "_noise_0.3": replace(usual, noise=0.003),
        "_noise_2": replace(usual, noise=0.02),
        "_outliers": replace(usual, outliers=0.1),
        "_occluded": replace(usual, occluded=0.1, lost=0.05),
        "_bias": replace(usual, bias=0.01),
        "_frontal": replace(usual, yaw=0.0, pitch=0.0, roll=0.0),
        "_other_generator": replace(usual, expression="bumps"),
        "_200": replace(usual, frames=200),
    }
    figures: dict[str, float] = {}
    fit_video(simulate_video(model, replace(usual, frames=100), 0).landmarks, model)
    for suffix, condition in conditions.items():
        videos = [simulate_video(model, condition, seed) for seed in seeds]
        measured = _mean([evaluate(fit_video(video.landmarks, model), video, model) for video in videos])
        figures[f"unexplained_expression_variance{suffix}"] = measured["unexplained_expression_variance"]
        print(f"measured{suffix or ' the usual videos'}", flush=True)
        if suffix == "_frontal":
            figures["rotation_error_deg_frontal"] = measured["rotation_error_deg"]
        if not suffix:
            figures |= measured
            figures |= _peers(model, videos, condition.noise)
            figures["interval_coverage_90"] = float(np.mean([_coverage(model, video) for video in videos]))
    figures["frontal_only_ratio"] = (
        figures["unexplained_expression_variance_frontal"] / figures["unexplained_expression_variance"]
    )
    figures |= _speed(model)
    return figures


def _mean(rows):
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def _coverage(model, video):
    fit = fit_video(video.landmarks, model, FitSettings(uncertainty=True))
    return np.mean(np.abs(fit.expression - video.expression) <= QUANTILE_90 * fit.expression_std)


def _peers(model: MorphableModel, videos: list[SimulatedVideo], noise: float) -> dict[str, float]:
    baseline, bounded, ours, seconds = [], [], [], [0.0, 0.0]
    for video in videos:
        started = time.perf_counter()
        baseline.append(evaluate(fit_per_frame(video.landmarks, model), video, model))
        seconds[0] += time.perf_counter() - started
    for video in videos[:2]:
        chosen = np.linspace(0, len(video.landmarks) - 1, BOUNDED_FRAMES).round().astype(int)
        started = time.perf_counter()
        expression = fit_bounded_per_frame(video.landmarks[chosen], model, noise)
        seconds[1] += time.perf_counter() - started
        bounded.append(unexplained_expression_variance(expression, video.expression[chosen]))
        whole = fit_video(video.landmarks, model).expression[chosen]
        ours.append(unexplained_expression_variance(whole, video.expression[chosen]))
    per_frame = _mean(baseline)
    return {
        "per_frame_unexplained_expression_variance": per_frame["unexplained_expression_variance"],
        "per_frame_expression_mse": per_frame["expression_mse"],
        "per_frame_rotation_error_deg": per_frame["rotation_error_deg"],
        "per_frame_frames_per_second": sum(len(video.landmarks) for video in videos) / seconds[0],
        "bounded_unexplained_expression_variance": float(np.mean(bounded)),
        "whole_video_on_bounded_frames": float(np.mean(ours)),
        "bounded_frames_per_second": len(videos[:2]) * BOUNDED_FRAMES / seconds[1],
    }


def _speed(model: MorphableModel) -> dict[str, float]:
    seconds = {}
    for frames in (2000, 10000):
        landmarks = simulate_video(model, SimulationSettings(frames=frames), FIRST_SEED).landmarks
        taken = []
        for _ in range(3):
            started = time.perf_counter()
            fit_video(landmarks, model)
            taken.append(time.perf_counter() - started)
        seconds[frames] = float(np.median(taken))
    return {
        "frames_per_second": 2000 / seconds[2000],
        "time_ratio_10000_to_2000": seconds[10000] / seconds[2000],
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Known-truth benchmark of the whole-video fit.")
    parser.add_argument("--json", type=Path, required=True, help="file to write the figures to")
    parser.add_argument("--quick", action="store_true", help="two seeds of 400 frames instead of six of 1,000")
    parser.add_argument("--model", type=Path, help="face model to use instead of the embedded one")
    arguments = parser.parse_args()
    model = MorphableModel.load(arguments.model) if arguments.model else embedded_model()
    figures = {name: round(value, 6) for name, value in measure(model, arguments.quick).items()}
    width = max(map(len, figures))
    for name, value in figures.items():
        print(f"{name:{width}}  {value:.4g}")
    with written_whole(arguments.json) as temporary:
        temporary.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
