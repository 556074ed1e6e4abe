"""All SQL of devices, enrolment codes and PINs."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from identity.devices.models import Device, StaffPin
from identity.people.models import Staff

# Of one hour, over all organisations: the newest count.
REVOKED_MAX: Final = 10_000
_LATELY: Final = func.now() - text("interval '1 hour'")


async def list_revoked(session: AsyncSession) -> Sequence[tuple[UUID, UUID]]:
    """Return (organisation, device) of what was revoked in the last hour, as phopay_gate."""
    wanted = (
        select(Device.org_id, Device.id)
        .where(Device.revoked_at > _LATELY)
        .order_by(Device.revoked_at.desc())
        .limit(REVOKED_MAX)
    )
    return [(row.org_id, row.id) for row in await session.execute(wanted)]


async def list_ended(session: AsyncSession) -> Sequence[tuple[UUID, UUID, datetime]]:
    """Return (organisation, person, when) of tokens that ended in the last hour, as phopay_gate."""
    wanted = (
        select(StaffPin.org_id, StaffPin.staff_id, StaffPin.ended_at)
        .where(StaffPin.ended_at > _LATELY)
        .order_by(StaffPin.ended_at.desc())
        .limit(REVOKED_MAX)
    )
    return [
        (row.org_id, row.staff_id, row.ended_at)
        for row in await session.execute(wanted)
        if row.ended_at is not None
    ]


async def find_name(
    session: AsyncSession, org_id: UUID, device_id: UUID, staff_id: UUID | None
) -> str | None:
    """Return what the audit log calls a device, or the person named on it; None if unknown."""
    if staff_id is None:
        wanted = select(Device.name).where(Device.org_id == org_id, Device.id == device_id)
    else:
        wanted = select(Staff.display_name).where(Staff.org_id == org_id, Staff.id == staff_id)
    return await session.scalar(wanted)
