"""Scans that are turned by half a turn are found and turned back, by landmarks and without."""

import numpy as np
import pytest

from models.rgbd.meshes import Mesh
from models.rgbd.orientation import orientation, turned_back

TURNS = {
    "upright": (1, 1, 1),
    "upside down": (-1, -1, 1),
    "seen from behind": (-1, 1, -1),
    "upside down and seen from behind": (1, -1, -1),
}


@pytest.mark.parametrize("position", TURNS)
@pytest.mark.parametrize("known", ["landmarks turned with the scan", "landmarks left upright", "no landmarks"])
def test_every_half_turn_is_found_and_undone(scans, position, known):
    turn = np.array(TURNS[position], np.float32)
    for scan in scans:
        mesh = Mesh(scan.mesh.vertices * turn, scan.mesh.triangles)
        landmarks = None
        if known != "no landmarks":
            landmarks = scan.landmarks * (turn if known == "landmarks turned with the scan" else 1)
        found = orientation(mesh, landmarks)
        assert found.position == position
        upright, moved = turned_back(mesh, landmarks, found)
        np.testing.assert_array_equal(upright.vertices, scan.mesh.vertices)
        if landmarks is not None:
            np.testing.assert_array_equal(moved, scan.landmarks)
