"""How the error of e grows as pictures get worse: hidden, blurred, small, dark, lit from the side, turned away."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from models.expression.evaluation_settings import RobustnessSettings
from models.expression.unseen_people import SEED, UnseenFace, turned_and_lit
from models.morphable_model.model import LEFT_EYE, RIGHT_EYE, MorphableModel

# What a severity is measured in, by the name of its kind.
UNITS = {
    "occlusion": "share of the face hidden",
    "blur": "standard deviation, % of the inter-ocular distance",
    "resolution": "height of the face, pixels",
    "darkness": "stops underexposed",
    "light": "degrees of the only lamp to the side",
    "yaw": "degrees of the head to the side",
}
# Standard deviation of a sensor's noise in the dark, grey levels of 255.
_DARK_NOISE = 3.0


def degraded_faces(model: MorphableModel, settings: RobustnessSettings, seed: int = SEED) -> Iterator[UnseenFace]:
    """The same faces as they are (condition "plain") and under every severity of every kind ("blur=4", ...)."""
    faces = turned_and_lit(model, range(settings.people), settings.picture, settings.yaw, settings.light, seed)
    for face in faces:
        yield face
        if face.condition != "plain":
            continue
        for kind in ("occlusion", "blur", "resolution", "darkness"):
            for level in getattr(settings, kind):
                # The same patch grows from level to level, and the same noise falls on all of them.
                rng = np.random.default_rng([seed, face.subject, 5])
                image = degraded(face.image, face.landmarks, kind, level, rng)
                yield UnseenFace(
                    image, face.expression, face.identity, face.landmarks, face.subject, f"{kind}={level:g}"
                )


def degraded(image: np.ndarray, landmarks: np.ndarray, kind: str, level: float, rng: np.random.Generator) -> np.ndarray:
    """A picture (H, W, 3) uint8 made worse.

    Parameters
    ----------
    landmarks : (68, 2) pixels: where the face is, and how large
    kind : "occlusion", "blur", "resolution" or "darkness"
    level : in the units of `UNITS`

    Raises
    ------
    ValueError
        The kind is another.
    """
    import cv2

    if kind == "occlusion":
        return _occluded(image, landmarks, level, rng)
    if kind == "blur":
        apart = np.linalg.norm(landmarks[RIGHT_EYE].mean(0) - landmarks[LEFT_EYE].mean(0))
        return cv2.GaussianBlur(image, (0, 0), max(level / 100 * apart, 1e-3))
    if kind == "resolution":
        share = level / np.ptp(landmarks[:, 1])
        size = [max(1, round(side * share)) for side in image.shape[1::-1]]
        return cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    if kind == "darkness":
        # Halving the light halves the linear signal; files hold about its 1 / 2.2th power.
        darker = image * 2 ** (-level / 2.2) + _DARK_NOISE * rng.normal(size=image.shape)
        return np.clip(np.rint(darker), 0, 255).astype(np.uint8)
    raise ValueError(f"'{kind}' is no way to make a picture worse; choose occlusion, blur, resolution or darkness.")


def _occluded(image: np.ndarray, landmarks: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """A picture with a tilted flat patch over a share of the face: it comes in over the edge of the face at one side
    and goes on to beyond its middle as the share grows."""
    import cv2

    outline = cv2.convexHull(np.rint(landmarks).astype(np.int32))
    face = np.zeros(image.shape[:2], np.uint8)
    cv2.fillConvexPoly(face, outline, 1)
    rows, columns = np.nonzero(face)
    angle = rng.uniform(0, 2 * np.pi)
    depth = columns * np.cos(angle) + rows * np.sin(angle)
    edge = np.quantile(depth, 1 - share)
    height, width = np.mgrid[: image.shape[0], : image.shape[1]]
    across = (width - columns.mean()) * -np.sin(angle) + (height - rows.mean()) * np.cos(angle)
    patch = (width * np.cos(angle) + height * np.sin(angle) > edge) & (np.abs(across) < 0.75 * np.ptp(landmarks))
    covered = image.copy()
    covered[patch] = rng.integers(30, 226, 3)
    return covered


@dataclass(frozen=True)
class RobustnessCurve:
    """Errors at rising severities of one kind; the first is the plain picture.

    Attributes
    ----------
    kind : a key of `UNITS`
    levels : (L,) severities
    mse : method to (L,) mean squared errors in standard deviations, of the faces found
    found : (L,) share of the faces that the detector found
    """

    kind: str
    levels: np.ndarray
    mse: dict[str, np.ndarray]
    found: np.ndarray


def robustness_curves(
    conditions: Iterable[str], truth: np.ndarray, estimates: Mapping[str, np.ndarray]
) -> list[RobustnessCurve]:
    """Curves of all kinds.

    Parameters
    ----------
    conditions : of each of F faces, as `degraded_faces` names them
    truth : (F, n_e) in standard deviations
    estimates : method to (F, n_e), NaN where there is no estimate
    """
    conditions = np.array(list(conditions))
    kinds: dict[str, list[float]] = {}
    for name in dict.fromkeys(conditions):
        if "=" in name:
            kind, level = name.split("=")
            kinds.setdefault(kind, []).append(float(level))
    first = next(iter(estimates.values()))
    curves = []
    for kind, levels in kinds.items():
        chosen = [conditions == "plain", *(conditions == f"{kind}={level:g}" for level in levels)]
        curves.append(
            RobustnessCurve(
                kind=kind,
                levels=np.array([_plain_level(kind), *levels]),
                mse={
                    method: np.array([mean_squared_error(values[at], truth[at]) for at in chosen])
                    for method, values in estimates.items()
                },
                found=np.array([np.isfinite(first[at]).all(1).mean() for at in chosen]),
            )
        )
    return curves


def mean_squared_error(estimated: np.ndarray, truth: np.ndarray) -> float:
    """Over coefficients and those faces (F, n_e) of which there is an estimate; NaN where there is none at all."""
    known = np.isfinite(estimated).all(axis=1)
    return float(np.mean((estimated[known] - truth[known]) ** 2)) if known.any() else float("nan")


def _plain_level(kind: str) -> float:
    """Severity of the plain picture: nothing, but for a resolution, which has no end."""
    return float("inf") if kind == "resolution" else 0.0


def flat_figures(curves: Iterable[RobustnessCurve]) -> dict[str, float]:
    """`robustness_METHOD_KIND_LEVEL` (MSE) and `robustness_found_KIND_LEVEL` of all curves; those of plain pictures
    once, as `robustness_METHOD_plain`."""
    figures: dict[str, float] = {}
    for curve in curves:
        for place, level in enumerate(curve.levels):
            suffix = "plain" if place == 0 else f"{curve.kind}_{level:g}"
            for method, errors in curve.mse.items():
                if np.isfinite(errors[place]):
                    figures[f"robustness_{method}_{suffix}"] = float(errors[place])
            figures[f"robustness_found_{suffix}"] = float(curve.found[place])
    return figures


def robustness_figure(curves: list[RobustnessCurve], labels: Mapping[str, str], rest: float):
    """A matplotlib figure with one panel for each kind: errors against severity, and below how many faces were found.

    Parameters
    ----------
    labels : method to what it is called
    rest : MSE of an estimate that always says "at rest", drawn as a line
    """
    from matplotlib.figure import Figure

    columns = 3
    rows = -(-len(curves) // columns)
    figure = Figure(figsize=(4.2 * columns, 3.3 * rows), layout="constrained")
    colours = ("#c0392b", "#2c5d8f", "#7f8c8d", "#27745a")
    highest = 1.15 * max(rest, *(np.nanmax(errors) for curve in curves for errors in curve.mse.values()))
    for place, curve in enumerate(curves):
        axes = figure.add_subplot(rows, columns, place + 1)
        positions = np.arange(len(curve.levels))
        for (method, errors), colour in zip(curve.mse.items(), colours, strict=False):
            axes.plot(positions, errors, "o-", color=colour, ms=4, lw=1.8, label=labels[method])
        axes.axhline(rest, color="#999", lw=1, ls=":", label="always at rest")
        axes.set_xticks(positions, ["as is", *(f"{level:g}" for level in curve.levels[1:])], fontsize=8)
        for position, share in zip(positions, curve.found, strict=True):
            if share < 0.995:
                axes.text(
                    position, 0.01 * highest, f"{100 * share:.0f} % found", fontsize=6.5, ha="center", color="#555"
                )
        axes.set_title(curve.kind, fontsize=11)
        axes.set_xlabel(UNITS[curve.kind], fontsize=8.5)
        axes.set_ylim(0, highest)
        axes.tick_params(axis="y", labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
        if place % columns == 0:
            axes.set_ylabel("MSE, squared standard deviations", fontsize=8.5)
        if place == 0:
            axes.legend(fontsize=8, frameon=False)
    return figure
