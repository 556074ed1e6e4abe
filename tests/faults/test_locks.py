"""F25: a lock that could not be acquired. Nothing is lost; nobody waits longer than a timeout."""

import asyncio
import time

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from core.clock import read_clock
from core.db import Database, open_database, open_engine
from core.jobs.periodic import JobDatabases
from core.settings import Settings
from core.tenancy import open_org_transaction
from ops.postgres.supervisor import Cluster
from payments.callbacks.rules import LOCK_WAIT_START
from payments.credits import processor as processor_module
from payments.credits.jobs import sweep_backlog
from payments.credits.processor import NoticeProcessor
from tests.payments.invariants import find_violations
from tests.world.bills import a_bill
from tests.world.constants import BUSY_S, NOON
from tests.world.databases import FreshDatabase
from tests.world.installation import (
    Installation,
    Process,
    deliver,
    new_client,
    wait_until_settled,
    wait_until_up,
)
from tests.world.notices import process_waiting, sepay_body, store_notices
from tests.world.reads import count_rows, list_breaks, list_outcomes, read_status
from tests.world.serials import next_code
from tests.world.stalls import PayableStall, a_callable_stall, a_payable_stall

pytestmark = [pytest.mark.anyio, pytest.mark.faults]

HOLD = text("SELECT 1 FROM bills WHERE id = :id FOR UPDATE")
# The hub ends a transaction that is idle for half a minute, and with it the lock of a test.
HOLD_FOR_LONG = text("SET LOCAL idle_in_transaction_session_timeout = 0")
# On a busy machine. Each of 600 notices that waited its turn for the lock would take 150 s.
SWEPT_WITHIN_S = 100.0


@pytest.fixture(scope="module")
def hubs(installation: Installation) -> list[Process]:
    """Two hubs that wait for a lock for a quarter of a second."""
    return [installation.start_hub(PHOPAY_LOCK_TIMEOUT_MS="250") for _ in range(2)]


async def test_a_callback_is_acknowledged_while_its_bill_is_locked_and_settled_after(
    installation: Installation,
    hubs: list[Process],
    app_database: Database,
    settings: Settings,
    fresh_database: FreshDatabase,
) -> None:
    to = await a_callable_stall(app_database, settings, code="HKXM")
    now = read_clock()
    locked, free = [await a_bill(app_database, to, now=now) for _ in range(2)]
    bodies = [
        sepay_body(to, amount_vnd=20_000, memo=bill.reference, occurred_at=now)
        for bill in (locked, free)
    ]
    await wait_until_up(*hubs)

    async with new_client() as client, open_org_transaction(app_database, to.org.id) as held:
        await held.execute(HOLD, {"id": locked.id})
        began = time.monotonic()
        for body, hub in zip(bodies, hubs, strict=True):
            assert (await deliver(client, to, [hub], body)).statuses == [200]
        assert time.monotonic() - began < 2 + BUSY_S  # no acknowledgement waits for a bill

        answer = await client.post(
            f"{hubs[0].url}/v1/bills/{locked.id}/cancel",
            json={},
            headers={"Authorization": f"Bearer {to.api_key}"},
        )
        assert (answer.status_code, answer.json()["code"]) == (503, "busy")
        assert int(answer.headers["Retry-After"]) >= 1
        assert (await read_status(app_database, to, locked))[0] == "open"

    worker = installation.start_worker()
    await wait_until_settled(app_database, to)

    for bill in (locked, free):
        assert await read_status(app_database, to, bill) == ("paid", 20_000, 20_000)
    assert find_violations(fresh_database.owner_url) == []
    installation.stop(worker)


async def test_a_locked_bill_does_not_hold_up_its_neighbours(
    fresh_database: FreshDatabase, app_database: Database
) -> None:
    """Whoever keeps it for long: the others of the batch are settled meanwhile."""
    stall = await a_payable_stall(app_database, code=next_code())
    locked = await a_bill(app_database, stall)
    others = [await a_bill(app_database, stall) for _ in range(3)]
    bodies = [
        sepay_body(stall, amount_vnd=20_000, memo=bill.reference) for bill in (locked, *others)
    ]
    await store_notices(app_database, stall, *bodies)
    impatient = fresh_database.settings.model_copy(update={"lock_timeout_ms": 100})
    engine = open_engine(fresh_database.app_url, impatient)

    async with open_org_transaction(app_database, stall.org.id) as held:
        await held.execute(HOLD, {"id": locked.id})
        settled = await NoticeProcessor(open_database(engine), read_clock=lambda: NOON).process(
            stall.org
        )
    await engine.dispose()

    assert settled == 3
    assert await list_outcomes(app_database, stall) == ["settle"] * 3 + ["waits"]
    assert await process_waiting(app_database, stall) == 0  # it rests for a moment
    assert await process_waiting(app_database, stall, now=NOON + LOCK_WAIT_START) == 1
    assert await read_status(app_database, stall, locked) == ("paid", 20_000, 20_000)


@pytest.mark.parametrize("repeats", [3, 600])
async def test_a_locked_bill_with_many_notices_stops_neither_its_neighbours_nor_other_organisations(
    repeats: int, app_database: Database, worker_database: Database
) -> None:
    stall = await a_payable_stall(app_database, code=next_code())
    others = [await a_payable_stall(app_database, code=next_code()) for _ in range(6)]
    locked = await a_bill(app_database, stall)
    bodies = [
        sepay_body(stall, amount_vnd=1_000, memo=locked.reference, bank_reference=f"L{n}")
        for n in range(repeats)
    ]
    await store_notices(app_database, stall, *bodies)
    await store_notices(
        app_database, stall, *(sepay_body(stall, amount_vnd=9_000, memo="x") for _ in range(30))
    )
    for other in others:
        await store_notices(app_database, other, sepay_body(other, amount_vnd=20_000, memo="x"))
    processor = NoticeProcessor(app_database, read_clock=lambda: NOON)
    databases = JobDatabases(app=app_database, worker=worker_database)

    async with open_org_transaction(app_database, stall.org.id) as held:
        await held.execute(HOLD_FOR_LONG)
        await held.execute(HOLD, {"id": locked.id})
        end = time.monotonic() + SWEPT_WITHIN_S
        await sweep_backlog(databases, processor, now=NOON)
        while [await list_outcomes(app_database, other) for other in others] != [
            ["counter_sale"] for _ in others
        ]:
            assert time.monotonic() < end, "other organisations wait for the locked bill"
            await sweep_backlog(databases, processor, now=NOON)
        while await count_rows(app_database, stall, "notices", "outcome = 'counter_sale'") < 30:
            assert time.monotonic() < end, "neighbours wait for the locked bill"
            await sweep_backlog(databases, processor, now=NOON)
        await processor.close()
        waiting = "handled_at IS NULL AND attempts > 0 AND outcome IS NULL"
        assert await count_rows(app_database, stall, "notices", waiting) == repeats

    assert await process_waiting(app_database, stall, now=NOON + LOCK_WAIT_START) == repeats
    assert await list_breaks(app_database, stall) == ["refund_due"] * max(0, repeats - 20)


async def test_a_large_backlog_of_some_is_no_wait_for_the_lone_payment_of_another(
    app_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four organisations have all places; the fifth is next when one batch of theirs is done."""
    monkeypatch.setattr(processor_module, "BATCH_MAX", 10)
    large = [await a_payable_stall(app_database, code=next_code()) for _ in range(4)]
    small = await a_payable_stall(app_database, code=next_code())
    for stall in large:
        bodies = (sepay_body(stall, amount_vnd=1_000, memo="x") for _ in range(300))
        await store_notices(app_database, stall, *bodies)
    await store_notices(app_database, small, sepay_body(small, amount_vnd=1_000, memo="x"))
    processor = NoticeProcessor(app_database, read_clock=lambda: NOON)

    for stall in (*large, small):
        processor.wake(stall.org)
    while await list_outcomes(app_database, small) == ["waits"]:  # noqa: ASYNC110
        await asyncio.sleep(0.01)

    settled = [
        await count_rows(app_database, stall, "notices", "handled_at IS NOT NULL")
        for stall in large
    ]
    await processor.close()
    assert sum(settled) < 4 * 150, settled


async def test_a_lost_connection_is_not_the_notices_own_failure(
    fresh_database: FreshDatabase, app_database: Database
) -> None:
    """A poisonous one has them tried one by one; the connection dies under the second."""
    stall = await a_payable_stall(app_database, code=next_code())
    memos = ("poison", "cut", "cut")
    await store_notices(
        app_database, stall, *(sepay_body(stall, amount_vnd=20_000, memo=memo) for memo in memos)
    )
    fail = f"""
        CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NEW.memo = 'poison' THEN RAISE EXCEPTION 'poison'; END IF;
            PERFORM pg_terminate_backend(pg_backend_pid());
            PERFORM pg_sleep(1);
            RETURN NEW;
        END $$;
        CREATE TRIGGER fail BEFORE INSERT ON bank_transactions FOR EACH ROW
        WHEN (NEW.org_id = '{stall.org.id}') EXECUTE FUNCTION fail();
    """
    with psycopg.connect(fresh_database.owner_url, autocommit=True) as owner:
        owner.execute(fail)

    with pytest.raises(DBAPIError):
        await process_waiting(app_database, stall)

    with psycopg.connect(fresh_database.owner_url, autocommit=True) as owner:
        owner.execute("DROP TRIGGER fail ON bank_transactions")
        owner.execute("DROP FUNCTION fail")
    assert await count_rows(app_database, stall, "notices", "attempts = 0") == 2
    assert await process_waiting(app_database, stall) == 2


async def test_a_deadlock_loses_nothing(
    app_database: Database, fresh_database: FreshDatabase, cluster: Cluster
) -> None:
    """Somebody takes two bills in the other order; PostgreSQL ends the hub's transaction."""
    stall: PayableStall = await a_payable_stall(app_database, code=next_code())
    bills = sorted([await a_bill(app_database, stall) for _ in range(2)], key=lambda b: b.id)
    bodies = [sepay_body(stall, amount_vnd=20_000, memo=bill.reference) for bill in bills]
    await store_notices(app_database, stall, *bodies)

    superuser_url = cluster.dsn(dbname=fresh_database.name)
    async with await psycopg.AsyncConnection.connect(superuser_url) as other:
        # It looks for deadlocks later than the processor does, which is so the one that is ended.
        await other.execute("SET deadlock_timeout = '30s'")
        await other.execute("SELECT 1 FROM bills WHERE id = %s FOR UPDATE", [bills[1].id])
        settling = NoticeProcessor(app_database, read_clock=lambda: NOON)
        settling.wake(stall.org)
        waits = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        end = time.monotonic() + 10
        while True:
            async with app_database() as looking:  # a transaction sees one state of the activity
                if await looking.scalar(waits):
                    break
            assert time.monotonic() < end
        await other.execute("SELECT 1 FROM bills WHERE id = %s FOR UPDATE", [bills[0].id])
    await settling.close()  # no sweep comes by: this processor tries again by itself

    for bill in bills:
        assert (await read_status(app_database, stall, bill))[0] == "paid"
    assert find_violations(fresh_database.owner_url) == []
