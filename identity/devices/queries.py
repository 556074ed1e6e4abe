"""All SQL of devices, enrolment codes and PINs."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import case, exists, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from identity.devices.errors import DeviceNotFound
from identity.devices.models import Device, DeviceEnrolment, StaffPin
from identity.devices.rules import PIN_FAILURES_A_LOCK, PIN_FAILURES_MAX, PIN_LOCKED_FOR
from identity.people.models import Staff, StaffScope
from identity.people.rules import Scope

# Of one hour, over all organisations: the newest count.
REVOKED_MAX: Final = 10_000
LIST_MAX: Final = 500
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


async def lock_enrolment(
    session: AsyncSession, org_id: UUID, code_hash: bytes
) -> DeviceEnrolment | None:
    """Find and lock the enrolment of a code: of two phones with one code the second waits."""
    wanted = (
        select(DeviceEnrolment)
        .where(DeviceEnrolment.org_id == org_id, DeviceEnrolment.code_hash == code_hash)
        .with_for_update()
    )
    return await session.scalar(wanted)


async def get_enrolment(session: AsyncSession, org_id: UUID, enrolment_id: UUID) -> DeviceEnrolment:
    """Return one enrolment."""
    return await session.get_one(DeviceEnrolment, (org_id, enrolment_id))


async def find_device(session: AsyncSession, org_id: UUID, device_id: UUID) -> Device | None:
    """Return one device, revoked or not."""
    return await session.get(Device, (org_id, device_id))


async def lock_device(session: AsyncSession, org_id: UUID, device_id: UUID) -> Device:
    """Return one device, locked until the transaction ends, or raise DeviceNotFound."""
    wanted = (
        select(Device)
        .where(Device.org_id == org_id, Device.id == device_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    found = await session.scalar(wanted)
    if found is None:
        raise DeviceNotFound
    return found


async def list_devices(
    session: AsyncSession,
    org_id: UUID,
    *,
    scope: Scope | None = None,
    before_id: UUID | None = None,
    limit: int = LIST_MAX,
) -> Sequence[tuple[Device, str | None]]:
    """Return devices with the name of the person on each, the newest first."""
    is_person = (Staff.org_id == Device.org_id) & (Staff.id == Device.person_id)
    wanted = (
        select(Device, Staff.display_name)
        .outerjoin(Staff, is_person)
        .where(Device.org_id == org_id)
    )
    if scope is not None:
        wanted = wanted.where(Device.scope_kind == scope.kind.value, Device.scope_id == scope.id)
    if before_id is not None:
        wanted = wanted.where(Device.id < before_id)
    rows = await session.execute(wanted.order_by(Device.id.desc()).limit(limit))
    return [(row[0], row[1]) for row in rows]


async def use_challenge(
    session: AsyncSession,
    org_id: UUID,
    device_id: UUID,
    *,
    made_at: datetime,
    offset_ms: int,
    now: datetime,
) -> bool:
    """Use a challenge up and note the contact; False if it, or a later one, was used before."""
    used = await session.execute(
        update(Device)
        .where(
            Device.org_id == org_id,
            Device.id == device_id,
            or_(Device.challenged_at.is_(None), Device.challenged_at < made_at),
        )
        .values(challenged_at=made_at, last_seen_at=now, offset_ms=offset_ms)
        .returning(Device.id)
    )
    return used.scalar_one_or_none() is not None


async def write_contact(
    session: AsyncSession, org_id: UUID, device_id: UUID, *, seen_at: datetime, offset_ms: int
) -> None:
    """Say when a device was last in contact, and how far its clock was behind."""
    await session.execute(
        update(Device)
        .where(Device.org_id == org_id, Device.id == device_id)
        .values(last_seen_at=seen_at, offset_ms=offset_ms)
    )


async def find_pin(session: AsyncSession, org_id: UUID, staff_id: UUID) -> StaffPin | None:
    """Return a person's PIN."""
    return await session.get(StaffPin, (org_id, staff_id), populate_existing=True)


async def take_pin_try(
    session: AsyncSession, org_id: UUID, staff_id: UUID, *, now: datetime
) -> StaffPin | None:
    """Count one try before it is made, so that tries at the same instant are not one more.

    The last try before a lock locks it, too: the right PIN opens it again.

    Returns:
        The PIN to compare with, or None: there is none, or no try is left.
    """
    count = StaffPin.failed_attempts + 1
    is_last = count % PIN_FAILURES_A_LOCK == 0
    taken = (
        update(StaffPin)
        .where(
            StaffPin.org_id == org_id,
            StaffPin.staff_id == staff_id,
            StaffPin.failed_attempts < PIN_FAILURES_MAX,
            or_(StaffPin.locked_until.is_(None), StaffPin.locked_until <= now),
        )
        .values(
            failed_attempts=count, locked_until=case((is_last, now + PIN_LOCKED_FOR), else_=None)
        )
        .returning(StaffPin)
        .execution_options(populate_existing=True)
    )
    return await session.scalar(taken)


async def give_back_pin_tries(
    session: AsyncSession, org_id: UUID, staff_id: UUID, *, pin_hash: str, tries: int | None
) -> None:
    """Give one try back that was not made, or all (None) after the right PIN."""
    left = 0 if tries is None else func.greatest(StaffPin.failed_attempts - tries, 0)
    await session.execute(
        update(StaffPin)
        .where(
            StaffPin.org_id == org_id,
            StaffPin.staff_id == staff_id,
            StaffPin.pin_hash == pin_hash,
        )
        .values(failed_attempts=left, locked_until=None)
    )


async def lock_pin(session: AsyncSession, org_id: UUID, staff_id: UUID) -> StaffPin | None:
    """Return a person's PIN, which stays as it is until the transaction ends."""
    wanted = (
        select(StaffPin)
        .where(StaffPin.org_id == org_id, StaffPin.staff_id == staff_id)
        .with_for_update(read=True)
        .execution_options(populate_existing=True)
    )
    return await session.scalar(wanted)


async def write_pin(session: AsyncSession, pin: StaffPin) -> None:
    """Write a person's PIN, the first or another, with all its tries."""
    facts = {
        "pin_hash": pin.pin_hash,
        "failed_attempts": 0,
        "locked_until": None,
        "set_by": pin.set_by,
        "set_at": pin.set_at,
    }
    await session.execute(
        insert(StaffPin)
        .values(org_id=pin.org_id, staff_id=pin.staff_id, **facts)
        .on_conflict_do_update(index_elements=["org_id", "staff_id"], set_=facts)
    )


async def end_person(session: AsyncSession, org_id: UUID, staff_id: UUID, *, now: datetime) -> None:
    """Let tokens and devices of before no longer name a person.

    Whoever names them at this moment holds the device's row, then the PIN's (`Phones`): they are
    waited for, and the end is by the clock after that wait, later than what they issued.
    """
    await session.execute(
        update(Device)
        .where(Device.org_id == org_id, Device.person_id == staff_id)
        .values(person_id=None, named_at=None)
    )
    is_theirs = (StaffPin.org_id == org_id) & (StaffPin.staff_id == staff_id)
    await session.execute(select(StaffPin.staff_id).where(is_theirs).with_for_update())
    await session.execute(
        update(StaffPin)
        .where(is_theirs)
        .values(ended_at=func.greatest(now, func.clock_timestamp()))
        .execution_options(synchronize_session=False)
    )


async def list_people(
    session: AsyncSession, org_id: UUID, scope: Scope, *, limit: int = LIST_MAX
) -> Sequence[tuple[Staff, StaffPin | None]]:
    """Return who may work at a place and is not disabled, with their PINs."""
    scopes = select(StaffScope.id).where(
        StaffScope.org_id == Staff.org_id, StaffScope.staff_id == Staff.id
    )
    is_here = exists(scopes.where(StaffScope.kind == scope.kind.value, StaffScope.id == scope.id))
    wanted = (
        select(Staff, StaffPin)
        .outerjoin(StaffPin, (StaffPin.org_id == Staff.org_id) & (StaffPin.staff_id == Staff.id))
        .where(Staff.org_id == org_id, Staff.disabled_at.is_(None))
        .where(or_(is_here, ~exists(scopes)))
        .order_by(Staff.id)
        .limit(limit)
    )
    return [(row[0], row[1]) for row in await session.execute(wanted)]
