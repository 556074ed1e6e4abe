"""Time: instants are aware UTC, days are Hà Nội's. Only the edges read the clock."""

from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

HANOI: Final = ZoneInfo("Asia/Ho_Chi_Minh")


def read_clock() -> datetime:
    """Return the time, aware and in UTC. Called at the edges only; everything else gets `now`."""
    return datetime.now(UTC)


def hanoi_day(instant: datetime) -> date:
    """Return the calendar day in Hà Nội that an instant falls on."""
    assert instant.tzinfo is not None
    return instant.astimezone(HANOI).date()


def day_bounds(day: date) -> tuple[datetime, datetime]:
    """Return the first instant of a Hà Nội day and of the next one."""
    start = datetime(day.year, day.month, day.day, tzinfo=HANOI).astimezone(UTC)
    return start, start + timedelta(days=1)  # Việt Nam has no daylight saving time
