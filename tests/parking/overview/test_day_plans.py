"""A lot's dashboard among many sessions: what it reads is bounded by the lot's day."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import TextClause

from core.clock import day_bounds, hanoi_day
from core.db import Database
from core.ids import first_id_at
from core.settings import Settings
from parking.overview import queries, queries_day
from tests.world.constants import NOON
from tests.world.parking_sessions import Gate, a_gate
from tests.world.plans import count_buffers, explain

pytestmark = pytest.mark.anyio

LOTS, DAYS, A_DAY = 20, 30, 100  # sessions of a lot in a day: 60,000 in all
# Ids as phones make them: time first. The lot's own sessions are spread among those of others.
GROW = """
    INSERT INTO parking_sessions (
        org_id, id, lot_id, vehicle_class, plate, ticket_key, status, entered_at, entry_by,
        request_hash, left_at, exit_reason, price_vnd, paid_vnd, bill_paid_vnd)
    SELECT %(org)s, overlay(lpad(to_hex((extract(epoch FROM t.at) * 1000)::bigint), 12, '0')
               || '7000' || '8000' || lpad(to_hex(n), 12, '0') PLACING '' FROM 33)::uuid,
           CASE n %% %(lots)s WHEN 0 THEN %(lot)s ELSE gen_random_uuid() END, 'motorbike',
           '29AA' || lpad((n %% 99999)::text, 5, '0'), gen_random_uuid(), 'left', t.at, %(org)s, '',
           t.at + interval '1 hour', 'paid', 5000, 5000, 5000
    FROM generate_series(1, %(rows)s) n,
         LATERAL (SELECT %(now)s - n * (interval '1 day' / %(a_day)s) AS at) t
"""


@pytest.fixture
async def grown(app_database: Database, settings: Settings) -> Gate:
    """A lot with a month of sessions among those of nineteen others."""
    gate = await a_gate(app_database)
    with psycopg.connect(settings.database_url.get_secret_value()) as owner:
        owner.execute(
            GROW,
            {
                "org": gate.org_id,
                "lot": gate.lot.id,
                "lots": LOTS,
                "rows": LOTS * DAYS * A_DAY,
                "a_day": LOTS * A_DAY,
                "now": NOON,
            },
        )
        owner.commit()
        owner.autocommit = True
        owner.execute("VACUUM ANALYZE parking_sessions")
    return gate


def of_today(gate: Gate) -> dict[str, Any]:
    since, until = day_bounds(hanoi_day(NOON))
    return {"org_id": gate.org_id, "lot_id": gate.lot.id, "since": since, "until": until}


def by_id(gate: Gate) -> dict[str, Any]:
    values = of_today(gate)
    first = first_id_at(values["since"] - queries.CLOCKS_APART)
    return {**values, "first_id": first, "last_id": first_id_at(values["until"] + timedelta(1))}


@pytest.mark.slow
async def test_a_dashboard_reads_its_lots_day_and_nothing_else(
    grown: Gate, settings: Settings
) -> None:
    url = settings.app_database_url.get_secret_value()
    reviews = {"org_id": grown.org_id, "lot_id": None, "after_id": None, "limit": 21}
    near = {
        "org_id": grown.org_id,
        "lot_id": grown.lot.id,
        "id": first_id_at(NOON - timedelta(days=3)),
        "first_id": first_id_at(NOON - timedelta(days=3, hours=12)),
        "last_id": first_id_at(NOON - timedelta(days=2, hours=12)),
        "vehicle_class": "motorbike",
        "limit": 12,
    }
    statements: list[tuple[TextClause, Mapping[str, Any]]] = [
        (queries_day.COUNT_IN, by_id(grown)),
        (queries_day.COUNT_OUT, of_today(grown)),
        (queries_day.SUM_BY_RAIL, of_today(grown)),
        (queries_day.LIST_DIFFERED, of_today(grown)),
        (queries.select_stays(frozenset()), {**by_id(grown), "limit": 51}),
        (queries.LIST_REVIEWS, reviews),
        (queries.LIST_REVIEWS, {**reviews, "lot_id": grown.lot.id}),
        (queries.LIST_NEAR, near),
        (queries.select_stays(frozenset({"lot_id"})), {**by_id(grown), "limit": 51}),
    ]
    for statement, values in statements:
        plan = explain(url, grown.stall, statement, values)
        assert "Seq Scan on parking_sessions" not in plan, plan
        # Of 60,000 sessions a day of the lot has a hundred, and the slack of clocks some more.
        assert count_buffers(url, grown.stall, statement, values) < 1_500, plan
