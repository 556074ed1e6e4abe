"""The demo's gates: at each site an enrolled phone, and who works with it by a PIN.

Phones are enrolled as a manager and a phone do it. Their keys and the PINs lie in the demo's
folder, where in life they lie in the phones and in people's heads: `--simulate` plays them.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import Database
from core.settings import Settings
from core.tenancy import open_org_transaction
from identity.devices.phones import Phones
from identity.devices.queries import find_device, find_pin
from identity.devices.rules import PIN_DIGITS, check_pin
from identity.devices.service import CodeHasher, add_code, set_pin
from identity.devices.signatures import ENROLMENT
from identity.devices.tokens import DeviceTokens
from identity.organisations.rules import OrgFacts, OrgKind
from identity.people.callers import Caller, Directory
from identity.people.keys import add_key
from identity.people.queries import find_key, list_staff
from identity.people.rules import Permission, Role, Scope, ScopeKind
from ops.demo.logins import ATTENDANT, Logins, as_caller
from ops.demo.parking import SITES, Site
from ops.demo.places import PARKING
from ops.environment import write_private
from parking.places.queries import list_accesses, list_lots
from registry import REGISTRY

KEYS_FILE: Final = "gates.json"
SECOND: Final = "mophong"  # where a visitor works, too, the simulation has somebody of its own
# Lots with an attendant for visitors, whose shift runs: the simulation stays out of their cash.
VISITED: Final = ("TQK", "PD")
LANES_KEY: Final = "Thanh chắn (mô phỏng)"


class Lane(msgspec.Struct, kw_only=True):
    """A lane that opens on command."""

    access_id: UUID
    key_id: UUID
    key: str


class Gate(msgspec.Struct, kw_only=True):
    """A site's phone with its key, and the person whose PIN names them on it."""

    label: str
    org_code: str
    lot_id: UUID
    classes: list[str]
    room: int  # vehicles of all classes
    timing: str
    device_id: UUID
    private_key: str  # PKCS 8, PEM
    staff_id: UUID
    pin: str
    pin_set_at: datetime
    lanes: list[Lane] = []


@dataclass(frozen=True, kw_only=True)
class GateBuilder:
    """What gates are made with."""

    database: Database
    settings: Settings
    logins: Logins
    now: datetime


async def ensure_gates(builder: GateBuilder, org: OrgFacts) -> list[Gate]:
    """Return the gates of the demo's sites, made where they are missing. Safe to repeat.

    A phone that a manager revoked, or whose key is lost, is followed by another one.
    """
    file = builder.settings.data_dir / KEYS_FILE
    known = {gate.label: gate for gate in _read(file)}
    gates, made = [], 0
    for site in SITES:
        gate = known.get(site.label)
        if gate is None or not await _is_good(builder, org, gate):
            gate = await _equip(builder, org, site)
            made += 1
        gates.append(gate)
    if made:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_private(file, msgspec.json.encode(gates))
    return gates


def login_of(label: str) -> str:
    """The login of whom the simulation names at a site."""
    start = SECOND if label in VISITED else ATTENDANT[0]
    return f"{start}.{PARKING.slug}.{label.lower()}"


def _read(file: Path) -> list[Gate]:
    try:
        return msgspec.json.decode(file.read_bytes(), type=list[Gate])
    except (OSError, msgspec.DecodeError):
        return []


async def _is_good(builder: GateBuilder, org: OrgFacts, gate: Gate) -> bool:
    """Whether a phone still counts, and its person can be named."""
    async with open_org_transaction(builder.database, org.id) as session:
        device = await find_device(session, org.id, gate.device_id)
        pin = await find_pin(session, org.id, gate.staff_id)
        keys = [await find_key(session, org.id, lane.key_id) for lane in gate.lanes]
    has_keys = all(key is not None and key.revoked_at is None for key in keys)
    is_there = device is not None and device.revoked_at is None
    return is_there and has_keys and pin is not None and pin.set_at == gate.pin_set_at


async def _equip(builder: GateBuilder, org: OrgFacts, site: Site) -> Gate:
    """Give a site a phone, and a person a PIN."""
    database, now = builder.database, builder.now
    name = next(stall.name for stall in PARKING.stalls if stall.label == site.label)
    async with open_org_transaction(database, org.id) as session:
        people = {one.login: one for one in await list_staff(session, org.id)}
        manager = as_caller(org, OrgKind.PARKING_OPERATOR, people[f"quanly.{PARKING.slug}"])
        lot_id = next(one.id for one in await list_lots(session, org.id) if one.name == name)
        scope = Scope(ScopeKind.LOT, lot_id)
        worker = people.get(login_of(site.label)) or await builder.logins.add(
            session,
            org,
            login=login_of(site.label),
            who=f"{ATTENDANT[1]} {site.label} (mô phỏng)",
            role=Role.ATTENDANT,
            scope=scope,
        )
        pin = _make_pin()
        await set_pin(session, manager, worker.id, pin, passwords=builder.logins.passwords, now=now)
        code = await add_code(
            session,
            manager,
            name=f"Cổng {site.label}",
            scope=scope,
            hasher=CodeHasher(builder.settings.secret_key.get_secret_value()),
            hooks=REGISTRY.hooks,
            now=now,
        )
        lanes = await _add_lanes(session, manager, lot_id, now=now) if site.has_controller else []
        staff_id = worker.id
    key = ec.generate_private_key(ec.SECP256R1())
    return Gate(
        label=site.label,
        org_code=org.code,
        lot_id=lot_id,
        classes=[one.value for one in site.room],
        room=sum(site.room.values()),
        timing=site.timing.value,
        device_id=await _enrol(builder, key, code.code, site.label),
        private_key=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        staff_id=staff_id,
        pin=pin,
        pin_set_at=now,
        lanes=lanes,
    )


async def _enrol(
    builder: GateBuilder, key: ec.EllipticCurvePrivateKey, code: str, label: str
) -> UUID:
    """Enrol a phone, as the phone does: it signs the code with its key."""
    public_key = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    settings, database = builder.settings, builder.database
    phones = Phones(
        database=database,
        directory=Directory(database=database, sign_in_idle=timedelta(hours=1)),
        tokens=DeviceTokens.from_settings(settings),
        hasher=CodeHasher(settings.secret_key.get_secret_value()),
        passwords=builder.logins.passwords,
        hooks=REGISTRY.hooks,
    )
    message = ENROLMENT + code.encode() + b"\n" + public_key
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(SHA256())))
    enrolled = await phones.enrol(
        code=code,
        public_key=public_key,
        signature=r.to_bytes(32) + s.to_bytes(32),
        network=label,
        request_id="demo",
        now=builder.now,
    )
    return enrolled.device.id


async def _add_lanes(
    session: AsyncSession, manager: Caller, lot_id: UUID, *, now: datetime
) -> list[Lane]:
    """Make a key for the controller of each lane that has one."""
    lanes = []
    for access in await list_accesses(session, manager.org_id, lot_id):
        if access.has_controller:
            name = f"{LANES_KEY} {access.name}"
            made = await add_key(
                session, manager, name=name, scopes={Permission.LANES_SERVE}, lot_id=lot_id, now=now
            )
            lanes.append(Lane(access_id=access.id, key_id=made.key.id, key=made.text))
    return lanes


def _make_pin() -> str:
    while check_pin(pin := f"{secrets.randbelow(10**PIN_DIGITS):0{PIN_DIGITS}d}"):
        pass
    return pin
