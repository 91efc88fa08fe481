"""The inference benchmark compares with what it says it compares with."""

import numpy as np
import skimage.data

from benchmarks.inference.networks import NETWORKS
from benchmarks.inference.peers import BLENDSHAPE_POINTS, blendshape_network
from benchmarks.inference.table import PUBLISHED, STEPS, table_two
from benchmarks.inference.timing import least_ms
from models.expression.shipped import SHIPPED_MODELS
from models.landmarks.backend import load_backend

SMILES, JAW_OPEN, BLINKS = [44, 45], 25, [9, 10]


def test_mediapipe_s_network_sees_the_smile_of_a_smiling_face():
    """It does only if it gets the right points in the right order."""
    (face,) = load_backend("mediapipe").detect(skimage.data.astronaut())
    scores = blendshape_network()(face)
    assert scores.shape == (52,)
    assert scores[SMILES].min() > 0.6
    assert scores[BLINKS].max() < 0.3


def test_the_points_are_those_of_a_478_point_face():
    assert len(BLENDSHAPE_POINTS) == 146
    assert np.array_equal(BLENDSHAPE_POINTS, np.unique(BLENDSHAPE_POINTS))
    assert BLENDSHAPE_POINTS[-1] == 477


def test_the_table_has_everybody_and_marks_stand_ins():
    figures = {f"{name}_{step}_ms": 1.0 for name in NETWORKS for step in (*STEPS, "frame", "photograph")}
    figures |= {f"{name}_fps": 100.0 for name in NETWORKS}
    figures |= {"resnet50_random_weights": False, "small_random_weights": True, "per_image_fit_ms": 40.0}
    table = table_two(figures)
    assert all(name in table for name in PUBLISHED)
    assert table.count("(untrained stand-in)") == 3
    assert "0.0400" in table
    assert "eos" not in table, "what was not measured is not in it"


def test_the_networks_timed_are_those_that_are_shipped():
    assert {shipped for shipped, _, _ in NETWORKS.values()} == set(SHIPPED_MODELS)


def test_the_least_time_is_of_the_call_alone():
    calls = []
    assert least_ms(lambda: calls.append(None), repeats=5) < 1000
    assert len(calls) > 5
