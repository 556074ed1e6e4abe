"""People whom devices name in what they report: whether they work here, and in that shift."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from identity.devices.rules import can_be_named
from identity.people.models import Staff
from identity.people.rules import Scope, ScopeKind, permissions_of
from parking.shifts import queries
from parking.shifts.rules import PersonFault, is_shift_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Reported:
    """Who a device says did something, in which shift, and when."""

    staff_id: UUID
    shift_id: UUID | None  # None: in no shift
    happened_at: datetime


async def list_faults(
    session: AsyncSession, org_id: UUID, lot_id: UUID, reported: Sequence[Reported]
) -> list[PersonFault | None]:
    """Say of each report, in order, whether its person and shift belong to the lot and together."""
    people = await queries.find_people(session, org_id, {one.staff_id for one in reported})
    shift_ids = {one.shift_id for one in reported if one.shift_id is not None}
    shifts = await queries.find_shifts(session, org_id, shift_ids) if shift_ids else {}
    faults: list[PersonFault | None] = []
    for one in reported:
        fault = None
        if not works_at_gate(people.get(one.staff_id), lot_id, at=one.happened_at):
            fault = PersonFault.UNKNOWN_PERSON
        elif one.shift_id is not None and not is_shift_of(
            shifts.get(one.shift_id), staff_id=one.staff_id, lot_id=lot_id, at=one.happened_at
        ):
            fault = PersonFault.OTHER_SHIFT
        faults.append(fault)
    return faults


def works_at_gate(staff: Staff | None, lot_id: UUID, *, at: datetime) -> bool:
    """Whether a device of the lot could name this person at that time."""
    if staff is None or (staff.disabled_at is not None and staff.disabled_at <= at):
        return False
    return can_be_named(permissions_of(staff.roles), staff.scopes, Scope(ScopeKind.LOT, lot_id))
