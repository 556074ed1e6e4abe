"""A lot's day as one list: each stay beside its payments, the bank's reports, and its photos."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from core.clock import hanoi_day
from core.db import Database
from core.tenancy import open_org_transaction
from parking.exits.joining import join_stays
from parking.exits.paying import open_bill
from parking.exits.rules import ExitReason
from parking.overview.compared import ComparedDay, ComparedStay, Difference, list_day, read_day
from tests.parking.overview.test_leakage import let_out, take
from tests.world.breaks import give_up_rest
from tests.world.constants import MANAGER, NOON
from tests.world.notices import pay
from tests.world.parking_sessions import PER_VISIT_VND, Gate, a_bill_wanted, a_stay, cash

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def scan(database: Database, gate: Gate, stay_id: UUID) -> None:
    """Pay for a stay by its code."""
    async with open_org_transaction(database, gate.org_id) as session:
        bill = await open_bill(
            session,
            gate.org_id,
            stay_id,
            a_bill_wanted(gate, PER_VISIT_VND),
            priced_at=NOON,
            actor=gate.attendant,
            now=NOON,
        )
    assert await pay(database, gate.stall, bill) == "settle"


async def photograph(database: Database, gate: Gate, *stay_ids: UUID) -> None:
    """Let these vehicles have a photo of their way in."""
    async with open_org_transaction(database, gate.org_id) as session:
        await session.execute(
            text("UPDATE parking_sessions SET entry_photo = '\\x01' WHERE id = ANY(:ids)"),
            {"ids": list(stay_ids)},
        )


async def read(
    database: Database, gate: Gate, *, odd_only: bool = False
) -> tuple[ComparedDay, dict[UUID, ComparedStay]]:
    """Return the day, and its list read in pages of two."""
    day, org_id, lot_id = hanoi_day(NOON), gate.org_id, gate.lot.id
    rows: list[ComparedStay] = []
    async with open_org_transaction(database, org_id) as session:
        while True:
            page = await list_day(
                session,
                org_id,
                lot_id,
                day,
                odd_only=odd_only,
                after_id=rows[-1].id if rows else None,
                limit=2,
            )
            rows += page
            if len(page) < 2:
                break
        return await read_day(session, org_id, lot_id, day), {one.id: one for one in rows}


async def test_each_stay_stands_beside_what_paid_for_it_and_says_what_differs(
    app_database: Database, gate: Gate
) -> None:
    by_code, by_cash, unconfirmed, owing, inside = [
        await a_stay(app_database, gate, plate=f"29AA1234{n}") for n in range(5)
    ]
    await photograph(app_database, gate, by_code, by_cash, unconfirmed, inside)
    await scan(app_database, gate, by_code)
    await take(app_database, gate, by_cash, cash(PER_VISIT_VND))
    for stay_id in (by_code, by_cash):
        await let_out(app_database, gate, stay_id)
    await let_out(app_database, gate, unconfirmed, ExitReason.UNCONFIRMED)
    await let_out(app_database, gate, owing, ExitReason.ARREARS)

    day, rows = await read(app_database, gate)

    assert rows.keys() == {by_code, by_cash, unconfirmed, owing}
    assert {id_: (one.bank_vnd, one.collected_vnd) for id_, one in rows.items()} == {
        by_code: (PER_VISIT_VND, 0),
        by_cash: (0, PER_VISIT_VND),
        unconfirmed: (0, 0),
        owing: (0, 0),
    }
    assert rows[by_code].differences == rows[by_cash].differences == ()
    assert set(rows[unconfirmed].differences) == {
        *(Difference.OWES, Difference.NOT_IN_BANK, Difference.NO_EXIT_PHOTO)
    }
    assert set(rows[owing].differences) == {
        *(Difference.OWES, Difference.NO_ENTRY_PHOTO, Difference.NO_EXIT_PHOTO)
    }
    assert rows[by_code].plate == "29A***40"
    assert (day.stays, day.odd, day.price_vnd) == (4, 2, 4 * PER_VISIT_VND)
    assert (day.paid_vnd, day.bank_vnd, day.collected_vnd) == (
        *(2 * PER_VISIT_VND, PER_VISIT_VND, PER_VISIT_VND),
    )
    assert day.differences == {
        Difference.OWES: 2,
        Difference.PAID_DIFFERS: 0,
        Difference.NOT_IN_BANK: 1,
        Difference.NO_ENTRY_PHOTO: 1,
        Difference.NO_EXIT_PHOTO: 2,
    }
    _, odd = await read(app_database, gate, odd_only=True)
    assert odd.keys() == {unconfirmed, owing}


async def test_what_paid_for_a_joined_stay_stands_beside_the_one_that_went_on(
    app_database: Database, gate: Gate
) -> None:
    earlier = NOON - timedelta(hours=2)  # the stay that began first goes on
    kept = await a_stay(app_database, gate, ticket="A000017", entered_at=earlier)
    other = await a_stay(app_database, gate)
    await take(app_database, gate, other, cash(PER_VISIT_VND))
    async with open_org_transaction(app_database, gate.org_id) as session:
        await join_stays(
            session, gate.org_id, kept, other, reason="Một xe", actor=MANAGER, now=NOON
        )
    await photograph(app_database, gate, kept)
    await let_out(app_database, gate, kept)

    _, rows = await read(app_database, gate)

    assert rows.keys() == {kept}
    assert (rows[kept].collected_vnd, rows[kept].differences) == (PER_VISIT_VND, ())


async def test_a_sum_that_no_payment_explains_is_a_difference(
    app_database: Database, owner_database: Database, gate: Gate
) -> None:
    stay_id = await a_stay(app_database, gate)
    await take(app_database, gate, stay_id, cash(PER_VISIT_VND))
    await photograph(app_database, gate, stay_id)
    await let_out(app_database, gate, stay_id)
    async with owner_database.begin() as session:
        await session.execute(text("UPDATE collections SET reversed_at = now()"))

    _, rows = await read(app_database, gate)

    assert rows[stay_id].differences == (Difference.PAID_DIFFERS,)


async def test_what_was_given_up_of_a_bill_stands_by_itself_and_is_no_difference(
    app_database: Database, gate: Gate
) -> None:
    stay_id = await a_stay(app_database, gate)
    async with open_org_transaction(app_database, gate.org_id) as session:
        bill = await open_bill(
            session,
            gate.org_id,
            stay_id,
            a_bill_wanted(gate, PER_VISIT_VND),
            priced_at=NOON,
            actor=gate.attendant,
            now=NOON,
        )
    await pay(app_database, gate.stall, bill, amount_vnd=PER_VISIT_VND - 1_000)
    await give_up_rest(app_database, gate.stall, bill, amount_vnd=1_000)
    await photograph(app_database, gate, stay_id)
    await let_out(app_database, gate, stay_id)

    day, rows = await read(app_database, gate)

    row = rows[stay_id]
    assert (row.bank_vnd, row.other_vnd, row.written_off_vnd) == (PER_VISIT_VND - 1_000, 0, 1_000)
    assert (row.paid_vnd, row.differences) == (PER_VISIT_VND, ())
    assert (day.other_vnd, day.written_off_vnd, day.odd) == (0, 1_000, 0)
