"""Devices and PINs as screens and the API show them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from identity.devices import queries
from identity.devices.models import Device, StaffPin
from identity.devices.rules import PIN_FAILURES_MAX, can_be_named, is_pin_locked
from identity.people.models import Staff
from identity.people.rules import Scope, permissions_of


@dataclass(frozen=True, kw_only=True)
class DeviceView:
    """A device of a place, and who is named on it."""

    id: UUID
    name: str
    lot_id: UUID
    enrolled_by: UUID
    enrolled_at: datetime
    last_seen_at: datetime | None
    offset_ms: int | None
    person_id: UUID | None
    person_name: str | None
    revoked_at: datetime | None

    @classmethod
    def of(cls, device: Device, person_name: str | None) -> "DeviceView":
        """Describe a device."""
        return cls(
            id=device.id,
            name=device.name,
            lot_id=device.scope_id,
            enrolled_by=device.enrolled_by,
            enrolled_at=device.enrolled_at,
            last_seen_at=device.last_seen_at,
            offset_ms=device.offset_ms,
            person_id=device.person_id,
            person_name=person_name,
            revoked_at=device.revoked_at,
        )

    @property
    def offset(self) -> timedelta | None:
        """How far its clock was behind the hub's; ahead is negative."""
        return None if self.offset_ms is None else timedelta(milliseconds=self.offset_ms)


@dataclass(frozen=True, kw_only=True)
class GatePerson:
    """Somebody who may work at a place, and whether a PIN can name them on its devices."""

    staff_id: UUID
    name: str
    has_pin: bool
    is_pin_locked: bool
    pin_locked_until: datetime | None  # of a lock that ends by itself; else a manager is needed

    @classmethod
    def of(cls, staff: Staff, pin: StaffPin | None, *, now: datetime) -> "GatePerson":
        """Describe a person."""
        is_locked, until = False, None
        if pin is not None:
            is_locked = is_pin_locked(pin.failed_attempts, pin.locked_until, now=now)
            until = pin.locked_until if pin.failed_attempts < PIN_FAILURES_MAX else None
        return cls(
            staff_id=staff.id,
            name=staff.display_name,
            has_pin=pin is not None,
            is_pin_locked=is_locked,
            pin_locked_until=until if is_locked else None,
        )


async def list_device_views(
    session: AsyncSession,
    org_id: UUID,
    *,
    scope: Scope | None = None,
    before_id: UUID | None = None,
    limit: int = queries.LIST_MAX,
) -> Sequence[DeviceView]:
    """List devices, of one place or all, the newest first; revoked ones too."""
    found = await queries.list_devices(
        session, org_id, scope=scope, before_id=before_id, limit=limit
    )
    return [DeviceView.of(device, name) for device, name in found]


async def list_gate_people(
    session: AsyncSession, org_id: UUID, place: Scope, *, now: datetime
) -> Sequence[GatePerson]:
    """List who may be named on devices of a place, in the order of their ids."""
    found = await queries.list_people(session, org_id, place)
    return [
        GatePerson.of(staff, pin, now=now)
        for staff, pin in found
        if can_be_named(permissions_of(staff.roles), staff.scopes, place)
    ]
