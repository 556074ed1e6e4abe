"""F25: a lock that is not to be had. Nothing is lost, and nobody waits longer than a timeout."""

import asyncio
import time

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from core.clock import read_clock
from core.db import Sessions, make_sessions, open_engine, open_org_transaction
from core.settings import Settings
from payments.callbacks import settler as settler_module
from payments.callbacks.settler import LOCKED_START, Settler
from tests.builders import (
    NOON,
    Stall,
    a_bill,
    list_breaks,
    read_status,
    sepay_body,
    settle,
    store,
)
from tests.concurrency.tenants import a_new_stall, count_rows, list_outcomes
from tests.databases import Database
from tests.faults.installation import (
    Installation,
    Process,
    a_reachable_stall,
    deliver,
    new_client,
    wait_for,
    wait_until_settled,
)
from tests.integration.invariants import find_violations
from worker.main import Desk, sweep_backlog

pytestmark = [pytest.mark.anyio, pytest.mark.faults]

HOLD = text("SELECT 1 FROM bills WHERE id = :id FOR UPDATE")


@pytest.fixture(scope="module")
def hubs(installation: Installation) -> list[Process]:
    """Two hubs that wait for a lock for a quarter of a second."""
    return [installation.start_hub(PHOPAY_LOCK_TIMEOUT_MS="250") for _ in range(2)]


async def test_a_callback_is_acknowledged_while_its_bill_is_locked_and_settled_after(
    installation: Installation,
    hubs: list[Process],
    app_sessions: Sessions,
    settings: Settings,
    database: Database,
) -> None:
    to = await a_reachable_stall(app_sessions, settings, code="HKXM")
    now = read_clock()
    locked, free = [await a_bill(app_sessions, to.stall, now=now) for _ in range(2)]
    bodies = [
        sepay_body(to.stall, amount_vnd=20_000, memo=bill.reference, occurred_at=now)
        for bill in (locked, free)
    ]
    await wait_for(*hubs)

    async with new_client() as client, open_org_transaction(app_sessions, to.stall.org.id) as held:
        await held.execute(HOLD, {"id": locked.id})
        began = time.monotonic()
        for body, hub in zip(bodies, hubs, strict=True):
            assert (await deliver(client, to, [hub], body)).statuses == [200]
        assert time.monotonic() - began < 2  # no acknowledgement waits for a bill

        answer = await client.post(
            f"{hubs[0].url}/v1/bills/{locked.id}/cancel",
            json={},
            headers={"Authorization": f"Bearer {to.api_key}"},
        )
        assert (answer.status_code, answer.json()["code"]) == (503, "busy")
        assert int(answer.headers["Retry-After"]) >= 1
        assert (await read_status(app_sessions, to.stall, locked))[0] == "open"

    worker = installation.start_worker()
    await wait_until_settled(app_sessions, to.stall)

    for bill in (locked, free):
        assert await read_status(app_sessions, to.stall, bill) == ("paid", 20_000, 20_000)
    assert find_violations(database.owner_url) == []
    installation.stop(worker)


async def test_a_locked_bill_does_not_hold_up_its_neighbours(
    database: Database, app_sessions: Sessions
) -> None:
    """Whoever keeps it for long: the others of the batch are settled meanwhile."""
    stall = await a_new_stall(app_sessions)
    locked = await a_bill(app_sessions, stall)
    others = [await a_bill(app_sessions, stall) for _ in range(3)]
    bodies = [
        sepay_body(stall, amount_vnd=20_000, memo=bill.reference) for bill in (locked, *others)
    ]
    await store(app_sessions, stall, *bodies)
    impatient = database.settings.model_copy(update={"lock_timeout_ms": 100})
    engine = open_engine(database.app_url, impatient)

    async with open_org_transaction(app_sessions, stall.org.id) as held:
        await held.execute(HOLD, {"id": locked.id})
        settled = await Settler(make_sessions(engine), read_clock=lambda: NOON).settle(stall.org)
    await engine.dispose()

    assert settled == 3
    assert await list_outcomes(app_sessions, stall) == ["settle"] * 3 + ["waits"]
    assert await settle(app_sessions, stall) == 0  # it rests for a moment
    assert await settle(app_sessions, stall, now=NOON + LOCKED_START) == 1
    assert await read_status(app_sessions, stall, locked) == ("paid", 20_000, 20_000)


@pytest.mark.parametrize("repeats", [3, 600])
async def test_a_locked_bill_with_many_notices_stops_neither_its_neighbours_nor_other_organisations(
    repeats: int, app_sessions: Sessions, worker_sessions: Sessions
) -> None:
    stall = await a_new_stall(app_sessions)
    others = [await a_new_stall(app_sessions) for _ in range(6)]
    locked = await a_bill(app_sessions, stall)
    bodies = [
        sepay_body(stall, amount_vnd=1_000, memo=locked.reference, bank_reference=f"L{n}")
        for n in range(repeats)
    ]
    await store(app_sessions, stall, *bodies)
    await store(
        app_sessions, stall, *(sepay_body(stall, amount_vnd=9_000, memo="x") for _ in range(30))
    )
    for other in others:
        await store(app_sessions, other, sepay_body(other, amount_vnd=20_000, memo="x"))
    settler = Settler(app_sessions, read_clock=lambda: NOON)
    desk = Desk(app_sessions=app_sessions, worker_sessions=worker_sessions, settler=settler)

    async with open_org_transaction(app_sessions, stall.org.id) as held:
        await held.execute(HOLD, {"id": locked.id})
        began = time.monotonic()
        assert await sweep_backlog(desk, now=NOON) >= len(others)
        for other in others:
            assert await list_outcomes(app_sessions, other) == ["counter_sale"]
        assert time.monotonic() - began < 5
        while await count_rows(app_sessions, stall, "notices", "outcome = 'counter_sale'") < 30:
            assert time.monotonic() - began < 40, "neighbours wait for the locked bill"
            await sweep_backlog(desk, now=NOON)
        await settler.close()
        waiting = "handled_at IS NULL AND attempts > 0 AND outcome IS NULL"
        assert await count_rows(app_sessions, stall, "notices", waiting) == repeats

    assert await settle(app_sessions, stall, now=NOON + LOCKED_START) == repeats
    assert await list_breaks(app_sessions, stall) == ["refund_due"] * max(0, repeats - 20)


async def test_a_large_backlog_of_some_is_no_wait_for_the_lone_payment_of_another(
    app_sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four organisations have all places; the fifth is next when one batch of theirs is done."""
    monkeypatch.setattr(settler_module, "BATCH_MAX", 10)
    large = [await a_new_stall(app_sessions) for _ in range(4)]
    small = await a_new_stall(app_sessions)
    for stall in large:
        bodies = (sepay_body(stall, amount_vnd=1_000, memo="x") for _ in range(300))
        await store(app_sessions, stall, *bodies)
    await store(app_sessions, small, sepay_body(small, amount_vnd=1_000, memo="x"))
    settler = Settler(app_sessions, read_clock=lambda: NOON)

    for stall in (*large, small):
        settler.wake(stall.org)
    while await list_outcomes(app_sessions, small) == ["waits"]:  # noqa: ASYNC110
        await asyncio.sleep(0.01)

    settled = [
        await count_rows(app_sessions, stall, "notices", "handled_at IS NOT NULL")
        for stall in large
    ]
    await settler.close()
    assert sum(settled) < 4 * 150, settled


async def test_a_lost_connection_is_not_the_notices_own_failure(
    database: Database, app_sessions: Sessions
) -> None:
    """A poisonous one has them tried one by one; the connection dies under the second."""
    stall = await a_new_stall(app_sessions)
    memos = ("poison", "cut", "cut")
    await store(
        app_sessions, stall, *(sepay_body(stall, amount_vnd=20_000, memo=memo) for memo in memos)
    )
    fail = f"""
        CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NEW.memo = 'poison' THEN RAISE EXCEPTION 'poison'; END IF;
            PERFORM pg_terminate_backend(pg_backend_pid());
            PERFORM pg_sleep(1);
            RETURN NEW;
        END $$;
        CREATE TRIGGER fail BEFORE INSERT ON credits FOR EACH ROW
        WHEN (NEW.org_id = '{stall.org.id}') EXECUTE FUNCTION fail();
    """
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        owner.execute(fail)

    with pytest.raises(DBAPIError):
        await settle(app_sessions, stall)

    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        owner.execute("DROP TRIGGER fail ON credits")
        owner.execute("DROP FUNCTION fail")
    assert await count_rows(app_sessions, stall, "notices", "attempts = 0") == 2
    assert await settle(app_sessions, stall) == 2


async def test_a_deadlock_loses_nothing(app_sessions: Sessions, database: Database) -> None:
    """Somebody takes two bills in the other order; PostgreSQL ends the one that waits longer."""
    stall: Stall = await a_new_stall(app_sessions)
    bills = sorted([await a_bill(app_sessions, stall) for _ in range(2)], key=lambda b: b.id)
    bodies = [sepay_body(stall, amount_vnd=20_000, memo=bill.reference) for bill in bills]
    await store(app_sessions, stall, *bodies)

    async with open_org_transaction(app_sessions, stall.org.id) as other:
        await other.execute(HOLD, {"id": bills[1].id})
        settling = Settler(app_sessions, read_clock=lambda: NOON)
        settling.wake(stall.org)
        waits = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        end = time.monotonic() + 10
        while True:
            async with app_sessions() as looking:  # a transaction sees one state of the activity
                if await looking.scalar(waits):
                    break
            assert time.monotonic() < end
        await other.execute(HOLD, {"id": bills[0].id})
    await settling.close()  # no sweep comes by: this settler tries again by itself

    for bill in bills:
        assert (await read_status(app_sessions, stall, bill))[0] == "paid"
    assert find_violations(database.owner_url) == []
