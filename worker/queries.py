"""SQL of retention (worker role: all organisations)."""

from datetime import datetime

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncSession


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
