"""Past deliveries cost nothing: what is due, and what an event lacks, is found by indexes."""

from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.dialects.postgresql.psycopg import dialect

from core.clock import read_clock
from core.db import Database
from core.ids import first_id_at
from core.sealing import Sealer
from payments.webhooks import queries_sending as queries
from payments.webhooks.queries import select_deliveries
from payments.webhooks.rules import DeliveryStatus
from tests.world.databases import FreshDatabase
from tests.world.plans import count_buffers, explain
from tests.world.stalls import PayableStall
from tests.world.webhooks import MadeEndpoint, a_webhook_endpoint, events_happen, one_worker

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

URL = "http://127.0.0.1:9/hook"
GROW = """
    INSERT INTO webhook_deliveries (
        org_id, endpoint_id, event_id, event_kind, status, attempts, failures, due_at, created_at)
    SELECT %(org_id)s, %(id)s,
           CAST(lpad(to_hex(n), 12, '0') || left(md5(CAST(n AS text)), 20) AS uuid), 'bill.paid',
           CASE n %% 50 WHEN 0 THEN 'failed' ELSE 'delivered' END, 1, 0,
           now() - interval '1 day', now() - interval '1 day'
    FROM generate_series(1, %(rows)s) AS n
"""


@pytest.fixture(
    params=[60_000, pytest.param(1_000_000, marks=pytest.mark.drill)], ids=["many", "a_million"]
)
async def endpoint(
    request: pytest.FixtureRequest,
    app_database: Database,
    fresh_database: FreshDatabase,
    stall: PayableStall,
    sealer: Sealer,
) -> MadeEndpoint:
    """An endpoint with a past."""
    made = await a_webhook_endpoint(app_database, stall.org.id, URL, sealer)
    with psycopg.connect(fresh_database.owner_url, autocommit=True) as owner:
        owner.execute(GROW, {"org_id": made.org_id, "id": made.id, "rows": request.param})
        owner.execute("VACUUM ANALYZE webhook_deliveries")
    return made


PAGES_MAX = 400  # of more than a thousand that the past has


async def test_what_is_due_is_found_without_reading_what_was_sent(
    endpoint: MadeEndpoint,
    app_database: Database,
    worker_database: Database,
    fresh_database: FreshDatabase,
    stall: PayableStall,
    sealer: Sealer,
) -> None:
    async with one_worker(worker_database, app_database, sealer) as worker:
        await events_happen(app_database, endpoint.org_id, 20)
        await worker.relay.run_once()
    url = fresh_database.worker_url
    take = {
        "org_ids": [endpoint.org_id],
        "endpoint_ids": [endpoint.id],
        "counts": [10],
        "token": uuid4(),
        "lease_for": "60 seconds",
    }

    assert count_buffers(url, stall, queries.LIST_DUE, {"limit": 500}) < PAGES_MAX
    assert count_buffers(url, stall, queries.TAKE_DUE, take) < PAGES_MAX


async def test_the_relay_reads_new_events_only(
    endpoint: MadeEndpoint,
    app_database: Database,
    fresh_database: FreshDatabase,
    stall: PayableStall,
) -> None:
    floor = first_id_at(read_clock())
    await events_happen(app_database, endpoint.org_id, 20)
    relay = {
        "org_ids": [endpoint.org_id],
        "endpoint_ids": [endpoint.id],
        "floors": [floor],
        "kinds": ["bill.paid"],
        "limit": 2_000,
    }

    assert count_buffers(fresh_database.worker_url, stall, queries.RELAY, relay) < PAGES_MAX


@pytest.mark.parametrize("status", [None, DeliveryStatus.FAILED])
async def test_a_page_of_the_log_is_found_by_an_index(
    endpoint: MadeEndpoint,
    fresh_database: FreshDatabase,
    stall: PayableStall,
    status: DeliveryStatus | None,
) -> None:
    statement = select_deliveries(
        endpoint.org_id, endpoint.id, status=status, before_id=UUID(int=2**127)
    ).limit(51)
    written = str(statement.compile(dialect=dialect(), compile_kwargs={"literal_binds": True}))

    plan = explain(fresh_database.app_url, stall, text(written.replace(":", "\\:")), {})

    assert "Index Scan" in plan
    assert "Seq Scan" not in plan
    assert "Sort" not in plan
