"""The second person, who approves what another proposed or refuses it; and who withdraws.

Of two at once one wins: the locks put them in a row, and the second is told.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.text import check_lines
from identity.people.queries import find_key_makers
from payments.breaks.errors import BreakClosed
from payments.breaks.models import Break
from payments.breaks.queries import find_open_break, lock_break
from payments.breaks.rules import BreakKind
from payments.breaks.service import write_resolution
from payments.decisions import queries
from payments.decisions.errors import DecisionNeedsAnother, DecisionNotUndoable, DecisionTaken
from payments.decisions.models import BreakDecision
from payments.decisions.money import hold_money, move, move_back
from payments.decisions.proposing import check_undoable, check_waits
from payments.decisions.rules import RESOLUTIONS, Action, DecisionStatus
from payments.refunds.queries import find_opener, sum_of_proposal
from payments.refunds.rules import OPEN, may_approve


async def approve(
    session: AsyncSession,
    org_id: UUID,
    decision_id: UUID,
    *,
    words: str | None = None,
    is_alone: bool = False,
    actor: Actor,
    now: datetime,
) -> BreakDecision:
    """Approve a decision as a second person: it posts, and its break closes (or opens again).

    The same person's approval again answers like the first time.

    Args:
        is_alone: the only person of an organisation, who gave the password again.

    Raises:
        DecisionNotFound
        DecisionTaken: somebody else was first.
        DecisionNeedsAnother: who proposed it, or opened the bill, does not approve it.
        BreakClosed: its break was resolved otherwise meanwhile.
        DecisionNotPossible, DecisionNotUndoable: its money is something else by now.
    """
    check_lines(words=words)
    seen = await queries.get_decision(session, org_id, decision_id)
    held = await hold_money(session, org_id, credit_id=seen.credit_id, bill_id=seen.bill_id)
    found = await lock_break(session, org_id, seen.break_id)
    decision = await queries.lock_decision(session, org_id, decision_id)
    if decision.status == DecisionStatus.APPROVED and decision.decided_by == actor.id:
        return decision
    check_waits(decision)
    await _check_second(session, decision, is_alone=is_alone, actor=actor)
    assert actor.id is not None
    _write(decision, DecisionStatus.APPROVED, words, actor, now)
    if decision.action == Action.UNDO:
        assert decision.undoes_id is not None
        undone = await queries.lock_decision(session, org_id, decision.undoes_id)
        check_undoable(undone)
        await _check_nothing_open(session, found)
        undone.undone_at = now
        await session.flush()
        await move_back(session, undone, held, now=now)
        await queries.reopen_break(session, org_id, found.id)
        await session.refresh(found)
    else:
        if found.closed_at is not None:
            raise BreakClosed
        await session.flush()
        # First, so that the bill's own end does not close it without a word.
        found.held_at = None
        await write_resolution(
            session,
            found,
            resolution=RESOLUTIONS[Action(decision.action)],
            is_decision=True,
            actor=actor,
            now=now,
        )
        await move(session, decision, held, by=actor.id, now=now)
    _record(session, decision, "break.decision_approved", actor, now)
    return decision


async def refuse(
    session: AsyncSession,
    org_id: UUID,
    decision_id: UUID,
    *,
    words: str,
    actor: Actor,
    now: datetime,
) -> BreakDecision:
    """Refuse what was proposed: nothing moves. The same person's refusal again changes nothing.

    Raises:
        DecisionNotFound, DecisionTaken
    """
    status = DecisionStatus.REFUSED
    decision, found = await _lock(session, org_id, decision_id)
    return await _turn_down(session, decision, found, status, words, actor, now)


async def withdraw(
    session: AsyncSession,
    org_id: UUID,
    decision_id: UUID,
    *,
    words: str,
    actor: Actor,
    now: datetime,
) -> BreakDecision:
    """Take back what one proposed: nothing moves.

    Raises:
        DecisionNotFound, DecisionTaken
        DecisionNeedsAnother: somebody else proposed it.
    """
    status = DecisionStatus.WITHDRAWN
    decision, found = await _lock(session, org_id, decision_id)
    if decision.proposed_by != actor.id:
        raise DecisionNeedsAnother
    return await _turn_down(session, decision, found, status, words, actor, now)


async def review(
    session: AsyncSession, org_id: UUID, decision_id: UUID, *, actor: Actor, now: datetime
) -> BreakDecision:
    """Write that somebody has looked at what one person decided alone. Idempotent.

    Raises:
        DecisionNotFound
        DecisionTaken: two people decided it, or nobody yet.
        DecisionNeedsAnother: who decided it does not review it.
    """
    decision = await queries.lock_decision(session, org_id, decision_id)
    if decision.reviewed_at is not None:
        return decision
    if not decision.is_decided_alone:
        raise DecisionTaken(decision.status)
    if actor.id in (decision.decided_by, decision.proposed_by):
        raise DecisionNeedsAnother
    decision.reviewed_by, decision.reviewed_at = actor.id, now
    await session.flush()
    _record(session, decision, "break.decision_reviewed", actor, now)
    return decision


async def _lock(
    session: AsyncSession, org_id: UUID, decision_id: UUID
) -> tuple[BreakDecision, Break]:
    seen = await queries.get_decision(session, org_id, decision_id)
    found = await lock_break(session, org_id, seen.break_id)
    return await queries.lock_decision(session, org_id, decision_id), found


async def _turn_down(
    session: AsyncSession,
    decision: BreakDecision,
    found: Break,
    status: DecisionStatus,
    words: str,
    actor: Actor,
    now: datetime,
) -> BreakDecision:
    check_lines(words=words)
    if decision.status == status and decision.decided_by == actor.id:
        return decision
    check_waits(decision)
    _write(decision, status, words, actor, now)
    await session.flush()
    await _let_go(session, found)
    is_refused = status is DecisionStatus.REFUSED
    action = "break.decision_refused" if is_refused else "break.decision_withdrawn"
    _record(session, decision, action, actor, now)
    return decision


async def _check_second(
    session: AsyncSession, decision: BreakDecision, *, is_alone: bool, actor: Actor
) -> None:
    org_id = decision.org_id
    opener = await find_opener(session, org_id, decision.bill_id)
    involved = frozenset(one for one in (decision.proposed_by, opener) if one is not None)
    involved |= await find_key_makers(session, org_id, involved)
    if may_approve(actor.id, involved=involved):
        return
    if not is_alone:
        raise DecisionNeedsAnother
    decision.is_decided_alone = True


def _write(
    decision: BreakDecision,
    status: DecisionStatus,
    words: str | None,
    actor: Actor,
    now: datetime,
) -> None:
    decision.status = status.value
    decision.decided_by, decision.decided_at, decision.decided_words = actor.id, now, words


async def _check_nothing_open(session: AsyncSession, found: Break) -> None:
    """Let a break be opened again only while nothing else is open about the same.

    Raises:
        DecisionNotUndoable
    """
    kind = BreakKind(found.kind)
    other = await find_open_break(session, found.org_id, subject_id=found.subject_id, kind=kind)
    if other is not None and other.id != found.id:
        raise DecisionNotUndoable("Another break is open about the same. Close that one first.")


async def _let_go(session: AsyncSession, found: Break) -> None:
    """Let a break be closed in words again, unless a refund of it is on its way."""
    if found.closed_at is None and not await sum_of_proposal(session, found, statuses=OPEN):
        await queries.hold_break(session, found.org_id, found.id, held_at=None)


def _record(
    session: AsyncSession, decision: BreakDecision, action: str, actor: Actor, now: datetime
) -> None:
    record_change(
        session,
        org_id=decision.org_id,
        actor=actor,
        action=action,
        object_kind="break",
        object_id=decision.break_id,
        before={"status": DecisionStatus.PROPOSED.value},
        after={
            "decision_id": str(decision.id),
            "action": decision.action,
            "status": decision.status,
            "amount_vnd": decision.amount_vnd,
        }
        | ({"is_alone": True} if decision.is_decided_alone else {}),
        reason=decision.decided_words,
        now=now,
    )
