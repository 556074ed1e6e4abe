"""Vehicles at the way in of a lot."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import text

from core.db import Database
from core.ids import new_id
from parking.sessions.rules import (
    CredentialKind,
    EntryRequest,
    Method,
    TimeSource,
    hash_entry,
)
from parking.vehicles import VehicleClass
from tests.world.constants import NOON
from tests.world.lots import MOTORBIKE, LotFacts
from tests.world.serials import next_number

ATTENDANT_ID = UUID(int=4)


def a_plate() -> str:
    """Return the compact plate of a motorbike that nobody else has."""
    return f"29AA{next_number() % 100_000:05d}"


def an_entry(
    lot: LotFacts,
    *,
    id_: UUID | None = None,
    org_id: UUID | None = None,
    lot_id: UUID | None = None,
    vehicle_class: VehicleClass = MOTORBIKE,
    plate: str | None = None,
    ticket: str | None = None,
    ticket_kind: CredentialKind = CredentialKind.TICKET,
    entered_at: datetime = NOON,
    may_exceed: bool = False,
    access_id: UUID | None = None,
) -> EntryRequest:
    """Return what a gate asks for one vehicle; a new plate unless it has a plate or a ticket."""
    if plate is None and ticket is None:
        plate = a_plate()
    return EntryRequest(
        org_id=org_id or lot.org.id,
        lot_id=lot_id or lot.id,
        id=id_ or new_id(),
        vehicle_class=vehicle_class,
        plate=plate,
        ticket_kind=None if ticket is None else ticket_kind,
        ticket=ticket,
        ticket_key=uuid4(),
        access_id=access_id or lot.way_in_id,
        device_id=None,
        shift_id=None,
        entered_by=ATTENDANT_ID,
        photo=None,
        method=Method.VISUAL,
        read_text=None,
        read_score_bps=None,
        entered_at=entered_at,
        time_source=TimeSource.HUB,
        request_hash=hash_entry(
            lot_id=lot_id or lot.id,
            vehicle_class=vehicle_class.value,
            plate=plate,
            ticket_kind=None if ticket is None else ticket_kind.value,
            ticket=ticket,
            access_id=access_id or lot.way_in_id,
            photo=None,
        ),
        may_exceed=may_exceed,
    )


async def count_parked(owner_database: Database, lot: LotFacts) -> dict[str, int]:
    """Count, past row-level security, what a lot holds: all of it must agree."""
    counts = {
        "open sessions": "SELECT count(*) FROM parking_sessions WHERE lot_id = :lot_id"
        " AND status = 'inside'",
        "sessions inside": "SELECT count(DISTINCT session_id) FROM inside WHERE lot_id = :lot_id",
        "occupancy": "SELECT coalesce(sum(inside_count), 0) FROM occupancy WHERE lot_id = :lot_id",
    }
    async with owner_database.begin() as session:
        return {
            name: int(await session.scalar(text(query), {"lot_id": lot.id}) or 0)
            for name, query in counts.items()
        }


def all_are(counts: dict[str, int], number: int) -> bool:
    """Whether every count is this number."""
    return set(counts.values()) == {number}


def verdicts(answers: Iterable[object]) -> list[str]:
    """Return the answers' verdicts, sorted."""
    return sorted(str(answer.verdict.value) for answer in answers)  # type: ignore[attr-defined]
