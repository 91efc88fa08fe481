"""A small face, and files of it in every publisher's layout."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.io import savemat


@dataclass(frozen=True)
class Face:
    """A linear face model in millimetres, x to the subject's left, y up, z ahead.

    `identity` (3N, 6) and `expression` (3N, 5) are the movements at one standard deviation; their columns are
    orthogonal within each, and identity's are in order of length.
    """

    mean: np.ndarray
    triangles: np.ndarray
    landmarks: np.ndarray
    identity: np.ndarray
    expression: np.ndarray

    @property
    def identity_std(self) -> np.ndarray:
        return np.linalg.norm(self.identity, axis=0)

    @property
    def expression_std(self) -> np.ndarray:
        return np.linalg.norm(self.expression, axis=0)

    def shape(self, identity: np.ndarray, expression: np.ndarray) -> np.ndarray:
        """Vertices (N, 3) for coefficients in standard deviations."""
        return self.mean + (self.identity @ identity + self.expression @ expression).reshape(-1, 3)


def make_face(columns: int = 31, rows: int = 35) -> Face:
    """A mask with a nose, and smooth random movements."""
    u, v = np.meshgrid(np.linspace(-1, 1, columns), np.linspace(-1, 1, rows))
    nose = 22 * np.exp(-((u / 0.15) ** 2) - ((v / 0.2) ** 2))
    z = 75 * np.sqrt(np.clip(1.3 - u**2 - 0.25 * v**2, 0.02, None)) + nose
    mean = np.stack([72 * u, 100 * v, z], -1).reshape(-1, 3)
    cells = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).reshape(-1)
    right, above, beyond = cells + 1, cells + columns, cells + columns + 1
    triangles = np.concatenate([np.stack([cells, right, above], 1), np.stack([right, beyond, above], 1)])
    distance = np.linalg.norm(mean[None, :, :2] - _marked_points()[:, None], axis=2)
    rng = np.random.default_rng(5)
    movements = []
    for scales in (np.geomspace(90, 25, 6), np.geomspace(70, 20, 5)):
        waves = np.sin(mean[:, :2] / 45 @ rng.normal(size=(2, len(scales))) + rng.uniform(0, 6, len(scales)))
        columns_ = (waves[:, None] * rng.normal(size=(1, 3, len(scales)))).reshape(mean.size, -1)
        movements.append(np.linalg.qr(columns_)[0] * scales)
    return Face(mean, triangles, distance.argmin(1), *movements)


def _marked_points() -> np.ndarray:
    """The 68 points (68, 2) on a face seen from the front, mm."""
    angle = np.linspace(np.pi, 2 * np.pi, 17)
    jaw = np.stack([66 * np.cos(angle), 85 * np.sin(angle)], 1)
    brow = np.stack([np.linspace(-55, -14, 5), 45 + 8 * np.sin(np.linspace(0, np.pi, 5))], 1)
    nose = np.concatenate([[[0, y] for y in (32, 21, 10, 0)], [[x, -12] for x in (-14, -7, 0, 7, 14)]])
    turn = np.pi - np.arange(6) * np.pi / 3
    eye = np.stack([-29 + 15 * np.cos(turn), 27 + 7 * np.sin(turn)], 1)
    outer, inner = np.pi - np.arange(12) * np.pi / 6, np.pi - np.arange(8) * np.pi / 4
    lips = [np.stack([r * np.cos(a), -42 + h * np.sin(a)], 1) for r, h, a in ((26, 14, outer), (20, 6, inner))]
    mirrored = np.array([-1, 1])
    left_eye = (eye * mirrored)[[3, 2, 1, 0, 5, 4]]
    return np.concatenate([jaw, brow, brow[::-1] * mirrored, nose, eye, left_eye, *lips])


def write_lsfm(face: Face, folder: Path) -> tuple[Path, Path]:
    """LSFM's file and 300W-3D's Model_Exp.mat: units of 100 mm and micrometres, 29 columns of expression."""
    source, expression = folder / "all_all_all.mat", folder / "Model_Exp.mat"
    savemat(
        source,
        {
            "mean": face.mean.reshape(-1) / 100,
            "components": face.identity / face.identity_std,
            "eigenvalues": (face.identity_std / 100) ** 2,
            "trilist": face.triangles,
            "n_training_samples": 8402,
        },
    )
    columns = np.zeros((face.mean.size, 29))
    columns[:, : face.expression.shape[1]] = face.expression * 4e3 / 1.00068469
    columns[:, 28] = 1e6
    savemat(expression, {"w_exp": columns, "mu_exp": np.ones((face.mean.size, 1))})
    return source, expression


def write_bfm2009(face: Face, folder: Path) -> tuple[Path, Path]:
    """The Basel model's three files: micrometres, 10 vertices more than the expressions, counted from 1, inside out."""
    source, expression = folder / "01_MorphableModel.mat", folder / "Exp_Pca.bin"
    more = 10
    count = len(face.mean)
    pad = np.full((3 * more, 6), 0.5)
    savemat(
        source,
        {
            "shapeMU": 1e3 * np.concatenate([np.zeros(3 * more), face.mean.reshape(-1)])[:, None],
            "shapePC": np.concatenate([pad, face.identity / face.identity_std]),
            "shapeEV": 1e3 * face.identity_std[:, None],
            "tl": np.concatenate([[[1, 2, 3]], face.triangles[:, ::-1] + 1 + more]).astype(float),
        },
    )
    numbers = np.concatenate([np.zeros((1, 3 * count)), (face.expression / face.expression_std).T]).astype("<f4")
    expression.write_bytes(np.array([5], "<i4").tobytes() + numbers.tobytes())
    (folder / "std_exp.txt").write_text(" ".join(f"{value:.9g}" for value in 1e3 * face.expression_std) + "\n")
    savemat(folder / "BFM_exp_idx.mat", {"trimIndex": np.arange(1 + more, count + 1 + more)[:, None]})
    return source, expression


def write_bfm2017(face: Face, folder: Path, mean_expression: np.ndarray) -> Path:
    """Statismo's HDF5: millimetres, variances, cells (3, T), and a mean offset (3N,) of expressions from rest."""
    import h5py

    path = folder / "model2017-1_bfm_nomouth.h5"
    with h5py.File(path, "w") as file:
        for part, mean, modes in (
            ("shape", face.mean.reshape(-1), face.identity),
            ("expression", mean_expression, face.expression),
        ):
            std = np.linalg.norm(modes, axis=0)
            file[f"{part}/model/mean"] = mean.astype(np.float32)
            file[f"{part}/model/pcaBasis"] = (modes / std).astype(np.float32)
            file[f"{part}/model/pcaVariance"] = (std**2).astype(np.float32)
            file[f"{part}/representer/cells"] = face.triangles.T.astype(np.int32)
            file[f"{part}/representer/points"] = face.mean.T.astype(np.float32)
        file["metadata/landmarks/json"] = json.dumps([{"id": "center.nose.tip", "coordinates": [0, 0, 0]}])
    return path


def flame_arrays(face: Face) -> dict[str, np.ndarray]:
    """FLAME's arrays without a joint for the jaw: metres, 300 directions of identity and 100 of expression."""
    directions = np.zeros((face.mean.size, 400))
    directions[:, : face.identity.shape[1]] = face.identity / 1e3
    directions[:, 300 : 300 + face.expression.shape[1]] = face.expression / 1e3
    return {
        "v_template": face.mean / 1e3,
        "shapedirs": directions.reshape(-1, 3, 400),
        "f": face.triangles.astype(np.uint32),
    }


def write_ict(face: Face, folder: Path, names: list[str]) -> Path:
    """ICT-FaceKit's folder: .obj files in centimetres; one blend shape for each column of expression."""
    target = folder / "FaceXModel"
    target.mkdir()
    faces = "".join("f " + " ".join(f"{a + 1}/{a + 1}" for a in corner) + "\n" for corner in face.triangles)
    uv = (face.mean[:, :2] - face.mean[:, :2].min(0)) / np.ptp(face.mean[:, :2], axis=0)
    coordinates = "".join(f"vt {a:.9f} {b:.9f}\n" for a, b in uv)

    def write(name: str, offset: np.ndarray) -> None:
        vertices = (face.mean + offset.reshape(-1, 3)) / 10
        lines = "".join(f"v {x:.12f} {y:.12f} {z:.12f}\n" for x, y, z in vertices)
        (target / f"{name}.obj").write_text(lines + coordinates + faces)

    write("generic_neutral_mesh", np.zeros(face.mean.size))
    for number, column in enumerate(face.identity.T):
        write(f"identity{number:03d}", column)
    for name, column in zip(names, face.expression.T, strict=True):
        write(name, column)
    listed = {"expressions": [*names, "eyeLookUp_L"], "idx_to_landmark_verts": face.landmarks.tolist()}
    (target / "vertex_indices.json").write_text(json.dumps(listed))
    return target


def write_plain(face: Face, path: Path, **changes: np.ndarray) -> Path:
    """The plain .npz, with some of its arrays changed; None leaves one out."""
    arrays = {
        "mean": face.mean,
        "identity_basis": face.identity,
        "expression_basis": face.expression,
        "triangles": face.triangles,
        "landmarks": face.landmarks,
    } | changes
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
    return path
