"""Limits on tries: bursts up to the number, then a steady refill, each name for itself."""

from datetime import timedelta

import pytest

from core.errors import TooManyRequests
from core.rate_limit import NAMES_MAX, RateLimit
from identity.people.rules import lock_for


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def test_a_burst_is_allowed_and_the_next_try_waits_for_its_turn() -> None:
    clock = Clock()
    limit = RateLimit(10, per_s=60, clock=clock)
    for _ in range(10):
        limit.take("lan")
    with pytest.raises(TooManyRequests) as refused:
        limit.take("lan")
    assert refused.value.retry_after_s == 6

    limit.take("minh")
    clock.now_s += 6
    limit.take("lan")
    with pytest.raises(TooManyRequests):
        limit.take("lan")


def test_names_are_forgotten_rather_than_piled_up() -> None:
    limit = RateLimit(1, per_s=60)
    for number in range(NAMES_MAX + 10):
        limit.take(str(number))
    assert len(limit._left) == NAMES_MAX


def test_a_lock_begins_at_the_fifth_failure_and_grows_to_four_hours() -> None:
    assert [lock_for(failures) for failures in range(5)] == [None] * 5
    minutes = [lock_for(failures) for failures in (5, 6, 7, 8, 9, 10, 1_000)]
    assert minutes == [timedelta(minutes=m) for m in (15, 30, 60, 120, 240, 240, 240)]
