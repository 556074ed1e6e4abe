"""Jobs on a table that has grown: what is taken is found by an index, and still taken once."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text

from core.db import Database
from core.jobs import queries
from core.jobs.attempts import JobAttempt
from core.tenancy import open_org_transaction
from ops.postgres.supervisor import Cluster
from tests.core.jobs.steps import (
    ORG,
    OTHER_ORG,
    count_effects,
    ended,
    queued,
    running,
    write_effect,
)
from tests.world.databases import FreshDatabase

pytestmark = pytest.mark.anyio

FILL = """
    INSERT INTO jobs (org_id, id, kind, arguments, status, attempts, attempts_max, due_at,
        queued_at, started_at, finished_at)
    SELECT '{org_id}', gen_random_uuid(), 'write', '{{}}', CASE WHEN i % 2 = 0 THEN 'done'
            ELSE 'queued' END, 0, 5, now() + make_interval(secs => i - 15000), now(), NULL,
        CASE WHEN i % 2 = 0 THEN now() END
    FROM generate_series(1, 30000) i
"""
TAKE = {
    "org_id": ORG,
    "kinds": ["write"],
    "token": UUID(int=1),
    "leased_by": "x",
    "lease_for": timedelta(seconds=30),
}


@pytest.fixture
def grown(cluster: Cluster, fresh_database: FreshDatabase) -> None:
    """30,000 jobs of one organisation: half has ended, a quarter is due, a quarter comes later."""
    with psycopg.connect(cluster.dsn(dbname=fresh_database.name), autocommit=True) as owner:
        owner.execute(FILL.format(org_id=ORG).encode())
        owner.execute("VACUUM ANALYZE jobs")


async def count_read(session: Any, statement: Any, values: dict[str, Any]) -> int:
    """Return how many rows of tables and indexes a statement reads."""
    explained = text(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement.text}")
    nodes = [(await session.execute(explained, values)).scalar_one()[0]["Plan"]]
    found = 0
    while nodes:
        node = nodes.pop()
        nodes += node.get("Plans", [])
        if "Relation Name" in node or "Index Name" in node:
            rows = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
            found += int(rows * node["Actual Loops"])
    return found


@pytest.mark.usefixtures("grown")
async def test_taking_a_job_reads_few_rows_however_many_there_are(
    app_database: Database, worker_database: Database
) -> None:
    await queued(app_database, org_id=OTHER_ORG)
    async with worker_database.begin() as session:
        assert await count_read(session, queries.LIST_DUE_ORGS, {}) < 100
        assert await count_read(session, queries.LEASE_JOB, TAKE) < 100
        assert await count_read(session, queries.END_ABANDONED, {}) < 100


@pytest.mark.usefixtures("grown")
async def test_workers_take_each_job_of_a_grown_table_once_and_the_neighbours_early(
    app_database: Database, worker_database: Database
) -> None:
    taken: list[UUID] = []
    is_under_way = asyncio.Event()

    async def write(attempt: JobAttempt) -> None:
        taken.append(attempt.id)
        if len(taken) == 60:
            is_under_way.set()
        async with open_org_transaction(app_database, attempt.org_id) as session:
            await attempt.complete(session)
            await write_effect(session, attempt.org_id, attempt.id)

    async with (
        running(worker_database, {"write": write}, name="one"),
        running(worker_database, {"write": write}, name="two"),
    ):
        await is_under_way.wait()
        one = await queued(app_database, org_id=OTHER_ORG)
        before = len(taken)
        await ended(app_database, one, org_id=OTHER_ORG)
        assert taken.index(one) - before < 30

    assert len(taken) == len(set(taken))
    for job_id in taken[:20]:
        assert await count_effects(app_database, job_id) == 1
