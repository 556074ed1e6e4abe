"""SQL of retention, and of what the worker measures (worker role: all organisations)."""

from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncSession

# Counted so far; a backlog of more is told as this many.
COUNTED_MAX: Final = 100_000
# By the indexes of what is unfinished. A notice that waits for an account is due in the year 9999.
MEASURE_WAITING = text("""
    SELECT 'notices', count(*), min(next_attempt_at) FROM (
        SELECT next_attempt_at FROM notices
        WHERE handled_at IS NULL AND attempts = 0
        UNION ALL
        SELECT next_attempt_at FROM notices
        WHERE handled_at IS NULL AND attempts > 0
          AND next_attempt_at < CAST(:now AS timestamptz) + interval '1 year'
        LIMIT :limit) AS n
    UNION ALL
    SELECT 'bill_changes', count(*), min(next_attempt_at) FROM (
        SELECT next_attempt_at FROM bill_changes WHERE handled_at IS NULL LIMIT :limit) AS c
    UNION ALL
    SELECT 'movements', count(*), min(coalesce(try_at, received_at)) FROM (
        SELECT try_at, received_at FROM movements
        WHERE handled_at IS NULL AND verdict IS NULL LIMIT :limit) AS m
""")
COUNT_JOBS = text("SELECT status, count(*) FROM jobs WHERE finished_at IS NULL GROUP BY status")
COUNT_FAILED_JOBS = text("""
    SELECT count(*) FROM jobs
    WHERE finished_at > now() - interval '1 day' AND finished_at IS NOT NULL AND status = 'failed'
""")


# By the index of what is open.
COUNT_BREAKS = text("""
    SELECT count(*), count(*) FILTER (WHERE deadline_at < CAST(:now AS timestamptz)) FROM (
        SELECT deadline_at FROM breaks WHERE closed_at IS NULL LIMIT :limit) AS k
""")


class Waiting(NamedTuple):
    """What waits of one kind."""

    what: str
    rows: int
    due_at: datetime | None  # of the one that is due first


async def measure_waiting(session: AsyncSession, *, now: datetime) -> list[Waiting]:
    """Count what waits, in all organisations."""
    rows = await session.execute(MEASURE_WAITING, {"limit": COUNTED_MAX, "now": now})
    return [Waiting(*row) for row in rows]


async def count_breaks(session: AsyncSession, *, now: datetime) -> tuple[int, int]:
    """Count (open breaks, those past their deadline), in all organisations, to a limit."""
    row = (await session.execute(COUNT_BREAKS, {"limit": COUNTED_MAX, "now": now})).one()
    return row[0], row[1]


async def count_jobs(session: AsyncSession) -> dict[str, int]:
    """Count unfinished jobs by their status."""
    return {row[0]: row[1] for row in await session.execute(COUNT_JOBS)}


async def count_failed_jobs(session: AsyncSession) -> int:
    """Count jobs that failed within a day, by the database's clock."""
    count: int = await session.scalar(COUNT_FAILED_JOBS)
    return count


async def delete_before(
    session: AsyncSession, table: str, column: str, *, before: datetime, limit: int
) -> int:
    """Delete rows from before an instant, at most `limit`; return how many.

    A row that is changed meanwhile lies elsewhere and is left for the next round.

    Args:
        table: a name of ours, as is `column`: both become part of the statement.
    """
    values = {"before": before, "limit": limit}
    done = await session.execute(write_delete(table, column), values)
    count: int = done.rowcount  # type: ignore[attr-defined]
    return count


def write_delete(table: str, column: str) -> TextClause:
    """Write the statement of `delete_before`; an index that begins with the column serves it."""
    return text(
        f"DELETE FROM {table} WHERE ctid = ANY(ARRAY("  # noqa: S608 (our own names)
        f"SELECT ctid FROM {table} WHERE {column} < :before LIMIT :limit))"
    )
