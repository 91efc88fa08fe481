"""Identity outliers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.fitting.pruning import identity_norm, outlier_threshold


def test_the_norm_of_a_typical_identity_is_one():
    std = np.geomspace(80, 2, 157)
    identities = np.random.default_rng(0).normal(size=(500, 157)) * std
    assert identity_norm(identities, std).mean() == pytest.approx(1, abs=0.02)


def test_a_gross_outlier_exceeds_the_threshold_and_does_not_move_it_much():
    norms = np.random.default_rng(1).normal(0.6, 0.05, 200)
    clean = outlier_threshold(norms, 4, 0)
    assert outlier_threshold(np.append(norms, 9.0), 4, 0) == pytest.approx(clean, rel=0.02)
    assert (norms > clean).mean() < 0.01


@given(st.floats(0.1, 2), st.integers(1, 50))
def test_equally_good_fits_lose_none(norm, count):
    assert outlier_threshold(np.full(count, norm), 4, 1.2) >= norm


def test_no_fits_at_all_give_the_least_threshold():
    assert outlier_threshold(np.array([]), 4, 1.2) == 1.2
