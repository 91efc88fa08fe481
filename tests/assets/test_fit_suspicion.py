"""What makes a fit suspicious: standing out from the others, and saying by what."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.fit_suspicion import FitFigures, jitter_of, suspicions, uncertainty_of

GOOD = FitFigures(residual=0.02, identity_norm=0.9, uncertainty=0.5, jitter=1.0, converged=True)


def others(count=10):
    """Fits like `GOOD`, each a little different."""
    shares = np.linspace(0.95, 1.05, count)
    return [FitFigures(*(share * value for value in (0.02, 0.9, 0.5, 1.0)), converged=True) for share in shares]


@pytest.mark.parametrize("figure", ["residual", "identity_norm", "uncertainty", "jitter"])
def test_a_fit_that_stands_out_comes_first_and_says_by_what(figure):
    odd = replace(GOOD, **{figure: 2 * getattr(GOOD, figure)})
    found = suspicions([*others(), odd])
    assert max(found, key=lambda one: one.score) is found[-1]
    (reason,) = found[-1].reasons
    assert {"identity_norm": "|i|"}.get(figure, figure) in reason
    assert all(not one.reasons for one in found[:-1])


def test_the_reason_gives_the_figure_and_what_is_usual():
    (reason,) = suspicions([*others(11), replace(GOOD, residual=0.05)])[-1].reasons
    assert reason == "residual 5 %, usually 2.01 %"


def test_the_gravest_reason_comes_first():
    reasons = suspicions([*others(), replace(GOOD, residual=0.03, jitter=5.0, converged=False)])[-1].reasons
    assert [reason.split()[0] for reason in reasons] == ["jitter", "residual", "the"]


def test_a_fit_better_than_the_others_is_not_suspicious():
    found = suspicions([*others(), replace(GOOD, residual=0.001, jitter=0.01)])
    assert found[-1].score == 0


def test_what_the_pipeline_would_prune_says_so_first():
    found = suspicions([*others(), replace(GOOD, identity_norm=1.5, residual=0.2)], threshold=1.2)
    assert found[-1].reasons[0] == "pruned unless kept: |i| 1.50 is above the threshold 1.20"
    assert not any("pruned" in reason for one in found[:-1] for reason in one.reasons)


def test_figures_that_are_not_known_count_for_nothing():
    unknown = replace(GOOD, uncertainty=float("nan"), jitter=float("nan"))
    assert [one.score for one in suspicions([unknown, unknown])] == [0.0, 0.0]
    assert suspicions([]) == []


@given(st.lists(st.floats(0.001, 0.2), min_size=2, max_size=12), st.randoms())
def test_the_order_of_the_fits_changes_no_score(residuals, random):
    fits = [replace(GOOD, residual=residual) for residual in residuals]
    shuffled = list(range(len(fits)))
    random.shuffle(shuffled)
    before = suspicions(fits)
    assert suspicions([fits[place] for place in shuffled]) == [before[place] for place in shuffled]


def test_uncertainty_is_relative_to_the_prior():
    prior = np.array([2.0, 5.0])
    assert uncertainty_of(np.tile(0.5 * prior, (7, 1)), prior) == pytest.approx(0.5)
    assert np.isnan(uncertainty_of(np.zeros(0), prior))


def test_a_motion_is_as_jittery_at_any_frame_rate_and_noise_is_more_so():
    def motion(rate):
        times = np.arange(0, 4, 1 / rate)
        return np.sin(2 * times)[:, None] * [3.0, 1.0], times

    covariance = np.diag([0.01, 0.01])
    slow, fast = (jitter_of(*motion(rate), covariance) for rate in (30, 60))
    assert slow == pytest.approx(fast, rel=0.02)
    expression, times = motion(30)
    noise = np.random.default_rng(0).normal(size=expression.shape)
    assert jitter_of(expression + 0.2 * noise, times, covariance) > 2 * slow
    assert np.isnan(jitter_of(expression[:2], times[:2], covariance))
