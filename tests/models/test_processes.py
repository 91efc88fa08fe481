"""Numbers are given out to processes, each of them once."""

import os

import pytest

from models.processes import shared_out


def own_process(numbers: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
    return os.getpid(), numbers


@pytest.mark.parametrize(("workers", "shares"), [(1, [(0, 1, 2, 3, 4)]), (9, [(0,), (1,), (2,), (3,), (4,)])])
def test_every_number_is_in_one_share_of_at_most_as_many_as_there_are_numbers(workers, shares):
    assert [numbers for _, numbers in shared_out(own_process, 5, workers)] == shares


def test_one_share_stays_here_and_several_go_elsewhere():
    ((process, _),) = shared_out(own_process, 3, 1)
    assert process == os.getpid()
    assert os.getpid() not in {process for process, _ in shared_out(own_process, 3, 2)}
