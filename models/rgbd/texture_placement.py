"""Where a scan lies on its photograph as its texture coordinates tell, to judge registrations by."""

import numpy as np

from models.rgbd.meshes import Mesh
from models.rgbd.range_image import RangeImage


def texture_placement(mesh: Mesh, scan: RangeImage, side: int) -> np.ndarray | None:
    """The transformation (2, 3) that takes pixels of a range image to where their texture is in a square photograph.

    It is the affine one of least squares, and exact for scans that were photographed without perspective from where
    they were scanned, as rendered ones are. The photograph has to be the texture: a publisher's texture may be another
    image.

    Parameters
    ----------
    mesh : the scan, as the range image was made of it
    side : of the photograph, pixels

    Returns
    -------
    None where the scan has no texture coordinates.
    """
    if mesh.texture_coordinates is None:
        return None
    points = np.column_stack([scan.pixels(mesh.vertices), np.ones(len(mesh.vertices))])
    u, v = mesh.texture_coordinates.T
    pixels = side * np.column_stack([u, 1 - v]) - 0.5
    return np.linalg.lstsq(points, pixels, rcond=None)[0].T
