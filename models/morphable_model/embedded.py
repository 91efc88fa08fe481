"""The embedded face model, built from CC0 data: what is used where no licensed model is at hand."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.morphable_model import expressions, heads, makehuman
from models.morphable_model.landmark_placement import place_landmarks
from models.morphable_model.model import EYE, MOUTH_CAVITY, SKIN, TEETH, TONGUE, MorphableModel

_MATERIALS = {"body": SKIN} | {
    part: material
    for parts, material in ((makehuman.EYEBALLS, EYE), (makehuman.TEETH, TEETH), (makehuman.TONGUE, TONGUE))
    for part in parts
}
# The part of the texture atlas that holds the face, a square (left, bottom, side); chin to the right.
_FACE_PATCH = (0.64, 0.302, 0.36)
_MASK_SIZE = 512
# Enough that a face's common symmetric movements come first, little enough that one-sided ones are kept too.
_PAIR_CORRELATION = 0.6
_REGIONS = ("lips", "eyelids", "ears", "inside-mouth", "face")


@dataclass(frozen=True)
class EmbeddedModelSettings:
    """How the embedded model is built.

    Attributes
    ----------
    identity_components, expression_components : 157 and 28 in the paper
    heads : random heads behind the identity basis
    expression_subspace : "equalised" chooses the expression subspace on units scaled to equal norm and used equally
        often, so that brows and nose, small in millimetres, are kept; "energy" is plain principal component analysis
    project_identity : take the expression span out of the heads before the identity basis is found, which makes the
        two spans orthogonal
    sequences, sequence_frames : natural expression sequences from which the expression prior is estimated
    """

    identity_components: int = 157
    expression_components: int = 28
    heads: int = 4000
    expression_subspace: str = "equalised"
    project_identity: bool = True
    sequences: int = 400
    sequence_frames: int = 300


@dataclass(frozen=True)
class _HeadMesh:
    """The head cut from the base mesh; `base_vertices` (N,) says which of its vertices are kept."""

    base_vertices: np.ndarray
    vertices: np.ndarray
    triangles: np.ndarray
    uv: np.ndarray
    uv_triangles: np.ndarray
    material: np.ndarray


def build_embedded_model(settings: EmbeddedModelSettings | None = None, seed: int = 0) -> MorphableModel:
    """Build the embedded model (equation 1). The same settings and seed give the same arrays, bit by bit.

    Raises
    ------
    WeightsMissingError
        The package with the data can neither be found in the cache nor be fetched.
    ValueError
        An unknown `expression_subspace`, or more components than the data has.
    """
    # How BLAS splits its sums depends on the number of threads, and with it the last bits of the bases.
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        return _build(settings or EmbeddedModelSettings(), seed)


def _build(settings: EmbeddedModelSettings, seed: int) -> MorphableModel:
    _check(settings)
    folder = makehuman.data_folder()
    base = makehuman.read_base_mesh(folder)
    mesh = _cut_head(base, folder)
    vertex_count = len(base.vertices)
    rng_heads, rng_expressions = np.random.default_rng(seed).spawn(2)

    sliders = heads.read_head_sliders(folder, mesh.base_vertices, vertex_count)
    samples = heads.sample_heads(mesh.vertices, sliders, settings.heads, rng_heads)
    samples, scale = _aligned(samples, mesh)
    mean = samples.mean(0, dtype=np.float64)

    all_units = makehuman.read_face_units(folder, mesh.base_vertices, vertex_count)
    # The base mesh is larger or smaller than the aligned heads; its units move by the same factor.
    units = np.stack([all_units[name] for name in expressions.EXPRESSION_UNITS]).reshape(
        len(expressions.EXPRESSION_UNITS), -1
    )
    units = units * scale
    activations = _natural_activations(settings, rng_expressions)
    expression_basis = _expression_basis(
        units, activations.reshape(-1, len(units)), settings.expression_components, settings.expression_subspace
    )
    unit_coefficients = units @ expression_basis
    coefficients = activations @ unit_coefficients
    deviations = (samples - mean).reshape(len(samples), -1)
    identity_basis, identity_std = _identity_basis(
        deviations, expression_basis if settings.project_identity else None, settings.identity_components
    )

    corners, weights = place_landmarks(mesh.vertices, mesh.triangles[mesh.material == SKIN], mesh.base_vertices)
    # With the origin amid the landmarks, a camera's translation is where the face is.
    mean = mean - np.einsum("lk,lkd->ld", weights, mean[corners]).mean(0) * [0, 1, 1]
    flat = coefficients.reshape(-1, coefficients.shape[-1])
    eye_local, eye = _eyeballs(mesh, folder)
    acceleration = np.diff(coefficients, 2, axis=1).reshape(flat.shape[0] - 2 * len(coefficients), -1)
    return MorphableModel(
        mean=mean.astype(np.float32),
        identity_basis=identity_basis.astype(np.float32),
        identity_std=identity_std.astype(np.float32),
        expression_basis=expression_basis.astype(np.float32),
        expression_std=_balanced_deviation(unit_coefficients).astype(np.float32),
        triangles=mesh.triangles.astype(np.int32),
        uv=mesh.uv.astype(np.float32),
        uv_triangles=mesh.uv_triangles.astype(np.int32),
        material=mesh.material,
        landmark_vertices=corners.astype(np.int32),
        landmark_weights=weights.astype(np.float32),
        expression_mean=flat.mean(0).astype(np.float32),
        expression_covariance=np.cov(flat.T).astype(np.float32),
        expression_acceleration_covariance=np.cov(acceleration.T).astype(np.float32),
        name="embedded",
        licence="CC0-1.0",
        extras={
            "unit_names": np.array(expressions.EXPRESSION_UNITS),
            "units": unit_coefficients.astype(np.float32),
            "unit_kept": unit_kept(units, expression_basis).astype(np.float32),
            "eye_local": eye_local.astype(np.float32),
            "eye": eye.astype(np.int8),
            "resting_covariance": _resting_covariance(deviations, expression_basis).astype(np.float32),
        }
        | {f"mask_{region.replace('-', '_')}": _region_mask(folder, region) for region in _REGIONS},
    )


def _check(settings: EmbeddedModelSettings) -> None:
    if settings.expression_subspace not in ("energy", "equalised"):
        raise ValueError(f"expression_subspace is '{settings.expression_subspace}', expected 'energy' or 'equalised'")
    if settings.expression_components > (units := len(expressions.EXPRESSION_UNITS)):
        raise ValueError(f"{settings.expression_components} expression components, but there are {units} face units")
    if settings.identity_components >= settings.heads:
        raise ValueError(f"{settings.identity_components} identity components need more than {settings.heads} heads")


def unit_kept(units: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Share (K,) of the energy of each face unit (K, 3N) that lies in the span of an orthonormal basis (3N, n)."""
    return ((units @ basis) ** 2).sum(1) / (units**2).sum(1)


def _cut_head(base: makehuman.BaseMesh, folder: Path) -> _HeadMesh:
    """Head down to the neck, with eyeballs, teeth and tongue."""
    x, y, z = (base.vertices / makehuman.DECIMETRE).T
    body = np.zeros(len(x), bool)
    body[makehuman.read_vertex_group(folder, "body")] = True
    # Below, a plane that rises towards the nape; beside the neck, no flaps of the shoulders.
    kept = body & (y > 5.75 + 0.18 * (0.6 - z)) & (np.abs(x) < np.where(y < 6.1, 0.55, 1.15))
    for part in _MATERIALS.keys() - {"body"}:
        kept[makehuman.read_vertex_group(folder, part)] = True
    faces = kept[base.quads].all(1) & np.isin(base.groups, list(_MATERIALS))
    material = np.array([_MATERIALS[group] for group in base.groups[faces]], np.uint8)
    triangles, uv_triangles = _triangulated(base.quads[faces]), _triangulated(base.uv_quads[faces])
    material = np.concatenate([material, material])
    inside = makehuman.read_skin_mask(folder, "inside-mouth") > 127
    column, row = _texels(base.uv[uv_triangles].mean(1), inside.shape)
    material[(material == SKIN) & inside[row, column]] = MOUTH_CAVITY
    base_vertices, triangles = np.unique(triangles, return_inverse=True)
    used_uv, uv_triangles = np.unique(uv_triangles, return_inverse=True)
    left, bottom, side = _FACE_PATCH
    atlas = base.uv[used_uv]
    # The atlas lays the head on its side; turned, the chin is at the bottom and the subject's left at the right.
    uv = np.stack([(atlas[:, 1] - bottom) / side, 1 - (atlas[:, 0] - left) / side], 1).clip(0, 1)
    return _HeadMesh(
        base_vertices, base.vertices[base_vertices], triangles.reshape(-1, 3), uv, uv_triangles.reshape(-1, 3), material
    )


def _triangulated(quads: np.ndarray) -> np.ndarray:
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def _texels(uv: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Column and row of texture coordinates in an image of this (height, width)."""
    column = (uv[:, 0] * shape[1]).astype(int).clip(0, shape[1] - 1)
    row = ((1 - uv[:, 1]) * shape[0]).astype(int).clip(0, shape[0] - 1)
    return column, row


def _region_mask(folder: Path, region: str) -> np.ndarray:
    """Mask (512, 512) uint8 of a skin region over the model's own texture coordinates, row 0 at v = 1."""
    import cv2

    atlas = makehuman.read_skin_mask(folder, region)
    height, width = atlas.shape
    left, bottom, side = _FACE_PATCH
    centre = (np.arange(_MASK_SIZE) + 0.5) / _MASK_SIZE
    u, v = np.meshgrid(centre, 1 - centre)
    atlas_x, atlas_y = left + (1 - v) * side, bottom + u * side
    column, row = atlas_x * width - 0.5, (1 - atlas_y) * height - 0.5
    return cv2.remap(atlas, column.astype(np.float32), row.astype(np.float32), cv2.INTER_LINEAR)


def _aligned(samples: np.ndarray, mesh: _HeadMesh) -> tuple[np.ndarray, float]:
    """Samples (M, N, 3) brought together by similarities on the front of the head, and the base mesh's scale there."""
    _, y, z = (mesh.vertices / makehuman.DECIMETRE).T
    skin = np.zeros(len(mesh.vertices), bool)
    skin[mesh.triangles[mesh.material == SKIN]] = True
    front = np.flatnonzero(skin & (y > 6.15) & (z > 0.2))
    # In millimetres of the average head: its size is the mean of the samples' own.
    mean = samples.mean(0, dtype=np.float64)
    for _ in range(3):
        for k, head in enumerate(samples):
            samples[k] = _similar(head.astype(np.float64), mean, front)[0]
        mean = _similar(samples.mean(0, dtype=np.float64), mean, front)[0]
    return samples, _similar(mesh.vertices, mean, front)[1]


def _similar(shape: np.ndarray, target: np.ndarray, vertices: np.ndarray) -> tuple[np.ndarray, float]:
    """`shape` (N, 3) moved by the similarity that fits some vertices to `target` best (Umeyama 1991), and its scale."""
    centre, target_centre = shape[vertices].mean(0), target[vertices].mean(0)
    source, aim = shape[vertices] - centre, target[vertices] - target_centre
    u, singular, vt = np.linalg.svd(aim.T @ source)
    flip = np.array([1, 1, np.sign(np.linalg.det(u @ vt))])
    scale = (singular * flip).sum() / (source**2).sum()
    return scale * (shape - centre) @ (u * flip @ vt).T + target_centre, scale


def _natural_activations(settings: EmbeddedModelSettings, rng: np.random.Generator) -> np.ndarray:
    return np.stack([expressions.sample_activations(settings.sequence_frames, rng) for _ in range(settings.sequences)])


def _expression_basis(units: np.ndarray, activations: np.ndarray, components: int, subspace: str) -> np.ndarray:
    """Orthonormal basis (3N, components) of expressions `activations` (M, K) @ `units` (K, 3N), about rest.

    The columns are in order of energy, whichever way their span was chosen.
    """
    second_moment = activations.T @ activations / len(activations)
    frame, mixing = np.linalg.qr(units.T)
    if subspace == "energy":
        scatter = mixing @ second_moment @ mixing.T
    else:
        alike = mixing / np.linalg.norm(units, axis=1)
        scatter = alike @ _side_correlation() @ alike.T
    chosen = _leading_eigenvectors(scatter, components)[1]
    energy = chosen.T @ mixing @ second_moment @ mixing.T @ chosen
    rotation = _leading_eigenvectors(energy, components)[1]
    return _with_fixed_signs(frame @ chosen @ rotation)


def _balanced_deviation(units: np.ndarray) -> np.ndarray:
    """Root mean square (n_e,) in mm, about rest, of coefficients when all units (K, n_e) are used equally often.

    In natural sequences a cheek is hardly ever puffed: measured by those, a puffed cheek would be thirty standard
    deviations of its coefficient, and the errors of the rarest movements would outweigh all others.
    """
    usage, mean_square_strength = 0.2, 1 / 3
    second_moment = usage * mean_square_strength * _side_correlation()
    return np.sqrt(np.einsum("kj,kl,lj->j", units, second_moment, units))


def _side_correlation() -> np.ndarray:
    """Correlation (K, K) of units that are used alike and independently, but for the two halves of a paired one."""
    names = expressions.EXPRESSION_UNITS
    correlation = np.eye(len(names))
    for group in expressions.UNIT_GROUPS.values():
        columns = [names.index(name) for name in group]
        correlation[np.ix_(columns, columns)] = _PAIR_CORRELATION
    np.fill_diagonal(correlation, 1.0)
    return correlation


def _identity_basis(
    deviations: np.ndarray, expression_basis: np.ndarray | None, components: int
) -> tuple[np.ndarray, np.ndarray]:
    """Orthonormal basis (3N, components) and standard deviations of samples (M, 3N), free of the expression span."""
    if expression_basis is not None:
        expression_basis = expression_basis.astype(np.float32)
        deviations = deviations - (deviations @ expression_basis) @ expression_basis.T
    variance, scores = _leading_eigenvectors((deviations @ deviations.T).astype(np.float64), components)
    basis = np.linalg.qr((deviations.T @ scores.astype(np.float32)).astype(np.float64))[0]
    if expression_basis is not None:
        # Single precision left a trace of the expression span.
        span = np.linalg.qr(expression_basis.astype(np.float64))[0]
        basis = np.linalg.qr(basis - span @ (span.T @ basis))[0]
    return _with_fixed_signs(basis), np.sqrt(variance / (len(deviations) - 1))


def _resting_covariance(deviations: np.ndarray, expression_basis: np.ndarray) -> np.ndarray:
    """Covariance (n_e, n_e) in mm^2 of heads (M, 3N) within the expression span: what `_identity_basis` takes out.

    A low brow is a frown in shape, but not in meaning.
    """
    return np.cov((deviations @ expression_basis.astype(np.float32)).astype(np.float64).T)


def _leading_eigenvectors(matrix: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Largest eigenvalues (count,) of a symmetric matrix, descending, and their vectors (n, count)."""
    from scipy.linalg import eigh

    values, vectors = eigh(matrix, subset_by_index=[len(matrix) - count, len(matrix) - 1])
    return values[::-1].clip(0), vectors[:, ::-1]


def _with_fixed_signs(basis: np.ndarray) -> np.ndarray:
    """Columns turned so that the entry of largest magnitude is positive."""
    largest = np.abs(basis).argmax(0)
    return basis * np.sign(basis[largest, np.arange(basis.shape[1])])


def _eyeballs(mesh: _HeadMesh, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates (N, 3) on the unit eyeball, zero elsewhere; which eye (N,): 1 right, 2 left, 0 none."""
    local, eye = np.zeros_like(mesh.vertices), np.zeros(len(mesh.vertices), int)
    for number, part in enumerate(makehuman.EYEBALLS, start=1):
        ball = np.isin(mesh.base_vertices, makehuman.read_vertex_group(folder, part))
        offsets = mesh.vertices[ball] - mesh.vertices[ball].mean(0)
        local[ball] = offsets / np.linalg.norm(offsets, axis=1).max()
        eye[ball] = number
    return local, eye
