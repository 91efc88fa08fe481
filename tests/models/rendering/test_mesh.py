"""Clay renderings."""

import numpy as np

from models.rendering.head import rotation_from_angles
from models.rendering.mesh import draw_mesh, frontal_camera, render_face, vertex_normals


def test_normals_of_a_sphere_point_outwards():
    angle = np.linspace(0, np.pi, 20)
    around = np.linspace(0, 2 * np.pi, 40)
    theta, phi = np.meshgrid(angle[1:-1], around[:-1], indexing="ij")
    sphere = np.stack([np.sin(theta) * np.cos(phi), np.cos(theta), np.sin(theta) * np.sin(phi)], -1).reshape(-1, 3)
    index = np.arange(18 * 39).reshape(18, 39)
    a, b = index[:-1], index[1:]
    quads = np.stack([a, np.roll(a, -1, 1), np.roll(b, -1, 1), b], -1).reshape(-1, 4)
    triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    normals = vertex_normals(sphere, triangles)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-6)
    inner = slice(39, -39)
    assert ((normals * sphere).sum(1)[inner] > 0.98).all()


def test_a_face_is_drawn_on_white_in_the_middle(embedded_model):
    image = render_face(embedded_model, size=(120, 100))
    assert image.shape == (120, 100, 3)
    assert (image[0] == 255).all()
    assert image[60, 50].mean() < 240


def test_a_single_number_asks_for_a_square(embedded_model):
    np.testing.assert_array_equal(render_face(embedded_model, size=64), render_face(embedded_model, size=(64, 64)))


def test_expression_and_rotation_change_the_picture(embedded_model):
    rest = render_face(embedded_model, size=(100, 80)).astype(int)
    smile = embedded_model.extras["units"][list(embedded_model.extras["unit_names"]).index("mouthSmileLeft")]
    smiling = render_face(embedded_model, expression=smile, size=(100, 80))
    turned = render_face(embedded_model, size=(100, 80), rotation=rotation_from_angles(30, 0, 0))
    assert np.abs(smiling - rest).max() > 20
    assert np.abs(turned - rest).mean() > np.abs(smiling - rest).mean()


def test_an_overlay_leaves_the_rest_of_the_photograph_alone(embedded_model):
    photograph = np.random.default_rng(0).integers(0, 256, (90, 90, 3), dtype=np.uint8)
    scale, translation = frontal_camera(embedded_model, (60, 60))
    laid = draw_mesh(photograph, embedded_model.mean, embedded_model, scale, np.eye(3), translation, alpha=0.5)
    np.testing.assert_array_equal(laid[65:], photograph[65:])
    assert (laid[20:40, 20:40] != photograph[20:40, 20:40]).any()
    nothing = draw_mesh(photograph, embedded_model.mean, embedded_model, scale, np.eye(3), translation, alpha=0.0)
    np.testing.assert_array_equal(nothing, photograph)
