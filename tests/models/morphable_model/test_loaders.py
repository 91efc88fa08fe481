"""Models of other publishers, from files in their own layouts."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from models.errors import ModelMismatchError
from models.fitting import FitSettings, fit_video
from models.fitting.simulation import SimulationSettings, simulate_video
from models.morphable_model import MorphableModel
from models.morphable_model.expressions import EXPRESSION_UNITS
from models.morphable_model.figure import model_figure
from models.morphable_model.loaders import FORMATS, load_face_model
from models.morphable_model.loaders.expression_statistics import ACCELERATION_SHARE
from models.morphable_model.loaders.published import POINTS_OF_53215
from models.morphable_model.model import SKIN
from tests.models.morphable_model.published_faces import (
    Face,
    flame_arrays,
    make_face,
    write_bfm2009,
    write_bfm2017,
    write_ict,
    write_lsfm,
    write_plain,
)

ICT_NAMES = ["jawOpen", "mouthSmile_L", "mouthSmile_R", "browInnerUp_L", "browInnerUp_R"]


@pytest.fixture(scope="module")
def face() -> Face:
    return make_face()


@pytest.fixture(scope="module")
def landmarks(face, tmp_path_factory):
    path = tmp_path_factory.mktemp("landmarks") / "points.txt"
    path.write_text("\n".join(map(str, face.landmarks)))
    return path


@pytest.fixture(scope="module")
def converted(face, landmarks, tmp_path_factory):
    """Function of a format that gives the face, written in that format and read again."""
    folder = tmp_path_factory.mktemp("published")
    models: dict[str, MorphableModel] = {}

    def convert(layout: str) -> MorphableModel:
        if layout not in models:
            match layout:
                case "lsfm":
                    source, expression = write_lsfm(face, folder)
                    models[layout] = load_face_model(source, layout, expression=expression, landmarks=landmarks)
                case "bfm2009":
                    source, expression = write_bfm2009(face, folder)
                    models[layout] = load_face_model(source, layout, expression=expression, landmarks=landmarks)
                case "bfm2017":
                    pytest.importorskip("h5py")
                    source = write_bfm2017(face, folder, np.zeros(face.mean.size))
                    models[layout] = load_face_model(source, layout, landmarks=landmarks)
                case "flame":
                    np.savez(folder / "flame.npz", **flame_arrays(face))
                    models[layout] = load_face_model(folder / "flame.npz", layout, landmarks=landmarks)
                case "ict":
                    models[layout] = load_face_model(write_ict(face, folder, ICT_NAMES), layout)
                case "npz":
                    models[layout] = load_face_model(write_plain(face, folder / "plain.npz"), layout)
        return models[layout]

    return convert


def same_face(model: MorphableModel, face: Face, identity: np.ndarray, expression: np.ndarray) -> float:
    """Largest distance, mm, between a face of the source, in its deviations, and the model's with its coefficients."""
    ours = model.shape(
        identity @ model.extras["published_identity"][: len(identity)],
        expression @ model.extras["published_expression"][: len(expression)],
    )
    return float(np.abs(ours + model.extras["origin"] - face.shape(identity, expression)).max())


@pytest.mark.parametrize("layout", FORMATS)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_face_of_the_source_comes_out_in_millimetres(converted, face, layout, seed):
    rng = np.random.default_rng(seed)
    assert same_face(converted(layout), face, rng.normal(size=6), rng.normal(size=5)) < 1e-3


@pytest.mark.parametrize("layout", FORMATS)
def test_bases_are_orthonormal_and_deviations_those_of_the_source(converted, face, layout):
    model = converted(layout)
    for basis in (model.identity_basis, model.expression_basis):
        basis = basis.astype(np.float64)
        np.testing.assert_allclose(basis.T @ basis, np.eye(basis.shape[1]), atol=1e-5)
    np.testing.assert_allclose(model.identity_std, face.identity_std, rtol=1e-5)
    if layout != "ict":
        np.testing.assert_allclose(model.expression_std, face.expression_std, rtol=1e-4)
        np.testing.assert_allclose(model.expression_covariance, np.diag(face.expression_std**2), atol=0.05)
        np.testing.assert_allclose(
            model.expression_acceleration_covariance, ACCELERATION_SHARE * model.expression_covariance, rtol=1e-5
        )
        assert not model.expression_mean.any()


@pytest.mark.parametrize("layout", FORMATS)
def test_every_model_is_whole(converted, face, layout, tmp_path):
    model = converted(layout)
    np.testing.assert_array_equal(model.landmark_vertices[:, 0], face.landmarks)
    np.testing.assert_allclose(model.landmark_mean.mean(0), 0, atol=1e-3)
    assert model.interocular_distance == pytest.approx(
        np.linalg.norm(np.diff(face.mean[face.landmarks[[36, 45]]], axis=0)), rel=1e-5
    )
    assert model.uv.min() >= 0
    assert model.uv.max() <= 1
    assert (model.material == SKIN).all()
    assert model.licence not in ("", "unknown") or layout == "npz"
    model.save(tmp_path / "model.npz")
    again = MorphableModel.load(tmp_path / "model.npz")
    np.testing.assert_array_equal(again.expression_basis, model.expression_basis)
    assert again.extras.keys() == model.extras.keys()


@pytest.mark.parametrize("layout", FORMATS)
def test_triangles_look_outwards(converted, layout):
    model = converted(layout)
    a, b, c = np.moveaxis(model.mean[model.triangles].astype(np.float64), 1, 0)
    assert np.cross(b - a, c - a)[:, 2].mean() > 0


def test_components_of_less_variance_go_first(face, tmp_path):
    source = write_plain(face, tmp_path / "plain.npz")
    model = load_face_model(source, "npz", identity_size=4, expression_size=2)
    assert (model.identity_size, model.expression_size) == (4, 2)
    np.testing.assert_allclose(model.identity_std, face.identity_std[:4], rtol=1e-5)
    kept = (face.expression_std[:2] ** 2).sum() / (face.expression_std**2).sum()
    assert model.extras["expression_kept"] == pytest.approx(kept, rel=1e-5)


def test_skewed_modes_give_the_same_covariance_of_faces(face, tmp_path):
    mixing = np.random.default_rng(3).normal(size=(6, 6))
    model = load_face_model(write_plain(face, tmp_path / "skewed.npz", identity_basis=face.identity @ mixing), "npz")
    ours = model.identity_basis.astype(np.float64) * model.identity_std
    theirs = face.identity @ mixing
    np.testing.assert_allclose(ours @ ours.T, theirs @ theirs.T, atol=1e-2)


def test_a_mean_expression_is_measured_from_rest(face, tmp_path):
    offset = 0.3 * face.expression[:, 1] + np.random.default_rng(1).normal(size=face.mean.size)
    model = load_face_model(write_plain(face, tmp_path / "plain.npz", expression_mean=offset), "npz")
    assert model.expression_size == 6
    np.testing.assert_allclose(model.expression_basis @ model.expression_mean, offset, atol=1e-3)
    np.testing.assert_allclose(model.shape() + model.extras["origin"], face.mean, atol=1e-3)
    spread = model.expression_basis @ model.expression_covariance @ model.expression_basis.T
    np.testing.assert_allclose(spread, face.expression @ face.expression.T, atol=0.02)
    np.testing.assert_allclose(
        model.expression_std**2, np.diag(model.expression_covariance) + model.expression_mean**2, rtol=1e-3
    )


@pytest.mark.parametrize("unit", [1e-3, 1.0, 10.0, 100.0, 1000.0])
def test_a_plain_model_without_a_unit_is_sized_by_its_eyes(face, tmp_path, unit):
    changes = {
        name: getattr(face, name.split("_")[0]) / unit for name in ("mean", "identity_basis", "expression_basis")
    }
    model = load_face_model(write_plain(face, tmp_path / "plain.npz", **changes), "npz")
    assert same_face(model, face, np.ones(6), np.ones(5)) < 1e-3


def test_axes_of_a_plain_model_are_turned(face, tmp_path):
    def turned(modes):
        return (modes.reshape(len(face.mean), 3, -1)[:, [2, 0, 1]] * [[[1], [1], [-1]]]).reshape(modes.shape)

    source = write_plain(
        face,
        tmp_path / "turned.npz",
        mean=turned(face.mean),
        identity_basis=turned(face.identity),
        expression_basis=turned(face.expression),
        axes=np.array("+y -z +x"),
    )
    model = load_face_model(source, "npz")
    assert same_face(model, face, np.ones(6), -np.ones(5)) < 1e-3


def test_a_face_that_looks_elsewhere_is_refused(face, tmp_path):
    source = write_plain(face, tmp_path / "back.npz", mean=face.mean * [-1, 1, -1])
    with pytest.raises(ModelMismatchError, match=r"all of which must be positive.*its axes are others"):
        load_face_model(source, "npz")


def test_lsfm_uses_28_of_29_expressions(converted):
    assert converted("lsfm").extras["published_expression"].shape[0] == 28


def test_lsfm_components_scaled_by_their_deviations_are_recognised(face, landmarks, tmp_path):
    source, expression = write_lsfm(face, tmp_path)
    arrays = {"mean": face.mean / 100, "components": face.identity / 100, "trilist": face.triangles}
    savemat(source, arrays | {"eigenvalues": (face.identity_std / 100) ** 2})
    model = load_face_model(source, "lsfm", expression=expression, landmarks=landmarks)
    assert same_face(model, face, np.ones(6), np.ones(5)) < 1e-3


def test_lsfm_in_one_file_splits_identity_from_expression(face, landmarks, tmp_path):
    modes = np.column_stack([face.identity, face.expression]) / 100
    std = np.linalg.norm(modes, axis=0)
    arrays = {"mean": face.mean / 100, "components": modes / std, "eigenvalues": std**2, "trilist": face.triangles}
    savemat(tmp_path / "both.mat", arrays | {"n_trunc_ids": 6, "n_trunc_expressions": 5})
    model = load_face_model(tmp_path / "both.mat", "lsfm", landmarks=landmarks)
    assert same_face(model, face, np.ones(6), np.ones(5)) < 1e-3


def test_lsfm_as_a_structure_has_scaled_bases(face, landmarks, tmp_path):
    arrays = {"mean": face.mean.reshape(-1, 1), "id_basis": face.identity, "exp_basis": face.expression}
    savemat(tmp_path / "fmod.mat", {"fmod": arrays | {"tri": face.triangles.T + 1}})
    model = load_face_model(tmp_path / "fmod.mat", "lsfm", landmarks=landmarks)
    assert same_face(model, face, np.ones(6), np.ones(5)) < 1e-3
    np.testing.assert_array_equal(np.sort(model.triangles, 1), np.sort(face.triangles, 1))


def test_the_known_points_are_68_different_vertices():
    assert len(set(POINTS_OF_53215)) == 68
    assert POINTS_OF_53215.max() < 53215


def test_a_basel_mean_expression_comes_along(face, landmarks, tmp_path):
    pytest.importorskip("h5py")
    offset = 2 * face.expression[:, 0]
    model = load_face_model(write_bfm2017(face, tmp_path, offset), "bfm2017", landmarks=landmarks)
    np.testing.assert_allclose(model.expression_basis @ model.expression_mean, offset, atol=1e-3)


def test_basel_bases_scaled_by_their_deviations_are_recognised(face, landmarks, tmp_path):
    h5py = pytest.importorskip("h5py")
    path = write_bfm2017(face, tmp_path, np.zeros(face.mean.size))
    with h5py.File(path, "a") as file:
        file["shape/model/pcaBasis"][...] = face.identity
    assert same_face(load_face_model(path, "bfm2017", landmarks=landmarks), face, np.ones(6), np.ones(5)) < 1e-3
    with h5py.File(path, "a") as file:
        file["shape/model/pcaBasis"][...] = 7 * face.identity
    with pytest.raises(ModelMismatchError, match=r"model2017-1_bfm_nomouth.h5: the columns of shape/model/pcaBasis"):
        load_face_model(path, "bfm2017", landmarks=landmarks)


def test_without_h5py_the_cure_is_named(face, tmp_path, monkeypatch):
    (tmp_path / "model2019_bfm.h5").write_bytes(b"\x89HDF")
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(ModelMismatchError, match=r"model2019_bfm.h5: needs the package h5py .*pip install h5py"):
        load_face_model(tmp_path / "model2019_bfm.h5", "bfm2017")


def test_a_flame_pickle_gives_the_model_of_its_arrays(face, converted, landmarks, tmp_path):
    for protocol in (2, 4, 5):
        path = tmp_path / f"generic{protocol}.pkl"
        path.write_bytes(pickle.dumps(flame_arrays(face) | {"bs_type": "lrotmin"}, protocol))
        model = load_face_model(path, "flame", landmarks=landmarks)
        np.testing.assert_array_equal(model.identity_basis, converted("flame").identity_basis)


def test_the_jaw_of_flame_is_a_movement_of_the_expression(face, landmarks, tmp_path):
    joint = np.array([0, -20, 20]) / 1e3
    weights = np.zeros((len(face.mean), 5))
    weights[:, 2] = 1 / (1 + np.exp((face.mean[:, 1] + 45) / 4))
    arrays = flame_arrays(face) | {"J": np.tile(joint, (5, 1)), "weights": weights}
    arrays["posedirs"] = np.zeros((len(face.mean), 3, 36))
    np.savez(tmp_path / "jaw.npz", **arrays)
    model = load_face_model(tmp_path / "jaw.npz", "flame", landmarks=landmarks)
    assert model.expression_size == 8
    angle = 0.01
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    arm = face.mean / 1e3 - joint
    opened = 1e3 * weights[:, 2, None] * (arm @ turn.T - arm)
    chin = face.landmarks[8]
    assert opened[chin, 1] < 0
    explained = model.expression_basis @ (model.expression_basis.T @ opened.reshape(-1))
    np.testing.assert_allclose(explained, opened.reshape(-1), atol=0.01)


def test_blend_shapes_of_ict_become_face_units(converted, face):
    model = converted("ict")
    # Not all of ARKit's names are there: the shapes themselves are the units.
    assert list(model.extras["unit_names"])[:2] == ["jawOpen", "mouthSmileLeft"]
    smile = model.extras["units"][1] @ model.expression_basis.T
    np.testing.assert_allclose(smile, face.expression[:, 1], atol=1e-3)
    assert (model.expression_mean @ model.extras["units"].T > 0).any()


def test_all_of_arkits_names_bring_natural_statistics(face, tmp_path):
    rng = np.random.default_rng(2)
    names = [name for name in EXPRESSION_UNITS if name not in ("browInnerUp", "cheekPuff")]
    names = np.array([*names, "browInnerUpLeft", "browInnerUpRight", "cheekPuffLeft", "cheekPuffRight"])
    shapes = 10 * rng.normal(size=(face.mean.size, len(names)))
    source = write_plain(face, tmp_path / "arkit.npz", expression_basis=shapes, expression_names=names)
    model = load_face_model(source, "npz", expression_size=45)
    assert tuple(model.extras["unit_names"]) == EXPRESSION_UNITS
    both = shapes[:, names == "browInnerUpLeft"] + shapes[:, names == "browInnerUpRight"]
    unit = model.extras["units"][EXPRESSION_UNITS.index("browInnerUp")]
    np.testing.assert_allclose(model.expression_basis @ unit, both[:, 0], atol=0.01)
    assert np.linalg.eigvalsh(model.expression_covariance).min() > -1e-3
    assert np.trace(model.expression_acceleration_covariance) < np.trace(model.expression_covariance)


def test_the_whole_head_of_ict_loses_the_films_over_its_eyes(monkeypatch, face, tmp_path):
    from models.morphable_model.loaders import ict

    monkeypatch.setattr(ict, "_VERTICES", len(face.mean))
    monkeypatch.setattr(ict, "_OPAQUE", len(face.mean) - 40)
    monkeypatch.setattr(ict, "_PARTS", ((0, SKIN), (len(face.mean) - 150, 1)))
    model = load_face_model(write_ict(face, tmp_path, ICT_NAMES), "ict")
    assert len(model.mean) == len(face.mean) - 40
    assert model.triangles.max() < len(model.mean)
    assert set(model.material) == {0, 1}
    assert len(model.uv_triangles) == len(model.material) == len(model.triangles)


@pytest.mark.parametrize("layout", ["lsfm", "ict"])
def test_a_video_is_fitted_with_a_converted_model(converted, layout):
    model = converted(layout)
    video = simulate_video(model, SimulationSettings(frames=60, expression="process", noise=0.003), seed=4)
    fit = fit_video(video.landmarks, model, FitSettings())
    assert np.median(fit.residual) < 0.02
    unexplained = ((fit.expression - video.expression) ** 2).sum() / (video.expression**2).sum()
    assert unexplained < 0.5


def test_a_converted_model_can_be_pictured(converted):
    figure = model_figure(converted("npz"), modes=4, deviations=2.0)
    assert "mean of 'plain'" in figure.subfigs[0].axes[0].get_title()


def test_an_unknown_format_lists_the_known_ones(tmp_path):
    with pytest.raises(ModelMismatchError, match=r"unknown format 'obj'; use one of lsfm, bfm2009"):
        load_face_model(tmp_path / "a.obj", "obj")


@pytest.mark.parametrize("layout", FORMATS)
def test_a_missing_source_is_named(layout, tmp_path):
    with pytest.raises(ModelMismatchError, match=r"nowhere"):
        load_face_model(tmp_path / "nowhere.npz", layout)


@pytest.mark.parametrize("layout", FORMATS)
def test_a_file_of_another_format_is_named(layout, tmp_path):
    path = tmp_path / "other.bin"
    path.write_bytes(b"something else entirely")
    with pytest.raises(ModelMismatchError, match=r"other.bin"):
        load_face_model(path, layout, expression=None)


def test_a_missing_key_is_named_with_those_there(face, tmp_path):
    savemat(tmp_path / "wrong.mat", {"mean": face.mean, "basis": face.identity})
    with pytest.raises(ModelMismatchError, match=r"wrong.mat: has no 'components' \(it has basis, mean\)"):
        load_face_model(tmp_path / "wrong.mat", "lsfm")
    source = write_plain(face, tmp_path / "plain.npz", triangles=None)
    with pytest.raises(ModelMismatchError, match=r"plain.npz: has no 'triangles'"):
        load_face_model(source, "npz")


def test_a_second_file_that_is_needed_is_asked_for(face, tmp_path):
    with pytest.raises(ModelMismatchError, match=r"--expression Model_Exp.mat"):
        load_face_model(write_lsfm(face, tmp_path)[0], "lsfm")
    with pytest.raises(ModelMismatchError, match=r"--expression Exp_Pca.bin"):
        load_face_model(write_bfm2009(face, tmp_path)[0], "bfm2009")


def test_a_second_file_that_is_not_needed_is_refused(face, tmp_path):
    for layout in ("flame", "ict"):
        with pytest.raises(ModelMismatchError, match=r"more.mat: .*leave this one out"):
            load_face_model(tmp_path, layout, expression=tmp_path / "more.mat")


def test_expressions_of_another_mesh_are_refused(face, tmp_path):
    source, expression = write_lsfm(face, tmp_path)
    savemat(expression, {"w_exp": np.ones((30, 29))})
    message = rf"all_all_all.mat: the mean has {len(face.mean)} vertices and the expression basis 10"
    with pytest.raises(ModelMismatchError, match=message):
        load_face_model(source, "lsfm", expression=expression)
    source, expression = write_bfm2009(face, tmp_path)
    expression.write_bytes(expression.read_bytes()[:-12])
    with pytest.raises(ModelMismatchError, match=r"Exp_Pca.bin: has .* bytes; 5 components"):
        load_face_model(source, "bfm2009", expression=expression)


def test_unknown_landmarks_are_asked_for(face, tmp_path):
    source = write_plain(face, tmp_path / "plain.npz", landmarks=None)
    with pytest.raises(ModelMismatchError, match=r"68 landmarks are not known.*--landmarks"):
        load_face_model(source, "npz")


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"identity_std": np.ones(3)}, "'identity_std' holds 3 numbers, expected 6"),
        ({"triangles": np.array([[0, 1, 99999]])}, "names vertex 99999"),
        ({"triangles": np.array([[0, -1, 2]])}, "names vertex -1"),
        ({"unit": np.array("inch")}, "unknown unit 'inch'; use one of um, mm"),
        ({"unit": np.array("m")}, "eye corners are .* mm apart; correct the unit"),
        ({"axes": np.array("+x +x -z")}, "not three axes"),
        ({"mean": np.zeros((7, 2))}, "'mean' has shape"),
        ({"landmarks": np.arange(51)}, "51 landmarks, expected the 68"),
        ({"landmarks": np.arange(68) + 10**6}, "landmarks belong to another mesh"),
        ({"expression_names": np.array(["jawOpen"])}, "1 names for 5 expression shapes"),
        ({"identity_basis": np.full((3 * 31 * 35, 6), np.nan)}, "not finite"),
    ],
)
def test_arrays_that_do_not_fit_are_explained(face, tmp_path, changes, cause):
    source = write_plain(face, tmp_path / "odd.npz", **changes)
    with pytest.raises(ModelMismatchError, match=f"odd.npz: .*{cause}"):
        load_face_model(source, "npz")
