"""The clock that all processes share: the database's, as near as a round trip shows it.

What one process writes and another compares with its own time must not depend on whose clock was
set right: ids of events, and how far a screen has received. Each process measures how far its own
clock is off, at its start and every few seconds, and counts from there.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from core import clock
from core.ids import IdMaker

log = structlog.get_logger()

READ_DATABASE_CLOCK: Final = "SELECT clock_timestamp()"
# A slower answer says little about when it was true; the measure before stays, if there is one.
ROUND_TRIP_MAX: Final = timedelta(seconds=1)
WORTH_A_LINE: Final = timedelta(seconds=2)

_ahead = timedelta(0)  # the database's clock minus ours
_is_measured = False


def read_shared_clock() -> datetime:
    """Return the database's time, aware and in UTC."""
    return clock.read_clock() + _ahead


async def measure(ask: Callable[[], Awaitable[datetime]]) -> None:
    """Find how far our clock is off.

    Args:
        ask: reads the database's clock (READ_DATABASE_CLOCK).

    Raises:
        Exception: whatever asking raises; the measure before stays.
    """
    global _ahead, _is_measured
    began = clock.read_clock()
    answered = await ask()
    took = clock.read_clock() - began
    if _is_measured and not timedelta(0) <= took <= ROUND_TRIP_MAX:
        return
    ahead = answered - began - took // 2
    if abs(ahead - _ahead) >= WORTH_A_LINE:
        log.warning("clock.differs", database_ahead_s=round(ahead.total_seconds(), 1))
    _ahead, _is_measured = ahead, True


def _read_shared_ms() -> int:
    return int(read_shared_clock().timestamp() * 1_000)


_event_ids = IdMaker(_read_shared_ms)


def new_event_id() -> UUID:
    """Return a UUIDv7 in the database's time, so that processes' events sort as they happened."""
    return _event_ids.make()
