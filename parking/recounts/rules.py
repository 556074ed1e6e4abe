"""A recount's differences, and the random moment of a lot's day. Pure."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

from core.clock import day_bounds

COUNTED_MAX: Final = 100_000
MOMENTS: Final = "random recounts v1"  # purpose of the key that draws them
FROM_MINUTE, TO_MINUTE = 6 * 60, 22 * 60  # of Hà Nội's day
IN_TIME: Final = timedelta(minutes=30)  # after the drawn moment a recount is still the random one


@dataclass(frozen=True, kw_only=True, slots=True)
class RecountLine:
    """One class of vehicles: what a person counted, and what the hub had inside then."""

    vehicle_class: str
    counted: int
    expected: int

    @property
    def difference(self) -> int:
        """More than the hub knew of, or below zero fewer."""
        return self.counted - self.expected


@dataclass(frozen=True, kw_only=True, slots=True)
class RecountFacts:
    """A recount as it is stored."""

    id: UUID
    lot_id: UUID
    lines: tuple[RecountLine, ...]
    counted: int
    expected: int
    is_random: bool
    note: str | None
    counted_by: UUID
    counted_by_name: str | None
    counted_at: datetime

    @property
    def difference(self) -> int:
        """Of all classes together; two that cancel out show in their lines."""
        return self.counted - self.expected

    def is_same(self, lot_id: UUID, counted: Mapping[str, int], note: str | None) -> bool:
        """Tell whether a client's id came again for the same recount."""
        told = {line.vehicle_class: line.counted for line in self.lines}
        return (self.lot_id, told, self.note) == (lot_id, dict(counted), note)


def draw_moment(key: bytes, org_id: UUID, lot_id: UUID, day: date) -> datetime:
    """Return the random moment of a lot's day: nobody at the gate can reckon it without the key."""
    drawn = hmac.digest(key, org_id.bytes + lot_id.bytes + day.isoformat().encode(), "sha256")
    minute = FROM_MINUTE + int.from_bytes(drawn[:8]) % (TO_MINUTE - FROM_MINUTE)
    return day_bounds(day)[0] + timedelta(minutes=minute)


def is_at(moment: datetime, now: datetime) -> bool:
    """Tell whether a recount now is the one of a drawn moment."""
    return moment <= now <= moment + IN_TIME
