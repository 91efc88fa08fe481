"""Work in threads keeps its order, its errors and its end."""

import threading
import time

import pytest

from models.expression.concurrency import in_background, mapped


def test_items_come_in_order_and_at_most_so_many_ahead():
    made = []

    def items():
        for number in range(20):
            made.append(number)
            yield number

    taken = []
    for number in in_background(items(), ahead=3):
        taken.append(number)
        time.sleep(0.002)
        # Three wait, and one more may have been made that still looks for room.
        assert len(made) <= len(taken) + 4
    assert taken == list(range(20))


def test_what_an_iterable_raises_comes_after_the_items_before_it():
    def items():
        yield 1
        yield 2
        raise KeyError("three")

    background = in_background(items(), ahead=5)
    assert [next(background), next(background)] == [1, 2]
    with pytest.raises(KeyError, match="three"):
        next(background)


def test_closing_early_ends_the_thread_and_closes_the_iterable():
    closed = threading.Event()

    def endless():
        try:
            number = 0
            while True:
                yield number
                number += 1
        finally:
            closed.set()

    before = threading.active_count()
    background = in_background(in_background(endless(), ahead=2), ahead=2)
    assert next(background) == 0
    background.close()
    assert closed.wait(timeout=5)
    assert threading.active_count() == before


def test_a_thread_without_room_is_refused():
    with pytest.raises(ValueError, match="ahead is 0"):
        next(in_background([1], ahead=0))


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_results_come_in_the_order_of_their_items(threads):
    def slow_first(number):
        time.sleep(0.02 if number % 3 == 0 else 0)
        return number**2

    assert list(mapped(slow_first, range(12), threads)) == [number**2 for number in range(12)]


def test_several_threads_work_at_once():
    together = threading.Barrier(2, timeout=5)

    def meet(number):
        together.wait()
        return number

    assert list(mapped(meet, range(4), threads=2)) == [0, 1, 2, 3]


@pytest.mark.parametrize("threads", [0, 2])
def test_an_error_in_the_work_is_raised_and_closes_the_items(threads):
    closed = threading.Event()

    def items():
        try:
            yield from range(10)
        finally:
            closed.set()

    def fragile(number):
        if number == 4:
            raise OSError("four")
        return number

    results = mapped(fragile, items(), threads)
    with pytest.raises(OSError, match="four"):
        list(results)
    assert closed.is_set()


def test_without_threads_a_result_comes_before_the_next_item_is_asked_for():
    asked = []

    def items():
        for number in range(3):
            asked.append(number)
            yield number

    results = mapped(str, items(), threads=0)
    assert next(results) == "0"
    assert asked == [0]
    results.close()
