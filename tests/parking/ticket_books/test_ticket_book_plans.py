"""Strays at a lot with years of ticket books: only the books of that day are compared."""

import json
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from core.clock import day_bounds, hanoi_day
from core.db import Database
from core.ids import first_id_at
from core.settings import Settings
from core.tenancy import open_org_transaction
from parking.ticket_books import queries
from tests.world.constants import NOON
from tests.world.parking_sessions import Gate

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

BOOKS, TICKETS = 2_000, 1_000
GROW_BOOKS = """
    INSERT INTO ticket_books (
        org_id, id, lot_id, shift_id, issued_to, issued_by, issued_at, prefix, digits,
        first_number, last_number, last_used, returned_at, returned_by)
    SELECT %(org)s, gen_random_uuid(), %(lot)s, %(shift)s, %(by)s, %(by)s,
           %(now)s - (n + 1) * interval '12 hours', 'A', 7, n * 100, n * 100 + 99, n * 100 + 99,
           %(now)s - n * interval '12 hours', %(by)s
    FROM generate_series(0, %(books)s) n
"""
GROW_STAYS = """
    INSERT INTO parking_sessions (
        org_id, id, lot_id, vehicle_class, ticket, ticket_kind, ticket_key, status, entered_at,
        entry_by, request_hash, left_at)
    SELECT %(org)s, overlay(lpad(to_hex((extract(epoch FROM t.at) * 1000)::bigint), 12, '0')
               || '7000' || '8000' || lpad(to_hex(n), 12, '0') PLACING '' FROM 33)::uuid,
           %(lot)s, 'motorbike', 'A' || lpad((n % 100)::text, 7, '0'), 'ticket',
           gen_random_uuid(), 'left', t.at, %(by)s, '', t.at + interval '1 hour'
    FROM generate_series(1, %(tickets)s) n,
         LATERAL (SELECT %(now)s - n * interval '20 seconds' AS at) t
""".replace(" % 100", " %% 100")


def count_compared(node: dict[str, Any]) -> int:
    """Return how many pairs of rows a plan has compared and found not to match."""
    own = node.get("Rows Removed by Join Filter", 0) * node.get("Actual Loops", 1)
    return int(own) + sum(count_compared(one) for one in node.get("Plans", []))


async def test_the_strays_of_a_day_are_not_compared_with_all_books_that_ever_were(
    app_database: Database, gate: Gate, settings: Settings
) -> None:
    facts = {
        "org": gate.org_id, "lot": gate.lot.id, "shift": gate.shift_id, "by": gate.attendant.id,
        "now": NOON, "books": BOOKS, "tickets": TICKETS,
    }  # fmt: skip
    with psycopg.connect(settings.database_url.get_secret_value(), autocommit=True) as owner:
        opened_at = NOON - timedelta(days=2_000)
        owner.execute("UPDATE shifts SET opened_at = %s", [opened_at])
        owner.execute(GROW_BOOKS, facts)
        owner.execute(GROW_STAYS, facts)
        owner.execute("VACUUM ANALYZE parking_sessions")
        owner.execute("VACUUM ANALYZE ticket_books")
    since, until = day_bounds(hanoi_day(NOON))
    values = {
        "org_id": gate.org_id,
        "lot_id": gate.lot.id,
        "since": since,
        "until": until,
        "first_id": first_id_at(since - queries.CLOCKS_DIFFER),
        "last_id": first_id_at(until + queries.CLOCKS_DIFFER),
        "limit": 50,
    }

    async with open_org_transaction(app_database, gate.org_id) as session:
        explained = text(f"EXPLAIN (ANALYZE, FORMAT JSON) {queries.LIST_STRAYS.text}")
        plan = (await session.execute(explained, values)).scalar_one()

    if isinstance(plan, str):
        plan = json.loads(plan)
    assert count_compared(plan[0]["Plan"]) < 10 * TICKETS, plan
