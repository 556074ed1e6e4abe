"""F25: a lock that is not to be had. Nothing is lost, and nobody waits longer than a timeout."""

import time

import pytest
from sqlalchemy import text

from core.clock import read_clock
from core.db import Sessions, make_sessions, open_engine, open_org_transaction
from core.settings import Settings
from payments.callbacks.settler import Settler
from tests.builders import (
    NOON,
    Stall,
    a_bill,
    read_status,
    sepay_body,
    settle,
    store,
)
from tests.concurrency.tenants import a_new_stall, list_outcomes
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
    assert await settle(app_sessions, stall) == 1
    assert await read_status(app_sessions, stall, locked) == ("paid", 20_000, 20_000)


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
