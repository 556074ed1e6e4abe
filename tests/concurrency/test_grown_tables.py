"""Races on tables of real size: no plan loses a row that changed while it waited for a lock."""

import asyncio
from collections.abc import Sequence
from itertools import count
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import Database
from core.ids import new_id
from core.reasons import Reason
from core.tenancy import open_org_transaction
from payments.bills.queries_expiry import store_expiry
from payments.bills.queries_settling import LOCK_NAMED_BILLS, lock_named_bills
from payments.bills.rules import BillFacts
from payments.bills.service import cancel_bill
from payments.breaks import queries as break_queries
from payments.breaks.rules import BreakKind, BreakReason
from payments.breaks.service import close_break
from payments.breaks.types import NewBreak
from tests.concurrency.races import Races
from tests.payments.invariants import find_violations
from tests.world.bills import a_bill_request, a_reference, open_bills_as
from tests.world.constants import MANAGER, NOON, VENDOR
from tests.world.databases import FreshDatabase, open_database_at
from tests.world.grown_tables import grow_bills
from tests.world.notices import process_waiting, sepay_body, store_notices
from tests.world.plans import explain, explain_generic
from tests.world.reads import (
    count_rows,
    find_credit,
    list_breaks,
    list_outcomes,
    read_ledger,
    read_status,
)
from tests.world.serials import next_code
from tests.world.stalls import PayableStall, a_payable_stall
from tests.world.waits import wait_until_blocked

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

_serials = count(10_000)
# As the planner likes, and with each of its ways to find and join rows taken away in turn.
PLANS = {
    "as_planned": [],
    "no_bitmap": ["enable_bitmapscan = off"],
    "no_index": ["enable_bitmapscan = off", "enable_indexscan = off"],
    "no_seqscan": ["enable_seqscan = off"],
    "no_nested_loop": ["enable_nestloop = off"],
    "no_hash": ["enable_hashagg = off", "enable_hashjoin = off"],
    "generic": ["plan_cache_mode = force_generic_plan"],
}


@pytest.fixture
async def stall(app_database: Database, fresh_database: FreshDatabase) -> PayableStall:
    """A stall with tens of thousands of old bills."""
    grown = await a_payable_stall(app_database, code=next_code())
    grow_bills(fresh_database.owner_url, grown)
    return grown


@pytest.fixture(scope="module")
def shared_stall(fresh_database: FreshDatabase) -> PayableStall:
    """The same for tests that only add bills to it."""

    async def make() -> PayableStall:
        async with open_database_at(fresh_database.app_url, fresh_database.settings) as database:
            return await a_payable_stall(database, code=next_code())

    stall = asyncio.run(make())
    grow_bills(fresh_database.owner_url, stall)
    return stall


async def open_many(database: Database, stall: PayableStall, number: int) -> list[BillFacts]:
    """Open this many bills of 20,000 đồng."""
    references = [a_reference(stall) for _ in range(number)]
    request = a_bill_request(
        stall, expires_at=NOON.replace(hour=6), monitor_until=NOON.replace(hour=23)
    )
    return await open_bills_as(database, stall, [request] * number, references)


async def apply_settings(session: AsyncSession, settings: Sequence[str]) -> None:
    for setting in settings:
        await session.execute(text(f"SET LOCAL {setting}"))


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("named", [1, 5, 20, 100, 500])
async def test_a_batch_that_waited_for_a_changed_bill_finds_it_with_its_new_values(
    app_database: Database, shared_stall: PayableStall, named: int, plan: str
) -> None:
    stall = shared_stall
    bills = await open_many(app_database, stall, named)
    changed = bills[named // 2]
    change = text("UPDATE bills SET is_late = true WHERE id = :id")

    async def lock_batch() -> dict[UUID, bool]:
        async with open_org_transaction(app_database, stall.org.id) as session:
            await apply_settings(session, PLANS[plan])
            states = await lock_named_bills(
                session, stall.org.id, references=[bill.reference for bill in bills]
            )
            return {state.id: state.is_late for state in states}

    async with open_org_transaction(app_database, stall.org.id) as session:
        await session.execute(change, {"id": changed.id})
        waiting = asyncio.create_task(lock_batch())
        await wait_until_blocked(app_database)
    found = await waiting

    assert found == {bill.id: bill.id == changed.id for bill in bills}


@pytest.mark.parametrize("plan", PLANS)
async def test_a_batch_that_waited_for_an_order_finds_it(
    app_database: Database, shared_stall: PayableStall, plan: str
) -> None:
    stall = shared_stall
    orders = [("payos", str(n)) for n in range(4, 84, 4)]
    change = text("UPDATE bills SET is_late = true WHERE provider_order_id = '8'")

    async def lock_batch() -> dict[str | None, bool]:
        async with open_org_transaction(app_database, stall.org.id) as session:
            await apply_settings(session, PLANS[plan])
            states = await lock_named_bills(session, stall.org.id, references=[], orders=orders)
            return {state.provider_order_id: state.is_late for state in states}

    async with open_org_transaction(app_database, stall.org.id) as session:
        await session.execute(change)
        waiting = asyncio.create_task(lock_batch())
        await wait_until_blocked(app_database)

    assert await waiting == {order: order == "8" for _, order in orders}


def test_named_bills_are_found_by_both_indexes(
    fresh_database: FreshDatabase, shared_stall: PayableStall
) -> None:
    values = {
        "org_id": shared_stall.org.id,
        "references": [f"XX{n:011d}" for n in range(20)],
        "rails": ["payos"],
        "order_ids": [str(n) for n in range(20)],
    }

    for plan in (
        explain(fresh_database.app_url, shared_stall, LOCK_NAMED_BILLS, values),
        explain_generic(fresh_database.app_url, shared_stall, LOCK_NAMED_BILLS, values),
    ):
        assert "BitmapOr" in plan
        assert "uq_bills_org_id_reference" in plan
        assert "uq_bills_provider_order" in plan
        assert "Seq Scan" not in plan
        assert "Join" not in plan


@pytest.mark.parametrize("named", [5, 20, 100])
async def test_two_parts_of_each_bill_settled_at_once_in_two_processes_pay_it(
    app_database: Database,
    stall: PayableStall,
    races: Races,
    fresh_database: FreshDatabase,
    named: int,
) -> None:
    bills = await open_many(app_database, stall, named)
    parts = [
        [sepay_body(stall, amount_vnd=10_000, memo=bill.reference) for bill in bills]
        for _ in range(2)
    ]
    batches = [await store_notices(app_database, stall, *bodies) for bodies in parts]

    answers = races.run(
        stall.org, [{"what": "settle_these", "notice_ids": batch} for batch in batches]
    )

    assert answers == [str(named)] * 2
    assert await list_outcomes(app_database, stall) == ["part"] * named + ["settle"] * named
    paid = "status = 'paid' AND paid_vnd = 20000"
    assert await count_rows(app_database, stall, "bills", paid) == named
    assert await list_breaks(app_database, stall) == []
    assert (await read_ledger(app_database, stall))["takings"] == 20_000 * named
    assert find_violations(fresh_database.owner_url) == []


async def test_a_cancellation_is_seen_by_a_batch_that_waited_for_it(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    bills = await open_many(app_database, stall, 20)
    bodies = [sepay_body(stall, amount_vnd=20_000, memo=bill.reference) for bill in bills]
    await store_notices(app_database, stall, *bodies)

    async with open_org_transaction(app_database, stall.org.id) as session:
        await cancel_bill(session, stall.org.id, bills[7].id, actor=VENDOR, reason=None, now=NOON)
        settling = asyncio.create_task(process_waiting(app_database, stall))
        await wait_until_blocked(app_database)
    assert await settling == 20

    assert await list_outcomes(app_database, stall) == ["closed_bill"] + ["settle"] * 19
    assert await read_status(app_database, stall, bills[7]) == ("cancelled", 0, 20_000)
    assert await list_breaks(app_database, stall) == ["refund_due"]
    assert find_violations(fresh_database.owner_url) == []


@pytest.mark.parametrize("plan", PLANS)
async def test_expiry_leaves_alone_what_was_paid_a_moment_before(
    app_database: Database, shared_stall: PayableStall, plan: str
) -> None:
    """Bills that are locked are left for the next round, the others all expire."""
    stall = shared_stall
    bills = await open_many(app_database, stall, 20)
    ends = {"now": NOON.replace(hour=23, minute=1), "since": NOON.replace(hour=22)}

    async with open_org_transaction(app_database, stall.org.id) as session:
        change = text("UPDATE bills SET is_late = true WHERE id = :id")
        await session.execute(change, {"id": bills[3].id})
        async with open_org_transaction(app_database, stall.org.id) as other:
            await apply_settings(other, PLANS[plan])
            expired = await store_expiry(other, stall.org.id, limit=5_000, **ends)

    assert expired >= 19
    statuses = [(await read_status(app_database, stall, bill))[0] for bill in bills]
    assert statuses == ["expired"] * 3 + ["open"] + ["expired"] * 16


async def test_corrections_of_one_credit_at_once_queue_and_none_misses_it(
    app_database: Database, races: Races, fresh_database: FreshDatabase
) -> None:
    stall = await a_payable_stall(app_database, code=next_code())
    await store_notices(
        app_database, stall, sepay_body(stall, amount_vnd=30_000, memo="chuyen tien")
    )
    await process_waiting(app_database, stall)
    credit_id = await find_credit(app_database, stall)

    corrections = [
        {"what": what, "credit_id": credit_id, "payee_id": stall.payee_id}
        for what in ("take_out", "take_out", "put_back", "put_back") * 6
    ]
    for _ in range(5):
        answers = races.run(stall.org, corrections)
        assert answers == ["out", "out", "back", "back"] * 6

    assert await count_rows(app_database, stall, "matches", "reversed_at IS NULL") == 1
    assert find_violations(fresh_database.owner_url) == []


@pytest.mark.parametrize("plan", PLANS)
async def test_a_break_that_a_person_closes_meanwhile_keeps_their_words(
    app_database: Database, shared_stall: PayableStall, plan: str
) -> None:
    stall = shared_stall
    subjects = [new_id() for _ in range(20)]
    opened = [
        NewBreak(
            kind=BreakKind.STUCK,
            subject_id=one,
            reason=Reason(BreakReason.NOTICE_FAILED, {"error": "ValueError"}),
        )
        for one in subjects
    ]
    resolutions = dict.fromkeys(subjects, "settle")
    async with open_org_transaction(app_database, stall.org.id) as session:
        await break_queries.insert_breaks_once(session, stall.org.id, opened, now=NOON)

    async def close_all() -> None:
        async with open_org_transaction(app_database, stall.org.id) as session:
            await apply_settings(session, PLANS[plan])
            await break_queries.close_breaks_of(
                session, stall.org.id, resolutions, kinds=[BreakKind.STUCK], now=NOON
            )

    async with open_org_transaction(app_database, stall.org.id) as session:
        find = text("SELECT id FROM breaks WHERE subject_id = :id")
        break_id = await session.scalar(find, {"id": subjects[9]})
        await close_break(
            session, stall.org.id, break_id, resolution="looked", actor=MANAGER, now=NOON
        )
        closing = asyncio.create_task(close_all())
        await wait_until_blocked(app_database)
    await closing

    async with open_org_transaction(app_database, stall.org.id) as session:
        find = text("SELECT resolution FROM breaks WHERE subject_id = ANY(:ids) ORDER BY 1")
        said = list((await session.execute(find, {"ids": subjects})).scalars())
    assert said == ["looked"] + ["settle"] * 19
