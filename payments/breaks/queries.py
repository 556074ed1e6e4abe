"""SQL of breaks, as processing and corrections open and close them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import new_id
from core.sql import InsertMany, insert_many
from payments.breaks.rules import BreakKind
from payments.breaks.types import NewBreak

INSERT_BREAKS = InsertMany(
    "breaks",
    {
        "id": "uuid",
        "kind": "text",
        "subject_id": "uuid",
        "credit_id": "uuid",
        "bill_id": "uuid",
        "amount_vnd": "bigint",
        "reason": "text",
        "reason_facts": "jsonb",
    },
    shared=("org_id", "opened_at"),
    ending="ON CONFLICT (org_id, kind, subject_id) WHERE closed_at IS NULL DO NOTHING",
)

# The values joined are this statement's own: who waited finds them as they were.
CLOSE_BREAKS_OF = text("""
    UPDATE breaks k SET closed_at = :now, resolution = t.resolution
    FROM unnest(CAST(:ids AS uuid[]), CAST(:resolutions AS text[])) AS t (id, resolution)
    WHERE k.org_id = :org_id AND k.subject_id = t.id AND k.closed_at IS NULL
      AND k.kind = ANY(CAST(:kinds AS text[]))
""")

CLOSE_BREAKS = text("""
    UPDATE breaks SET closed_at = :now, closed_by = :by, resolution = :resolution
    WHERE org_id = :org_id AND subject_id = :subject_id AND closed_at IS NULL
      AND kind = ANY(CAST(:kinds AS text[]))
""")


async def insert_breaks_once(
    session: AsyncSession, org_id: UUID, breaks: Sequence[NewBreak], *, now: datetime
) -> None:
    """Open breaks, unless the same one is open already."""
    rows = [
        (
            new_id(),
            one.kind.value,
            one.subject_id,
            one.credit_id,
            one.bill_id,
            one.amount_vnd,
            one.reason.code.value,
            one.reason.write_facts(),
        )
        for one in breaks
    ]
    await insert_many(session, INSERT_BREAKS, rows, org_id=org_id, opened_at=now)


async def close_breaks(
    session: AsyncSession,
    org_id: UUID,
    *,
    subject_id: UUID,
    kinds: Iterable[str],
    by: UUID | None,
    resolution: str,
    now: datetime,
) -> None:
    """Close what is explained now."""
    await session.execute(
        CLOSE_BREAKS,
        {
            "org_id": org_id,
            "subject_id": subject_id,
            "kinds": list(kinds),
            "by": by,
            "resolution": resolution,
            "now": now,
        },
    )


async def close_breaks_of(
    session: AsyncSession,
    org_id: UUID,
    resolutions: Mapping[UUID, str],
    *,
    kinds: Iterable[BreakKind],
    now: datetime,
) -> None:
    """Close the open breaks of these kinds about many subjects: {subject: how it was resolved}."""
    await session.execute(
        CLOSE_BREAKS_OF,
        {
            "org_id": org_id,
            "ids": list(resolutions),
            "resolutions": list(resolutions.values()),
            "kinds": [kind.value for kind in kinds],
            "now": now,
        },
    )
