"""The published figures agree with what the paper itself computes from them."""

import pytest

from models.emotion import published
from models.emotion.benchmarks import BENCHMARKS


def own(dataset):
    return next(row for row in published.ACCURACIES if row.dataset == dataset and row.approach == published.PAPER)


def best_other(dataset):
    return max(row.accuracy for row in published.ACCURACIES if row.dataset == dataset and row.benchmark is None)


@pytest.mark.parametrize(("dataset", "rows"), [("RadFD", 9), ("CFEE", 3), ("RAF-DB", 10), ("KDEF", 6), ("CK+", 4)])
def test_table_three_has_every_row_in_rising_order(dataset, rows):
    accuracies = [row.accuracy for row in published.ACCURACIES if row.dataset == dataset]
    assert len(accuracies) == rows
    assert accuracies == sorted(accuracies)


def test_the_differences_that_the_conclusion_states_come_out():
    assert best_other("CFEE") - own("CFEE").accuracy == pytest.approx(0.41)
    assert best_other("RAF-DB") - own("RAF-DB").accuracy == pytest.approx(1.21)
    assert all(own(dataset).accuracy > best_other(dataset) for dataset in ("RadFD", "KDEF", "CK+"))


def test_the_gains_over_expnet_that_section_two_states_come_out():
    gains = [
        own(row.dataset).accuracy - row.accuracy for row in published.ACCURACIES if row.approach.startswith("ExpNet")
    ]
    assert len(gains) == 5
    assert 21 <= min(gains) < 22
    assert 35 <= max(gains) < 36


def test_the_speed_ups_that_section_four_states_come_out():
    *others, own_time = (float(row.printed) for row in published.RUN_TIMES)
    assert min(others) / own_time == pytest.approx(4.4)
    assert max(others) / own_time == pytest.approx(320)


def test_the_averages_of_table_four_are_those_of_its_rows():
    *phases, average = published.STRESS
    assert average.phase is None
    for column in ("head_motility", "dwnet", "paper"):
        mean = sum(getattr(row, column) for row in phases) / 3
        assert getattr(average, column) == pytest.approx(mean, abs=0.006)


def test_digits_stay_as_printed_and_numbers_can_be_had():
    ck = own("CK+")
    assert (ck.printed, ck.accuracy, ck.deviation) == ("96.45 ± 0.8", 96.45, 0.8)
    assert published.ACCURACIES[0].deviation is None


def test_the_benchmarks_of_table_three_exist():
    named = [row.benchmark for row in published.ACCURACIES if row.benchmark]
    assert len(named) == 5
    assert set(named) <= set(BENCHMARKS)
    assert set(published.CLASS_ACCURACIES) <= set(BENCHMARKS)
