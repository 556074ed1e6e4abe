"""Bills of past days and of owners, jobs, and the worker's rounds: no route makes them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import psycopg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import SYSTEM, Actor
from core.clock import hanoi_day, read_clock
from core.db import Database, open_database, open_engine
from core.ids import new_id
from core.jobs.attempts import JobAttempt
from core.jobs.periodic import JobDatabases
from core.jobs.runner import JobRunner, RunnerLimits
from core.jobs.service import cancel_job, queue_job
from core.tenancy import open_org_transaction
from identity.organisations.rules import OrgFacts
from payments.bills.jobs import ExpiryProgress, confirm_codes, expire_bills
from payments.bills.owners import OwnersInbox
from payments.bills.owners_rules import Change
from payments.bills.rules import BillFacts, BillRequest
from payments.bills.serials import ReferenceSource
from payments.bills.service import open_bills
from payments.credits.queries_matches import put_off_match
from payments.invariants.jobs import check_invariants
from payments.ledger.closing import close_day
from tests.migrations.release_people import City, Place

QUICK: Final = RunnerLimits(poll_every=timedelta(seconds=0.05), grace=timedelta(seconds=0.1))
DAYS_AGO: Final = timedelta(days=3)
ENDS_WITHIN_S: Final = 20.0


async def take_references(city: City, org_id: UUID, code: str, count: int) -> list[str]:
    """Return references that were given out and that no bill has."""
    org = OrgFacts(id=org_id, code=code, name="", is_live=True)
    return await ReferenceSource(city.hub.services.database, run_length=count).take(org, count)


async def open_past_bill(
    city: City, place: Place, *, owner: tuple[str, UUID] | None = None, at: datetime | None = None
) -> BillFacts:
    """Open a bill as a till did some days ago, or now, perhaps for an owner."""
    opened_at = at or read_clock()
    request = BillRequest(
        payee_id=UUID(place.payee_id),
        amount_vnd=20_000,
        purpose="Gửi xe",
        expires_at=opened_at + timedelta(minutes=15),
        monitor_until=opened_at + timedelta(days=1),
        created_by=new_id(),
        owner_kind=None if owner is None else owner[0],
        owner_id=None if owner is None else owner[1],
        due_on=None if owner is None else opened_at.date(),
    )
    org_id = UUID(place.office.id)
    references = await take_references(city, org_id, place.office.code, 1)
    async with open_org_transaction(city.hub.services.database, org_id) as session:
        (bill,) = await open_bills(session, org_id, [request], references, now=opened_at)
    assert isinstance(bill, BillFacts), bill
    return bill


async def past_bills(city: City, place: Place) -> None:
    """Bills of some days ago: one is paid late, one expires by the worker's sweep."""
    at = read_clock() - DAYS_AGO
    late = await open_past_bill(city, place, at=at)
    await open_past_bill(city, place, at=at)
    await city.transfer(place, 20_000, late.reference)
    async with worker_database(city) as database:
        hub = city.hub.services.database
        databases = JobDatabases(app=hub, worker=database)
        assert await expire_bills(databases, ExpiryProgress(), now=read_clock()) == 1
        org_id, now = UUID(place.office.id), read_clock()
        query = "SELECT credit_id FROM matches WHERE verdict = 'no_bill' AND reversed_at IS NULL"
        ((credit_id,),) = city.query(query)
        async with open_org_transaction(hub, org_id) as session:
            await put_off_match(
                session, org_id, credit_id, wait_start=DAYS_AGO, wait_max=DAYS_AGO, now=now
            )
        await confirm_codes(databases, now=read_clock())
        assert await check_invariants(databases, now=read_clock()) == 0


async def checks_given_up(city: City) -> None:
    """The books are checked while a table is locked, as by an upgrade: some checks give up."""
    hub, url = city.hub.services.database, city.database.worker_url
    async with opened(city, url, lock_timeout_ms=100) as database:
        with psycopg.connect(city.database.owner_url) as owner:
            owner.execute("LOCK TABLE toll_requests IN ACCESS EXCLUSIVE MODE")
            databases = JobDatabases(app=hub, worker=database)
            assert await check_invariants(databases, now=read_clock()) == 0


async def owned_bills(city: City, place: Place) -> None:
    """Bills and a static code with owners: one handles its changes, one fails, one is not there."""
    broken = new_id()

    async def handle(session: AsyncSession, change: Change, *, now: datetime) -> None:
        if change.owner_id == broken:
            raise RuntimeError("The owner is faulty.")

    for owner in (("dues", new_id()), ("dues", broken), ("parking_session", new_id())):
        bill = await open_past_bill(city, place, owner=owner)
        await city.transfer(place, 12_000, bill.reference)
        await city.transfer(place, 8_000, bill.reference)
    org_id = UUID(place.office.id)
    async with open_org_transaction(city.hub.services.database, org_id) as session:
        await session.execute(
            text("UPDATE payee_accounts SET owner_kind = 'lot', owner_id = :id WHERE id = :link"),
            {"id": new_id(), "link": UUID(place.link["id"])},
        )
    await city.transfer(place, 5_000, "gui xe may")
    inbox = OwnersInbox(city.hub.services.database, {"dues": handle}, read_clock=read_clock)
    await inbox.sweep([org_id], wait_s=10)
    await inbox.close()


async def jobs(city: City, place: Place) -> None:
    """Jobs that are done, failed, cancelled, running and waiting."""
    org_id = UUID(place.office.id)
    app = city.hub.services.database
    is_running = asyncio.Event()

    async def do(attempt: JobAttempt) -> None:
        await attempt.report_progress(7, 7, "done")
        async with open_org_transaction(app, attempt.org_id) as session:
            await attempt.complete(session)

    async def fail(attempt: JobAttempt) -> None:
        raise RuntimeError("The statement has no header.")

    async def hang(attempt: JobAttempt) -> None:
        await attempt.report_progress(1, 7, "reading")
        is_running.set()
        await asyncio.Event().wait()

    async with open_org_transaction(app, org_id) as session:
        for kind in ("frozen.done", "frozen.failed", "frozen.running"):
            await queue_job(session, org_id, kind, {"month": "2026-11"}, attempts_max=1)
        await queue_job(session, org_id, "frozen.waiting", {}, key="month:2026-12")
        unwanted = await queue_job(session, org_id, "frozen.cancelled", {})
        await cancel_job(session, org_id, unwanted, actor=SYSTEM, now=read_clock())
    handlers = {"frozen.done": do, "frozen.failed": fail, "frozen.running": hang}
    async with worker_database(city) as database:
        stop = asyncio.Event()
        runner = JobRunner(database, handlers, name="worker-1", limits=QUICK)
        task = asyncio.create_task(runner.run(stop))
        async with asyncio.timeout(ENDS_WITHIN_S):
            await is_running.wait()
        await city.wait_for(
            "SELECT 1 FROM jobs WHERE kind IN ('frozen.done', 'frozen.failed')"
            " AND status IN ('done', 'failed')",
            count=2,
        )
        while not task.done():  # as a worker that is killed: its job stays leased
            task.cancel()  # one may be lost to the driver, in the middle of a trip
            await asyncio.wait([task], timeout=1)


async def closed_days(city: City, place: Place) -> None:
    """Two closed days of the books: what came in today is in the second."""
    today, by = hanoi_day(read_clock()), Actor(kind="staff", id=new_id(), name="finance.hkxm")
    database, org_id = city.hub.services.database, UUID(place.office.id)
    for day in (today - timedelta(days=1), today):
        await close_day(database, org_id, day, actor=by, now=read_clock())


@asynccontextmanager
async def opened(city: City, url: str, **settings: Any) -> AsyncIterator[Database]:
    """Open the city's database by the address of a role, perhaps with other settings."""
    engine = open_engine(url, city.database.settings.model_copy(update=settings))
    try:
        yield open_database(engine)
    finally:
        await engine.dispose()


@asynccontextmanager
async def worker_database(city: City) -> AsyncIterator[Database]:
    """Open the database as the worker does."""
    async with opened(city, city.database.worker_url) as database:
        yield database
