"""Random people: a face's shape with its skin, hair and eyes."""

from dataclasses import dataclass

import numpy as np

from models.morphable_model.model import EYE, MOUTH_CAVITY, TEETH, TONGUE, MorphableModel
from models.rendering.mesh import vertex_normals
from models.rendering.noise import smooth_noise
from models.rendering.shading import Surface
from models.rendering.skin import made_up_skin, paint_skin, sample_skin

_HAIR_COLOURS = np.array(
    [[0.06, 0.05, 0.05], [0.13, 0.09, 0.07], [0.25, 0.16, 0.10], [0.45, 0.31, 0.18], [0.66, 0.52, 0.33],
     [0.42, 0.19, 0.10], [0.55, 0.54, 0.53]]
)  # fmt: skip
_IRIS_COLOURS = np.array(
    [[0.16, 0.09, 0.05], [0.28, 0.17, 0.09], [0.32, 0.36, 0.22], [0.30, 0.42, 0.52], [0.40, 0.44, 0.46]]
)


@dataclass(frozen=True)
class Subject:
    """A person who can be rendered.

    Attributes
    ----------
    identity : (n_i,) coefficients in mm
    resting : (n_e,) expression coefficients in mm of the face at rest, which are no expression: a low brow, thin lips
    vertices : (N, 3) float32 face at rest with the thickness of its hair, mm
    surface : what it is made of
    """

    identity: np.ndarray
    resting: np.ndarray
    vertices: np.ndarray
    surface: Surface


def sample_subject(
    model: MorphableModel,
    rng: np.random.Generator,
    identity_spread: float = 1.0,
    photographed: np.ndarray | None = None,
    resting_spread: float = 0.0,
) -> Subject:
    """A random person. Identity coefficients are normal, `identity_spread` times the model's deviations.

    `photographed` (H, W, 3) uint8, a texture of `models.rendering.photographed_skin`, takes the place of painted skin.
    """
    identity = identity_spread * model.identity_std * rng.normal(size=model.identity_size)
    lightness = rng.random()
    # Dark skin goes with dark hair and dark eyes.
    hair_colour = _HAIR_COLOURS[rng.integers(3 if lightness < 0.55 else len(_HAIR_COLOURS))] * rng.uniform(0.6, 1.3)
    iris = _IRIS_COLOURS[rng.integers(2 if lightness < 0.55 else len(_IRIS_COLOURS))] * rng.uniform(0.8, 1.2)
    appearance = sample_skin(rng, lightness, hair_colour)
    if photographed is None:
        skin = paint_skin(model, appearance, rng)
    else:
        skin = made_up_skin(model, photographed, appearance, rng)
    hair, thickness = _hair(model, rng)
    resting = _sample_resting(model, resting_spread, rng)
    vertices = model.shape(identity, resting).astype(np.float32)
    normals = vertex_normals(vertices, model.triangles)
    colours = np.ones((5, 3))
    colours[EYE] = np.array([0.90, 0.87, 0.85]) * rng.uniform(0.85, 1.1)
    colours[TEETH] = np.array([0.90, 0.86, 0.76]) * rng.uniform(0.8, 1.08)
    colours[TONGUE] = np.array([0.68, 0.36, 0.35]) * rng.uniform(0.7, 1.0)
    colours[MOUTH_CAVITY] = np.array([0.40, 0.15, 0.14]) * rng.uniform(0.5, 1.0)
    strands = smooth_noise((256, 256), 2.5, rng) + 0.5 * smooth_noise((256, 256), 12, rng)
    surface = Surface(
        triangles=model.triangles,
        uv_triangles=model.uv_triangles,
        material=model.material,
        uv=model.uv.astype(np.float32),
        skin=skin,
        rest=model.mean.astype(np.float32),
        hair=hair,
        strands=np.ascontiguousarray(strands, np.float32),
        hair_colour=hair_colour,
        colours=colours,
        iris=iris,
        iris_radius=rng.uniform(0.42, 0.5),
        eye_local=model.extras["eye_local"],
    )
    return Subject(identity, resting, vertices + normals * thickness[:, None], surface)


def _sample_resting(model: MorphableModel, spread: float, rng: np.random.Generator) -> np.ndarray:
    """Resting shape (n_e,) in mm of a person.

    It is drawn apart from identity, though heads would tell nearly all of it by their other features: those of real
    people do not follow the same rules.
    """
    if not spread:
        return np.zeros(model.expression_size)
    covariance = model.extras["resting_covariance"].astype(np.float64)
    return spread * rng.multivariate_normal(np.zeros(len(covariance)), covariance, method="eigh")


def _hair(model: MorphableModel, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Where hair grows (N,), positive inside, and how thick it is (N,) in mm."""
    x, y, z = model.mean.T
    if rng.random() < 0.1:
        return np.full(len(x), -1, np.float32), np.zeros(len(x), np.float32)
    brows = model.landmark_mean[17:27, 1].mean()
    ear = model.landmark_mean[[0, 16]].mean(0)
    softness = rng.uniform(4, 9)
    forehead = rng.uniform(38, 62)
    # The line is highest in the middle or recedes at the temples, and a parting leans it.
    line = brows + forehead - rng.uniform(0.0, 0.35) * np.abs(x) + rng.uniform(-0.12, 0.12) * x
    front = (y - line) / softness
    nape = rng.uniform(-90, -20)
    behind = np.minimum((ear[2] - rng.uniform(12, 30) - z) / softness, (y - nape) / softness)
    sideburns = np.minimum((ear[2] + 8 - z) / softness, (y - ear[1] - rng.uniform(-5, 25)) / softness)
    growth = np.maximum(np.maximum(front, behind), sideburns)
    # Ears stick out of the hair.
    beside = (np.abs(x) > np.abs(model.landmark_mean[16, 0]) - 3) & (np.abs(y - ear[1] + 5) < 45) & (z > ear[2] - 45)
    growth = np.where(beside, -1, growth)
    growth = growth.clip(-1, 1).astype(np.float32)
    thickness = rng.uniform(2, 16) * (growth.clip(0, 1))
    # A landmark is on the skin, hair or not.
    thickness[model.landmark_vertices] = 0
    thickness[np.unique(model.triangles[model.material != 0])] = 0
    return growth, thickness.astype(np.float32)
