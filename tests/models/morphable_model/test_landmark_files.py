"""Files with the 68 points of somebody's mesh."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from models.errors import ModelMismatchError
from models.morphable_model.loaders.landmark_files import read_landmarks
from models.morphable_model.loaders.published import PublishedModel
from tests.models.morphable_model.published_faces import make_face

FACE = make_face()


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> PublishedModel:
    path = tmp_path_factory.mktemp("model") / "model.mat"
    return PublishedModel(path, "test", "none", FACE.mean / 10, FACE.identity, FACE.expression, FACE.triangles)


def positions_of(landmarks, published) -> np.ndarray:
    return np.einsum("lk,lkd->ld", landmarks.weights, published.mean[landmarks.vertices])


def as_text(path):
    path.write_text(
        "# MULTI-PIE\n" + ", ".join(map(str, FACE.landmarks[:40])) + "\n" + "\n".join(map(str, FACE.landmarks[40:]))
    )


def as_positions(path):
    np.savetxt(path, FACE.mean[FACE.landmarks] / 10 + 0.01)


def as_array(path):
    np.save(path, FACE.landmarks)


def as_position_array(path):
    np.save(path, FACE.mean[FACE.landmarks] / 10)


def as_list(path):
    path.write_text(json.dumps(FACE.landmarks.tolist()))


def as_facekit(path):
    path.write_text(json.dumps({"expressions": [], "idx_to_landmark_verts": FACE.landmarks.tolist()}))


def as_menpo_1(path):
    points = [{"point": point} for point in (FACE.mean[FACE.landmarks] / 10).tolist()]
    groups = [{"label": "jaw", "landmarks": points[:17]}, {"label": "rest", "landmarks": points[17:]}]
    path.write_text(json.dumps({"version": 1, "groups": groups}))


def as_menpo_2(path):
    points = (FACE.mean[FACE.landmarks] / 10).tolist()
    path.write_text(json.dumps({"version": 2, "labels": [], "landmarks": {"points": points, "connectivity": []}}))


def as_menpo_3(path):
    points = (FACE.mean[FACE.landmarks] / 10).tolist()
    path.write_text(json.dumps({"version": 3, "groups": {"PTS": {"labels": [], "landmarks": {"points": points}}}}))


def as_npz(path):
    np.savez(path, vertices=FACE.landmarks)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.txt", as_text),
        ("a.txt", as_positions),
        ("a.npy", as_array),
        ("a.npy", as_position_array),
        ("a.json", as_list),
        ("a.json", as_facekit),
        ("a.ljson", as_menpo_1),
        ("a.ljson", as_menpo_2),
        ("a.ljson", as_menpo_3),
        ("a.npz", as_npz),
    ],
)
def test_every_layout_gives_the_same_vertices(published, tmp_path, name, write):
    write(tmp_path / name)
    np.testing.assert_array_equal(read_landmarks(tmp_path / name, published).vertices[:, 0], FACE.landmarks)


@pytest.mark.parametrize("names", [("lmk_face_idx", "lmk_b_coords"), ("full_lmk_faces_idx", "full_lmk_bary_coords")])
@pytest.mark.parametrize("suffix", [".npz", ".pkl"])
def test_points_on_triangles_lie_where_they_should(published, tmp_path, names, suffix):
    rng = np.random.default_rng(0)
    triangle, weights = rng.integers(len(FACE.triangles), size=68), rng.dirichlet(np.ones(3), 68)
    arrays = dict(zip(names, (triangle[None], weights[None]), strict=True))
    path = tmp_path / f"embedding{suffix}"
    if suffix == ".npz":
        np.savez(path, **arrays)
    else:
        path.write_bytes(pickle.dumps(arrays, 2))
    wanted = np.einsum("lk,lkd->ld", weights, published.mean[FACE.triangles[triangle]])
    np.testing.assert_allclose(positions_of(read_landmarks(path, published), published), wanted)


def test_an_embedding_with_tensors_beside_its_arrays_is_read(published, tmp_path):
    """As DECA's: an .npy of one dictionary, in which points that depend on the pose are tensors."""
    import torch

    rng = np.random.default_rng(3)
    triangle, weights = rng.integers(len(FACE.triangles), size=68), rng.dirichlet(np.ones(3), 68)
    content = {
        "static_lmk_faces_idx": triangle[17:],
        "static_lmk_bary_coords": weights[17:],
        "dynamic_lmk_faces_idx": torch.zeros(79, 17, dtype=torch.int64),
        "full_lmk_faces_idx": triangle[None],
        "full_lmk_bary_coords": weights[None],
    }
    np.save(tmp_path / "landmark_embedding.npy", content, allow_pickle=True)
    wanted = np.einsum("lk,lkd->ld", weights, published.mean[FACE.triangles[triangle]])
    found = read_landmarks(tmp_path / "landmark_embedding.npy", published)
    np.testing.assert_allclose(positions_of(found, published), wanted)


def test_an_npy_that_calls_something_is_refused(published, tmp_path):
    class Calls:
        def __reduce__(self):
            return Path.touch, (tmp_path / "mark",)

    np.save(tmp_path / "landmark_embedding.npy", {"full_lmk_faces_idx": Calls()}, allow_pickle=True)
    with pytest.raises(ModelMismatchError, match=r"landmark_embedding.npy: refused: it asks to call"):
        read_landmarks(tmp_path / "landmark_embedding.npy", published)
    assert not (tmp_path / "mark").exists()


def test_weights_on_vertices_lie_where_they_should(published, tmp_path):
    rng = np.random.default_rng(1)
    vertices, weights = rng.integers(len(FACE.mean), size=(68, 3)), rng.dirichlet(np.ones(3), 68)
    np.savez(tmp_path / "a.npz", vertices=vertices, weights=weights)
    wanted = np.einsum("lk,lkd->ld", weights, published.mean[vertices])
    np.testing.assert_allclose(positions_of(read_landmarks(tmp_path / "a.npz", published), published), wanted)


def test_the_51_inner_points_of_flame_are_not_enough(published, tmp_path):
    np.savez(tmp_path / "static.npz", lmk_face_idx=np.arange(51), lmk_b_coords=np.ones((51, 3)) / 3)
    with pytest.raises(ModelMismatchError, match=r"static.npz: holds 51 points, expected all 68.*lacks the jaw"):
        read_landmarks(tmp_path / "static.npz", published)


@pytest.mark.parametrize(
    ("name", "content", "cause"),
    [
        ("a.txt", "1 2 3", "expected 68 vertices or 68 positions"),
        ("a.txt", "one two", "not readable as 68 landmarks"),
        ("a.txt", " ".join(["99999"] * 68), "names vertex 99999, but .*model.mat has 1085"),
        ("a.txt", " ".join(["-1"] * 68), "belong to another mesh"),
        ("a.txt", "\n".join(["0 0 500"] * 68), "away from the average face"),
        ("a.json", "{}", "not readable"),
        ("a.json", "[1,", "not readable"),
        ("a.ljson", '{"version": 2}', "not readable"),
        ("a.npy", "no array", "not readable"),
        ("a.npz", "no archive", "not an .npz of plain arrays"),
        ("a.pp", "1 2 3", "'.pp' file are not known; use one of .txt, .npy, .json"),
    ],
)
def test_what_is_wrong_is_said(published, tmp_path, name, content, cause):
    (tmp_path / name).write_text(content)
    with pytest.raises(ModelMismatchError, match=rf"{name}: .*{cause}"):
        read_landmarks(tmp_path / name, published)


def test_a_missing_file_is_named(published, tmp_path):
    with pytest.raises(ModelMismatchError, match=r"nowhere.txt: there is no such file"):
        read_landmarks(tmp_path / "nowhere.txt", published)
