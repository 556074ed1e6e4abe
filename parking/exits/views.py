"""Views of stays: what a caller may see, of their lots and of what is theirs to know."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from parking.exits.errors import ParkingSessionNotFound
from parking.exits.rules import StayFacts
from parking.exits.standing import get_stay
from parking.shifts.queries import find_open_shift

SEEN_AFTER_EXIT: Final = timedelta(minutes=10)  # by who let it out, for repeats and undoing


async def find_visible_stay(
    session: AsyncSession,
    org_id: UUID,
    session_id: UUID,
    *,
    lot_ids: Collection[UUID] | None,
    by: UUID,
    sees_all: bool,
    now: datetime,
) -> StayFacts:
    """Return a stay that a caller may see.

    Args:
        lot_ids: the caller's lots; None: all of the organisation.
        sees_all: else only what is inside, owes, or is of the caller's running shift.

    Raises:
        ParkingSessionNotFound
    """
    stay = await get_stay(session, org_id, session_id)
    if lot_ids is not None and stay.lot_id not in lot_ids:
        raise ParkingSessionNotFound(session_id)
    if sees_all or stay.is_inside or stay.arrears_vnd or is_just_left(stay, by, now=now):
        return stay
    shift = await find_open_shift(session, org_id, by)
    if shift is None or shift.id not in (stay.entry_shift_id, stay.exit_shift_id):
        raise ParkingSessionNotFound(session_id)
    return stay


def is_just_left(stay: StayFacts, by: UUID, *, now: datetime) -> bool:
    """Tell whether somebody let a vehicle out a moment ago."""
    return stay.exit_by == by and stay.left_at is not None and now - stay.left_at <= SEEN_AFTER_EXIT
