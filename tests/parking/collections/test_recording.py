"""Collections as they are stored: their receipts, their sums, and what a reversal leaves."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from parking.collections import queries, service
from parking.collections.errors import CollectionIdTaken, CollectionNotFound
from parking.collections.rules import CollectionFacts, CollectionRail, NewCollection
from tests.world.constants import NOON
from tests.world.lots import a_lot
from tests.world.parking_sessions import Gate, a_stay

pytestmark = pytest.mark.anyio

CASH, FLOAT, EXEMPT = CollectionRail.CASH, CollectionRail.FLOAT, CollectionRail.EXEMPT


def taken(gate: Gate, stay_id: UUID | None, rail: CollectionRail, **facts: Any) -> NewCollection:
    """Return 5.000 ₫ that the gate's attendant takes at noon, in the shift that runs."""
    plain: dict[str, Any] = {
        "id": new_id(),
        "lot_id": gate.lot.id,
        "session_id": stay_id,
        "shift_id": gate.shift_id,
        "rail": rail,
        "amount_vnd": 5_000,
        "collected_at": NOON,
        "collected_by": gate.attendant.id,
        "reason": "Xe của trạm" if rail is EXEMPT else None,
    }
    return NewCollection(**plain | facts)


async def record(database: Database, gate: Gate, *collections: NewCollection) -> None:
    async with open_org_transaction(database, gate.org_id) as session:
        await service.record(session, gate.org_id, collections, now=NOON)


async def find(database: Database, gate: Gate, id_: UUID) -> CollectionFacts | None:
    async with open_org_transaction(database, gate.org_id) as session:
        return await queries.find_collection(session, gate.org_id, id_)


async def reverse(database: Database, gate: Gate, id_: UUID) -> None:
    async with open_org_transaction(database, gate.org_id) as session:
        known = await queries.lock_collection(session, gate.org_id, id_)
        await service.reverse(session, gate.org_id, known, by=gate.attendant.id, now=NOON)


async def read_receipts(database: Database, gate: Gate) -> list[tuple[str, bool]]:
    """Return (number, is it cancelled) of the lot's receipts, in their order."""
    async with open_org_transaction(database, gate.org_id) as session:
        rows = await session.execute(
            text("SELECT subject_id, cancelled_at IS NOT NULL FROM documents ORDER BY number")
        )
        return [(str(row[0]), row[1]) for row in rows]


async def test_cash_has_receipts_without_gaps_in_the_order_it_came_and_nothing_else_has(
    app_database: Database, gate: Gate
) -> None:
    stay_id = await a_stay(app_database, gate)
    first, free, second, lent, third = [
        taken(gate, stay_id, rail) for rail in (CASH, EXEMPT, CASH, FLOAT, CASH)
    ]

    await record(app_database, gate, first, free, second)
    await record(app_database, gate, lent, third)

    found = [await find(app_database, gate, one.id) for one in (first, second, third, free, lent)]
    numbers = [one.receipt_number for one in found if one is not None]
    assert len(set(numbers[:3])) == 3
    assert numbers[:3] == sorted(numbers[:3], key=str)
    assert numbers[3:] == [None, None]
    receipts = await read_receipts(app_database, gate)
    assert receipts == [(str(one.id), False) for one in (first, second, third)]


async def test_an_id_that_is_stored_already_lets_nothing_of_its_batch_be_stored(
    app_database: Database, gate: Gate
) -> None:
    stay_id = await a_stay(app_database, gate)
    known, other = taken(gate, stay_id, CASH), taken(gate, stay_id, CASH)
    await record(app_database, gate, known)

    with pytest.raises(CollectionIdTaken):
        await record(app_database, gate, other, known)

    assert await find(app_database, gate, other.id) is None
    assert await read_receipts(app_database, gate) == [(str(known.id), False)]


async def test_what_is_reversed_counts_in_no_sum_and_keeps_its_place_and_its_receipts_number(
    app_database: Database, gate: Gate
) -> None:
    stay_id = await a_stay(app_database, gate)
    slip, right = taken(gate, stay_id, CASH), taken(gate, stay_id, CASH, amount_vnd=7_000)
    await record(app_database, gate, slip, right)

    await reverse(app_database, gate, slip.id)

    async with open_org_transaction(app_database, gate.org_id) as session:
        of_org = (session, gate.org_id)
        assert await queries.sum_of_shift(*of_org, gate.shift_id) == {"cash": (1, 7_000)}
        assert await queries.lock_money_of_session(*of_org, stay_id) == 7_000
        listed = await queries.list_of_session(*of_org, stay_id)
    assert [(one.id, one.reversed_by) for one in listed] == [
        (slip.id, gate.attendant.id),
        (right.id, None),
    ]
    receipts = await read_receipts(app_database, gate)
    assert receipts == [(str(slip.id), True), (str(right.id), False)]


async def test_of_a_stay_only_money_is_money_and_each_rail_is_named_once(
    app_database: Database, gate: Gate
) -> None:
    paid, free, nothing = [await a_stay(app_database, gate) for _ in range(3)]
    await record(
        app_database,
        gate,
        *(taken(gate, paid, rail) for rail in (CASH, CASH, FLOAT)),
        taken(gate, free, EXEMPT),
    )

    async with open_org_transaction(app_database, gate.org_id) as session:
        of_org = (session, gate.org_id)
        money = [await queries.lock_money_of_session(*of_org, one) for one in (paid, free, nothing)]
        rails = await queries.rails_of_sessions(*of_org, [paid, free, nothing])
        of_shift = await queries.sum_of_shift(*of_org, gate.shift_id)
        lent = await queries.sum_float(*of_org, gate.shift_id, bill_id=None)
        of_bill = await queries.sum_float(*of_org, gate.shift_id, bill_id=new_id())
    assert money == [15_000, 0, 0]
    assert rails == {paid: {"cash", "float"}, free: {"exempt"}}
    assert of_shift == {"cash": (2, 10_000), "float": (1, 5_000), "exempt": (1, 5_000)}
    assert (lent, of_bill) == ((1, 5_000), (0, 0))


async def test_a_plate_in_a_reason_is_masked_and_the_rest_of_it_stays(
    app_database: Database, gate: Gate
) -> None:
    free = taken(gate, await a_stay(app_database, gate), EXEMPT, reason="Xe 29-D1 876.54 của trạm")

    await record(app_database, gate, free)

    found = await find(app_database, gate, free.id)
    assert found is not None
    assert found.reason == "Xe 29D***54 của trạm"


async def test_what_another_organisation_collected_is_not_there(
    app_database: Database, gate: Gate
) -> None:
    other = await a_lot(app_database)
    one = taken(gate, await a_stay(app_database, gate), CASH)
    await record(app_database, gate, one)

    async with open_org_transaction(app_database, other.org.id) as session:
        assert await queries.find_collection(session, gate.org_id, one.id) is None
        assert await queries.sum_of_shift(session, gate.org_id, gate.shift_id) == {}
        with pytest.raises(CollectionNotFound):
            await queries.lock_collection(session, gate.org_id, one.id)
