"""Pace of polls by the clock: intervals, slices, waits after failures. Pure.

A draw is a random whole number from 0 to 99, so that what failed together is not repeated together.
"""

from datetime import datetime, timedelta
from typing import Final

# A slice begins before the last one's end: banks book late, and clocks differ.
OVERLAP: Final = timedelta(minutes=10)
SLICE_MAX: Final = timedelta(hours=6)  # after a day without polls, so much at a time
# Longer than a poll with storing what it found: until then no other worker takes the turn.
LEASE: Final = timedelta(seconds=60)
RETRY_FIRST: Final = timedelta(seconds=30)
RETRY_MAX: Final = timedelta(hours=1)
RETRY_AFTER_MAX: Final = timedelta(hours=6)  # a provider may name a longer wait; it is mistaken
# A page is passed over that could not be read so many times, in a quarter of an hour; or of which a
# part was not answered so many times, in six hours: a provider that is away comes back.
PASSED_AFTER: Final = 6
UNANSWERED_AFTER: Final = 12
# A token that is entered so much later serves for an outage still; then its statement must do.
REPLAYED_FOR: Final = timedelta(days=7)


def wait_after(failures: int, *, draw: int, retry_after_s: int | None = None) -> timedelta:
    """Return how long to wait after so many failures in a row: doubled each time, and shaken.

    Args:
        failures: at least 1.
        retry_after_s: what the provider asked for; never less than that is waited.
    """
    assert failures >= 1
    doubled = min(RETRY_FIRST * (1 << min(failures - 1, 10)), RETRY_MAX)
    wait = doubled * (75 + draw // 2) // 100
    if retry_after_s is None:
        return wait
    return max(wait, min(timedelta(seconds=retry_after_s), RETRY_AFTER_MAX))


def pause_after(requests: int, *, per_minute: int) -> timedelta:
    """Return how long a connection rests after so many requests, to stay within its budget."""
    return timedelta(minutes=1) // per_minute * requests


def next_slice_end(from_at: datetime, *, now: datetime) -> datetime:
    """Return where the slice ends that begins there: now, or SLICE_MAX later if that is sooner."""
    return min(now, from_at + SLICE_MAX)


def next_turn(until_at: datetime, *, every: timedelta, draw: int, now: datetime) -> datetime:
    """Return when the next slice is due: at once while there is something to catch up with."""
    if now - until_at > every:
        return now
    return now + every * (90 + draw // 5) // 100
