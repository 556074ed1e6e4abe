"""Clocks that a test sets: everything in its process that reads the time, and rate limits."""

from functools import partial

from core.rate_limit import RateLimit
from loadtests.simulation.clock import SetClock, a_set_clock

__all__ = ["SetClock", "a_set_clock", "stop_refills"]


def stop_refills(*limits: RateLimit) -> None:
    """Let no try come back, however slow the machine is: a test counts them to the last."""
    for limit in limits:
        limit.clock = partial(float, limit.clock())
