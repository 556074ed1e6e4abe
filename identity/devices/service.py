"""Devices as their managers have them: codes that enrol a phone, revoking one, and PINs."""

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.errors import Forbidden
from core.ids import new_id
from core.sealing import derive_key
from core.text import check_lines
from identity.devices import queries
from identity.devices.errors import PinRefused
from identity.devices.models import Device, DeviceEnrolment, StaffPin
from identity.devices.rules import CODE_ALPHABET, CODE_CHARS, CODE_VALID_FOR, check_pin
from identity.people.callers import Caller
from identity.people.errors import ScopeNotFound, StaffNotFound, WrongPassword
from identity.people.hooks import Hooks
from identity.people.passwords import Passwords
from identity.people.queries import lock_staff
from identity.people.rules import Scope
from identity.people.service import Granter, lock_manageable

CODES = "device enrolment code v1"


@dataclass(frozen=True, kw_only=True)
class NewCode:
    """An enrolment and, this once, its code: "DXA27K3MQ9PT"."""

    enrolment: DeviceEnrolment
    code: str


class CodeHasher:
    """Hashes enrolment codes with a key that is not in the database: they are short."""

    def __init__(self, secret_key: str) -> None:
        self._key = derive_key(secret_key, CODES)

    def hash(self, code: str) -> bytes:
        """Return what is stored of a normalised code."""
        return hmac.digest(self._key, code.encode(), "sha256")


async def add_code(
    session: AsyncSession,
    caller: Caller,
    *,
    id_: UUID | None = None,
    name: str,
    scope: Scope,
    hasher: CodeHasher,
    hooks: Hooks,
    now: datetime,
) -> NewCode:
    """Make a code that enrols one phone at one place within ten minutes.

    Raises:
        ScopeNotFound: the organisation has no such place.
    """
    check_lines(name=name)
    find = hooks.scope_kinds.get(scope.kind)
    if find is None or not await find(session, caller.org_id, {scope.id}):
        raise ScopeNotFound(scope)
    secret = "".join(secrets.choice(CODE_ALPHABET) for _ in range(CODE_CHARS))
    code = caller.org_code + secret
    enrolment = DeviceEnrolment(
        org_id=caller.org_id,
        id=id_ or new_id(),
        code_hash=hasher.hash(code),
        name=name,
        scope_kind=scope.kind.value,
        scope_id=scope.id,
        created_by=caller.id,
        created_at=now,
        expires_at=now + CODE_VALID_FOR,
    )
    session.add(enrolment)
    await session.flush()
    record_change(
        session,
        org_id=caller.org_id,
        actor=caller.actor,
        action="device.code_shown",
        object_kind="device_enrolment",
        object_id=enrolment.id,
        after={"name": name, "place": f"{scope.kind.value}:{scope.id}"},
        now=now,
    )
    return NewCode(enrolment=enrolment, code=code)


async def revoke_device(
    session: AsyncSession, caller: Caller, device_id: UUID, *, reason: str | None, now: datetime
) -> Device:
    """End a device: its token within five seconds, what it signs from now on never counts.

    Raises:
        DeviceNotFound
    """
    device = await queries.lock_device(session, caller.org_id, device_id)
    if device.revoked_at is not None:
        return device
    device.revoked_at, device.revoked_by = now, caller.id
    device.person_id = device.named_at = None
    await session.flush()
    record_device(session, device, caller.actor, "device.revoked", reason=reason, now=now)
    return device


async def set_pin(
    session: AsyncSession,
    caller: Caller,
    staff_id: UUID,
    pin: str,
    *,
    passwords: Passwords,
    now: datetime,
) -> None:
    """Give somebody a PIN, the first or another: it opens a lock, and devices name them anew.

    Raises:
        StaffNotFound, RoleNotGrantable
        PinRefused: it is not six digits, or the first that anybody tries.
        Forbidden: one's own is set with one's password, since a screen may have been left open.
    """
    if staff_id == caller.id:
        raise Forbidden("Set your own PIN with your password: POST /v1/me/pin, or /me/pin.")
    await lock_manageable(session, caller.org_id, staff_id, Granter.of(caller))
    await _write_pin(session, caller.org_id, staff_id, pin, caller, passwords, now)


async def set_own_pin(
    session: AsyncSession,
    caller: Caller,
    pin: str,
    *,
    password: str,
    passwords: Passwords,
    now: datetime,
) -> None:
    """Set one's own PIN, with one's password.

    Raises:
        StaffNotFound: the caller is no person who signed in.
        WrongPassword, PinRefused
    """
    if caller.kind != "staff":
        raise StaffNotFound
    staff = await lock_staff(session, caller.home.id, caller.id)
    if not await passwords.verify(password, staff.password_hash):
        raise WrongPassword
    await _write_pin(session, caller.home.id, staff.id, pin, caller, passwords, now)


async def _write_pin(
    session: AsyncSession,
    org_id: UUID,
    staff_id: UUID,
    pin: str,
    caller: Caller,
    passwords: Passwords,
    now: datetime,
) -> None:
    if violations := check_pin(pin):
        raise PinRefused(violations)
    pin_hash = await passwords.hash(pin)
    await queries.end_person(session, org_id, staff_id, now=now)
    made = StaffPin(
        org_id=org_id, staff_id=staff_id, pin_hash=pin_hash, set_by=caller.id, set_at=now
    )
    await queries.write_pin(session, made)
    record_change(
        session,
        org_id=org_id,
        actor=caller.actor,
        action="staff.pin_set",
        object_kind="staff",
        object_id=staff_id,
        now=now,
    )


def record_device(
    session: AsyncSession, device: Device, actor: Actor, action: str, **facts: Any
) -> None:
    """Add an audit row about a device."""
    record_change(
        session,
        org_id=device.org_id,
        actor=actor,
        action=action,
        object_kind="device",
        object_id=device.id,
        **facts,
    )
