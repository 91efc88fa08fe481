"""The queue as a value: where its reviewer is, what is done, what comes next."""

from assets.manual_review import Verdict
from orchestration.review_page.queue import ReviewQueue

ORDER = tuple("abcde")


def judged(*videos):
    return {video: Verdict(video, "keep", "", "Ada", "2026-01-01") for video in videos}


def test_what_is_done_and_left_counts_the_videos_of_the_queue_only():
    queue = ReviewQueue(ORDER, judged("a", "c", "gone"))
    assert (queue.done, queue.left) == (2, 3)


def test_steps_end_at_the_ends():
    queue = ReviewQueue(ORDER)
    assert queue.stepped(1).current == "b"
    assert queue.stepped(-1).current == "a"
    assert queue.stepped(99).current == "e"


def test_after_a_verdict_comes_the_next_open_video_then_those_passed_over():
    queue = ReviewQueue(ORDER).at("c").with_verdicts(judged("c", "d"))
    assert queue.at_next_open().current == "e"
    assert queue.with_verdicts(judged("c", "d", "e")).at_next_open().current == "a"


def test_a_finished_queue_stays_where_it_is():
    assert ReviewQueue(ORDER, judged(*ORDER), place=2).at_next_open().current == "c"


def test_a_video_that_is_not_in_the_queue_moves_nothing():
    assert ReviewQueue(ORDER, place=3).at("gone").current == "d"


def test_the_list_shows_what_is_around_the_current_video_and_is_full_wherever_possible():
    queue = ReviewQueue(tuple(map(str, range(100))))
    for place, shown in ((0, range(0, 8)), (50, range(48, 56)), (99, range(92, 100))):
        assert queue.at(str(place)).around(8) == shown
    assert ReviewQueue(ORDER, place=4).around(8) == range(0, 5)


def test_other_videos_leave_the_reviewer_at_the_same_one_with_what_was_said():
    queue = ReviewQueue(ORDER, judged("b"), place=2).with_order(tuple("fedcba"))
    assert queue.current == "c"
    assert (queue.done, queue.left) == (1, 5)


def test_where_the_video_is_gone_the_one_in_its_place_is_looked_at():
    assert ReviewQueue(ORDER, place=2).with_order(tuple("abde")).current == "d"
    assert ReviewQueue(ORDER, place=4).with_order(tuple("ab")).current == "b"
