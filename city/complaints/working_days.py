"""Working days in Việt Nam: no weekend, no public holiday, and no day off in lieu of one."""

from datetime import date
from typing import Final

from parking.tariffs.calendar import public_holidays

_SATURDAY: Final = 5


def is_day_off(day: date) -> bool:
    """Whether offices are closed. The first look at a year takes half a second."""
    return day.weekday() >= _SATURDAY or day in public_holidays(day.year)
