"""Read models of breaks."""

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from payments.breaks import queries


class BreakView(NamedTuple):
    """Something unexplained, or how it was resolved."""

    id: UUID
    kind: str
    subject_id: UUID
    credit_id: UUID | None
    bill_id: UUID | None
    owner_id: UUID | None
    amount_vnd: int | None
    reason: str
    reason_facts: dict[str, Any]
    opened_at: datetime
    held_at: datetime | None  # since when its money is on its way: no words close it
    closed_at: datetime | None
    closed_by: UUID | None
    resolution: str | None


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
    statement = queries.write_list(frozenset(given))
    values |= {"org_id": org_id, "limit": limit}
    return [BreakView(*row) for row in await session.execute(statement, values)]
