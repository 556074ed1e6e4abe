"""SQL of breaks, as settlement and corrections open and close them."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import send
from core.ids import new_id
from payments.callbacks.models import BreakKind
from payments.callbacks.records import NewBreak, NoticeOutcome

# What is over once its notice is handled.
NOTICE_BREAKS: Final = (BreakKind.STUCK,)

INSERT_BREAKS = text("""
    INSERT INTO breaks (
        org_id, id, kind, subject_id, credit_id, bill_id, amount_vnd, detail, opened_at)
    SELECT :org_id, t.*, :now
    FROM unnest(
        CAST(:ids AS uuid[]), CAST(:kinds AS text[]), CAST(:subject_ids AS uuid[]),
        CAST(:credit_ids AS uuid[]), CAST(:bill_ids AS uuid[]), CAST(:amounts_vnd AS bigint[]),
        CAST(:details AS text[])) AS t
    ON CONFLICT (org_id, kind, subject_id) WHERE closed_at IS NULL DO NOTHING
""")

# The values joined are this statement's own: who waited finds them as they were.
CLOSE_NOTICE_BREAKS = text("""
    UPDATE breaks k SET closed_at = :now, resolution = t.outcome
    FROM unnest(CAST(:ids AS uuid[]), CAST(:outcomes AS text[])) AS t (id, outcome)
    WHERE k.org_id = :org_id AND k.subject_id = t.id AND k.closed_at IS NULL
      AND k.kind = ANY(CAST(:kinds AS text[]))
""")

CLOSE_BREAKS_OF = text("""
    UPDATE breaks SET closed_at = :now, resolution = 'account_listed'
    WHERE org_id = :org_id AND subject_id = ANY(CAST(:subject_ids AS uuid[]))
      AND closed_at IS NULL AND kind = :kind
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
    await send(
        session,
        INSERT_BREAKS,
        {
            "org_id": org_id,
            "ids": [new_id() for _ in breaks],
            "kinds": [b.kind.value for b in breaks],
            "subject_ids": [b.subject_id for b in breaks],
            "credit_ids": [b.credit_id for b in breaks],
            "bill_ids": [b.bill_id for b in breaks],
            "amounts_vnd": [b.amount_vnd for b in breaks],
            "details": [b.detail for b in breaks],
            "now": now,
        },
    )


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
    subject_ids: Collection[UUID],
    *,
    kind: BreakKind,
    now: datetime,
) -> None:
    """Close what was open about accounts that are listed now."""
    values = {"org_id": org_id, "subject_ids": list(subject_ids), "kind": kind.value, "now": now}
    await session.execute(CLOSE_BREAKS_OF, values)


async def close_notice_breaks(
    session: AsyncSession, org_id: UUID, ended: Sequence[NoticeOutcome], *, now: datetime
) -> None:
    """Close what was open about notices that are handled now."""
    await session.execute(
        CLOSE_NOTICE_BREAKS,
        {
            "org_id": org_id,
            "ids": [outcome.notice_id for outcome in ended],
            "outcomes": [outcome.outcome for outcome in ended],
            "kinds": [kind.value for kind in NOTICE_BREAKS],
            "now": now,
        },
    )
