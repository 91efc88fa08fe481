"""Measures of a fit know perfect from useless."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.fitting import Reconstruction
from models.fitting.evaluation import evaluate, interval_coverage


@pytest.fixture(scope="module")
def perfect(video):
    return Reconstruction(
        identity=video.identity,
        expression=video.expression,
        rotation=video.camera.rotation,
        scale=video.camera.scale,
        translation=video.camera.translation,
        residual=np.zeros(len(video.landmarks)),
        converged=True,
    )


def test_the_truth_has_no_error(face_model, video, perfect):
    assert set(evaluate(perfect, video, face_model).values()) == {0.0}


def test_a_face_at_rest_leaves_everything_unexplained(face_model, video, perfect):
    measured = evaluate(replace(perfect, expression=0 * video.expression), video, face_model)
    assert measured["unexplained_expression_variance"] == 1.0
    assert measured["unexplained_landmark_variance"] == pytest.approx(1.0)


def test_coverage_is_measured_where_there_are_intervals(face_model, video, perfect):
    assert "interval_coverage_90" not in evaluate(perfect, video, face_model)
    sure = replace(perfect, expression_std=np.ones_like(video.expression))
    assert evaluate(sure, video, face_model)["interval_coverage_90"] == 1.0


@given(st.floats(0.1, 5), st.sampled_from([0.5, 0.9, 0.99]))
def test_intervals_of_the_true_width_cover_what_they_promise(width, level):
    rng = np.random.default_rng(0)
    true, std = np.zeros((4000, 5)), width * rng.uniform(0.5, 2, (4000, 5))
    estimated = std * rng.normal(size=std.shape)
    assert interval_coverage(estimated, std, true, level) == pytest.approx(level, abs=0.015)
    assert interval_coverage(estimated, std / 2, true, level) < level - 0.05
