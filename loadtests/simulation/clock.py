"""A clock that is set from outside, for everything in its process that reads the time.

The hub has no setting that moves its clock: only who runs it inside a process of their own can.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from core import clock as core_clock


class SetClock:
    """The time as somebody says it."""

    def __init__(self, now: datetime) -> None:
        """Begin at this instant."""
        self.now = now

    def read(self) -> datetime:
        """Return the instant that was set last."""
        return self.now


@contextmanager
def a_set_clock(now: datetime) -> Iterator[SetClock]:
    """Let all that was imported, and is imported meanwhile, read the time of a clock.

    Only the hub's clock is set: ids that the hub makes and the database's clock go on as they are,
    so the instant should be of these days.
    """
    real, made = core_clock.read_clock, SetClock(now)
    told = made.read  # one object: a bound method is another one each time it is asked for
    _replace(real, told)
    try:
        yield made
    finally:
        _replace(told, real)


def _replace(before: object, after: object) -> None:
    for module in list(sys.modules.values()):
        if getattr(module, "__dict__", {}).get("read_clock") is before:
            module.__dict__["read_clock"] = after
