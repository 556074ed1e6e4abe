"""The rhythm of a day in Hà Nội: how full sites are, and how many come in an hour. Pure."""

from datetime import datetime
from typing import Final

from sandbox.ft_numbers import VIETNAM

# By hour from 0: how full a site is, in hundredths, and how many vehicles move past a gate in an
# hour. Motorbikes crowd in when offices and the hospital open, and out at five; cars come later.
FULL: Final = {
    "car": (
        *(18, 15, 14, 14, 15, 20, 30, 45, 62, 72, 75, 72),
        *(64, 66, 72, 76, 76, 72, 66, 68, 66, 55, 38, 25),
    ),
    "motorbike": (
        *(8, 6, 6, 6, 8, 16, 40, 68, 80, 82, 80, 74),
        *(64, 68, 74, 76, 70, 52, 44, 46, 42, 32, 20, 12),
    ),
}
MOVES: Final = {
    "car": (
        *(8, 6, 6, 6, 6, 10, 20, 32, 40, 40, 36, 36),
        *(34, 36, 38, 38, 38, 44, 40, 36, 34, 30, 20, 12),
    ),
    "motorbike": (
        *(8, 6, 6, 6, 10, 30, 90, 120, 90, 50, 40, 60),
        *(60, 60, 40, 40, 60, 110, 80, 50, 40, 34, 20, 12),
    ),
}
SALES: Final = (
    *(6, 4, 4, 6, 20, 60, 110, 120, 110, 100, 100, 110),
    *(100, 70, 70, 80, 110, 130, 110, 80, 60, 40, 20, 10),
)


def fullness(vehicle_class: str, at: datetime) -> float:
    """Return which share of a site is taken at this time: between the hours it slides."""
    return _slide(FULL[vehicle_class], at) / 100


def moves_an_hour(vehicle_classes: list[str], at: datetime) -> float:
    """Return how many vehicles come or go at a site in an hour, at this time."""
    return sum(_slide(MOVES[one], at) for one in vehicle_classes)


def sales_an_hour(at: datetime) -> float:
    """Return how many payments all stalls together receive in an hour, at this time."""
    return _slide(SALES, at)


def _slide(by_hour: tuple[int, ...], at: datetime) -> float:
    local = at.astimezone(VIETNAM)
    part = local.minute / 60
    following = by_hour[(local.hour + 1) % 24]
    return by_hour[local.hour] * (1 - part) + following * part
