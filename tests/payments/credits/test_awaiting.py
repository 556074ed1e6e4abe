"""Money on references of phones without network: it waits for its bill, and then for a person."""

import asyncio
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import text

from core.db import Database
from core.jobs.periodic import JobDatabases
from core.tenancy import open_org_transaction
from payments.bills.queries_blocks import FIND_ISSUED
from payments.bills.serials import ReferenceSource
from payments.callbacks import queries as notice_queries
from payments.credits.assigning import assign_credit
from payments.credits.awaiting import list_awaiting_credits, match_named
from payments.credits.jobs import match_awaiting
from payments.credits.processing import process_notices
from tests.payments.invariants import find_violations
from tests.world.bills import a_bill, a_reference
from tests.world.constants import MANAGER, NOON
from tests.world.databases import FreshDatabase
from tests.world.endpoints import add_account
from tests.world.notices import process_waiting, sepay_body, store_notices
from tests.world.organisations import GIVEN_OUT
from tests.world.payees import a_payee, an_account
from tests.world.plans import explain
from tests.world.reads import (
    find_credit,
    list_breaks,
    list_events,
    list_outcomes,
    read_ledger,
    read_status,
)
from tests.world.references import revoke, send_bill, some_references
from tests.world.stalls import PayableStall

pytestmark = pytest.mark.anyio

SYNC_WITHIN = timedelta(hours=72)
MOMENT = timedelta(seconds=1)


async def transfer(
    database: Database, stall: PayableStall, memo: str, *, amount_vnd: int = 20_000, **facts: object
) -> str:
    """Let money with this memo arrive at noon; return what it was found to be."""
    body = sepay_body(stall, amount_vnd=amount_vnd, memo=memo, **facts)  # type: ignore[arg-type]
    await store_notices(database, stall, body)
    await process_waiting(database, stall)
    return (await list_outcomes(database, stall))[0]


async def read_verdict(database: Database, stall: PayableStall) -> str:
    async with open_org_transaction(database, stall.org.id) as session:
        query = text("SELECT verdict FROM matches WHERE reversed_at IS NULL")
        return str((await session.execute(query)).scalar_one())


@pytest.fixture
def databases(app_database: Database, worker_database: Database) -> JobDatabases:
    return JobDatabases(app=app_database, worker=worker_database)


async def test_money_before_its_bill_waits_in_unapplied_cash_without_a_break(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    device_id, references = await some_references(app_database, stall)

    assert await transfer(app_database, stall, references[3]) == "awaiting_sync"

    assert (await read_ledger(app_database, stall))["unapplied"] == 20_000
    assert await list_breaks(app_database, stall) == []
    async with open_org_transaction(app_database, stall.org.id) as session:
        (waiting,) = await list_awaiting_credits(session, stall.org.id)
    assert (waiting.reference, waiting.device_id) == (references[3], device_id)
    assert (waiting.amount_vnd, waiting.received_at) == (20_000, NOON)
    assert find_violations(fresh_database.owner_url) == []


async def test_the_bill_that_comes_later_is_paid_by_it(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    device_id, references = await some_references(app_database, stall)
    await transfer(app_database, stall, references[0])
    later = NOON + SYNC_WITHIN - MOMENT
    bill = await send_bill(app_database, stall, device_id, references[0], now=later)

    matched = await match_named(app_database, stall.org.id, references[0], read_clock=lambda: later)

    assert matched == 1
    assert await read_status(app_database, stall, bill) == ("paid", 20_000, 20_000)
    books = await read_ledger(app_database, stall)
    assert (books["takings"], books["unapplied"]) == (20_000, 0)
    assert "bill.paid" in await list_events(app_database, stall)
    assert await list_breaks(app_database, stall) == []
    assert find_violations(fresh_database.owner_url) == []


@pytest.mark.parametrize(
    ("amount_vnd", "status", "breaks"),
    [(19_999, "part_paid", []), (20_001, "over_paid", ["refund_due"])],
)
async def test_another_amount_than_the_bill_is_treated_like_any(
    app_database: Database,
    stall: PayableStall,
    databases: JobDatabases,
    amount_vnd: int,
    status: str,
    breaks: list[str],
) -> None:
    device_id, references = await some_references(app_database, stall)
    await transfer(app_database, stall, references[0], amount_vnd=amount_vnd)
    bill = await send_bill(app_database, stall, device_id, references[0])

    assert await match_awaiting(databases, now=NOON + MOMENT) == 1

    assert (await read_status(app_database, stall, bill))[0] == status
    assert await list_breaks(app_database, stall) == breaks


async def test_after_72_hours_without_its_bill_it_is_a_break_that_a_person_assigns(
    app_database: Database,
    stall: PayableStall,
    databases: JobDatabases,
    fresh_database: FreshDatabase,
) -> None:
    _, references = await some_references(app_database, stall)
    await transfer(app_database, stall, references[0])
    over = NOON + SYNC_WITHIN

    assert await match_awaiting(databases, now=over - MOMENT) == 0
    assert await read_verdict(app_database, stall) == "awaiting_sync"
    assert await match_awaiting(databases, now=over) == 1
    assert await match_awaiting(databases, now=over) == 0

    assert await read_verdict(app_database, stall) == "no_bill"
    assert await list_breaks(app_database, stall) == ["unknown_reference"]
    assert find_violations(fresh_database.owner_url) == []
    async with open_org_transaction(app_database, stall.org.id) as session:
        await assign_credit(
            session,
            stall.org.id,
            await find_credit(app_database, stall),
            payee_id=stall.payee_id,
            by_management=True,
            actor=MANAGER,
            now=over,
        )
    assert (await read_ledger(app_database, stall))["takings"] == 20_000


async def test_a_bill_that_comes_after_the_break_is_paid_all_the_same(
    app_database: Database, stall: PayableStall, databases: JobDatabases
) -> None:
    device_id, references = await some_references(app_database, stall)
    await transfer(app_database, stall, references[0])
    over = NOON + SYNC_WITHIN
    await match_awaiting(databases, now=over)
    bill = await send_bill(app_database, stall, device_id, references[0], now=over)

    assert await match_named(app_database, stall.org.id, references[0], read_clock=lambda: over)

    assert (await read_status(app_database, stall, bill))[0] == "paid"


async def test_money_that_waits_is_anybodys_who_manages_to_explain(
    app_database: Database, stall: PayableStall
) -> None:
    device_id, references = await some_references(app_database, stall)
    await transfer(app_database, stall, references[0])
    async with open_org_transaction(app_database, stall.org.id) as session:
        await assign_credit(
            session,
            stall.org.id,
            await find_credit(app_database, stall),
            payee_id=stall.payee_id,
            by_management=True,
            actor=MANAGER,
            now=NOON,
        )
    bill = await send_bill(app_database, stall, device_id, references[0])

    assert not await match_named(app_database, stall.org.id, references[0], read_clock=lambda: NOON)

    assert (await read_status(app_database, stall, bill))[0] == "open"


async def test_money_of_a_revoked_phone_waits_for_its_queue_as_long_as_that_is_kept(
    app_database: Database, stall: PayableStall
) -> None:
    lately, references = await some_references(app_database, stall)
    long_ago, others = await some_references(app_database, stall, now=NOON - timedelta(days=6))
    await revoke(app_database, stall, lately, now=NOON - SYNC_WITHIN + MOMENT)
    await revoke(app_database, stall, long_ago, now=NOON - SYNC_WITHIN)

    assert await transfer(app_database, stall, references[0]) == "awaiting_sync"
    assert await transfer(app_database, stall, others[0]) == "awaiting_sync"  # the first of both
    assert await list_outcomes(app_database, stall) == ["awaiting_sync", "no_bill"]


async def test_a_reference_that_nobody_was_given_is_a_break_at_once(
    app_database: Database, stall: PayableStall
) -> None:
    """Of before the block, and of after it: given out, but to no phone."""
    await some_references(app_database, stall)
    (later,) = await ReferenceSource(app_database).take(stall.org, 1)

    for reference in (a_reference(stall), later):
        assert await transfer(app_database, stall, reference) == "no_bill"
    assert await list_breaks(app_database, stall) == ["unknown_reference"] * 2


async def test_two_references_of_phones_in_one_memo_are_a_persons_to_decide(
    app_database: Database, stall: PayableStall
) -> None:
    _, references = await some_references(app_database, stall)

    assert await transfer(app_database, stall, f"{references[0]} {references[1]}") == "no_bill"


async def test_money_into_another_account_than_the_codes_name_does_not_wait(
    app_database: Database, stall: PayableStall
) -> None:
    _, references = await some_references(app_database, stall)
    number = "88880000123"
    async with open_org_transaction(app_database, stall.org.id) as session:
        other = await a_payee(session, stall.org)
        account_id = await an_account(session, stall.org, other, account_number=number)
        await add_account(session, stall.org, stall.endpoint_id, account_id)

    assert await transfer(app_database, stall, references[0], account_number=number) == "no_bill"


async def test_a_credit_that_is_decided_while_its_bill_is_stored_is_found_by_the_job(
    app_database: Database, stall: PayableStall, databases: JobDatabases
) -> None:
    """Neither sees what the other has not committed."""
    device_id, references = await some_references(app_database, stall)
    body = sepay_body(stall, amount_vnd=20_000, memo=references[0])
    (notice_id,) = await store_notices(app_database, stall, body)
    async with open_org_transaction(app_database, stall.org.id) as session:
        due = await notice_queries.lock_due_notice(session, stall.org.id, notice_id)
        await process_notices(session, stall.org, due, now=NOON)
        bill = await send_bill(app_database, stall, device_id, references[0])
        early = await match_named(
            app_database, stall.org.id, references[0], read_clock=lambda: NOON
        )
    assert (early, await read_verdict(app_database, stall)) == (0, "awaiting_sync")

    assert await match_awaiting(databases, now=NOON + MOMENT) == 1

    assert (await read_status(app_database, stall, bill))[0] == "paid"


async def test_the_end_of_the_wait_and_the_bill_at_the_same_instant_leave_it_paid_once(
    app_database: Database,
    stall: PayableStall,
    databases: JobDatabases,
    fresh_database: FreshDatabase,
) -> None:
    device_id, references = await some_references(app_database, stall)
    await transfer(app_database, stall, references[0])
    over = NOON + SYNC_WITHIN
    bill = await send_bill(app_database, stall, device_id, references[0], now=over)
    ready = asyncio.Barrier(2)

    async def stop() -> int:
        await ready.wait()
        return await match_awaiting(databases, now=over)

    async def match() -> int:
        await ready.wait()
        return await match_named(app_database, stall.org.id, references[0], read_clock=lambda: over)

    await asyncio.gather(stop(), match())

    assert await read_status(app_database, stall, bill) == ("paid", 20_000, 20_000)
    assert await list_breaks(app_database, stall) == []
    assert find_violations(fresh_database.owner_url) == []


async def test_a_credit_and_its_bill_at_the_same_instant_find_one_another(
    app_database: Database, stall: PayableStall, databases: JobDatabases
) -> None:
    """Neither sees the other's uncommitted rows: the job finds both."""
    device_id, references = await some_references(app_database, stall)
    ready = asyncio.Barrier(2)

    async def send() -> None:
        await ready.wait()
        await send_bill(app_database, stall, device_id, references[0])
        await match_named(app_database, stall.org.id, references[0], read_clock=lambda: NOON)

    async def arrive() -> None:
        await ready.wait()
        await process_waiting(app_database, stall)

    body = sepay_body(stall, amount_vnd=20_000, memo=references[0])
    await store_notices(app_database, stall, body)
    await asyncio.gather(send(), arrive())
    await match_awaiting(databases, now=NOON + MOMENT)

    assert await read_verdict(app_database, stall) == "settle"
    assert (await read_ledger(app_database, stall))["takings"] == 20_000


async def test_money_for_ordinary_bills_asks_nothing_about_blocks(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    """One more query, by an index, and only for a reference without a bill."""
    await some_references(app_database, stall)
    bill = await a_bill(app_database, stall)
    with psycopg.connect(fresh_database.owner_url) as owner:  # a query would wait for it
        owner.execute("LOCK TABLE reference_blocks IN ACCESS EXCLUSIVE MODE")
        async with asyncio.timeout(20):
            assert await transfer(app_database, stall, bill.reference) == "settle"
            await transfer(app_database, stall, "tien pho")
    assert await list_outcomes(app_database, stall) == ["counter_sale", "settle"]

    values = {"org_id": stall.org.id, "codes": [stall.org.code], "serials": [GIVEN_OUT]}
    settings = ["enable_seqscan = off"]  # the table has one row
    plan = explain(fresh_database.app_url, stall, FIND_ISSUED, values, settings=settings)
    assert "Scan Backward using uq_reference_blocks_org_id_code_first_serial" in plan
    assert "Sort" not in plan
