"""Plans on books with a long past: readiness and a close read their day, and what is unfinished."""

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import TextClause

from core.clock import day_bounds
from core.db import open_database, open_engine
from core.ids import first_id_at, new_id
from ops.postgres.supervisor import Cluster
from payments.closing import queries, queries_days, queries_views
from payments.ledger import queries_items
from tests.payments.closing.days import FRIDAY, ONE_DAY, THURSDAY
from tests.world.constants import NOON
from tests.world.databases import FreshDatabase, create_database
from tests.world.grown_books import grow_books
from tests.world.plans import explain
from tests.world.serials import next_code
from tests.world.stalls import PayableStall, a_payable_stall

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

PAYMENTS, DAYS = 24_000, 240
LONG = (
    "postings", "bank_transactions", "notices", "statement_lines", "bills", "carried_items",
    "ledger_checkpoints", "statements", "statement_days",
)  # fmt: skip
# A hundred payments a day, as many lines, and a day of the books for each; the last week's items
# are still carried.
SPREAD = """
    UPDATE postings SET day = CAST(%(friday)s AS date) - mod(abs(hashint8(amount_vnd)), %(days)s),
        posted_at = posted_at - mod(abs(hashint8(amount_vnd)), %(days)s) * interval '1 day';
    UPDATE bank_transactions SET
        occurred_at = occurred_at - mod(abs(hashint8(amount_vnd)), %(days)s) * interval '1 day';
    UPDATE breaks SET closed_at = now() WHERE mod(amount_vnd, 50) <> 1;
    INSERT INTO statements (
        org_id, id, receiving_account_id, file_sha256, file_name, file_bytes, is_pasted, status,
        period_from, period_to, created_at)
    SELECT %(org)s, gen_random_uuid(), %(account)s, sha256(convert_to(CAST(n AS text), 'UTF8')),
           'x', 1, false, 'visible', CAST(%(friday)s AS date) - n, CAST(%(friday)s AS date) - n,
           now()
    FROM generate_series(0, %(days)s) n;
    INSERT INTO statement_days
    SELECT org_id, receiving_account_id, period_to, id, 100, 1, 1, 1 FROM statements;
    INSERT INTO statement_lines (
        org_id, id, line_no, booked_on, is_date_only, direction, amount_vnd, bank_reference, memo,
        is_reversal, statement_id, receiving_account_id, open_vnd, explanation)
    SELECT s.org_id, gen_random_uuid(), n, s.period_to, true, 'in', 1000, '', '', false, s.id,
           s.receiving_account_id, CASE WHEN open THEN 1000 ELSE 0 END,
           CASE WHEN NOT open THEN 'credit' END
    FROM statements s CROSS JOIN generate_series(1, 100) n
    CROSS JOIN LATERAL (VALUES (s.period_to = %(friday)s AND n < 4)) AS which (open);
    INSERT INTO ledger_checkpoints
    SELECT %(org)s, code, subject_id, CAST(%(friday)s AS date) - n, 1, 1
    FROM generate_series(1, %(days)s) n CROSS JOIN unnest(ARRAY['bank', 'bank_clearing']) code
    CROSS JOIN (SELECT CAST(%(account)s AS uuid) AS subject_id UNION ALL
                SELECT gen_random_uuid() FROM generate_series(1, 50)) accounts;
    INSERT INTO carried_items
    SELECT %(org)s, gen_random_uuid(), CAST(%(friday)s AS date) - mod(n, %(days)s) - 1,
           CAST(%(friday)s AS date) - mod(n, %(days)s) - 1, %(account)s, 1000,
           CASE WHEN mod(n, %(days)s) > 7 THEN CAST(%(friday)s AS date) - mod(n, %(days)s) END
    FROM generate_series(1, %(rows)s) n;
"""


@pytest.fixture(scope="module")
def fresh_database(cluster: Cluster) -> Iterator[FreshDatabase]:
    with create_database(cluster) as fresh:
        yield fresh


@pytest.fixture(scope="module")
def lot(cluster: Cluster, fresh_database: FreshDatabase) -> PayableStall:
    """A lot with eight months of payments, statements and closed days."""

    async def make() -> PayableStall:
        engine = open_engine(fresh_database.app_url, fresh_database.settings)
        try:
            return await a_payable_stall(open_database(engine), code=next_code())
        finally:
            await engine.dispose()

    lot = asyncio.run(make())
    superuser_url = cluster.dsn(dbname=fresh_database.name)
    grow_books(superuser_url, lot, PAYMENTS)
    values = {
        "org": lot.org.id, "account": lot.account_id, "friday": FRIDAY, "days": DAYS,
        "rows": PAYMENTS,
    }  # fmt: skip
    with psycopg.connect(superuser_url, cursor_factory=psycopg.ClientCursor) as past:
        past.execute("SET session_replication_role = replica")
        past.execute(SPREAD, values)
    with psycopg.connect(superuser_url, autocommit=True) as after:
        after.execute("VACUUM ANALYZE")
    return lot


def asked(lot: PayableStall) -> dict[str, tuple[TextClause, dict[str, Any]]]:
    """Each statement of a checklist and a close, as Friday asks it."""
    starts_at, ends_at = day_bounds(FRIDAY)
    accounts, one_day = [lot.account_id], {"after": THURSDAY, "until": FRIDAY}
    return {
        "accounts": (queries.LIST_ACCOUNTS, {"day": FRIDAY, "ends_at": ends_at, "moved": accounts}),
        "breaks": (
            queries.LIST_BREAKS,
            {"starts_at": starts_at, "ends_at": ends_at, "disagreeing": ["contradiction"],
             "not_read": ["unreadable", "stuck"]},
        ),
        "notices": (queries.COUNT_NOTICES, {"ends_at": ends_at, "most": 1_000}),
        "mark": (queries.READ_MARK, {"day": FRIDAY, "account_ids": accounts}),
        "items": (queries_items.SUM_ITEMS, {"subject_ids": accounts, **one_day}),
        "under_way": (
            queries_items.SUM_OF_ITEMS,
            {"subject_id": lot.account_id, "item_ids": [new_id()], "since": NOON - ONE_DAY,
             "until": FRIDAY},
        ),
        "balances": (
            queries_items.LIST_BALANCES,
            {"codes": ["bank", "bank_clearing"], "subject_ids": accounts, "day": THURSDAY},
        ),
        "moved": (queries_items.SUM_MOVED, {"codes": ["bank", "bank_clearing"], **one_day}),
        "carried": (queries_days.LIST_OPEN_ITEMS, {}),
        "added": (queries_days.LIST_ADDED, {"day": THURSDAY}),
        "cleared": (queries_days.LIST_CLEARED, {"day": THURSDAY}),
        "figures": (
            queries_views.LIST_FIGURES,
            {"account_ids": accounts, "day": FRIDAY, "starts_at": starts_at, "ends_at": ends_at,
             "first_id": first_id_at(starts_at), "end_id": first_id_at(ends_at)},
        ),
    }  # fmt: skip


def test_readiness_and_a_close_go_by_indexes_however_long_the_books_are(
    fresh_database: FreshDatabase, lot: PayableStall
) -> None:
    for name, (statement, values) in asked(lot).items():
        plan = explain(fresh_database.app_url, lot, statement, {"org_id": lot.org.id, **values})
        read_whole = set(re.findall(r"Seq Scan on (\w+)", plan)) & {*LONG}
        assert not read_whole, f"{name} reads {read_whole}:\n{plan}"


def test_open_lines_and_open_items_are_found_among_few(
    fresh_database: FreshDatabase, lot: PayableStall
) -> None:
    """By the partial indexes of what is open: not by going through what was explained."""
    wanted = {
        "accounts": "ix_statement_lines_open",
        "carried": "uq_carried_items_open",
        "cleared": "ix_carried_items_cleared",
        "items": "ix_postings_day",
        "moved": "ix_postings_day",
        "balances": "pk_ledger_checkpoints",
    }
    statements = asked(lot)
    for name, index in wanted.items():
        statement, values = statements[name]
        plan = explain(fresh_database.app_url, lot, statement, {"org_id": lot.org.id, **values})
        assert index in plan, f"{name}:\n{plan}"
