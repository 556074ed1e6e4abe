"""The invariants on books of a million payments: they are asked of the running hub."""

import time

import psycopg
import pytest

from core.db import Sessions
from ops.postgres import Cluster
from payments.invariants import INVARIANTS, VIOLATIONS_MAX, find_violations
from tests.builders import a_bill, a_stall, pay
from tests.databases import Database
from tests.integration.grown_books import grow_books

pytestmark = [pytest.mark.anyio, pytest.mark.drill]

PAYMENTS = 1_000_000
ALL_TIMEOUT_S = 60


@pytest.mark.timeout(600)
async def test_all_invariants_answer_on_a_million_payments_within_a_minute(
    cluster: Cluster, database: Database, app_sessions: Sessions, worker_sessions: Sessions
) -> None:
    stall = await a_stall(app_sessions)
    grow_books(cluster.dsn(dbname=database.name), stall, PAYMENTS)
    await pay(app_sessions, stall, await a_bill(app_sessions, stall))

    started = time.monotonic()
    took_s = {}
    for name in INVARIANTS:
        began = time.monotonic()
        async with worker_sessions.begin() as session:
            assert await find_violations(session, name) == []
        took_s[name] = round(time.monotonic() - began, 2)
    all_s = time.monotonic() - started

    print(f"{all_s:.1f} s in all", took_s)
    assert all_s < ALL_TIMEOUT_S, took_s
    with psycopg.connect(database.owner_url) as owner:
        owner.execute(
            "DELETE FROM transfers WHERE id = (SELECT max(id::text)::uuid FROM transfers)"
        )
        owner.execute("UPDATE bills SET paid_at = NULL")
    async with worker_sessions.begin() as session:
        assert len(await find_violations(session, "a_credit_posts_once")) == 1
    async with worker_sessions.begin() as session:
        bills = await find_violations(session, "bills_agree_with_their_credits")
    assert len(bills) == VIOLATIONS_MAX
