"""The inference benchmark compares with what it says it compares with."""

from benchmarks.inference.networks import NETWORKS
from benchmarks.inference.table import PUBLISHED, STEPS, table_two
from benchmarks.inference.timing import least_ms
from models.expression.shipped import SHIPPED_MODELS


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
