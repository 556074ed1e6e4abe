"""Requests and answers about the watch list."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from api.http.fields import Body, Day, Read, ReasonText
from identity.people.callers import Caller
from identity.people.rules import Permission
from parking.passes.rules import WatchState
from parking.passes.types import WatchView, WatchWanted
from parking.plates import PLATE_CHARS_MAX, mask_plate
from parking.vehicles import VehicleClass


class WatchCreate(Body):
    """A plate that is to be watched, for at most 90 days."""

    vehicle_class: VehicleClass
    plate: Annotated[str, Field(min_length=1, max_length=4 * PLATE_CHARS_MAX)]
    reason: Annotated[ReasonText, Field(examples=["Xe bị báo mất cắp"])]
    source: Annotated[
        ReasonText,
        Field(description="Who asked for it, by which document.", examples=["CV 45/CAQ-HK"]),
    ]
    from_on: Day
    expires_on: Day = Field(description="The last day, at most 90 days after the first.")

    def wanted(self) -> WatchWanted:
        """Return the facts."""
        return WatchWanted(
            vehicle_class=self.vehicle_class,
            plate=self.plate,
            reason=self.reason,
            source=self.source,
            from_on=self.from_on,
            expires_on=self.expires_on,
        )


class WatchRemove(Body):
    """Why a plate is watched no longer."""

    reason: ReasonText


class WatchRead(Read):
    """An entry of the watch list. The plate is masked for who neither proposes nor approves."""

    id: UUID
    state: WatchState
    vehicle_class: VehicleClass
    plate: str
    reason: str
    source: str
    from_on: Day
    expires_on: Day
    proposed_by: UUID
    proposed_at: datetime
    approved_by: UUID | None
    approved_at: datetime | None
    removed_at: datetime | None


class WatchPage(Read):
    """A page of the watch list, newest first."""

    watched_plates: list[WatchRead]
    next_cursor: str | None


def sees_plates(caller: Caller) -> bool:
    """Whether a person proposes or approves what is watched, and so reads whole plates."""
    return caller.may(Permission.PARKING_MANAGE) or caller.may(Permission.WATCH_LISTS_APPROVE)


def write_watched(found: WatchView, caller: Caller, today: date) -> WatchRead:
    """Write an entry for its reader."""
    return WatchRead(
        id=found.id,
        state=found.state(today),
        vehicle_class=VehicleClass(found.vehicle_class),
        plate=found.plate if sees_plates(caller) else mask_plate(found.plate),
        reason=found.reason,
        source=found.source,
        from_on=found.from_on,
        expires_on=found.expires_on,
        proposed_by=found.proposed_by,
        proposed_at=found.proposed_at,
        approved_by=found.approved_by,
        approved_at=found.approved_at,
        removed_at=found.removed_at,
    )
