"""F1, F2, F15, F26: a hub process is killed at every step of a payment's way; nothing is lost.

Two hub processes and a worker on one database; the one that is called first dies of SIGKILL.
"""

import httpx
import pytest
from sqlalchemy import text

from core.clock import read_clock
from core.db import Database
from core.ids import new_id
from core.jobs.periodic import JobDatabases
from core.settings import Settings
from core.tenancy import open_org_transaction
from payments.bills.jobs import notify_owners
from payments.bills.references import ALPHABET
from tests.faults.dying_hub import IS_ACKNOWLEDGED, OWNER_KIND, OWNER_POINTS, POINTS, WITH_OWNER
from tests.payments.invariants import find_violations, find_waiting
from tests.world.bills import a_bill
from tests.world.databases import FreshDatabase
from tests.world.installation import (
    DyingHub,
    Installation,
    Process,
    deliver,
    new_client,
    wait_until_settled,
    wait_until_up,
)
from tests.world.notices import sepay_body
from tests.world.reads import count_rows, list_breaks, list_events, read_ledger, read_status
from tests.world.stalls import CallableStall, a_callable_stall

pytestmark = [pytest.mark.anyio, pytest.mark.faults]


@pytest.fixture(scope="module")
def steady(installation: Installation) -> Process:
    """A hub that lives."""
    return installation.start_hub()


@pytest.fixture(scope="module")
def worker(installation: Installation) -> Process:
    return installation.start_worker()


async def count_notices(database: Database, to: CallableStall) -> int:
    async with open_org_transaction(database, to.org.id) as session:
        return int(await session.scalar(text("SELECT count(*) FROM notices")) or 0)


async def test_without_a_worker_the_next_callback_settles_what_a_dead_hub_left(
    installation: Installation,
    steady: Process,
    app_database: Database,
    settings: Settings,
    fresh_database: FreshDatabase,
) -> None:
    dying = installation.start_dying_hub("between acknowledgement and processing")
    to = await a_callable_stall(app_database, settings, code="HKXA")
    await wait_until_up(dying, steady)
    bills = [await a_bill(app_database, to, now=read_clock()) for _ in range(2)]

    async with new_client() as client:
        hubs: list[Process | DyingHub] = [dying, steady]
        for bill, hub in zip(bills, hubs, strict=True):
            body = sepay_body(to, amount_vnd=20_000, memo=bill.reference, occurred_at=read_clock())
            done = await deliver(client, to, [hub], body)
            assert done.statuses == [200]
    dying.wait_until_killed()
    await wait_until_settled(app_database, to)

    for bill in bills:
        assert await read_status(app_database, to, bill) == ("paid", 20_000, 20_000)
    assert find_violations(fresh_database.owner_url) == []


@pytest.mark.parametrize(("number", "point"), list(enumerate(POINTS)))
async def test_a_hub_killed_at_any_step_loses_and_doubles_nothing(
    installation: Installation,
    steady: Process,
    worker: Process,
    app_database: Database,
    settings: Settings,
    fresh_database: FreshDatabase,
    number: int,
    point: str,
) -> None:
    dying = installation.start_dying_hub(point)
    to = await a_callable_stall(app_database, settings, code=f"HKX{ALPHABET[10 + number]}")
    bill = await a_bill(app_database, to, now=read_clock())
    body = sepay_body(to, amount_vnd=20_000, memo=bill.reference, occurred_at=read_clock())
    await wait_until_up(dying, steady)

    async with new_client() as client:
        done = await deliver(client, to, [dying, steady], body)
    dying.wait_until_killed()
    waited = await wait_until_settled(app_database, to)

    assert worker.is_running
    # The sender repeats exactly where it got no answer.
    assert done.statuses == ([200] if point in IS_ACKNOWLEDGED else [0, 200])
    is_stored_twice = point == "between commit and acknowledgement"
    assert await count_notices(app_database, to) == (2 if is_stored_twice else 1)
    assert waited.total_seconds() < 20  # the promise is 60
    assert await read_status(app_database, to, bill) == ("paid", 20_000, 20_000)
    books = await read_ledger(app_database, to)
    assert books == {"clearing": -20_000, "takings": 20_000, "unapplied": 0, "not_takings": 0}
    assert (await list_events(app_database, to)).count("bill.paid") == 1
    assert await list_breaks(app_database, to) == []
    assert find_violations(fresh_database.owner_url) == []
    assert find_waiting(fresh_database.owner_url) == []


@pytest.mark.parametrize("point", OWNER_POINTS)
async def test_an_owner_is_notified_once_whatever_point_its_hub_dies_at(
    installation: Installation,
    steady: Process,
    app_database: Database,
    worker_database: Database,
    settings: Settings,
    fresh_database: FreshDatabase,
    monkeypatch: pytest.MonkeyPatch,
    point: str,
) -> None:
    dying = installation.start_dying_hub(point)
    number = list(OWNER_POINTS).index(point)
    to = await a_callable_stall(app_database, settings, code=f"HKW{ALPHABET[10 + number]}")
    bill = await a_bill(app_database, to, now=read_clock(), owner=(OWNER_KIND, new_id()))
    body = sepay_body(to, amount_vnd=20_000, memo=bill.reference, occurred_at=read_clock())
    await wait_until_up(dying, steady)

    async with new_client() as client:
        await deliver(client, to, [dying], body)
    dying.wait_until_killed()

    # The payment is committed; nobody has been notified.
    assert await read_status(app_database, to, bill) == ("paid", 20_000, 20_000)
    assert await count_rows(app_database, to, "bill_changes", "handled_at IS NULL") == 1
    assert await count_rows(app_database, to, "audit_log", "action = 'owner.notified'") == 0
    databases = JobDatabases(app=app_database, worker=worker_database)
    for _ in range(2):
        await notify_owners(databases, WITH_OWNER.bill_owners, now=read_clock())
    assert await count_rows(app_database, to, "bill_changes", "handled_at IS NULL") == 0
    assert await count_rows(app_database, to, "audit_log", "action = 'owner.notified'") == 1
    assert find_violations(fresh_database.owner_url) == []


async def test_a_dead_hub_refuses_at_once_so_that_the_sender_can_go_elsewhere(
    installation: Installation,
) -> None:
    hub = installation.start_hub()
    await wait_until_up(hub)
    hub.kill()

    async with new_client() as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(f"{hub.url}/health/live")
