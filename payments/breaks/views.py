"""Read models of breaks."""

from datetime import datetime
from functools import cache
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncSession

from payments.breaks.errors import BreakNotFound

# Each filter that is given, and only those: otherwise no plan that serves any values can use the
# index of what is open.
FILTERS: Final = {
    "before_id": "id < :before_id",
    "is_open": "closed_at IS NULL",
    "is_closed": "closed_at IS NOT NULL",
    "kind": "kind = :kind",
}


class BreakView(NamedTuple):
    """Something unexplained, or how it was resolved."""

    id: UUID
    kind: str
    subject_id: UUID
    credit_id: UUID | None
    bill_id: UUID | None
    owner_id: UUID | None
    amount_vnd: int | None
    detail: str
    opened_at: datetime
    closed_at: datetime | None
    closed_by: UUID | None
    resolution: str | None


GET_BREAK = text("""
    SELECT id, kind, subject_id, credit_id, bill_id, owner_id, amount_vnd, detail, opened_at,
           closed_at, closed_by, resolution
    FROM breaks WHERE org_id = :org_id AND id = :id
""")


async def get_break(session: AsyncSession, org_id: UUID, break_id: UUID) -> BreakView:
    """Return one break.

    Raises:
        BreakNotFound
    """
    row = (await session.execute(GET_BREAK, {"org_id": org_id, "id": break_id})).one_or_none()
    if row is None:
        raise BreakNotFound(break_id)
    return BreakView(*row)


async def list_breaks(
    session: AsyncSession,
    org_id: UUID,
    *,
    is_open: bool | None = None,
    kind: str | None = None,
    before_id: UUID | None = None,
    limit: int,
) -> list[BreakView]:
    """List breaks, newest first."""
    filters = {"before_id": before_id, "kind": kind}
    values: dict[str, Any] = {name: value for name, value in filters.items() if value is not None}
    given = set(values)
    if is_open is not None:
        given.add("is_open" if is_open else "is_closed")
    statement = _write_list(frozenset(given))
    values |= {"org_id": org_id, "limit": limit}
    return [BreakView(*row) for row in await session.execute(statement, values)]


@cache
def _write_list(given: frozenset[str]) -> TextClause:
    """Write the statement of a list of breaks with these filters."""
    wanted = [condition for name, condition in FILTERS.items() if name in given]
    return text(f"""
        SELECT id, kind, subject_id, credit_id, bill_id, owner_id, amount_vnd, detail, opened_at,
               closed_at, closed_by, resolution
        FROM breaks
        WHERE {" AND ".join(["org_id = :org_id", *wanted])}
        ORDER BY id DESC LIMIT :limit
    """)  # noqa: S608 (our own conditions)
