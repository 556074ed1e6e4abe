"""Read models of breaks."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

LIST_BREAKS = text("""
    SELECT id, kind, subject_id, credit_id, bill_id, owner_id, amount_vnd, detail, opened_at,
           closed_at, closed_by, resolution
    FROM breaks
    WHERE org_id = :org_id
      AND (CAST(:before_id AS uuid) IS NULL OR id < :before_id)
      AND (CAST(:is_open AS bool) IS NULL OR (closed_at IS NULL) = :is_open)
      AND (CAST(:kind AS text) IS NULL OR kind = :kind)
    ORDER BY id DESC LIMIT :limit
""")


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
    values = {
        "org_id": org_id,
        "is_open": is_open,
        "kind": kind,
        "before_id": before_id,
        "limit": limit,
    }
    return [BreakView(*row) for row in await session.execute(LIST_BREAKS, values)]
