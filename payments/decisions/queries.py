"""SQL of decisions about the money of breaks."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import and_, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from payments.decisions.errors import DecisionNotFound
from payments.decisions.models import BreakDecision
from payments.decisions.rules import DecisionStatus

# As it was before the decision; its deadline and its owner stay what they were.
REOPEN_BREAK = text("""
    UPDATE breaks SET closed_at = NULL, closed_by = NULL, resolution = NULL, decision = NULL,
           outcome = NULL, held_at = NULL
    WHERE org_id = :org_id AND id = :id AND closed_at IS NOT NULL
""")
# By the index of what waits.
COUNT_WAITING = text("""
    SELECT count(*) FILTER (WHERE status = 'proposed'),
           count(*) FILTER (WHERE is_decided_alone AND reviewed_at IS NULL)
    FROM break_decisions
    WHERE org_id = :org_id AND (status = 'proposed' OR (is_decided_alone AND reviewed_at IS NULL))
""")
HOLD_BREAK = text("""
    UPDATE breaks SET held_at = CAST(:held_at AS timestamptz)
    WHERE org_id = :org_id AND id = :id AND closed_at IS NULL
""")


async def get_decision(session: AsyncSession, org_id: UUID, decision_id: UUID) -> BreakDecision:
    """Return a decision without a lock.

    Raises:
        DecisionNotFound
    """
    found = await session.get(BreakDecision, (org_id, decision_id))
    if found is None:
        raise DecisionNotFound(decision_id)
    return found


async def find_decision(
    session: AsyncSession, org_id: UUID, decision_id: UUID
) -> BreakDecision | None:
    """Find a decision by the id that a client made."""
    return await session.get(BreakDecision, (org_id, decision_id))


async def lock_decision(session: AsyncSession, org_id: UUID, decision_id: UUID) -> BreakDecision:
    """Lock a decision, as it is now.

    Raises:
        DecisionNotFound
    """
    query = (
        select(BreakDecision)
        .filter_by(org_id=org_id, id=decision_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    found = await session.scalar(query)
    if found is None:
        raise DecisionNotFound(decision_id)
    return found


async def find_waiting(session: AsyncSession, org_id: UUID, break_id: UUID) -> BreakDecision | None:
    """Find the decision about a break that waits for a second person."""
    query = select(BreakDecision).filter_by(
        org_id=org_id, break_id=break_id, status=DecisionStatus.PROPOSED.value
    )
    return await session.scalar(query)


async def list_of_break(
    session: AsyncSession, org_id: UUID, break_id: UUID
) -> Sequence[BreakDecision]:
    """List the decisions about a break, the oldest first."""
    query = select(BreakDecision).filter_by(org_id=org_id, break_id=break_id)
    return (
        await session.scalars(query.order_by(BreakDecision.proposed_at, BreakDecision.id))
    ).all()


async def list_waiting(
    session: AsyncSession,
    org_id: UUID,
    *,
    to_review: bool,
    before_id: UUID | None,
    limit: int,
) -> Sequence[BreakDecision]:
    """List what waits for a second person, or what one decided alone; the newest first."""
    waits = BreakDecision.status == DecisionStatus.PROPOSED.value
    is_alone = and_(BreakDecision.is_decided_alone, BreakDecision.reviewed_at.is_(None))
    query = select(BreakDecision).where(
        BreakDecision.org_id == org_id,
        or_(text("status = 'proposed'"), text("(is_decided_alone AND reviewed_at IS NULL)")),
        is_alone if to_review else waits,
    )
    if before_id is not None:
        query = query.where(BreakDecision.id < before_id)
    return (await session.scalars(query.order_by(BreakDecision.id.desc()).limit(limit))).all()


async def count_waiting(session: AsyncSession, org_id: UUID) -> tuple[int, int]:
    """Count decisions (that wait for a second person, that one made alone and nobody looked at)."""
    row = (await session.execute(COUNT_WAITING, {"org_id": org_id})).one()
    return row[0], row[1]


async def hold_break(
    session: AsyncSession, org_id: UUID, break_id: UUID, *, held_at: datetime | None
) -> None:
    """Let nobody close a break in words while a decision about it waits; None: none does."""
    await session.execute(HOLD_BREAK, {"org_id": org_id, "id": break_id, "held_at": held_at})


async def reopen_break(session: AsyncSession, org_id: UUID, break_id: UUID) -> None:
    """Open a locked break again, whose decision was undone."""
    await session.execute(REOPEN_BREAK, {"org_id": org_id, "id": break_id})
