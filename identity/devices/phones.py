"""Devices as phones use them: enrolling, proving the key for a token, and naming who works."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.db import Database
from core.errors import Busy
from core.ids import new_id
from core.rate_limit import RateLimit
from core.tenancy import open_org_transaction
from identity.devices import queries, signatures
from identity.devices.errors import (
    DeviceRevoked,
    DeviceTokenNotValid,
    EnrolmentCodeNotValid,
    PinLocked,
    PinNotRight,
    ProofNotValid,
    PublicKeyNotUsable,
)
from identity.devices.models import Device, DeviceEnrolment, StaffPin
from identity.devices.rules import (
    NAMED_FOR,
    ORG_CODE_CHARS,
    PIN_FAILURES_A_LOCK,
    QUEUE_KEPT_FOR,
    TOKEN_VALID_FOR,
    can_be_named,
    measure_offset_ms,
    normalise_code,
    permissions_on_device,
)
from identity.devices.service import CodeHasher, record_device
from identity.devices.tokens import DeviceCaller, DeviceTokens
from identity.people.callers import Directory, Org
from identity.people.hooks import Hooks
from identity.people.models import Staff
from identity.people.passwords import Passwords
from identity.people.queries import get_staff
from identity.people.rules import Scope, ScopeKind, permissions_of


@dataclass(frozen=True, kw_only=True)
class Enrolled:
    """A phone that proved its key."""

    org: Org
    device: Device


@dataclass(frozen=True, kw_only=True)
class Issued:
    """A token just made, and what it says."""

    token: str
    device: Device
    expires_at: datetime
    staff_id: UUID | None
    staff_name: str | None
    shift_id: UUID | None
    is_queue_only: bool


@dataclass(kw_only=True)
class Phones:
    """Serves phones. One per process, so that its limits count."""

    database: Database
    directory: Directory
    tokens: DeviceTokens
    hasher: CodeHasher
    passwords: Passwords
    hooks: Hooks
    # A code is typed once or twice; 39 bits withstand this for ten minutes from any number of
    # networks that somebody could have.
    by_network: RateLimit = field(default_factory=lambda: RateLimit(10, per_s=60))
    # A phone asks four times an hour, and again after a lost answer.
    by_device: RateLimit = field(default_factory=lambda: RateLimit(30, per_s=60))

    async def enrol(
        self,
        *,
        code: str,
        public_key: bytes,
        signature: bytes,
        network: str,
        request_id: str,
        now: datetime,
    ) -> Enrolled:
        """Make the phone with this key a device, if it signed the code. Idempotent by code and key.

        Raises:
            EnrolmentCodeNotValid, PublicKeyNotUsable
            TooManyRequests: too many tries from this network.
        """
        self.by_network.take(network)
        signatures.check_public_key(public_key)
        typed = normalise_code(code)
        if typed is None:
            raise EnrolmentCodeNotValid
        proved = typed.encode() + b"\n" + public_key
        if not signatures.verify_enrolment(public_key, proved, signature):
            raise PublicKeyNotUsable
        org = await self.directory.find_org(typed[:ORG_CODE_CHARS])
        if org is None:
            raise EnrolmentCodeNotValid
        async with open_org_transaction(self.database, org.id) as session:
            enrolment = await queries.lock_enrolment(session, org.id, self.hasher.hash(typed))
            if enrolment is None:
                raise EnrolmentCodeNotValid
            if enrolment.device_id is not None:
                device = await queries.find_device(session, org.id, enrolment.device_id)
                if device is None or device.public_key != public_key:
                    raise EnrolmentCodeNotValid
                return Enrolled(org=org, device=device)
            if now >= enrolment.expires_at:
                raise EnrolmentCodeNotValid
            device = await _add_device(session, enrolment, public_key, request_id, now)
        return Enrolled(org=org, device=device)

    async def issue_token(
        self,
        *,
        org_code: str,
        device_id: UUID,
        challenge: str,
        signature: bytes,
        device_at: datetime,
        now: datetime,
    ) -> Issued:
        """Give a token for a challenge that the device signed; who was named on it stays named.

        Args:
            device_at: the time on the device's clock.

        Raises:
            ProofNotValid: unknown device, another key's signature, a used or an old challenge.
            DeviceRevoked: more than 72 hours ago; before, the token is good for its queue.
            TooManyRequests
        """
        self.by_device.take(str(device_id))
        made_at = self.tokens.read_challenge(challenge, device_id, now=now)
        org = await self.directory.find_org(org_code)
        if made_at is None or org is None:
            raise ProofNotValid
        async with open_org_transaction(self.database, org.id) as session:
            device = await queries.find_device(session, org.id, device_id)
            if device is None or not signatures.verify_challenge(
                device.public_key, challenge, signature
            ):
                raise ProofNotValid
            is_unused = await queries.use_challenge(
                session,
                org.id,
                device_id,
                made_at=made_at,
                offset_ms=measure_offset_ms(device_at, now),
                now=now,
            )
            if not is_unused:
                raise ProofNotValid
            device = await queries.lock_device(session, org.id, device_id)
            if device.revoked_at is not None and now >= device.revoked_at + QUEUE_KEPT_FOR:
                raise DeviceRevoked
            return await self._issue(session, org, device, now=now)

    async def name_person(
        self, caller: DeviceCaller, staff_id: UUID, pin: str, *, request_id: str, now: datetime
    ) -> Issued:
        """Name who works with the device, and give a token that says so.

        A try is counted, and committed, before the PIN is compared: whatever number of devices try
        at the same instant, five tries are five. After five it is locked for a quarter of an hour.

        Raises:
            PinNotRight, PinLocked, DeviceTokenNotValid, DeviceRevoked
            TooManyRequests
        """
        self.by_device.take(str(caller.device_id))
        async with open_org_transaction(self.database, caller.org_id) as session:
            tried = await queries.take_pin_try(session, caller.org_id, staff_id, now=now)
            known = tried or await queries.find_pin(session, caller.org_id, staff_id)
            if tried is not None and tried.failed_attempts % PIN_FAILURES_A_LOCK == 0:
                _record_lock(session, caller, staff_id, request_id, now)
        if known is not None and tried is None:
            raise PinLocked
        try:
            is_right = await self.passwords.verify(pin, tried.pin_hash if tried else None)
        except Busy:
            if tried is not None:
                await self._give_back(tried, tries=1)
            raise
        if tried is None or not is_right:
            raise PinNotRight
        await self._give_back(tried, tries=None)
        return await self._name(caller, tried, request_id=request_id, now=now)

    async def forget_person(self, caller: DeviceCaller, *, now: datetime) -> Issued:
        """Let nobody be named on the device any longer, and give a token that says so.

        Raises:
            DeviceTokenNotValid, DeviceRevoked
        """
        async with open_org_transaction(self.database, caller.org_id) as session:
            org, device = await self._lock_open(session, caller)
            device.person_id = device.named_at = None
            await session.flush()
            return await self._issue(session, org, device, now=now)

    async def _name(
        self, caller: DeviceCaller, pin: StaffPin, *, request_id: str, now: datetime
    ) -> Issued:
        async with open_org_transaction(self.database, caller.org_id) as session:
            org, device = await self._lock_open(session, caller)
            present = await queries.lock_pin(session, caller.org_id, pin.staff_id)
            # It may have been set anew while the old one was compared.
            if present is None or present.pin_hash != pin.pin_hash:
                raise PinNotRight
            staff = await get_staff(session, caller.org_id, pin.staff_id)
            if not _can_be_named(staff, device):
                raise PinNotRight
            device.person_id, device.named_at = staff.id, now
            await session.flush()
            actor = Actor(kind="staff", id=staff.id, name=staff.display_name, request_id=request_id)
            record_device(session, device, actor, "device.person_named", now=now)
            return await self._issue(session, org, device, now=now)

    async def _give_back(self, pin: StaffPin, *, tries: int | None) -> None:
        async with open_org_transaction(self.database, pin.org_id) as session:
            await queries.give_back_pin_tries(
                session, pin.org_id, pin.staff_id, pin_hash=pin.pin_hash, tries=tries
            )

    async def _lock_open(self, session: AsyncSession, caller: DeviceCaller) -> tuple[Org, Device]:
        org = await self.directory.find_org(caller.org_code)
        if org is None or org.id != caller.org_id:
            raise DeviceTokenNotValid
        device = await queries.lock_device(session, caller.org_id, caller.device_id)
        if device.revoked_at is not None:
            raise DeviceRevoked
        return org, device

    async def _issue(
        self, session: AsyncSession, org: Org, device: Device, *, now: datetime
    ) -> Issued:
        is_queue_only = device.revoked_at is not None
        staff = None if is_queue_only else await _find_person(session, device, now)
        shift_id = None
        if staff is not None and self.hooks.find_shift is not None:
            shift_id = await self.hooks.find_shift(session, org.id, device.scope_id, staff.id)
        held = None if staff is None else permissions_of(staff.roles)
        token = self.tokens.make_token(
            org_id=org.id,
            org_code=org.code,
            device_id=device.id,
            lot_id=device.scope_id,
            shift_id=shift_id,
            staff_id=None if staff is None else staff.id,
            permissions=frozenset() if is_queue_only else permissions_on_device(held),
            is_queue_only=is_queue_only,
            now=now,
        )
        return Issued(
            token=token,
            device=device,
            expires_at=now + TOKEN_VALID_FOR,
            staff_id=None if staff is None else staff.id,
            staff_name=None if staff is None else staff.display_name,
            shift_id=shift_id,
            is_queue_only=is_queue_only,
        )


async def _add_device(
    session: AsyncSession,
    enrolment: DeviceEnrolment,
    public_key: bytes,
    request_id: str,
    now: datetime,
) -> Device:
    device = Device(
        org_id=enrolment.org_id,
        id=new_id(),
        name=enrolment.name,
        scope_kind=enrolment.scope_kind,
        scope_id=enrolment.scope_id,
        public_key=public_key,
        enrolled_by=enrolment.created_by,
        enrolled_at=now,
    )
    session.add(device)
    enrolment.used_at, enrolment.device_id = now, device.id
    await session.flush()
    actor = Actor(kind="device", id=device.id, name=device.name, request_id=request_id)
    facts = {"name": device.name, "place": f"{device.scope_kind}:{device.scope_id}"}
    record_device(session, device, actor, "device.enrolled", after=facts, now=now)
    return device


async def _find_person(session: AsyncSession, device: Device, now: datetime) -> Staff | None:
    """Return who is named on a device, if they still may be."""
    if device.person_id is None or device.named_at is None or now >= device.named_at + NAMED_FOR:
        return None
    pin = await queries.lock_pin(session, device.org_id, device.person_id)
    if pin is None or (pin.ended_at is not None and device.named_at <= pin.ended_at):
        return None
    staff = await get_staff(session, device.org_id, device.person_id)
    return staff if _can_be_named(staff, device) else None


def _can_be_named(staff: Staff, device: Device) -> bool:
    place = Scope(ScopeKind(device.scope_kind), device.scope_id)
    is_active = staff.disabled_at is None
    return is_active and can_be_named(permissions_of(staff.roles), staff.scopes, place)


def _record_lock(
    session: AsyncSession, caller: DeviceCaller, staff_id: UUID, request_id: str, now: datetime
) -> None:
    record_change(
        session,
        org_id=caller.org_id,
        actor=Actor(kind="device", id=caller.device_id, name="device", request_id=request_id),
        action="staff.pin_locked",
        object_kind="staff",
        object_id=staff_id,
        after={"device_id": str(caller.device_id)},
        now=now,
    )
