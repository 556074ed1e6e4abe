"""SQL of breaks, as processing and corrections open and close them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Final
from uuid import UUID

from sqlalchemy import TextClause, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import new_id
from core.sql import InsertMany, insert_many, send
from payments.breaks.errors import BreakNotFound
from payments.breaks.models import Break
from payments.breaks.rules import DEADLINES, REFUNDS, TAKEN_BACK, BreakKind, BreakReason
from payments.breaks.types import NewBreak

INSERT_BREAKS = InsertMany(
    "breaks",
    {
        "id": "uuid",
        "kind": "text",
        "subject_id": "uuid",
        "credit_id": "uuid",
        "bill_id": "uuid",
        "matter_id": "uuid",
        "amount_vnd": "bigint",
        "reason": "text",
        "reason_facts": "jsonb",
        "deadline_at": "timestamptz",
    },
    shared=("org_id", "opened_at"),
    ending="ON CONFLICT (org_id, kind, subject_id) WHERE closed_at IS NULL DO NOTHING",
)

# Locked in the order of ids, so that two who close the same ones wait one after the other. The
# values joined are this statement's own: who waited finds them as they were.
CLOSE_BREAKS_OF = text("""
    WITH due AS (
        SELECT k.id, t.resolution
        FROM unnest(CAST(:ids AS uuid[]), CAST(:resolutions AS text[])) AS t (id, resolution)
        JOIN breaks k ON k.subject_id = t.id
        WHERE k.org_id = :org_id AND k.closed_at IS NULL AND k.kind = ANY(CAST(:kinds AS text[]))
        ORDER BY k.id FOR NO KEY UPDATE OF k)
    UPDATE breaks k SET closed_at = :now, resolution = due.resolution
    FROM due WHERE k.org_id = :org_id AND k.id = due.id AND k.closed_at IS NULL
""")

CLOSE_BREAKS = text("""
    UPDATE breaks SET closed_at = :now, closed_by = :by, resolution = CAST(:resolution AS text),
           decision = CASE WHEN CAST(:is_decision AS bool) THEN CAST(:resolution AS text) END,
           outcome = CASE WHEN CAST(:is_decision AS bool) AND CAST(:by AS uuid) IS NOT NULL
                          THEN 'decided' END
    WHERE org_id = :org_id AND subject_id = :subject_id AND closed_at IS NULL
      AND kind = ANY(CAST(:kinds AS text[]))
""")

HOLD_BREAK = text("""
    UPDATE breaks SET held_at = CAST(:held_at AS timestamptz)
    WHERE org_id = :org_id AND subject_id = :subject_id AND kind = :kind AND closed_at IS NULL
""")

# What was taken back was never given back.
SUM_REFUNDS = text("""
    SELECT coalesce(sum(amount_vnd), 0)::bigint FROM breaks
    WHERE org_id = :org_id AND matter_id = ANY(CAST(:matter_ids AS uuid[]))
      AND kind = ANY(CAST(:kinds AS text[])) AND resolution IS DISTINCT FROM :taken_back
""")

# Open or closed: what a person has seen to is reported, too.
SUM_REPORTED = text("""
    SELECT coalesce(sum(amount_vnd), 0)::bigint FROM breaks
    WHERE org_id = :org_id AND matter_id = :matter_id AND reason = :reason
""")

# The caller has locked the bills: nobody else changes what they were paid. What a person agreed to
# give back of them is due already.
RENEW_REFUNDS_DUE = text("""
    WITH due AS (
        SELECT t.new_id, t.bill_id, t.amount_vnd - coalesce((
            SELECT sum(a.amount_vnd) FROM breaks a
            WHERE a.org_id = :org_id AND a.matter_id = t.bill_id AND a.kind = 'refund_agreed'), 0)
            AS amount_vnd
        FROM unnest(CAST(:new_ids AS uuid[]), CAST(:bill_ids AS uuid[]),
                    CAST(:amounts_vnd AS bigint[])) AS t (new_id, bill_id, amount_vnd)
    ), closed AS (
        UPDATE breaks k SET closed_at = :now, resolution = :resolution
        FROM due
        WHERE k.org_id = :org_id AND k.subject_id = due.bill_id AND k.kind = 'refund_due'
          AND k.closed_at IS NULL
        RETURNING due.new_id, k.bill_id, k.reason, k.reason_facts, k.held_at, k.owner_id,
                  k.deadline_at, due.amount_vnd)
    INSERT INTO breaks (
        org_id, id, kind, subject_id, bill_id, matter_id, amount_vnd, reason, reason_facts,
        held_at, owner_id, deadline_at, opened_at)
    SELECT :org_id, new_id, 'refund_due', bill_id, bill_id, bill_id, amount_vnd, reason,
           reason_facts, held_at, owner_id, deadline_at, :now
    FROM closed WHERE amount_vnd > 0
""")

# Each filter that is given, and only those: otherwise no plan that serves any values can use the
# index of what is open.
FILTERS: Final = {
    "before_id": "id < :before_id",
    "is_open": "closed_at IS NULL",
    "is_closed": "closed_at IS NOT NULL",
    "kind": "kind = :kind",
}


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
            one.matter_id,
            one.amount_vnd,
            one.reason.code.value,
            one.reason.write_facts(),
            now + DEADLINES[one.kind.value],
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
    is_decision: bool = False,
    now: datetime,
) -> None:
    """Close what is explained now.

    Args:
        is_decision: the resolution says what its money is.
    """
    await session.execute(
        CLOSE_BREAKS,
        {
            "org_id": org_id,
            "subject_id": subject_id,
            "kinds": list(kinds),
            "by": by,
            "resolution": resolution,
            "is_decision": is_decision,
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
    await send(
        session,
        CLOSE_BREAKS_OF,
        {
            "org_id": org_id,
            "ids": list(resolutions),
            "resolutions": list(resolutions.values()),
            "kinds": [kind.value for kind in kinds],
            "now": now,
        },
    )


async def hold_break(
    session: AsyncSession,
    org_id: UUID,
    *,
    subject_id: UUID,
    kind: BreakKind,
    held_at: datetime | None,
) -> None:
    """Let nobody close in words what is open about a subject while its money moves.

    Args:
        held_at: since when; None: nothing moves any more.
    """
    values = {"org_id": org_id, "subject_id": subject_id, "kind": kind.value, "held_at": held_at}
    await session.execute(HOLD_BREAK, values)


async def sum_refunds(
    session: AsyncSession,
    org_id: UUID,
    matter_ids: Collection[UUID],
    *,
    kinds: Collection[BreakKind] = REFUNDS,
) -> int:
    """Return what is proposed, or was, to be given back of what was paid for some matters, in đồng.

    The caller has locked the matters: nobody else proposes meanwhile.
    """
    values = {
        "org_id": org_id,
        "matter_ids": list(matter_ids),
        "kinds": [kind.value for kind in kinds],
        "taken_back": TAKEN_BACK,
    }
    return int((await session.execute(SUM_REFUNDS, values)).scalar_one())


async def renew_refunds_due(
    session: AsyncSession, org_id: UUID, amounts_vnd: Mapping[UUID, int], *, now: datetime
) -> None:
    """Let what is open to be given back of cancelled bills say what is left: {bill: đồng}.

    What a person closed stays so.
    """
    await send(
        session,
        RENEW_REFUNDS_DUE,
        {
            "org_id": org_id,
            "new_ids": [new_id() for _ in amounts_vnd],
            "bill_ids": list(amounts_vnd),
            "amounts_vnd": list(amounts_vnd.values()),
            "resolution": TAKEN_BACK,
            "now": now,
        },
    )


async def sum_reported(
    session: AsyncSession, org_id: UUID, matter_id: UUID, reason: BreakReason
) -> int:
    """Return how many đồng of one matter were reported for one reason, ever."""
    values = {"org_id": org_id, "matter_id": matter_id, "reason": reason.value}
    return int((await session.execute(SUM_REPORTED, values)).scalar_one())


async def lock_break(session: AsyncSession, org_id: UUID, break_id: UUID) -> Break:
    """Lock a break as it is now.

    Raises:
        BreakNotFound
    """
    query = (
        select(Break)
        .filter_by(org_id=org_id, id=break_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    found = await session.scalar(query)
    if found is None:
        raise BreakNotFound(break_id)
    return found


async def lock_open_break(
    session: AsyncSession, org_id: UUID, *, subject_id: UUID, kind: BreakKind
) -> bool:
    """Lock what is open about a subject, so that nobody closes it; False if nothing is."""
    query = (
        select(Break.id)
        .where(
            Break.org_id == org_id,
            Break.subject_id == subject_id,
            Break.kind == kind,
            Break.closed_at.is_(None),
        )
        .with_for_update(key_share=True)
    )
    return (await session.scalars(query)).first() is not None


async def find_open_break(
    session: AsyncSession, org_id: UUID, *, subject_id: UUID, kind: BreakKind
) -> Break | None:
    """Find what is open about a subject, without a lock."""
    query = select(Break).where(
        Break.org_id == org_id,
        Break.subject_id == subject_id,
        Break.kind == kind,
        Break.closed_at.is_(None),
    )
    return await session.scalar(query)


async def get_break(session: AsyncSession, org_id: UUID, break_id: UUID) -> Break:
    """Return a break without a lock.

    Raises:
        BreakNotFound
    """
    found = await session.get(Break, (org_id, break_id))
    if found is None:
        raise BreakNotFound(break_id)
    return found


@cache
def write_list(given: frozenset[str]) -> TextClause:
    """Write the statement of a list of breaks with these filters."""
    wanted = [condition for name, condition in FILTERS.items() if name in given]
    return text(f"""
        SELECT id, kind, subject_id, credit_id, bill_id, owner_id, amount_vnd, reason,
               reason_facts, opened_at, held_at, closed_at, closed_by, resolution
        FROM breaks
        WHERE {" AND ".join(["org_id = :org_id", *wanted])}
        ORDER BY id DESC LIMIT :limit
    """)  # noqa: S608 (our own conditions)
