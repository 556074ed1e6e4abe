"""SQL of the runs of checks."""

from dataclasses import asdict
from typing import Any, Final

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from payments.invariants.queries import CHECKS
from payments.invariants.rules import CheckRun, CheckStatus

INSERT_RUN = text("""
    INSERT INTO invariant_runs (name, started_at, took_ms, status, violations, error)
    VALUES (:name, :started_at, :took_ms, :status, :violations, :error)
    ON CONFLICT DO NOTHING
""")
_COLUMNS: Final = "name, started_at, took_ms, status, violations, error"
# An index entry for each check, however many runs are kept.
LIST_NEWEST = text(f"""
    SELECT r.* FROM unnest(CAST(:names AS text[])) AS c (name)
    CROSS JOIN LATERAL (
        SELECT {_COLUMNS} FROM invariant_runs i
        WHERE i.name = c.name ORDER BY i.started_at DESC LIMIT 1) AS r
""")  # noqa: S608 (our own constant)
LIST_FAILED = text(f"""
    SELECT {_COLUMNS} FROM invariant_runs
    WHERE status <> 'ok' ORDER BY started_at DESC, name LIMIT :limit
""")  # noqa: S608


async def insert_run(session: AsyncSession, run: CheckRun) -> None:
    """Keep how a check went; a second one of the same instant says nothing new."""
    await session.execute(INSERT_RUN, asdict(run))


async def list_newest(session: AsyncSession) -> dict[str, CheckRun]:
    """List the newest run of each check that there is."""
    rows = await session.execute(LIST_NEWEST, {"names": list(CHECKS)})
    return {row.name: _read(row) for row in rows}


async def list_failed(session: AsyncSession, *, limit: int) -> list[CheckRun]:
    """List runs that did not end well, the newest first."""
    return [_read(row) for row in await session.execute(LIST_FAILED, {"limit": limit})]


def _read(row: Row[Any]) -> CheckRun:
    return CheckRun(
        name=row.name,
        started_at=row.started_at,
        took_ms=row.took_ms,
        status=CheckStatus(row.status),
        violations=row.violations,
        error=row.error,
    )
