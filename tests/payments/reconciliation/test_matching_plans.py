"""Plans of matching on tables of real size: a run reads what is open, whatever was explained."""

import asyncio
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from core.clock import day_bounds
from core.db import open_database, open_engine
from core.ids import new_id
from ops.postgres.supervisor import Cluster
from payments.reconciliation import queries, queries_aging, queries_candidates, queries_views
from payments.reconciliation.matching import BEGIN
from tests.world.constants import NOON
from tests.world.databases import FreshDatabase, create_database
from tests.world.grown_tables import grow_bills, grow_credits
from tests.world.lines import TODAY, Line, add_lines
from tests.world.plans import explain, explain_generic
from tests.world.serials import next_code
from tests.world.stalls import PayableStall, a_payable_stall

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

LINES = 30_000
# All but a hundred lines are explained, each by a credit of the past.
GROW_LINES = """
    WITH grown AS (
        INSERT INTO statement_lines (
            org_id, id, line_no, booked_on, is_date_only, direction, amount_vnd, bank_reference,
            memo, is_reversal, statement_id, receiving_account_id, open_vnd, explanation)
        SELECT l.org_id, gen_random_uuid(), 1000 + n, l.booked_on - CAST(mod(n, 300) AS int), true,
               'in', 10000, '', '', false, l.statement_id, l.receiving_account_id,
               CASE WHEN n <= 100 THEN 10000 ELSE 0 END, CASE WHEN n > 100 THEN 'interest' END
        FROM (SELECT * FROM statement_lines LIMIT 1) AS l, generate_series(1, %s) AS n
        RETURNING org_id, id, open_vnd)
    INSERT INTO proofs (
        org_id, id, line_id, explanation, amount_vnd, rule, reason, reason_facts, proved_at)
    SELECT org_id, gen_random_uuid(), id, 'interest', 10000, 'by_hand', 'explained_by', '{}', now()
    FROM grown WHERE open_vnd = 0
"""
GROW_MATCHES = """
    INSERT INTO matches (
        org_id, id, credit_id, bill_id, payee_id, rule, verdict, reason, reason_facts, applied_vnd,
        is_late, matched_at)
    SELECT c.org_id, gen_random_uuid(), c.id, b.id, b.payee_id, 'memo_exact', 'settle',
           'bill_found', '{}', 10000, false, c.received_at
    FROM (SELECT *, row_number() OVER () AS n FROM bank_transactions) AS c
    JOIN (SELECT *, row_number() OVER () AS n FROM bills) AS b USING (n)
"""


async def make_lot(database: FreshDatabase) -> PayableStall:
    engine = open_engine(database.app_url, database.settings)
    try:
        app = open_database(engine)
        lot = await a_payable_stall(app, code=next_code())
        await add_lines(app, lot, Line())
        return lot
    finally:
        await engine.dispose()


@pytest.fixture(scope="module")
def fresh_database(cluster: Cluster) -> Iterator[FreshDatabase]:
    """One database for all tests of this file: they only read plans."""
    with create_database(cluster) as fresh:
        yield fresh


@pytest.fixture(scope="module")
def lot(fresh_database: FreshDatabase) -> PayableStall:
    """A lot with tens of thousands of bills, credits and explained lines."""
    lot = asyncio.run(make_lot(fresh_database))
    grow_bills(fresh_database.owner_url, lot, price_vnd=10_000)
    grow_credits(fresh_database.owner_url, lot)
    with psycopg.connect(fresh_database.owner_url, autocommit=True) as owner:
        owner.execute(GROW_LINES, [LINES])
        owner.execute(GROW_MATCHES)
        owner.execute("VACUUM ANALYZE statement_lines, proofs, bills, matches, bank_transactions")
    return lot


def plans_of(
    database: FreshDatabase, lot: PayableStall, statement: Any, **values: Any
) -> tuple[str, str]:
    """Return the plan for these values, and the one that serves any."""
    shared = {"org_id": lot.org.id, "account_id": lot.account_id}
    return (
        explain(database.app_url, lot, statement, shared | values),
        explain_generic(database.app_url, lot, statement, shared | values),
    )


def test_open_lines_are_read_from_the_index_of_what_is_open(
    fresh_database: FreshDatabase, lot: PayableStall
) -> None:
    for plan in plans_of(
        fresh_database,
        lot,
        queries.LIST_OPEN,
        direction="in",
        after_on=BEGIN.booked_on,
        after_id=BEGIN.id,
        until_on=TODAY,
        limit=5_000,
    ):
        assert "ix_statement_lines_open" in plan
        assert "Seq Scan on statement_lines" not in plan


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (queries_candidates.FIND_BY_BANK_REFERENCE, "ix_bank_transactions_reference"),
        (queries_candidates.FIND_BY_BILL, "uq_bills_org_id_reference"),
        (  # or those of the days around, which are as few
            queries_candidates.FIND_BY_PROVIDER_ID,
            "uq_bank_transactions_provider_transaction|ix_bank_transactions_account_time",
        ),
    ],
)
def test_credits_are_found_by_the_keys_of_lines(
    fresh_database: FreshDatabase, lot: PayableStall, statement: Any, index: str
) -> None:
    values: dict[str, Any] = {
        "keys": [f"FT26324{n:06d}" for n in range(20)],
        "since": day_bounds(TODAY)[0],
        "until": day_bounds(TODAY)[1],
    }
    if statement is queries_candidates.FIND_BY_PROVIDER_ID:
        values["providers"] = ["sepay", "casso"]
    for plan in plans_of(fresh_database, lot, statement, **values):
        assert re.search(index, plan)
        assert "Seq Scan on bank_transactions" not in plan
        assert "Seq Scan on bills" not in plan


def test_lists_of_lines_are_read_in_the_order_of_an_index(
    fresh_database: FreshDatabase, lot: PayableStall
) -> None:
    before = {"before_id": new_id(), "limit": 51}
    for filters, values, index in (
        ((), {}, "ix_statement_lines_day"),
        (("day",), {"day": TODAY}, "ix_statement_lines_day"),
        (("is_open",), {}, "ix_statement_lines_open"),
    ):
        query = text(queries_views.write_list(["before_id", *filters]))
        for plan in plans_of(fresh_database, lot, query, **before, **values):
            assert f"using {index}" in plan
            assert "Sort" not in plan


def test_suggestions_are_looked_for_in_the_days_around_a_line_alone(
    fresh_database: FreshDatabase, lot: PayableStall
) -> None:
    for plan in plans_of(
        fresh_database,
        lot,
        queries_views.LIST_SUGGESTIONS,
        amount_vnd=10_000,
        since=day_bounds(TODAY)[0],
        until=NOON,
        of_max=20_000,
        limit=10,
    ):
        assert "ix_bank_transactions_account_time" in plan
        assert "Seq Scan on bank_transactions" not in plan


@pytest.mark.parametrize("statement", [queries.FIND_DUE_ACCOUNTS, queries.FIND_NEW_SPAN])
def test_new_credits_are_looked_for_in_the_days_around_open_lines_alone(
    fresh_database: FreshDatabase, lot: PayableStall, statement: Any
) -> None:
    values: dict[str, Any] = {"overlap": timedelta(minutes=10), "within": queries.REPORTED_WITHIN}
    if statement is queries.FIND_DUE_ACCOUNTS:
        values |= {"stale_before": NOON, "limit": 500}
    else:
        values |= {"org_id": lot.org.id, "account_id": lot.account_id}
    for plan in (
        explain(fresh_database.app_url, lot, statement, values),
        explain_generic(fresh_database.app_url, lot, statement, values),
    ):
        assert "ix_bank_transactions_account_time" in plan
        assert "ix_statement_lines_open" in plan
        for table in ("bank_transactions", "statement_lines", "matches", "proofs"):
            assert f"Seq Scan on {table}" not in plan


def test_credits_of_asked_days_are_looked_for_among_what_came_lately(
    fresh_database: FreshDatabase, lot: PayableStall
) -> None:
    values = {"overlap": timedelta(minutes=10), "limit": 1_000}
    for plan in plans_of(fresh_database, lot, queries_aging.LIST_LATE_WITHOUT_LINE, **values):
        assert re.search("ix_bank_transactions_(received|account_time)", plan)
        assert "Seq Scan on bank_transactions" not in plan
