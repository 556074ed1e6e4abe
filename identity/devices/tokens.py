"""Short tokens of devices, the challenges they are given for, and what was revoked lately.

A token says who it is by itself, so that a gate's request needs no database: organisation, device,
lot, shift, person, what may be done, and until when, under an HMAC whose key is derived for it.
What a token cannot say, that it was revoked meanwhile, each process keeps in memory
(`Revocations`).
"""

import base64
import binascii
import hmac
import os
import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple
from uuid import UUID

from core.db import Database
from core.sealing import derive_key
from core.settings import Settings
from identity.devices import queries
from identity.devices.errors import DeviceRevoked, DeviceTokenNotValid
from identity.devices.rules import (
    CHALLENGE_VALID_FOR,
    DEVICE_PERMISSIONS,
    TOKEN_VALID_FOR,
    UNNAMED_PERMISSIONS,
)
from identity.people.rules import Permission

TOKEN_PREFIX: Final = "dt_"  # noqa: S105 (it says what follows)
TOKENS: Final = "device token v1"
CHALLENGES: Final = "device challenge v1"
# Version; organisation's code; organisation, device, lot, shift, person; bits of what may be done;
# made and over, in milliseconds. With its HMAC a multiple of three, so that base64 pads nothing.
_FACTS: Final = struct.Struct(">2s4s16s16s16s16s16sIQQ")
_VERSION: Final = b"d1"
_MAC_BYTES: Final = 32
_TOKEN_CHARS: Final = len(TOKEN_PREFIX) + (_FACTS.size + _MAC_BYTES) * 4 // 3
_NOBODY: Final = bytes(16)
# Beside the permissions: only what was recorded before a revocation may be sent.
_QUEUE_ONLY: Final = 1 << 31
_CHALLENGE: Final = struct.Struct(">Q17s")
_NO_PERMISSIONS: Final[frozenset[Permission]] = frozenset()


class DeviceCaller(NamedTuple):
    """A verified device, as its token names it."""

    org_id: UUID
    org_code: str
    device_id: UUID
    lot_id: UUID
    shift_id: UUID | None
    staff_id: UUID | None  # whom a PIN named
    permissions: frozenset[Permission]
    is_queue_only: bool  # revoked: it may send what it recorded before, and nothing else
    issued_at_ms: int
    expires_at_ms: int

    @property
    def expires_at(self) -> datetime:
        """When the token is over."""
        return _from_ms(self.expires_at_ms)


class Revocations:
    """Devices and people whose tokens ended before their time, as this process knows them.

    Read from the database every two seconds; while that is away the last list holds, and tokens end
    by themselves within fifteen minutes.
    """

    def __init__(self) -> None:
        # Called for each device once, when this process learns that it was revoked: whoever holds
        # something open for it lets go (api/services.py).
        self.on_device_ended: list[Callable[[UUID, UUID], None]] = []
        self._devices: frozenset[tuple[UUID, UUID]] = frozenset()
        self._people: dict[tuple[UUID, UUID], int] = {}

    def replace(
        self, devices: frozenset[tuple[UUID, UUID]], people: dict[tuple[UUID, UUID], int]
    ) -> None:
        """Take over what the database says."""
        before = self._devices
        self._devices, self._people = devices, people
        self._tell(devices - before)

    def add_device(self, org_id: UUID, device_id: UUID) -> None:
        """Let this process know at once; the others read it."""
        new = frozenset({(org_id, device_id)}) - self._devices
        self._devices |= new
        self._tell(new)

    def add_person(self, org_id: UUID, staff_id: UUID, *, now: datetime) -> None:
        """Let this process know at once that tokens of before do not name this person."""
        self._people = {**self._people, (org_id, staff_id): _to_ms(now)}

    def _tell(self, ended: frozenset[tuple[UUID, UUID]]) -> None:
        for org_id, device_id in ended:
            for end in self.on_device_ended:
                end(org_id, device_id)

    def has_device(self, org_id: UUID, device_id: UUID) -> bool:
        """Whether a device was revoked lately."""
        return (org_id, device_id) in self._devices

    def has_person(self, org_id: UUID, staff_id: UUID, issued_at_ms: int) -> bool:
        """Whether a token of this moment names a person who may no longer use it."""
        return issued_at_ms <= self._people.get((org_id, staff_id), -1)


class DeviceTokens:
    """Makes and verifies the tokens and challenges of all devices. One per process."""

    def __init__(self, secret_key: str, previous_secret_key: str | None = None) -> None:
        keys = [key for key in (secret_key, previous_secret_key) if key]
        self._token_keys = [derive_key(key, TOKENS) for key in keys]
        self._challenge_keys = [derive_key(key, CHALLENGES) for key in keys]
        self.revocations = Revocations()

    @classmethod
    def from_settings(cls, settings: Settings) -> "DeviceTokens":
        """Make the process's own."""
        previous = settings.previous_secret_key
        return cls(
            settings.secret_key.get_secret_value(),
            previous.get_secret_value() if previous else None,
        )

    def make_token(
        self,
        *,
        org_id: UUID,
        org_code: str,
        device_id: UUID,
        lot_id: UUID,
        shift_id: UUID | None = None,
        staff_id: UUID | None = None,
        permissions: frozenset[Permission],
        is_queue_only: bool = False,
        now: datetime,
    ) -> str:
        """Return a token for the next fifteen minutes."""
        bits = sum(1 << at for at, one in enumerate(DEVICE_PERMISSIONS) if one in permissions)
        facts = _FACTS.pack(
            _VERSION,
            org_code.encode("ascii"),
            org_id.bytes,
            device_id.bytes,
            lot_id.bytes,
            shift_id.bytes if shift_id else _NOBODY,
            staff_id.bytes if staff_id else _NOBODY,
            bits | (_QUEUE_ONLY if is_queue_only else 0),
            _to_ms(now),
            _to_ms(now + TOKEN_VALID_FOR),
        )
        return TOKEN_PREFIX + _encode(facts + _sign(self._token_keys[0], facts))

    def verify_device_token(
        self, token: str, now: datetime, *, for_queue: bool = False
    ) -> DeviceCaller:
        """Return whom a token names. Needs no database, and a few microseconds.

        Args:
            for_queue: the route takes what a device recorded before it was revoked.

        Raises:
            DeviceTokenNotValid: malformed, forged, over, or its person may no longer use it.
            DeviceRevoked: and the route takes nothing from such a device.
        """
        if len(token) != _TOKEN_CHARS or not token.startswith(TOKEN_PREFIX):
            raise DeviceTokenNotValid
        whole = _decode(token[len(TOKEN_PREFIX) :])
        if len(whole) != _FACTS.size + _MAC_BYTES:
            raise DeviceTokenNotValid
        facts, mac = whole[: _FACTS.size], whole[_FACTS.size :]
        if not any(hmac.compare_digest(mac, _sign(key, facts)) for key in self._token_keys):
            raise DeviceTokenNotValid
        caller = _read_facts(facts)
        if _to_ms(now) >= caller.expires_at_ms:
            raise DeviceTokenNotValid
        if for_queue:
            return self._read_for_queue(caller)
        if self._is_revoked(caller):
            raise DeviceRevoked
        if self._has_ended_person(caller):
            raise DeviceTokenNotValid
        return caller

    def _read_for_queue(self, caller: DeviceCaller) -> DeviceCaller:
        """A queue is taken whoever is named now, also from a device that was revoked since."""
        if self._is_revoked(caller):
            return caller._replace(
                is_queue_only=True, permissions=_NO_PERMISSIONS, staff_id=None, shift_id=None
            )
        if self._has_ended_person(caller):
            return caller._replace(staff_id=None, shift_id=None, permissions=UNNAMED_PERMISSIONS)
        return caller

    def _is_revoked(self, caller: DeviceCaller) -> bool:
        return caller.is_queue_only or self.revocations.has_device(caller.org_id, caller.device_id)

    def _has_ended_person(self, caller: DeviceCaller) -> bool:
        return caller.staff_id is not None and self.revocations.has_person(
            caller.org_id, caller.staff_id, caller.issued_at_ms
        )

    def make_challenge(self, device_id: UUID, *, now: datetime) -> str:
        """Return a challenge for one device, whether there is such a device or not."""
        body = _CHALLENGE.pack(_to_us(now), os.urandom(17))
        return _encode(body + _sign(self._challenge_keys[0], device_id.bytes + body))

    def read_challenge(self, challenge: str, device_id: UUID, *, now: datetime) -> datetime | None:
        """Return when a challenge of this device was made, or None if it is none or too old.

        That it was not used before is for the device's row to say (`queries.use_challenge`).
        """
        whole = _decode(challenge)
        if len(whole) != _CHALLENGE.size + _MAC_BYTES:
            return None
        body, mac = whole[: _CHALLENGE.size], whole[_CHALLENGE.size :]
        signed = device_id.bytes + body
        if not any(hmac.compare_digest(mac, _sign(key, signed)) for key in self._challenge_keys):
            return None
        made_at = datetime.fromtimestamp(0, UTC) + timedelta(
            microseconds=_CHALLENGE.unpack(body)[0]
        )
        # Another process, whose clock is a little ahead, may have made it.
        return made_at if abs(now - made_at) < CHALLENGE_VALID_FOR else None

    async def refresh(self, gate_database: Database) -> None:
        """Read what was revoked in the last hour, in all organisations: longer than a token lives.

        Args:
            gate_database: sessions of the role phopay_gate, which sees ids and times only.
        """
        async with gate_database.begin() as session:
            devices = await queries.list_revoked(session)
            people = await queries.list_ended(session)
        self.revocations.replace(
            frozenset(devices), {(org_id, staff_id): _to_ms(at) for org_id, staff_id, at in people}
        )


# The same token comes with every request of a quarter of an hour.
@lru_cache(maxsize=4_096)
def _read_facts(facts: bytes) -> DeviceCaller:
    _, code, org, device, lot, shift, person, bits, issued_at_ms, expires_at_ms = _FACTS.unpack(
        facts
    )
    return DeviceCaller(
        UUID(bytes=org),
        code.decode("ascii"),
        UUID(bytes=device),
        UUID(bytes=lot),
        None if shift == _NOBODY else UUID(bytes=shift),
        None if person == _NOBODY else UUID(bytes=person),
        _SETS[bits & (len(_SETS) - 1)],
        bool(bits & _QUEUE_ONLY),
        issued_at_ms,
        expires_at_ms,
    )


# The set of each combination of bits, made once.
_SETS: Final = tuple(
    frozenset(one for at, one in enumerate(DEVICE_PERMISSIONS) if bits & (1 << at))
    for bits in range(1 << len(DEVICE_PERMISSIONS))
)


def _sign(key: bytes, signed: bytes) -> bytes:
    return hmac.digest(key, signed, "sha256")


def _decode(text: str) -> bytes:
    """Return what a text of base64 for URLs says, or nothing where it is none."""
    try:
        return binascii.a2b_base64(text.replace("-", "+").replace("_", "/"), strict_mode=True)
    except ValueError:  # also binascii.Error, and what is not ASCII
        return b""


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode("ascii")


def _to_ms(at: datetime) -> int:
    return int(at.timestamp() * 1_000)


def _to_us(at: datetime) -> int:
    return (at - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1)


def _from_ms(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds // 1_000, UTC) + timedelta(
        milliseconds=milliseconds % 1_000
    )
