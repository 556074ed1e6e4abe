"""Views of stays: what a caller may see, of their lots and of what is theirs to know.

A debt of an earlier visit is shown to who stands at the gate only while its vehicle is there.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from parking.collections.queries import list_of_session
from parking.exits.errors import ParkingSessionNotFound
from parking.exits.queries import is_vehicle_inside
from parking.exits.rules import OWNER_KIND, StayFacts
from parking.exits.standing import get_stay
from parking.shifts.queries import find_open_shift
from parking.shifts.rules import ShiftFacts
from payments.bills.queries_owners import list_of_owner

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
        sees_all: else only what is inside, what its vehicle owes while it is inside again, and
            what is of the caller's running shift.

    Raises:
        ParkingSessionNotFound
    """
    stay = await get_stay(session, org_id, session_id)
    if lot_ids is not None and stay.lot_id not in lot_ids:
        raise ParkingSessionNotFound(session_id)
    if sees_all or stay.is_inside or is_just_left(stay, by, now=now):
        return stay
    if stay.arrears_vnd and await is_vehicle_inside(session, org_id, stay):
        return stay
    shift = await find_open_shift(session, org_id, by)
    if shift is None or not await _is_of_shift(session, org_id, stay, shift, by=by):
        raise ParkingSessionNotFound(session_id)
    return stay


def is_just_left(stay: StayFacts, by: UUID, *, now: datetime) -> bool:
    """Tell whether somebody let a vehicle out a moment ago."""
    return stay.exit_by == by and stay.left_at is not None and now - stay.left_at <= SEEN_AFTER_EXIT


async def _is_of_shift(
    session: AsyncSession, org_id: UUID, stay: StayFacts, shift: ShiftFacts, *, by: UUID
) -> bool:
    """Tell whether a stay came in or left in a shift, or was paid in it after it had left."""
    if shift.id in (stay.entry_shift_id, stay.exit_shift_id):
        return True
    taken = await list_of_session(session, org_id, stay.id)
    if any(one.shift_id == shift.id for one in taken):
        return True
    bills = await list_of_owner(session, org_id, OWNER_KIND, stay.id)
    return any(one.created_by == by and one.created_at >= shift.opened_at for one in bills)
