"""SQL of what became of refunds that people agreed to: what is under way, and what was returned."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from payments.refunds.rules import OPEN

# By ix_breaks_matter and ix_refunds_break. A proposal that was renewed has more than one break.
READ_PROGRESS = text("""
    SELECT t.subject_id, bool_or(k.closed_at IS NULL),
           coalesce(sum(r.amount_vnd) FILTER (
               WHERE r.status = ANY(CAST(:open AS text[]))), 0)::bigint,
           coalesce(sum(r.amount_vnd) FILTER (WHERE r.status = 'returned'), 0)::bigint,
           max(r.ended_at) FILTER (WHERE r.status = 'returned')
    FROM unnest(CAST(:subject_ids AS uuid[]), CAST(:matter_ids AS uuid[]))
         AS t (subject_id, matter_id)
    JOIN breaks k ON k.org_id = :org_id AND k.matter_id = t.matter_id
     AND k.subject_id = t.subject_id AND k.kind = 'refund_agreed'
    LEFT JOIN refunds r ON r.org_id = k.org_id AND r.break_id = k.id
    GROUP BY t.subject_id
""")


class AgreedProgress(NamedTuple):
    """How far what was agreed has come."""

    is_waiting: bool  # its item is on the list of what people have to do
    under_way_vnd: int
    returned_vnd: int
    returned_at: datetime | None  # the last of it


async def read_progress(
    session: AsyncSession, org_id: UUID, agreed: Collection[tuple[UUID, UUID]]
) -> dict[UUID, AgreedProgress]:
    """Return how far refunds have come, by what they were agreed for; no others are in it.

    Args:
        agreed: (what it is given back for, what was paid for), as `propose_refund` was told.
    """
    if not agreed:
        return {}
    values = {
        "org_id": org_id,
        "subject_ids": [subject_id for subject_id, _ in agreed],
        "matter_ids": [matter_id for _, matter_id in agreed],
        "open": [status.value for status in OPEN],
    }
    rows = await session.execute(READ_PROGRESS, values)
    return {row[0]: AgreedProgress(*row[1:]) for row in rows}
