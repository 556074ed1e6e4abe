"""The invariants on books of a million payments: they are checked in the running hub."""

import time

import psycopg
import pytest

from core.db import Database
from ops.postgres.supervisor import Cluster
from payments.invariants.queries import CHECKS, VIOLATIONS_MAX, find_violations
from tests.world.bills import a_bill
from tests.world.constants import NOON
from tests.world.databases import FreshDatabase
from tests.world.grown_books import grow_books
from tests.world.notices import pay
from tests.world.stalls import a_payable_stall

pytestmark = [pytest.mark.anyio, pytest.mark.drill]

PAYMENTS = 1_000_000
ALL_TIMEOUT_S = 60


@pytest.mark.timeout(600)
async def test_all_invariants_answer_on_a_million_payments_within_a_minute(
    cluster: Cluster,
    fresh_database: FreshDatabase,
    app_database: Database,
    worker_database: Database,
) -> None:
    stall = await a_payable_stall(app_database)
    grow_books(cluster.dsn(dbname=fresh_database.name), stall, PAYMENTS)
    await pay(app_database, stall, await a_bill(app_database, stall))

    started = time.monotonic()
    took_s = {}
    for name in CHECKS:
        began = time.monotonic()
        async with worker_database.begin() as session:
            # The past ends as NOON begins: a payment a second up to then, and no silence.
            assert await find_violations(session, name, now=NOON) == []
        took_s[name] = round(time.monotonic() - began, 2)
    all_s = time.monotonic() - started

    print(f"{all_s:.1f} s in all", took_s)
    assert all_s < ALL_TIMEOUT_S, took_s
    with psycopg.connect(fresh_database.owner_url) as owner:
        owner.execute("DELETE FROM postings WHERE id = (SELECT max(id::text)::uuid FROM postings)")
        owner.execute("UPDATE bills SET paid_at = NULL")
    async with worker_database.begin() as session:
        assert len(await find_violations(session, "a_credit_posts_once")) == 1
    async with worker_database.begin() as session:
        bills = await find_violations(session, "bills_agree_with_their_payments")
    assert len(bills) == VIOLATIONS_MAX
