"""Tables of the size that a market has after weeks, where PostgreSQL plans otherwise.

What waits for a lock is checked again by the plan that found it, so a race on a few dozen rows
shows nothing of the same race on thousands.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import psycopg
from sqlalchemy import TextClause
from sqlalchemy.dialects.postgresql.psycopg import dialect

from core.sql import write_array
from tests.world.builders import NOON, Stall

ROWS: Final = 24_000

# Written as the hub writes them, but for their check characters: nobody names these bills.
GROW_BILLS = """
    INSERT INTO bills (
        org_id, id, link_id, payee_id, receiving_account_id, rail, provider_order_id, reference,
        public_token, amount_vnd, purpose, status, created_by, created_at, expires_at,
        monitor_until)
    SELECT l.org_id, gen_random_uuid(), l.id, l.payee_id, l.receiving_account_id,
           CASE n %% 4 WHEN 0 THEN 'payos' ELSE 'vietqr' END,
           CASE n %% 4 WHEN 0 THEN CAST(n AS text) END,
           'XX' || lpad(CAST(n AS text), 11, '0'), lpad(CAST(n AS text), 22, '0'),
           1000 + n, 'Phở bò', 'open', l.payee_id, %(now)s, %(now)s, %(now)s
    FROM payee_accounts l CROSS JOIN generate_series(1, %(rows)s) AS n
    WHERE l.org_id = %(org_id)s AND l.payee_id = %(payee_id)s
"""


def grow_bills(owner_url: str, stall: Stall, *, rows: int = ROWS) -> None:
    """Give a stall this many old bills, and let the planner know."""
    values = {"org_id": stall.org.id, "payee_id": stall.payee_id, "rows": rows, "now": NOON}
    with psycopg.connect(owner_url, autocommit=True) as owner:
        owner.execute(GROW_BILLS, values)
        owner.execute("ANALYZE bills")


def explain(
    app_url: str,
    stall: Stall,
    statement: TextClause,
    values: Mapping[str, Any],
    *,
    settings: Sequence[str] = (),
) -> str:
    """Return the plan of one of our statements, as the hub's role gets it for this organisation."""
    written = str(statement.compile(dialect=dialect()))  # type: ignore[no-untyped-call]
    given = {name: write_array(value) for name, value in values.items()}
    with psycopg.connect(app_url) as app:
        app.execute(f"SET LOCAL app.org_id = '{stall.org.id}'".encode())
        for setting in settings:
            app.execute(f"SET LOCAL {setting}".encode())
        rows = app.execute(f"EXPLAIN {written}".encode(), given).fetchall()
        return "\n".join(str(row[0]) for row in rows)


def explain_generic(
    app_url: str, stall: Stall, statement: TextClause, values: Mapping[str, Any]
) -> str:
    """Return the plan that serves any values: the driver prepares what it sends often."""
    numbered = str(statement.compile(dialect=dialect()))  # type: ignore[no-untyped-call]
    for n, name in enumerate(values, start=1):
        numbered = numbered.replace(f"%({name})s", f"${n}").replace(f"%({name}::", f"(${n}::")
    arguments = ", ".join("NULL" for _ in values)
    with psycopg.connect(app_url) as app:
        app.execute(f"SET LOCAL app.org_id = '{stall.org.id}'".encode())
        app.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        app.execute(f"PREPARE asked AS {numbered}".encode(), prepare=False)
        rows = app.execute(f"EXPLAIN EXECUTE asked ({arguments})".encode()).fetchall()
        app.execute("DEALLOCATE asked")
        return "\n".join(str(row[0]) for row in rows)
