"""The figures as tables: in the terminal, and in the page that documents the fit."""

from pathlib import Path

from benchmarks.pages import write_between
from benchmarks.reconstruction.conditions import Condition

BEGIN = "<!-- benchmark: written by `python -m benchmarks.reconstruction --docs` -->"
END = "<!-- end of benchmark -->"

CONDITIONS = {
    "": "usual: 1 % noise, turning head",
    "_noise_0.3": "0.3 % noise",
    "_noise_2": "2 % noise",
    "_bias": "constant offsets of 1 %",
    "_outliers": "10 % gross outliers",
    "_occluded": "half the face hidden in 10 % of the frames, 5 % lost",
    "_hidden": "the same, only the frames with missing points",
    "_frontal": "frontal only",
    "_all_at_once": "offsets, outliers and occlusion together",
    "_bumps": "other generator: bursts of single units",
    "_emotion_sequences": "other generator: posed emotions",
    "_speech": "other generator: speech",
    "_other_generator": "mean of the three",
    "_200": "200 frames",
    "_2000": "2,000 frames",
    "_10000": "10,000 frames",
    "_rendered_natural": "rendered, through the detector",
    "_rendered_emotion_sequences": "rendered, posed emotions",
    "_rendered_speech": "rendered, speech",
}
CONDITION_MEASURES = {
    "unexplained_expression_variance": "unexplained, head",
    "unexplained_landmark_variance": "unexplained, 68 points",
    "expression_mse": "MSE, std²",
    "identity_error": "identity error",
    "rotation_error_deg": "rotation, degrees",
    "jitter": "jitter, mm",
    "interval_coverage_90": "90 % interval holds",
}
PEERS = {
    "whole_video": "whole video",
    "per_frame": "per frame [31]",
    "bounded": "bounded least squares per frame (`lsq_linear`)",
    "eos_pca": "eos' algorithm, PCA expressions",
    "eos_algorithm": "eos' algorithm, blendshapes",
    "eos_library": "the library eos itself, blendshapes",
}
PEER_MEASURES = {
    "unexplained_expression_variance": "unexplained, head",
    "unexplained_landmark_variance": "unexplained, 68 points",
    "expression_mse": "MSE, std²",
    "identity_error": "identity error",
    "rotation_error_deg": "rotation, degrees",
    "jitter": "jitter, mm",
    "reprojection_residual": "reprojection residual",
    "frames_per_second": "frames per second",
}
SPEED = {
    "frames_per_second": "frames per second, 2,000 frames",
    "frames_per_second_with_uncertainty": "the same with standard deviations",
    "time_ratio_10000_to_2000": "time for 10,000 frames over that for 2,000",
    "peak_memory_mb": "peak memory of a process that fits 10,000 frames, MB",
    "seconds_100000": "seconds for 100,000 frames",
    "peak_memory_mb_100000": "peak memory of a process that fits 100,000 frames, MB",
    "cores": "cores",
    "load_average": "load of the machine before",
}


def tables(figures: dict[str, float], usual: Condition) -> str:
    """All tables in Markdown; rows and cells without a figure are left out or empty.

    Parameters
    ----------
    usual : what the usual videos are
    """
    heading = (
        f"{usual.videos} simulated videos of {usual.settings.frames:,} frames a condition, unless it says otherwise."
    )
    conditions = _table(
        "condition", CONDITION_MEASURES, {label: _row(figures, "{}" + key) for key, label in CONDITIONS.items()}
    )
    peers = _table("usual videos", PEER_MEASURES, {label: _row(figures, key + "_{}") for key, label in PEERS.items()})
    speed = "\n".join(f"| {label} | {_number(figures[key])} |" for key, label in SPEED.items() if key in figures)
    return "\n\n".join([heading, conditions, peers, f"| speed and memory | |\n|---|---|\n{speed}"])


def write_into_page(page: Path, text: str) -> None:
    """Put a text between the two marks of a page.

    Raises
    ------
    ParamsError
        The page has no such marks.
    """
    write_between(page, BEGIN, END, text)


def _row(figures: dict[str, float], pattern: str) -> dict[str, float]:
    measures = CONDITION_MEASURES | PEER_MEASURES
    return {name: figures[key] for name in measures if (key := pattern.format(name)) in figures}


def _table(corner: str, columns: dict[str, str], rows: dict[str, dict[str, float]]) -> str:
    lines = [f"| {corner} | {' | '.join(columns.values())} |", "|---" * (len(columns) + 1) + "|"]
    for label, values in rows.items():
        cells = [_number(values[name]) if name in values else "" for name in columns]
        if any(cells):
            lines.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _number(value: float) -> str:
    """Three significant digits, without exponents."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3f}" if abs(value) < 1 else f"{value:.3g}"
