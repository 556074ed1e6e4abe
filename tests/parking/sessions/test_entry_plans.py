"""The plan of a flush: lookups by key, on new tables and on grown ones, whatever statistics say."""

import re

import psycopg
import pytest
from sqlalchemy.dialects.postgresql.psycopg import dialect

from core.clock import read_clock
from core.db import Database
from core.sql import write_array
from ops.maintenance import maintain
from parking.sessions.queries import DECIDE_AND_WRITE, LOCK_OCCUPANCY, _write_lock, _write_round
from parking.sessions.writer import PLANNING
from tests.world.databases import FreshDatabase
from tests.world.entries import an_entry
from tests.world.lots import LotFacts, a_lot

pytestmark = pytest.mark.anyio

GROWN = 100_000
GROW = """
    INSERT INTO parking_sessions (org_id, id, lot_id, vehicle_class, plate, ticket_key, status,
        entered_at, entry_by, request_hash)
    SELECT %(org_id)s, (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint), 12, '0')
               || '-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, %(lot_id)s, 'motorbike',
           'H' || n, %(lot_id)s, 'inside', now(), %(lot_id)s, ''
    FROM generate_series(1, %(count)s) n;
"""
GROW_INSIDE = """
    INSERT INTO inside (org_id, lot_id, kind, credential, tail, session_id, vehicle_class,
        entered_at)
    SELECT org_id, lot_id, 'plate', 'motorbike:' || plate, right(plate, 3), id, 'motorbike', now()
    FROM parking_sessions
"""


def explain_flush(gate_url: str, lot: LotFacts) -> str:
    """Return how PostgreSQL ran a flush of fifty as the gate's role; nothing of it stays."""
    requests = [an_entry(lot, entered_at=read_clock()) for _ in range(50)]
    plans = []
    with psycopg.connect(gate_url, options=PLANNING) as gate:
        for statement, (_, values) in (
            (LOCK_OCCUPANCY, _write_lock(requests)),
            (DECIDE_AND_WRITE, _write_round(requests, now=read_clock())),
        ):
            written = str(statement.compile(dialect=dialect()))  # type: ignore[no-untyped-call]
            given = {name: write_array(value) for name, value in values.items()}
            rows = gate.execute(f"EXPLAIN (ANALYZE, COSTS OFF) {written}".encode(), given)
            plans += [str(row[0]) for row in rows]
        gate.rollback()
    return "\n".join(plans)


@pytest.mark.slow
async def test_a_flush_reads_by_keys_alone_on_new_and_on_grown_tables(
    fresh_database: FreshDatabase, app_database: Database
) -> None:
    maintain(fresh_database.owner_url, now=read_clock())
    lot = await a_lot(app_database)
    plans = []
    with psycopg.connect(fresh_database.owner_url, autocommit=True) as owner:
        plans.append(explain_flush(fresh_database.gate_url, lot))
        owner.execute("ANALYZE")
        plans.append(explain_flush(fresh_database.gate_url, lot))
        values = {"org_id": lot.org.id, "lot_id": lot.id, "count": GROWN}
        owner.execute(GROW, values)
        owner.execute(GROW_INSIDE)
        plans.append(explain_flush(fresh_database.gate_url, lot))  # statistics know nothing yet
        owner.execute("ANALYZE")
        plans.append(explain_flush(fresh_database.gate_url, lot))

    for plan in plans:
        assert "Seq Scan" not in plan
        assert "Rows Removed by Join Filter" not in plan, plan
        assert not re.search(r"Rows Removed by Filter: \d{3}", plan), plan
        stays = set(re.findall(r"Index Scan using (\S+) on parking_sessions_", plan))
        assert stays
        assert all(name.endswith("_pkey") for name in stays), stays
        inside = set(re.findall(r"Index (?:Only )?Scan using (\S+) on inside", plan))
        assert inside <= {"pk_inside", "ix_inside_pass"}, inside
