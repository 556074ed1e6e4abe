"""The lots of a run, with a device each, and the vehicles that come to them."""

import base64
import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
import psycopg
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from core.db import Database
from core.ids import new_id
from core.settings import Settings
from core.tenancy import open_org_transaction
from identity.devices.models import Device
from identity.devices.rules import UNNAMED_PERMISSIONS
from identity.devices.signatures import MOVEMENT
from identity.devices.tokens import DeviceTokens
from identity.organisations.rules import OrgFacts, OrgKind
from identity.organisations.service import create_organisation
from loadtests.city import MANAGER
from loadtests.vehicles import write_plate
from loadtests.wire import Call
from parking.places.models import Lot, Occupancy, ParkingOperator
from payments.bills.references import ALPHABET
from payments.payees.service import add_payee

ORGANISATIONS: Final = 10
LOTS_EACH: Final = 20
ROOM: Final = 2_000_000_000
CLASSES: Final = ("motorbike", "car")
MOTORBIKE_SHARE: Final = 0.85  # as the city's traffic is
MOVEMENTS_A_BATCH: Final = 1_000
_numbers: Final = itertools.count()


@dataclass(frozen=True, kw_only=True)
class BenchLot:
    """A lot with the device that stands there."""

    org: OrgFacts
    id: UUID
    device_id: UUID
    key: ec.EllipticCurvePrivateKey


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """A vehicle that comes in: what is sent, and what must be stored."""

    org_id: UUID
    lot_id: UUID
    session_id: UUID
    plate: str = ""
    vehicle_class: str = ""


async def found_lots(database: Database, *, now: datetime) -> list[BenchLot]:
    """Make the organisations of a run and their lots, as role app."""
    lots = []
    for number in range(ORGANISATIONS):
        async with database.begin() as session:
            org = await create_organisation(
                session,
                code=f"PK{ALPHABET[number // len(ALPHABET)]}{ALPHABET[number % len(ALPHABET)]}",
                name=f"Bãi xe {number}",
                kind=OrgKind.PARKING_OPERATOR,
                is_live=True,
                actor=MANAGER,
                now=now,
            )
        for _ in range(LOTS_EACH):
            lots.append(await _found_lot(database, org, now=now))
    return lots


async def _found_lot(database: Database, org: OrgFacts, *, now: datetime) -> BenchLot:
    lot_id, device_id, operator_id = new_id(), new_id(), new_id()
    key = ec.generate_private_key(ec.SECP256R1())
    async with open_org_transaction(database, org.id) as session:
        payee = await add_payee(session, org.id, name="Bãi", place="", actor=MANAGER, now=now)
        of_org = {"org_id": org.id, "created_at": now}
        session.add(
            ParkingOperator(**of_org, id=operator_id, name="Bãi", address="", tax_code="0100108688")
        )
        await session.flush()
        session.add(
            Lot(
                **of_org,
                id=lot_id,
                operator_id=operator_id,
                payee_id=payee.id,
                name="Bãi",
                address="",
                kind="off_street",
                payment_timing="payPriorToExit",
            )
        )
        await session.flush()
        for vehicle_class in CLASSES:
            session.add(
                Occupancy(
                    org_id=org.id,
                    lot_id=lot_id,
                    vehicle_class=vehicle_class,
                    capacity=ROOM,
                    licensed_capacity=ROOM,
                )
            )
        public_key = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        session.add(
            Device(
                org_id=org.id,
                id=device_id,
                name="Cổng",
                scope_kind="lot",
                scope_id=lot_id,
                public_key=public_key,
                enrolled_by=UUID(int=1),
                enrolled_at=now,
            )
        )
    return BenchLot(org=org, id=lot_id, device_id=device_id, key=key)


def make_tokens(settings: Settings, lots: Sequence[BenchLot], *, now: datetime) -> dict[UUID, str]:
    """Return each lot's device token, good for a quarter of an hour."""
    tokens = DeviceTokens.from_settings(settings)
    return {
        lot.id: tokens.make_token(
            org_id=lot.org.id,
            org_code=lot.org.code,
            device_id=lot.device_id,
            lot_id=lot.id,
            permissions=UNNAMED_PERMISSIONS,
            now=now,
        )
        for lot in lots
    }


def write_arrivals(
    lots: Sequence[BenchLot], tokens: dict[UUID, str], count: int, *, seed: int
) -> tuple[list[Call], list[Arrival]]:
    """Write one request for each of so many vehicles; none comes twice."""
    chance = random.Random(seed)
    calls, arrivals = [], []
    for number, entry in zip(range(count), write_entries(chance), strict=False):
        lot = lots[number % len(lots)]
        headers = f"Authorization: Bearer {tokens[lot.id]}\r\n"
        body = msgspec.json.encode(entry)
        calls.append(Call(path=f"/v1/lots/{lot.id}/entries", headers=headers, body=body))
        arrivals.append(
            Arrival(
                org_id=lot.org.id,
                lot_id=lot.id,
                session_id=UUID(str(entry["id"])),
                plate=str(entry["plate"]),
                vehicle_class=str(entry["vehicle_class"]),
            )
        )
    return calls, arrivals


def write_entries(chance: random.Random) -> Iterator[dict[str, object]]:
    """Yield the bodies of entries: a plate that no other has, its photo's hash, a reader's text."""
    while True:
        number = next(_numbers)
        is_motorbike = chance.random() < MOTORBIKE_SHARE
        plate = write_plate(number, is_motorbike=is_motorbike)
        yield {
            "id": str(new_id()),
            "vehicle_class": "motorbike" if is_motorbike else "car",
            "plate": plate,
            "method": "anpr",
            "photo": f"{number:064x}",
            "read_text": plate,
            "read_score_bps": 9_700,
        }


def write_batches(
    lots: Sequence[BenchLot], tokens: dict[UUID, str], batches: int, *, now: datetime
) -> tuple[list[Call], list[Arrival]]:
    """Write batches of movements, signed beforehand; each device sends some, in its own order."""
    chance = random.Random(5)
    entries = write_entries(chance)
    calls, arrivals = [], []
    for number in range(batches):
        lot = lots[number % len(lots)]
        movements = []
        for seq in range(MOVEMENTS_A_BATCH):
            entry = next(entries)
            body = msgspec.json.encode(
                {
                    "id": str(new_id()),
                    "seq": number * MOVEMENTS_A_BATCH + seq,
                    "kind": "entry",
                    "device_at": now.isoformat(),
                    "offset_ms": 0,
                    "entry": entry,
                }
            )
            movements.append({"body": body.decode(), "signature": sign(lot.key, body)})
            arrivals.append(
                Arrival(org_id=lot.org.id, lot_id=lot.id, session_id=UUID(str(entry["id"])))
            )
        headers = f"Authorization: Bearer {tokens[lot.id]}\r\n"
        body = msgspec.json.encode({"movements": movements})
        calls.append(Call(path=f"/v1/lots/{lot.id}/movements", headers=headers, body=body))
    return calls, arrivals


def sign(key: ec.EllipticCurvePrivateKey, body: bytes) -> str:
    r, s = decode_dss_signature(key.sign(MOVEMENT + body, ec.ECDSA(SHA256())))
    return base64.urlsafe_b64encode(r.to_bytes(32) + s.to_bytes(32)).decode()


# One row per vehicle that was acknowledged.
JUDGE: Final = """
SELECT count(*) FILTER (WHERE stays <> 1 OR present <> 1 OR seen <> 1) FROM (
    SELECT (SELECT count(*) FROM parking_sessions s WHERE s.org_id = a.org_id AND s.id = a.id)
               AS stays,
           (SELECT count(*) FROM inside i WHERE i.org_id = a.org_id AND i.session_id = a.id)
               AS present,
           (SELECT count(*) FROM observations o WHERE o.org_id = a.org_id AND o.id = a.id) AS seen
    FROM acknowledged a) AS counted
"""
# What is inside, counted three ways: what is too much is doubled.
DISAGREE: Final = """
SELECT coalesce(sum(abs(o.inside_count - coalesce(i.count, 0))), 0)
FROM (SELECT org_id, lot_id, sum(inside_count) AS inside_count FROM occupancy GROUP BY 1, 2) o
LEFT JOIN (SELECT org_id, lot_id, count(DISTINCT session_id) AS count FROM inside GROUP BY 1, 2) i
USING (org_id, lot_id)
"""


def count_lost(owner_url: str, arrivals: Sequence[Arrival]) -> tuple[int, int]:
    """Hold acknowledged vehicles against the database: (lost, by how much the counts disagree)."""
    with psycopg.connect(owner_url) as owner:
        owner.execute("CREATE TEMPORARY TABLE acknowledged (org_id uuid, id uuid)")
        with owner.cursor().copy("COPY acknowledged FROM STDIN") as copy:
            for one in arrivals:
                copy.write_row((one.org_id, one.session_id))
        owner.execute("ANALYZE acknowledged")
        lost = owner.execute(JUDGE).fetchone()
        disagree = owner.execute(DISAGREE).fetchone()
    assert lost is not None
    assert disagree is not None
    return int(lost[0]), int(disagree[0])
