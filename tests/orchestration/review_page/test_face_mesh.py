"""The face that browsers turn: a whole glTF file that moves with the expression."""

import io
from dataclasses import replace

import numpy as np
import pytest
import trimesh

from models.morphable_model.model import TEETH
from orchestration.review_page.face_mesh import SETBACK, UNIT, face_glb


def read(glb):
    return trimesh.load(io.BytesIO(glb), file_type="glb", force="mesh", process=False)


def test_the_file_holds_every_triangle_upright_and_around_the_origin(small_model):
    mesh = read(face_glb(small_model, np.zeros(28)))
    size = np.ptp(small_model.mean, axis=0) / UNIT
    assert len(mesh.faces) == len(small_model.triangles)
    assert np.ptp(mesh.vertices, axis=0) == pytest.approx(size[[0, 2, 1]], rel=1e-4)
    assert (mesh.vertices.max(0) + mesh.vertices.min(0)) / 2 == pytest.approx([0, 0, 0], abs=1e-4)
    # The nose, nearest to the viewer in the model, is what the scene's camera sees nearest.
    nose = small_model.mean[:, 2].argmax()
    assert mesh.vertices[:, 1].min() == pytest.approx(-np.ptp(small_model.mean[:, 2]) / 2 / UNIT, rel=1e-4)
    assert small_model.mean[nose, 2] == small_model.mean[:, 2].max()


def test_the_expression_moves_it(small_model):
    rest, moved = (read(face_glb(small_model, e)).vertices for e in (np.zeros(28), small_model.expression_std))
    offset = np.linalg.norm(moved - rest, axis=1) * UNIT
    expected = small_model.shape(None, small_model.expression_std) - small_model.mean
    assert offset.max() == pytest.approx(np.linalg.norm(expected, axis=1).max(), rel=1e-3)


def test_teeth_stand_back_and_the_surface_is_dull(small_model):
    material = small_model.material.copy()
    material[:10] = TEETH
    teeth = replace(small_model, material=material)
    mesh, plain = read(face_glb(teeth, np.zeros(28))), read(face_glb(small_model, np.zeros(28)))
    moved = mesh.triangles[-10:, :, 1].mean() - plain.triangles[:10, :, 1].mean()
    assert moved == pytest.approx(SETBACK / UNIT, rel=1e-3)
    assert b'"metallicFactor":0' in face_glb(teeth, np.zeros(28)).replace(b" ", b"")
