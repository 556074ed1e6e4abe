"""Payments while an old snapshot is open: what no vacuum can remove meanwhile is not read again.

`pg_dump` and long reports hold a snapshot for hours. Whatever was settled in that time stays in the
indexes of what is still to be done, since the snapshot may yet want to see it.
"""

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import TextClause
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import new_id
from payments.bills.owners import OwnersInbox
from payments.bills.owners_rules import Change, read_wake_up
from payments.bills.queries_owners import PUT_OFF
from payments.bills.queries_payments import CHANGES_CHANNEL, WAKE_REQUESTS
from payments.callbacks.queries import LOCK_DUE_NOTICES, LOCK_FRESH_NOTICES
from payments.credits.processor import NoticeProcessor
from payments.rails.queries import TAKE_REQUEST
from tests.world.bills import a_bill
from tests.world.constants import NOON
from tests.world.databases import FreshDatabase, open_database_at
from tests.world.grown_tables import grow_bills, grow_changes, grow_notices, grow_requests
from tests.world.notices import process_waiting, sepay_body, store_notices
from tests.world.plans import count_buffers, explain, explain_generic
from tests.world.serials import next_code
from tests.world.stalls import PayableStall, a_payable_stall
from tests.world.waits import DEADLINE_S, wait_until_handled

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SETTLED = 3_000
KIND = "owner_of_the_tests"
FEW = 100  # rows of one table or index, and pages of one statement
READS = """
    SELECT relname, seq_tup_read FROM pg_stat_user_tables
    UNION ALL
    SELECT indexrelname, idx_tup_read FROM pg_stat_user_indexes
"""
CONNECTED = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND usename = 'phopay_app'"


@pytest.fixture(scope="module")
def snapshot(fresh_database: FreshDatabase) -> Iterator[None]:
    """A dump under way: from here on, nothing that becomes old can be removed."""
    with psycopg.connect(fresh_database.owner_url) as dump:
        dump.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        dump.execute("SELECT count(*) FROM notices")
        yield


@pytest.fixture(scope="module")
async def stall(fresh_database: FreshDatabase, snapshot: None) -> PayableStall:
    """A stall with thousands of payments since the dump began."""
    async with open_database_at(fresh_database.app_url, fresh_database.settings) as database:
        stall = await a_payable_stall(database, code=next_code())
        for _ in range(SETTLED // 500):
            bodies = (sepay_body(stall, amount_vnd=1_000, memo="x") for _ in range(500))
            await store_notices(database, stall, *bodies)
        assert await process_waiting(database, stall) == SETTLED
    grow_notices(fresh_database.owner_url, stall)
    grow_changes(fresh_database.owner_url, stall, owner_kind=KIND)
    return stall


async def read_counts(database: FreshDatabase) -> dict[str, int]:
    """Return how many rows were ever read by each table and index, once all have reported."""
    async with await psycopg.AsyncConnection.connect(database.owner_url, autocommit=True) as owner:
        while (await (await owner.execute(CONNECTED, [database.name])).fetchone()) != (0,):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        return dict(await (await owner.execute(READS)).fetchall())


async def test_a_lone_payment_reads_nothing_of_what_was_settled_since(
    fresh_database: FreshDatabase, stall: PayableStall
) -> None:
    before = await read_counts(fresh_database)

    async with open_database_at(fresh_database.app_url, fresh_database.settings) as database:
        processor = NoticeProcessor(database, read_clock=lambda: NOON)
        body = sepay_body(stall, amount_vnd=2_000, memo="x")
        (notice_id,) = await store_notices(database, stall, body)
        processor.wake(stall.org, notice_id)
        await wait_until_handled(fresh_database.owner_url, notice_id)
        await processor.close()
    after = await read_counts(fresh_database)

    read = {name: count - before[name] for name, count in after.items()}
    assert {name: count for name, count in read.items() if count > FEW} == {}


async def test_an_owner_is_notified_and_nothing_of_what_was_handled_since_is_read(
    fresh_database: FreshDatabase, stall: PayableStall
) -> None:
    """The bill is paid and its owner woken by what the payment said in its NOTIFY."""
    is_heard = asyncio.Event()

    async def hear(session: AsyncSession, change: Change, *, now: datetime) -> None:
        is_heard.set()

    before = await read_counts(fresh_database)
    async with (
        open_database_at(fresh_database.app_url, fresh_database.settings) as database,
        await psycopg.AsyncConnection.connect(fresh_database.owner_url, autocommit=True) as hub,
    ):
        await hub.execute(f"LISTEN {CHANGES_CHANNEL}")
        bill = await a_bill(database, stall, owner=(KIND, new_id()))
        body = sepay_body(stall, amount_vnd=20_000, memo=bill.reference)
        processor = NoticeProcessor(database, read_clock=lambda: NOON)
        processor.wake(stall.org, *await store_notices(database, stall, body))
        inbox = OwnersInbox(database, {KIND: hear}, read_clock=lambda: NOON)
        async for notice in hub.notifies(timeout=DEADLINE_S, stop_after=1):
            inbox.wake(*read_wake_up(notice.payload))
        async with asyncio.timeout(DEADLINE_S):
            await is_heard.wait()
        await inbox.close()
        await processor.close()
    after = await read_counts(fresh_database)

    read = {name: count - before[name] for name, count in after.items()}
    assert {name: count for name, count in read.items() if count > FEW} == {}


@pytest.fixture(scope="module")
def keys(fresh_database: FreshDatabase, stall: PayableStall) -> dict[str, Any]:
    """Keys of a change and of a request; thousands of requests were opened, woken and closed."""
    grow_bills(fresh_database.owner_url, stall)
    grow_requests(fresh_database.owner_url, stall)
    with psycopg.connect(fresh_database.owner_url) as owner:
        request = owner.execute("SELECT bill_id FROM rail_requests LIMIT 1").fetchone()
        change = owner.execute("SELECT id FROM bill_changes LIMIT 1").fetchone()
    assert request is not None
    assert change is not None
    return {"bill_id": request[0], "bill_ids": [request[0]], "id": change[0]}


@pytest.mark.parametrize(
    ("statement", "key", "facts", "index"),
    [
        (TAKE_REQUEST, "bill_id", {"lease_for": timedelta(seconds=20)}, "pk_rail_requests"),
        (WAKE_REQUESTS, "bill_ids", {}, "pk_rail_requests"),
        (PUT_OFF, "id", {"until": NOON, "why": "x", "attempts": 0}, "pk_bill_changes"),
    ],
)
def test_a_row_is_changed_by_its_key_and_not_looked_for_among_what_waited(
    fresh_database: FreshDatabase,
    stall: PayableStall,
    keys: dict[str, Any],
    statement: TextClause,
    key: str,
    facts: dict[str, Any],
    index: str,
) -> None:
    """The planner counts live rows, and so takes the index of what waits for empty."""
    values = {"org_id": stall.org.id, key: keys[key], **facts}

    for plan in (
        explain(fresh_database.app_url, stall, statement, values),
        explain_generic(fresh_database.app_url, stall, statement, values),
    ):
        assert f"Index Scan using {index} " in plan
    assert count_buffers(fresh_database.app_url, stall, statement, values) < FEW


def test_the_look_of_a_wake_up_reads_few_pages_whichever_plan_serves_it(
    fresh_database: FreshDatabase, stall: PayableStall
) -> None:
    since = {"org_id": stall.org.id, "limit": 500, "since": new_id()}
    all_due = {"org_id": stall.org.id, "limit": 500, "now": NOON}
    for plan in (
        explain(fresh_database.app_url, stall, LOCK_FRESH_NOTICES, since),
        explain_generic(fresh_database.app_url, stall, LOCK_FRESH_NOTICES, since),
    ):
        assert "Index Scan using ix_notices_fresh" in plan
        assert "(id >= " in plan.split("Index Cond:")[1]
        assert "Sort" not in plan

    assert count_buffers(fresh_database.app_url, stall, LOCK_FRESH_NOTICES, since) < FEW
    # Else there is nothing here that a wake-up passes by.
    assert count_buffers(fresh_database.app_url, stall, LOCK_DUE_NOTICES, all_due) > 5 * FEW
