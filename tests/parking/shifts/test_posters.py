"""Sales on a lot's poster: each is a collection of the shift that ran then, and posts nothing."""

from collections import Counter
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text

from core.db import Database
from core.tenancy import open_org_transaction
from parking.places.errors import LotClosed
from parking.places.posters import OWNER_KIND, has_poster, make_poster, take_down_poster
from parking.places.service import change_lot, close_lot
from parking.shifts.posters import handle_poster_change
from parking.shifts.views import read_report
from payments.bills.owners import OwnersInbox
from payments.credits import corrections
from payments.payees.errors import CodeOwnerTaken, PayeeHasNoAccount
from tests.parking.shifts.test_shifts import close
from tests.payments.invariants import find_violations
from tests.world.constants import MANAGER, NOON
from tests.world.databases import FreshDatabase
from tests.world.lots import a_lot
from tests.world.notices import process_waiting, sepay_body, store_notices
from tests.world.parking_sessions import Gate, an_attendant, open_a_shift
from tests.world.payees import a_payee
from tests.world.reads import count_rows, find_credit, read_ledger

pytestmark = pytest.mark.anyio

PAID_VND = 5_000
SAID = {"actor": MANAGER, "now": NOON}


@pytest.fixture
async def gate(gate: Gate, app_database: Database) -> Gate:
    """A lot with a poster; its attendant's shift is open since four hours ago."""
    async with open_org_transaction(app_database, gate.org_id) as session:
        await make_poster(session, gate.org_id, gate.lot.id, **SAID)
    return gate


async def pay_by_poster(
    database: Database, gate: Gate, *, occurred_at: datetime = NOON, now: datetime = NOON
) -> None:
    """Let a driver pay by the code, and the lot are notified of it."""
    body = sepay_body(gate.stall, amount_vnd=PAID_VND, memo="gui xe", occurred_at=occurred_at)
    await store_notices(database, gate.stall, body, now=now)
    await process_waiting(database, gate.stall, now=now)
    await hear(database, gate, now=now)


async def hear(database: Database, gate: Gate, *, now: datetime = NOON) -> None:
    inbox = OwnersInbox(database, {OWNER_KIND: handle_poster_change}, read_clock=lambda: now)
    await inbox.sweep([gate.org_id], wait_s=10)
    await inbox.close()


async def read_collections(database: Database, gate: Gate) -> list[tuple[object, ...]]:
    """Return (rail, đồng, shift, session, reversed) of what was collected, oldest first."""
    async with open_org_transaction(database, gate.org_id) as session:
        rows = await session.execute(
            text(
                "SELECT rail, amount_vnd, shift_id, session_id, reversed_at IS NOT NULL"
                " FROM collections ORDER BY recorded_at, id"
            )
        )
        return [tuple(row) for row in rows]


async def test_a_sale_on_the_poster_is_a_collection_of_the_running_shift_and_posts_nothing_more(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase
) -> None:
    await pay_by_poster(app_database, gate)
    await hear(app_database, gate)

    assert await read_collections(app_database, gate) == [
        ("poster", PAID_VND, gate.shift_id, None, False)
    ]
    async with open_org_transaction(app_database, gate.org_id) as session:
        report = await read_report(session, gate.org_id, gate.shift_id)
    assert report.by_rail["poster"].amount_vnd == PAID_VND
    await close(app_database, gate, 0)
    ledger = await read_ledger(app_database, gate.stall)
    assert (ledger["takings"], ledger["clearing"]) == (PAID_VND, -PAID_VND)
    assert await count_rows(app_database, gate.stall, "postings", "true") == 1
    assert find_violations(fresh_database.owner_url) == []


async def test_money_that_its_bank_reports_late_belongs_to_the_shift_of_the_banks_time(
    app_database: Database, gate: Gate
) -> None:
    await close(app_database, gate, 0)
    later = NOON + timedelta(hours=2)
    next_one = await an_attendant(app_database, gate.lot)
    async with open_org_transaction(app_database, gate.org_id) as session:
        next_shift_id = await open_a_shift(
            session, gate.lot, next_one, now=NOON + timedelta(hours=1)
        )

    for at in (-timedelta(minutes=1), timedelta(0), timedelta(hours=1), -timedelta(hours=5)):
        await pay_by_poster(app_database, gate, occurred_at=NOON + at, now=later)

    collected = [one[2] for one in await read_collections(app_database, gate)]
    assert Counter(collected) == {gate.shift_id: 1, None: 2, next_shift_id: 1}


async def test_a_sale_that_is_said_to_be_none_is_reversed_and_may_be_one_again(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase
) -> None:
    await pay_by_poster(app_database, gate)
    credit_id = await find_credit(app_database, gate.stall)
    for is_takings in (False, True):
        async with open_org_transaction(app_database, gate.org_id) as session:
            of_credit = (session, gate.org_id, credit_id)
            if is_takings:
                await corrections.mark_takings_again(*of_credit, payee_id=gate.lot.payee_id, **SAID)
            else:
                await corrections.mark_not_takings(
                    *of_credit, payee_id=gate.lot.payee_id, reason="trả nợ", **SAID
                )
        await hear(app_database, gate)
        assert find_violations(fresh_database.owner_url) == []
        in_force = [one for one in await read_collections(app_database, gate) if not one[4]]
        assert len(in_force) == is_takings

    assert len(await read_collections(app_database, gate)) == 2


async def test_a_lot_whose_poster_was_taken_down_collects_nothing_more(
    app_database: Database, gate: Gate
) -> None:
    async with open_org_transaction(app_database, gate.org_id) as session:
        for _ in range(2):
            await take_down_poster(session, gate.org_id, gate.lot.id, **SAID)
        assert not await has_poster(session, gate.org_id, gate.lot.id)

    await pay_by_poster(app_database, gate)

    assert await read_collections(app_database, gate) == []


async def test_closing_a_lot_or_giving_it_another_payee_takes_its_poster_down(
    app_database: Database, gate: Gate
) -> None:
    async with open_org_transaction(app_database, gate.org_id) as session:
        other_id = await a_payee(session, gate.lot.org)
        await change_lot(session, gate.org_id, gate.lot.id, {"payee_id": other_id}, **SAID)
        with pytest.raises(PayeeHasNoAccount):
            await make_poster(session, gate.org_id, gate.lot.id, **SAID)
        back = {"payee_id": gate.lot.payee_id}
        await change_lot(session, gate.org_id, gate.lot.id, back, **SAID)
        assert not await has_poster(session, gate.org_id, gate.lot.id)
        await make_poster(session, gate.org_id, gate.lot.id, **SAID)
        assert await has_poster(session, gate.org_id, gate.lot.id)
        await close_lot(session, gate.org_id, gate.lot.id, **SAID)
        assert not await has_poster(session, gate.org_id, gate.lot.id)
        with pytest.raises(LotClosed):
            await make_poster(session, gate.org_id, gate.lot.id, **SAID)


async def test_two_lots_of_one_payee_cannot_both_have_its_code_for_a_poster(
    app_database: Database, gate: Gate
) -> None:
    other = await a_lot(
        app_database, org=gate.lot.org, paid_to=(gate.lot.payee_id, gate.lot.account_id)
    )
    async with open_org_transaction(app_database, gate.org_id) as session:
        with pytest.raises(CodeOwnerTaken):
            await make_poster(session, gate.org_id, other.id, **SAID)
        await take_down_poster(session, gate.org_id, other.id, **SAID)
        assert await has_poster(session, gate.org_id, gate.lot.id)
        assert await make_poster(session, gate.org_id, gate.lot.id, **SAID) == gate.lot.payee_id


async def test_the_same_change_twice_is_one_collection(app_database: Database, gate: Gate) -> None:
    await pay_by_poster(app_database, gate)
    async with open_org_transaction(app_database, gate.org_id) as session:
        await session.execute(text("UPDATE bill_changes SET handled_at = NULL"))

    await hear(app_database, gate)

    assert len(await read_collections(app_database, gate)) == 1
    unhandled = "handled_at IS NULL"
    assert await count_rows(app_database, gate.stall, "bill_changes", unhandled) == 0
