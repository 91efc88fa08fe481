"""Surfaces come out of VRML as scanners and their software write it."""

import gzip

import numpy as np
import pytest

from models.errors import ScanError
from models.rgbd.vrml import read_indexed_faces

SQUARE = "0 0 0, 1 0 0, 1 1 0, 0 1 0"


def read(tmp_path, text: str):
    path = tmp_path / "scan.wrl"
    path.write_text(text)
    return read_indexed_faces(path)


def shape(inside: str = "", index: str = "0, 1, 2, -1, 0, 2, 3, -1", points: str = SQUARE) -> str:
    return f"Shape {{ geometry IndexedFaceSet {{ coord Coordinate {{ point [ {points} ] }} coordIndex [ {index} ] {inside} }} }}"  # noqa: E501


def test_points_faces_and_texture_of_vrml_2_are_read(tmp_path):
    texture = "texCoord TextureCoordinate { point [ 0 0, 1 0, 1 1 ] } texCoordIndex [ 0 1 2 -1 0 2 1 -1 ]"
    faces = read(tmp_path, "#VRML V2.0 utf8\n" + shape(texture))
    np.testing.assert_array_equal(faces.points, [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    np.testing.assert_array_equal(faces.triangles, [[0, 1, 2], [0, 2, 3]])
    np.testing.assert_array_equal(faces.texture_points, [[0, 0], [1, 0], [1, 1]])
    np.testing.assert_array_equal(faces.texture_triangles, [[0, 1, 2], [0, 2, 1]])


def test_points_and_faces_of_vrml_1_stand_side_by_side(tmp_path):
    faces = read(
        tmp_path,
        "#VRML V1.0 ascii\nSeparator { Transform { translation 0 0 5 }\n"
        f"Coordinate3 {{ point [ {SQUARE} ] }} TextureCoordinate2 {{ point [ 0 0, 1 0, 1 1, 0 1 ] }}\n"
        "IndexedFaceSet { coordIndex [ 0,1,2,-1 ] textureCoordIndex [ 3,2,1,-1 ] } }",
    )
    np.testing.assert_array_equal(faces.points[:, 2], 5)
    np.testing.assert_array_equal(faces.triangles, [[0, 1, 2]])
    np.testing.assert_array_equal(faces.texture_triangles, [[3, 2, 1]])


def test_what_a_separator_moves_stays_inside_it(tmp_path):
    coordinates = f"Coordinate3 {{ point [ {SQUARE} ] }} IndexedFaceSet {{ coordIndex [ 0 1 2 -1 ] }}"
    faces = read(
        tmp_path,
        f"#VRML V1.0 ascii\nSeparator {{ Separator {{ Translation {{ translation 9 0 0 }} {coordinates} }}"
        f" Separator {{ {coordinates} }} }}",
    )
    np.testing.assert_array_equal(faces.points[:, 0], [9, 10, 10, 9, 0, 1, 1, 0])
    np.testing.assert_array_equal(faces.triangles, [[0, 1, 2], [4, 5, 6]])


def test_transforms_of_vrml_2_scale_turn_and_shift_in_this_order(tmp_path):
    faces = read(
        tmp_path,
        "#VRML V2.0 utf8\nTransform { scale 2 2 2 rotation 0 0 1 1.5707963267948966 translation 0 0 7 "
        f"children [ {shape()} ] }}",
    )
    np.testing.assert_allclose(faces.points[1], [0, 2, 7], atol=1e-9)


def test_polygons_become_triangles_and_lines_are_passed_over(tmp_path):
    faces = read(tmp_path, "#VRML V2.0 utf8\n" + shape(index="0 1 2 3 -1 0 1 -1 3 2 1"))
    assert sorted(map(tuple, faces.triangles.tolist())) == [(0, 1, 2), (0, 2, 3), (3, 2, 1)]


def test_faces_that_are_clockwise_are_turned_over(tmp_path):
    faces = read(tmp_path, "#VRML V2.0 utf8\n" + shape("ccw FALSE", "0 1 2 -1"))
    np.testing.assert_array_equal(faces.triangles, [[2, 1, 0]])


def test_comments_and_braces_in_strings_mean_nothing(tmp_path):
    faces = read(
        tmp_path,
        '#VRML V2.0 utf8\n# Shape {{{ \nWorldInfo { title "a # } [ \\" {" } # }\n' + shape(points=SQUARE + " # end\n"),
    )
    assert len(faces.points) == 4


def test_a_node_is_used_again_by_its_name(tmp_path):
    again = "Shape { geometry IndexedFaceSet { coord USE points coordIndex [ 2 1 0 -1 ] } }"
    text = "#VRML V2.0 utf8\n" + shape(index="0 1 2 -1").replace("Coordinate {", "DEF points Coordinate {") + again
    np.testing.assert_array_equal(read(tmp_path, text).triangles, [[0, 1, 2], [6, 5, 4]])


@pytest.mark.parametrize("number", ["nan", "-1.#IND", "1.#QNAN0", "nan(ind)"])
def test_numbers_that_are_none_are_handed_on(tmp_path, number):
    faces = read(tmp_path, "#VRML V2.0 utf8\n" + shape(points=SQUARE.replace("1 1 0", f"1 {number} 0")))
    np.testing.assert_array_equal(np.isnan(faces.points[:, 1]), [False, False, True, False])


def test_a_compressed_file_is_read(tmp_path):
    path = tmp_path / "scan.wrz"
    path.write_bytes(gzip.compress(b"#VRML V2.0 utf8\n" + shape().encode()))
    assert len(read_indexed_faces(path).triangles) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("solid scan", "is no VRML"),
        ("", "found nothing"),
        ("#VRML V2.0 utf8\n", "no surface"),
        ("#VRML V2.0 utf8\n" + shape()[:-3], "ends in the middle of a IndexedFaceSet"),
        ("#VRML V2.0 utf8\n" + shape()[:80], "ends in the middle of Coordinate.point"),
        ("#VRML V2.0 utf8\n" + shape(points="0 0 0, 1 0"), "no multiple of 3"),
        ("#VRML V2.0 utf8\n" + shape(points=SQUARE.replace("1 1 0", "1 x 0")), "no number"),
        ("#VRML V2.0 utf8\n" + shape(index="0 1 7 -1"), "1 of 1 faces point at points that are not there"),
        ("#VRML V2.0 utf8\n" + shape("texCoord TextureCoordinate { point [0 0] } texCoordIndex [0 -1]"), "as many"),
        ("#VRML V2.0 utf8\n" + "Group { " * 5000, "nested too deeply"),
        *(
            (f"#VRML V2.0 utf8\nTransform {{ {field} children [ {shape()} ] }}", message)
            for field, message in (
                ("rotation 0 0 1", "Transform.rotation should be 4 numbers, found 0 0 1"),
                ("rotation 0 0 1 0.5 7", "should be 4 numbers, found 0 0 1 0.5 7"),
                ("rotation 0 0 1 nan", "should be 4 numbers, found 0 0 1 nan"),
                ("translation 1 2", "Transform.translation should be 3 numbers, found 1 2"),
                ("scale 2", "Transform.scale should be 3 numbers, found 2"),
                ("center [ ]", "Transform.center should be 3 numbers, found none"),
            )
        ),
        (f"#VRML V1.0 ascii\nMatrixTransform {{ matrix 1 0 0 }} {shape()}", "MatrixTransform.matrix should be 16"),
    ],
)
def test_broken_files_are_named_with_what_is_wrong(tmp_path, text, message):
    with pytest.raises(ScanError, match=message) as caught:
        read(tmp_path, text)
    assert "scan.wrl" in str(caught.value)
