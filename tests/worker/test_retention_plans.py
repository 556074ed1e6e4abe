"""Retention finds what has had its time by an index, however long the history is."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from core.db import Database
from ops.postgres.supervisor import Cluster
from tests.world.databases import FreshDatabase
from tests.world.plans import scans_of
from tests.world.serials import next_code
from tests.world.stalls import PayableStall, a_payable_stall
from worker.jobs import RETENTION
from worker.queries import write_delete

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ROWS = 60_000
PART_MAX = ROWS // 2  # the last pages are not in a summarising index yet
# A row each eight seconds until now, so for five and a half days: none has had its time yet.
PAST = f"""
    FROM generate_series(1, {ROWS}) i,
        LATERAL (SELECT now() - interval '8 seconds' * ({ROWS} - i), md5(i::text)::uuid) t (at, id)
"""
FILL = {
    "idempotency_keys": f"""
        INSERT INTO idempotency_keys (
            org_id, route, key, body_hash, status, resource_id, created_at)
        SELECT %(org)s, 'bills', i, '', 201, id, at {PAST}""",
    "events": f"""
        INSERT INTO events (org_id, id, kind, data, recorded_at)
        SELECT %(org)s, id, 'bill.paid', '{{}}', at {PAST}""",
    "rejections": f"""
        INSERT INTO rejections (
            org_id, id, endpoint_id, refusal, detail, body_start, received_at)
        SELECT %(org)s, id, id, 'bad_signature', 'x', 'x', at {PAST}""",
    "sign_ins": f"""
        INSERT INTO sign_ins (
            org_id, id, staff_id, token_hash, created_at, last_seen_at, expires_at, user_agent)
        SELECT %(org)s, id, id, uuid_send(id), at, at, at, '' {PAST}""",
    "invariant_runs": f"""
        INSERT INTO invariant_runs (name, started_at, took_ms, status, violations)
        SELECT 'x', at, 1, 'ok', 0 {PAST}""",
    "webhook_attempts": f"""
        INSERT INTO webhook_attempts (
            org_id, id, endpoint_id, event_id, number, started_at, took_ms, answer)
        SELECT %(org)s, id, id, id, 1, at, 1, '' {PAST}""",
    "webhook_deliveries": f"""
        INSERT INTO webhook_deliveries (
            org_id, endpoint_id, event_id, event_kind, status, attempts, failures, due_at,
            created_at)
        SELECT %(org)s, id, id, 'bill.paid', 'delivered', 1, 0, at, at {PAST}""",
    "tax_export_parts": f"""
        INSERT INTO tax_export_parts (org_id, export_id, part_no, content, made_at)
        SELECT %(org)s, id, 0, '', at {PAST}""",
    "outages": f"""
        INSERT INTO outages (id, from_at, until_at, reason)
        SELECT id, at - interval '1 minute', at, 'unknown' {PAST}""",
    "poll_windows": f"""
        INSERT INTO poll_windows (
            org_id, id, endpoint_id, receiving_account_id, outage_id, from_at, until_at,
            next_attempt_at, finished_at)
        SELECT %(org)s, id, id, id, id, at, at, at, at {PAST}""",
    "outage_reports": f"""
        INSERT INTO outage_reports (org_id, outage_id, recorded_at)
        SELECT %(org)s, id, at {PAST}""",
    "jobs": f"""
        INSERT INTO jobs (
            org_id, id, kind, arguments, status, attempts, attempts_max, due_at, queued_at,
            finished_at)
        SELECT %(org)s, id, 'write', '{{}}', 'done', 1, 1, at, at, at {PAST}""",
}


@pytest.fixture
async def stall(app_database: Database) -> PayableStall:
    return await a_payable_stall(app_database, code=next_code())


def test_every_table_with_a_retention_is_looked_at_here() -> None:
    assert FILL.keys() == RETENTION.keys()


async def test_what_has_had_its_time_is_found_without_reading_what_has_not(
    worker_database: Database, stall: PayableStall, cluster: Cluster, fresh_database: FreshDatabase
) -> None:
    with psycopg.connect(cluster.dsn(dbname=fresh_database.name), autocommit=True) as owner:
        owner.execute("SET session_replication_role = replica")
        for table, fill in FILL.items():
            owner.execute(fill, {"org": stall.org.id})
            owner.execute(f"VACUUM ANALYZE {table}")
    before = datetime.now(UTC) - timedelta(days=7)

    read = {}
    for table, (column, _) in RETENTION.items():
        async with worker_database.begin() as session:
            values = {"before": before, "limit": 5_000}
            read |= await scans_of(session, write_delete(table, column), values)

    assert [table for table, rows in read.items() if rows > PART_MAX] == []


async def test_a_table_without_such_an_index_is_seen(
    worker_database: Database, stall: PayableStall, cluster: Cluster, fresh_database: FreshDatabase
) -> None:
    with psycopg.connect(cluster.dsn(dbname=fresh_database.name), autocommit=True) as owner:
        owner.execute("SET session_replication_role = replica")
        owner.execute(FILL["events"], {"org": stall.org.id})
        owner.execute("DROP INDEX ix_events_recorded")
        owner.execute("VACUUM ANALYZE events")

    async with worker_database.begin() as session:
        values = {"before": datetime.now(UTC) - timedelta(days=7), "limit": 5_000}
        read = await scans_of(session, write_delete("events", "recorded_at"), values)

    assert read["events"] > PART_MAX
