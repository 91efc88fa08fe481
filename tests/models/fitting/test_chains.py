import numpy as np
import pytest

from models.errors import FittingError
from models.fitting.banded import TemporalCholesky, accumulate_band, band_of, empty_band
from models.fitting.chains import Chains
from models.fitting.normal_equations import packed_triangle
from models.fitting.priors import ExpressionPrior

SIZE = 3


def prior(*persistence):
    return ExpressionPrior(np.zeros(SIZE), np.eye(SIZE), np.array(persistence))


FAST, SLOW, NONE = prior(0.0, 0.5, 0.9), prior(0.2, 0.8, 0.95), prior(0.0, 0.0, 0.0)


def dense(bands):
    """The matrix of a prior's diagonals, (F n, F n)."""
    frames = len(bands[0])
    full = np.zeros((frames, SIZE, frames, SIZE))
    index = np.arange(SIZE)
    for offset, band in enumerate(bands):
        for frame in range(frames - offset):
            full[frame, index, frame + offset, index] = full[frame + offset, index, frame, index] = band[frame]
    return full.reshape(frames * SIZE, frames * SIZE)


@pytest.mark.parametrize("frames", [1, 2, 3, 7, 8, 9, 30])
def test_the_rows_of_a_long_clip_are_those_of_its_prior(frames):
    chains = Chains(np.array([0, frames]), (FAST,))
    for found, expected in zip(chains.bands(0, frames), FAST.precision_bands(frames), strict=True):
        np.testing.assert_allclose(found[: len(expected)], expected)
        assert not found[len(expected) :].any()


def test_clips_are_independent_of_one_another():
    chains = Chains(np.array([0, 12, 12, 14, 15]), (FAST, FAST, NONE, SLOW))
    full = dense(chains.bands(0, 15))
    assert not full[: 12 * SIZE, 12 * SIZE :].any()
    np.testing.assert_allclose(full[12 * SIZE : 14 * SIZE, 12 * SIZE : 14 * SIZE], np.eye(2 * SIZE))


@pytest.mark.parametrize(("first", "last"), [(0, 40), (0, 5), (5, 17), (18, 22), (39, 40)])
def test_rows_of_the_product_need_only_the_frames_around_them(first, last):
    chains = Chains(np.array([0, 19, 21, 40]), (FAST, NONE, SLOW))
    z = np.random.default_rng(0).normal(size=(40, SIZE))
    expected = (dense(chains.bands(0, 40)) @ z.reshape(-1)).reshape(40, SIZE)
    np.testing.assert_allclose(chains.times(z, first, last), expected[first:last], atol=1e-12)


def test_every_other_frame_of_a_chain_is_a_chain():
    chains = Chains(np.array([0, 10, 13]), (FAST, SLOW))
    thin = chains.thinned(np.array([1, 3, 5, 7, 9, 11]), 2)
    assert thin.starts.tolist() == [0, 5, 6]
    np.testing.assert_allclose(thin.priors[0].persistence, FAST.persistence**2)


def random_blocks(frames):
    blocks = np.random.default_rng(frames).normal(size=(frames, SIZE, SIZE))
    return blocks @ blocks.transpose(0, 2, 1)


@pytest.mark.parametrize("frames", [1, 2, 5, 8])
def test_solutions_and_marginal_covariances_are_those_of_the_full_inverse(frames):
    bands = Chains(np.array([0, frames]), (FAST,)).bands(0, frames)
    blocks = random_blocks(frames)
    full = dense(bands)
    for frame, block in enumerate(blocks):
        place = slice(frame * SIZE, (frame + 1) * SIZE)
        full[place, place] += block
    inverse = np.linalg.inv(full)
    factor = TemporalCholesky(band_of(blocks, bands))
    many = factor.solve(np.eye(SIZE * frames).reshape(frames, SIZE, -1))
    np.testing.assert_allclose(many.reshape(SIZE * frames, -1), inverse, atol=1e-10)
    one = factor.solve(np.eye(SIZE * frames)[0].reshape(frames, SIZE))
    np.testing.assert_allclose(one.reshape(-1), inverse[0], atol=1e-10)
    expected = [inverse[f * SIZE : (f + 1) * SIZE, f * SIZE : (f + 1) * SIZE] for f in range(frames)]
    np.testing.assert_allclose(factor.marginal_covariances(), expected, atol=1e-10)


def test_packed_blocks_less_their_rows_are_added_to_the_band():
    bands = Chains(np.array([0, 4]), (SLOW,)).bands(0, 4)
    blocks, rows = random_blocks(4), np.random.default_rng(1).normal(size=(4, 6, SIZE))
    band = empty_band(bands)
    accumulate_band(band, packed_triangle(blocks), rows)
    np.testing.assert_allclose(band, band_of(blocks - rows.transpose(0, 2, 1) @ rows, bands), atol=1e-12)


def test_solving_stops_with_a_named_error_when_the_numbers_are_absurd():
    with pytest.raises(FittingError, match="positive definite"):
        TemporalCholesky(-np.eye(SIZE)[None])
