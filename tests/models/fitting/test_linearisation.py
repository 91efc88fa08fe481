import numpy as np
from scipy.spatial.transform import Rotation

from models.fitting.linearisation import linearise


def test_the_gradient_after_a_step_is_the_one_found_there():
    """Shapes changed a little, and cameras by what that asks of them: the linear model foretells the gradient."""
    rng = np.random.default_rng(0)
    frames, points = 4, 20
    shapes = rng.normal(size=(frames, points, 3)) * 40
    rotation = Rotation.random(frames, random_state=1).as_matrix()
    zoom, shift = rng.uniform(0.9, 1.1, frames), rng.normal(size=(frames, 2))
    weights = rng.uniform(0.5, 2, (frames, points))
    observed = np.einsum("f,fdc,flc->fld", zoom, rotation[:, :2], shapes) + shift[:, None]
    observed += rng.normal(size=observed.shape) * 1e-4
    step = rng.normal(size=(frames, 3 * points)) * 1e-3
    start = linearise(observed, weights, shapes, rotation, zoom, shift)
    camera = start.camera_change(step)
    there = linearise(
        observed,
        weights,
        shapes + step.reshape(shapes.shape),
        Rotation.from_rotvec(camera[:, :3]).as_matrix() @ rotation,
        zoom * np.exp(camera[:, 3]),
        shift + camera[:, 4:],
    )
    foretold, found = start.gradient_after(step), there.gradient.sum(0)
    np.testing.assert_allclose(foretold, found, atol=0.01 * np.abs(found).max())
    assert np.abs(start.gradient.sum(0) - found).max() > 0.5 * np.abs(found).max()
