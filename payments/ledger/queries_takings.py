"""SQL of takings, leg by leg: what a payee's takings were given, and what was taken from them."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.sql import run

# By ix_postings_credit and ix_postings_debit, which end with posted_at.
_LIST: Final = """
    SELECT id, posted_at, {sign}amount_vnd, cause_kind, cause_id, effective_at FROM postings
    WHERE org_id = :org_id AND {side}_subject_id = :payee_id AND {side}_code = 'takings'
      AND posted_at >= :since AND posted_at < :until
      AND (posted_at, id) > (CAST(:after_at AS timestamptz), CAST(:after_id AS uuid))
    ORDER BY posted_at, id LIMIT :limit
"""
LIST_GIVEN = text(_LIST.format(side="credit", sign=""))
LIST_TAKEN = text(_LIST.format(side="debit", sign="-"))
FIND_POSTED = text("""
    SELECT cause_id FROM postings
    WHERE org_id = :org_id AND cause_kind = :kind AND cause_id = ANY(CAST(:ids AS uuid[]))
""")


class TakingsLeg(NamedTuple):
    """What one posting put into a payee's takings, or (below zero) took from them."""

    posting_id: UUID
    posted_at: datetime
    amount_vnd: int
    cause_kind: str
    cause_id: UUID
    effective_at: datetime


async def list_legs(
    session: AsyncSession,
    org_id: UUID,
    payee_id: UUID,
    *,
    is_taken: bool,
    since: datetime,
    until: datetime,
    after: TakingsLeg | None,
    limit: int,
) -> list[TakingsLeg]:
    """List what was posted to a payee's takings in [since, until), in the order of posting.

    Args:
        is_taken: what was taken from them; else what they were given.
        after: the last one of the list before.
    """
    values: dict[str, Any] = {
        "org_id": org_id,
        "payee_id": payee_id,
        "since": since,
        "until": until,
        "after_at": since if after is None else after.posted_at,
        "after_id": UUID(int=0) if after is None else after.posting_id,
        "limit": limit,
    }
    rows = await run(session, LIST_TAKEN if is_taken else LIST_GIVEN, values)
    return [TakingsLeg(*row) for row in rows]


async def find_posted(
    session: AsyncSession, org_id: UUID, kind: str, cause_ids: Collection[UUID]
) -> set[UUID]:
    """Find those of these causes that have posted something of their own."""
    values = {"org_id": org_id, "kind": kind, "ids": list(cause_ids)}
    return {row[0] for row in await run(session, FIND_POSTED, values)}
