"""Steps of tests that join stays of one vehicle, or part a stay of two."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from parking.exits.joining import join_stays
from parking.exits.owner import handle_bill_change
from parking.exits.parting import part_stay
from parking.exits.paying import collect, open_bill
from parking.exits.rules import OWNER_KIND, StayFacts
from parking.exits.standing import get_stay, read_standing
from payments.bills.owners import OwnersInbox
from tests.world.constants import MANAGER, NOON
from tests.world.notices import pay
from tests.world.parking_sessions import (
    Gate,
    a_bill_wanted,
    cash,
)

PLATE, TICKET = "29AA12345", "A000017"
HOUR = timedelta(hours=1)


async def join(database: Database, gate: Gate, one: UUID, other: UUID) -> StayFacts:
    async with open_org_transaction(database, gate.org_id) as session:
        return await join_stays(
            session, gate.org_id, one, other, reason="Một xe, nhập hai lần", actor=MANAGER, now=NOON
        )


async def part(
    database: Database,
    gate: Gate,
    stay_id: UUID,
    *,
    id_: UUID | None = None,
    plate: str | None = None,
    ticket: str | None = None,
) -> StayFacts:
    async with open_org_transaction(database, gate.org_id) as session:
        return await part_stay(
            session, gate.org_id, stay_id, id_ or new_id(), plate=plate, ticket=ticket,
            ticket_kind="ticket", reason="Hai xe", actor=MANAGER, now=NOON,
        )  # fmt: skip


async def take_cash(database: Database, gate: Gate, stay_id: UUID, amount_vnd: int) -> UUID:
    taken = cash(amount_vnd)
    async with open_org_transaction(database, gate.org_id) as session:
        await collect(
            session, gate.org_id, stay_id, taken, priced_at=NOON, actor=gate.attendant, now=NOON
        )
    return taken.id


async def pay_by_code(database: Database, gate: Gate, stay_id: UUID, amount_vnd: int) -> Any:
    async with open_org_transaction(database, gate.org_id) as session:
        bill = await open_bill(
            session, gate.org_id, stay_id, a_bill_wanted(gate, amount_vnd), priced_at=NOON,
            actor=gate.attendant, now=NOON,
        )  # fmt: skip
    await pay(database, gate.stall, bill)
    return bill


async def handle_changes(database: Database, gate: Gate) -> None:
    inbox = OwnersInbox(database, {OWNER_KIND: handle_bill_change}, read_clock=lambda: NOON)
    await inbox.sweep([gate.org_id], wait_s=5)


async def read(database: Database, gate: Gate, stay_id: UUID) -> StayFacts:
    async with open_org_transaction(database, gate.org_id) as session:
        return await get_stay(session, gate.org_id, stay_id)


async def read_due(database: Database, gate: Gate, stay_id: UUID) -> int:
    async with open_org_transaction(database, gate.org_id) as session:
        stay = await get_stay(session, gate.org_id, stay_id)
        return (await read_standing(session, gate.org_id, stay, at=NOON)).due_vnd


async def read_inside(database: Database, gate: Gate) -> tuple[int, set[tuple[str, UUID]]]:
    """Return what the occupancy counts, and (credential, stay) of what is inside."""
    async with open_org_transaction(database, gate.org_id) as session:
        counted = await session.scalar(text("SELECT sum(inside_count)::int FROM occupancy"))
        listed = await session.execute(text("SELECT credential, session_id FROM inside"))
        return int(counted or 0), {(row[0], row[1]) for row in listed}
