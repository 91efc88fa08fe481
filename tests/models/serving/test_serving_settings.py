"""Limits of the service that contradict each other are refused."""

import pytest

from models.serving.settings import ServingSettings


@pytest.mark.parametrize(
    ("values", "cause"),
    [
        ({"queue_pictures": 0}, "queue_pictures must be above 0"),
        ({"timeout_s": -1.0}, "timeout_s must be above 0"),
        ({"threads": -1}, "threads must be 0 or above"),
        ({"port": 70_000}, "port must be below 65536"),
        ({"queue_pictures": 8}, "max_batch_pictures must not exceed queue_pictures"),
        ({"max_waiting_megabytes": 20.0}, "max_waiting_megabytes must hold"),
    ],
)
def test_impossible_limits_are_named(values, cause):
    with pytest.raises(ValueError, match=cause):
        ServingSettings(**values)
