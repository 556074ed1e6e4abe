"""Arrears are listed where they can be collected: at the lot that the vehicle left owing."""

from uuid import UUID

import pytest

from core.db import Database
from core.tenancy import open_org_transaction
from parking.exits.leaving import LeaveRequest, leave
from parking.exits.paying import collect
from parking.exits.quoting import StayQuote, quote_stay
from parking.exits.rules import ExitReason
from parking.tariffs.quotes import QuoteSigner
from tests.world.constants import NOON
from tests.world.lots import a_lot
from tests.world.parking_sessions import PER_VISIT_VND, Gate, a_gate, a_stay, cash

pytestmark = pytest.mark.anyio

PLATE = "29AA12345"


async def quote(database: Database, gate: Gate, stay_id: UUID) -> StayQuote:
    signer = QuoteSigner("x" * 32)
    async with open_org_transaction(database, gate.org_id) as session:
        return await quote_stay(session, gate.org_id, stay_id, signer, now=NOON)


async def test_arrears_are_listed_at_the_lot_where_they_are_collected_and_at_no_other(
    app_database: Database,
) -> None:
    gate = await a_gate(app_database)
    neighbour = await a_gate(app_database, lot=await a_lot(app_database, org=gate.lot.org))
    owing_id = await a_stay(app_database, gate, plate=PLATE)
    gone = LeaveRequest(
        session_id=owing_id, actor=gate.attendant, forced=ExitReason.ARREARS, words="Xe bỏ chạy"
    )
    async with open_org_transaction(app_database, gate.org_id) as session:
        await leave(session, gate.org_id, [gone], now=NOON)

    back_id = await a_stay(app_database, gate, plate=PLATE)
    next_door_id = await a_stay(app_database, neighbour, plate=PLATE)

    assert (await quote(app_database, neighbour, next_door_id)).arrears == ()
    (listed,) = (await quote(app_database, gate, back_id)).arrears
    assert (listed.id, listed.arrears_vnd) == (owing_id, PER_VISIT_VND)
    async with open_org_transaction(app_database, gate.org_id) as session:
        paid = await collect(
            session,
            gate.org_id,
            listed.id,
            cash(PER_VISIT_VND),
            priced_at=NOON,
            actor=gate.attendant,
            now=NOON,
        )
    assert paid.amount_vnd == PER_VISIT_VND
    assert (await quote(app_database, gate, back_id)).arrears == ()
