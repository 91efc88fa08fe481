"""Reading MakeHuman's files."""

import gzip

import numpy as np

from models.morphable_model import makehuman


def test_a_target_is_read_from_sparse_lines_in_decimetres(tmp_path):
    path = tmp_path / "wide.target.gz"
    path.write_bytes(gzip.compress(b"# comment\n2 .1 -.2 0\n0 0 0 1\n"))
    expected = np.zeros((4, 3))
    expected[2], expected[0] = [10, -20, 0], [0, 0, 100]
    np.testing.assert_allclose(makehuman.read_target(path, 4), expected)


def test_an_empty_target_moves_nothing(tmp_path):
    path = tmp_path / "none.target"
    path.write_text("# nothing\n")
    assert not makehuman.read_target(path, 3).any()


def test_the_base_mesh_is_symmetric_and_has_its_parts():
    base = makehuman.read_base_mesh(makehuman.data_folder())
    assert base.vertices.shape == (19158, 3)
    assert base.quads.max() < len(base.vertices)
    assert base.uv_quads.max() < len(base.uv)
    assert {"body", *makehuman.EYEBALLS, *makehuman.TEETH, *makehuman.TONGUE} <= set(base.groups)


def test_there_are_52_face_units_in_order_of_name():
    units = makehuman.read_face_units(makehuman.data_folder(), np.arange(13380), 19158)
    assert len(units) == 52
    assert list(units) == sorted(units)
    # The tongue is none of the body's vertices asked for here.
    assert {name for name, offsets in units.items() if not offsets.any()} == {"tongueOut"}
