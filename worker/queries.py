"""SQL of retention (worker role: all organisations)."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession


async def delete_before(
    session: AsyncSession, table: str, column: str, *, before: datetime, limit: int
) -> int:
    """Delete rows from before an instant, at most `limit`; return how many.

    A row that is changed meanwhile lies elsewhere and is left for the next round.

    Args:
        table: a name of ours, as is `column`: both become part of the statement.
    """
    statement = text(
        f"DELETE FROM {table} WHERE ctid = ANY(ARRAY("  # noqa: S608 (our own names)
        f"SELECT ctid FROM {table} WHERE {column} < :before LIMIT :limit))"
    )
    done = await session.execute(statement, {"before": before, "limit": limit})
    count: int = done.rowcount  # type: ignore[attr-defined]
    return count
