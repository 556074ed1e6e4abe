"""Plans that PostgreSQL chooses for our statements."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from sqlalchemy import TextClause, text
from sqlalchemy.dialects.postgresql.psycopg import dialect

from core.sql import write_array
from tests.world.stalls import PayableStall


def explain(
    app_url: str,
    stall: PayableStall,
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
    app_url: str, stall: PayableStall, statement: TextClause, values: Mapping[str, Any]
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


async def scans_of(session: Any, statement: Any, values: dict[str, Any]) -> dict[str, int]:
    """Return the tables that a plan reads from end to end, or widely, with their rows."""
    explained = text(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement.text}")
    plan = (await session.execute(explained, values)).scalar_one()
    found: dict[str, int] = {}
    nodes = [plan[0]["Plan"] if not isinstance(plan, str) else json.loads(plan)[0]["Plan"]]
    while nodes:
        node = nodes.pop()
        nodes += node.get("Plans", [])
        removed = node.get("Rows Removed by Filter", 0) + node.get(
            "Rows Removed by Index Recheck", 0
        )
        if "Relation Name" in node and node["Actual Rows"] + removed > 20_000:
            found[node["Relation Name"]] = int(node["Actual Rows"] + removed)
    return found


def count_buffers(
    app_url: str, stall: PayableStall, statement: TextClause, values: Mapping[str, Any]
) -> int:
    """Return how many pages one of our statements reads; what it locks or writes is undone."""
    written = str(statement.compile(dialect=dialect()))  # type: ignore[no-untyped-call]
    given = {name: write_array(value) for name, value in values.items()}
    with psycopg.connect(app_url) as app:
        app.execute(f"SET LOCAL app.org_id = '{stall.org.id}'".encode())
        explained = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {written}".encode()
        row = app.execute(explained, given).fetchone()
        app.rollback()
    assert row is not None
    plan = row[0][0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])
