"""Texture coordinates tell where a scan lies on its photograph."""

from dataclasses import replace

import numpy as np

from models.rgbd.range_image import range_image
from models.rgbd.registration import mean_distance
from models.rgbd.texture_placement import texture_placement


def test_a_rendered_scan_lies_where_it_was_photographed(scans):
    scan = scans[0]
    depth = range_image(scan.mesh)
    step, (x, y) = depth.mm_per_pixel, depth.origin
    truth = scan.to_photograph @ np.array([[step, 0, x], [0, -step, y], [0, 0, 1]])
    found = texture_placement(scan.mesh, depth, len(scan.photograph))
    assert mean_distance(found, truth, depth.valid) < 0.01


def test_a_scan_without_texture_tells_nothing(scans):
    mesh = replace(scans[0].mesh, texture_coordinates=None)
    assert texture_placement(mesh, range_image(mesh), 512) is None
