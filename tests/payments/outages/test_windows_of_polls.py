"""Windows of polls: for whom they are written down, when they end, and how long they are kept."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from core.clock import read_clock
from core.db import Database
from core.sealing import Sealer
from ops.postgres.supervisor import Cluster
from payments.outages.jobs import report_outages
from payments.outages.views import OutageState
from payments.polling.rules import REPLAYED_FOR
from tests.world.databases import Template, a_template
from tests.world.outages import OutageWorker, an_outage, an_outage_worker, read_outages
from tests.world.polling import a_polled_endpoint
from tests.world.stalls import PayableStall, a_payable_stall
from worker.jobs import purge_expired

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

URL = "http://127.0.0.1:9"  # nobody answers there
REFUSE = (
    """CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.org_id = '{org_id}' THEN RAISE EXCEPTION 'no'; END IF;
        RETURN NEW;
    END $$""",
    "CREATE TRIGGER refuse BEFORE INSERT ON poll_windows FOR EACH ROW EXECUTE FUNCTION refuse()",
)


@pytest.fixture(scope="module")
def stall_template(cluster: Cluster) -> Iterator[Template[PayableStall]]:
    with a_template(cluster, partial(a_payable_stall, is_live=False)) as template:
        yield template


@pytest.fixture
async def worker(
    app_database: Database, worker_database: Database, owner_database: Database, sealer: Sealer
) -> AsyncIterator[OutageWorker]:
    async with httpx.AsyncClient(trust_env=False) as client:
        made = an_outage_worker(
            app_database, worker_database, owner_database, sealer, client, every_s=900
        )
        yield made
        await made.poller.processor.close()


async def run(owner: Database, statement: str, **values: object) -> None:
    async with owner.begin() as session:
        await session.execute(text(statement), values)


async def read(owner: Database, what: str) -> list[Any]:
    async with owner.begin() as session:
        return list((await session.execute(text(f"SELECT {what}"))).all())


@pytest.mark.parametrize(
    ("leave", "problem", "come_back"),
    [
        ("sealed_pull_token = NULL", "no_token", "sealed_pull_token = '\\x00'"),
        ("revoked_at = now()", "not_connected", "revoked_at = NULL"),
    ],
)
async def test_a_regular_window_ends_with_its_connection_and_goes_on_with_it(
    app_database: Database,
    owner_database: Database,
    sealer: Sealer,
    worker: OutageWorker,
    stall: PayableStall,
    leave: str,
    problem: str,
    come_back: str,
) -> None:
    await a_polled_endpoint(app_database, sealer, stall, URL)
    assert await worker.plan_regular() == 1
    (first,) = await read(owner_database, "from_at FROM poll_windows")
    has_token = "WHERE id = (SELECT endpoint_id FROM poll_windows)"
    await run(owner_database, f"UPDATE callback_endpoints SET {leave} {has_token}")
    await worker.let_time_pass()
    await worker.poll()

    (left,) = await read(owner_database, "problem, finished_at FROM poll_windows")
    assert left.problem == problem
    assert left.finished_at is not None
    assert await worker.plan_regular() == 0

    await run(owner_database, f"UPDATE callback_endpoints SET {come_back} {has_token}")
    assert await worker.plan_regular() == 1
    assert await worker.plan_regular() == 0
    (back,) = await read(owner_database, "problem, finished_at, from_at FROM poll_windows")
    assert back == (None, None, first.from_at)


async def test_an_account_is_not_polled_for_what_was_before_its_approval(
    app_database: Database,
    owner_database: Database,
    sealer: Sealer,
    worker: OutageWorker,
    stall: PayableStall,
) -> None:
    await a_polled_endpoint(app_database, sealer, stall, URL)
    await an_outage(app_database, owner_database)
    approve = "UPDATE receiving_accounts SET approved_at = now() {}"
    await run(owner_database, approve.format("+ interval '10 minutes'"))
    assert await worker.plan() == 0
    assert await worker.plan_regular() == 0

    await run(owner_database, approve.format("- interval '10 minutes'"))
    assert await worker.plan_regular() == 2

    windows = await read(
        owner_database, "w.from_at = r.approved_at FROM poll_windows w, receiving_accounts r"
    )
    assert windows == [(True,), (True,)]


async def test_an_organisation_that_cannot_be_planned_for_stops_no_other(
    app_database: Database,
    owner_database: Database,
    sealer: Sealer,
    worker: OutageWorker,
    stall: PayableStall,
) -> None:
    stalls = sorted(
        [stall, await a_payable_stall(app_database, code="HKXN", is_live=False)],
        key=lambda one: one.org.id,
    )
    for one in stalls:
        await a_polled_endpoint(app_database, sealer, one, URL)
    for statement in REFUSE:
        await run(owner_database, statement.replace("{org_id}", str(stalls[0].org.id)))
    await an_outage(app_database, owner_database)

    assert await worker.plan() == 1
    assert await worker.plan_regular() == 1

    (outage,) = await read_outages(app_database, stalls[1])
    assert outage.is_planned
    await run(owner_database, "DROP TRIGGER refuse ON poll_windows")
    assert await worker.plan_regular() == 2  # what was left out


async def test_an_outage_that_all_have_reported_is_looked_at_no_more_and_forgotten_in_the_end(
    app_database: Database,
    owner_database: Database,
    sealer: Sealer,
    worker: OutageWorker,
    stall: PayableStall,
) -> None:
    await a_polled_endpoint(app_database, sealer, stall, URL)
    await an_outage(app_database, owner_database)
    await worker.plan()
    past = REPLAYED_FOR + timedelta(days=2)
    move = "UPDATE outages SET from_at = from_at - :past, until_at = until_at - :past"
    await run(owner_database, move, past=past)
    await report_outages(worker.databases, now=read_clock())
    assert await read(owner_database, "closed_at FROM outages") == [(None,)]  # not read yet

    await run(owner_database, "UPDATE poll_windows SET finished_at = now()")
    assert await report_outages(worker.databases, now=read_clock()) == 1
    assert await read(owner_database, "closed_at IS NOT NULL FROM outages") == [(True,)]
    (outage,) = await read_outages(app_database, stall)
    assert outage.state is OutageState.CAUGHT_UP

    await worker.plan_regular()  # a window that goes on is kept
    await purge_expired(worker.databases, now=read_clock() + timedelta(days=91))

    assert await read(owner_database, "outage_id FROM poll_windows") == [(None,)]
    for table in ("outages", "outage_reports"):
        assert await read(owner_database, f"count(*) FROM {table}") == [(0,)]
