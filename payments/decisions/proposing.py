"""Proposals of what becomes of the money of breaks; nothing moves until a second person agrees."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.masking import mask_plates
from core.reasons import Reason
from core.text import check_lines
from payments.bills import settling
from payments.bills.errors import BillNotFound
from payments.breaks.errors import BreakClosed, BreakHeld, BreakNotDecidable
from payments.breaks.models import Break
from payments.breaks.queries import find_open_break, get_break, insert_breaks_once, lock_break
from payments.breaks.rules import BreakKind, BreakReason, Outcome
from payments.breaks.service import write_resolution
from payments.breaks.types import NewBreak
from payments.credits.errors import CreditNotFound
from payments.credits.queries import is_on_account
from payments.decisions import queries
from payments.decisions.errors import (
    BillNotShort,
    DecisionIdTaken,
    DecisionNotPossible,
    DecisionNotUndoable,
    DecisionTaken,
    DecisionWaits,
)
from payments.decisions.models import BreakDecision
from payments.decisions.money import HeldMoney, hold_money
from payments.decisions.rules import (
    Action,
    DecisionStatus,
    Target,
    find_target,
    list_actions,
    needs_payee,
    rest_of,
    written_off,
)
from payments.ledger.rules import AccountKey, takings, unapplied
from payments.payees.queries import get_payee

# How a break about a short bill ends whose rest is another by now; words: reasons.toml.
REST_CHANGED: Final = "rest_changed"


@dataclass(frozen=True, kw_only=True, slots=True)
class NewDecision:
    """A decision as somebody proposes it. Its id is made by the client."""

    id: UUID
    action: Action
    amount_vnd: int  # as it was seen: another amount meanwhile is another decision
    reason: str
    target: Target | None = None  # of a correction
    payee_id: UUID | None = None  # whose, where the target is a payee's


async def report_short_bill(
    session: AsyncSession, org_id: UUID, bill_id: UUID, *, actor: Actor, now: datetime
) -> Break:
    """Put a bill on the list whose rest nobody will pay, as a person says. The same again is one.

    Where more was paid since, what said the earlier rest is closed, and this one is opened; but
    not while a decision about it waits: that is refused or withdrawn first.

    Raises:
        BillNotFound
        BillNotShort: nothing of it was paid, or nothing more is owed.
    """
    locked = await settling.lock_bills(session, org_id, [bill_id])
    if bill_id not in locked:
        raise BillNotFound(bill_id)
    bill = locked[bill_id]
    if not (rest_vnd := rest_of(bill)):
        raise BillNotShort(str(bill.status))
    kind = BreakKind.SHORT
    known = await find_open_break(session, org_id, subject_id=bill_id, kind=kind)
    if known is not None:
        known = await lock_break(session, org_id, known.id)
        if known.closed_at is None and (known.amount_vnd == rest_vnd or known.held_at is not None):
            return known
        if known.closed_at is None:
            await write_resolution(
                session,
                known,
                resolution=REST_CHANGED,
                outcome=Outcome.EXPLAINED,
                actor=actor,
                now=now,
            )
    short = NewBreak(
        kind=kind,
        subject_id=bill_id,
        bill_id=bill_id,
        amount_vnd=rest_vnd,
        reason=Reason(BreakReason.BILL_SHORT, {"reference": bill.reference}),
    )
    await insert_breaks_once(session, org_id, [short], now=now)
    opened = await find_open_break(session, org_id, subject_id=bill_id, kind=kind)
    assert opened is not None
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="break.opened",
        object_kind="break",
        object_id=opened.id,
        after={"kind": kind.value, "amount_vnd": rest_vnd, "bill_id": str(bill_id)},
        now=now,
    )
    return opened


async def propose(
    session: AsyncSession,
    org_id: UUID,
    break_id: UUID,
    new: NewDecision,
    *,
    actor: Actor,
    now: datetime,
) -> BreakDecision:
    """Propose what becomes of the money of a break. The same id and facts again answer the first.

    The break is held until the decision is made: no words close it.

    Raises:
        BreakNotFound, BreakClosed
        BreakNotDecidable: it is not about money that could be decided about so.
        BreakHeld: its money is on its way, such as back to the payer.
        DecisionIdTaken, DecisionWaits
        DecisionNotPossible: there is another amount to decide about than was seen.
        PayeeNotFound, CreditNotFound: the payee never traded on the account.
    """
    assert new.action is not Action.UNDO
    check_lines(reason=new.reason)
    seen = await get_break(session, org_id, break_id)
    allowed = list_actions(
        seen.kind, subject_id=seen.subject_id, credit_id=seen.credit_id, bill_id=seen.bill_id
    )
    if new.action not in allowed:
        raise BreakNotDecidable
    is_bill = seen.kind == BreakKind.SHORT
    credit_id, bill_id = (None, seen.bill_id) if is_bill else (seen.credit_id, None)
    held = await hold_money(session, org_id, credit_id=credit_id, bill_id=bill_id)
    found = await lock_break(session, org_id, break_id)
    debit, credit = await _find_accounts(session, org_id, new, held)
    decision = BreakDecision(
        org_id=org_id,
        id=new.id,
        break_id=break_id,
        action=new.action.value,
        amount_vnd=new.amount_vnd,
        reason=mask_plates(new.reason),
        credit_id=credit_id,
        bill_id=bill_id,
        debit_code=debit.code.value,
        debit_subject_id=debit.subject_id,
        credit_code=credit.code.value,
        credit_subject_id=credit.subject_id,
        undoes_id=None,
    )
    if (known := await queries.find_decision(session, org_id, new.id)) is not None:
        return _check_same(known, decision)
    if found.closed_at is not None:
        raise BreakClosed
    if await queries.find_waiting(session, org_id, break_id) is not None:
        raise DecisionWaits
    if found.held_at is not None:
        raise BreakHeld
    if held.left_vnd != new.amount_vnd:
        raise DecisionNotPossible(held.left_vnd)
    await _store(session, decision, actor=actor, now=now)
    await queries.hold_break(session, org_id, break_id, held_at=now)
    return decision


async def propose_undo(
    session: AsyncSession,
    org_id: UUID,
    decision_id: UUID,
    *,
    id_: UUID,
    reason: str,
    actor: Actor,
    now: datetime,
) -> BreakDecision:
    """Propose to undo what two people decided; another than who proposes it agrees.

    Raises:
        DecisionNotFound, DecisionIdTaken, DecisionWaits
        DecisionNotUndoable: it was not approved, or is undone, or undoes another itself.
    """
    check_lines(reason=reason)
    undone = await queries.get_decision(session, org_id, decision_id)
    await lock_break(session, org_id, undone.break_id)
    undone = await queries.lock_decision(session, org_id, decision_id)
    decision = BreakDecision(
        org_id=org_id,
        id=id_,
        break_id=undone.break_id,
        action=Action.UNDO.value,
        amount_vnd=undone.amount_vnd,
        reason=mask_plates(reason),
        credit_id=undone.credit_id,
        bill_id=undone.bill_id,
        debit_code=undone.credit_code,
        debit_subject_id=undone.credit_subject_id,
        credit_code=undone.debit_code,
        credit_subject_id=undone.debit_subject_id,
        undoes_id=undone.id,
    )
    if (known := await queries.find_decision(session, org_id, id_)) is not None:
        return _check_same(known, decision)
    check_undoable(undone)
    if await queries.find_waiting(session, org_id, undone.break_id) is not None:
        raise DecisionWaits
    await _store(session, decision, actor=actor, now=now)
    return decision


def check_undoable(undone: BreakDecision) -> None:
    """Let only what is in force be undone.

    Raises:
        DecisionNotUndoable
    """
    if undone.action == Action.UNDO:
        raise DecisionNotUndoable("What undid a decision is not undone: propose it anew.")
    if undone.status != DecisionStatus.APPROVED:
        raise DecisionNotUndoable(f"It is {undone.status}: nothing of it has posted.")
    if undone.undone_at is not None:
        raise DecisionNotUndoable("It was undone before.")


async def _find_accounts(
    session: AsyncSession, org_id: UUID, new: NewDecision, held: HeldMoney
) -> tuple[AccountKey, AccountKey]:
    """Return (debit, credit) of what a decision posts."""
    if held.bill is not None:
        return written_off(org_id), takings(held.bill.payee_id)
    assert held.credit is not None
    account_id = held.credit.receiving_account_id
    if new.action is Action.WRITE_OFF:
        return unapplied(account_id), written_off(org_id)
    assert new.target is not None
    if needs_payee(new.target):
        assert new.payee_id is not None
        await get_payee(session, org_id, new.payee_id)
        if not await is_on_account(
            session, org_id, payee_id=new.payee_id, account_id=account_id, was_ever=True
        ):
            raise CreditNotFound(held.credit.id)
    target = find_target(new.target, org_id=org_id, account_id=account_id, payee_id=new.payee_id)
    return unapplied(account_id), target


async def _store(
    session: AsyncSession, decision: BreakDecision, *, actor: Actor, now: datetime
) -> None:
    assert actor.id is not None
    decision.status = DecisionStatus.PROPOSED.value
    decision.proposed_by, decision.proposed_at = actor.id, now
    decision.is_decided_alone = False
    session.add(decision)
    try:
        await session.flush()
    except IntegrityError as error:  # the same id came for another break while we wrote
        if "pk_break_decisions" not in str(error.orig):
            raise
        raise DecisionIdTaken(decision.id) from error
    record_change(
        session,
        org_id=decision.org_id,
        actor=actor,
        action="break.decision_proposed",
        object_kind="break",
        object_id=decision.break_id,
        after={
            "decision_id": str(decision.id),
            "action": decision.action,
            "amount_vnd": decision.amount_vnd,
            "debit": decision.debit_code,
            "credit": decision.credit_code,
        },
        reason=decision.reason,
        now=now,
    )


def _check_same(known: BreakDecision, wanted: BreakDecision) -> BreakDecision:
    """Return the first decision with this id, if it says the same.

    Raises:
        DecisionIdTaken
    """
    names = ("break_id", "action", "amount_vnd", "reason", "credit_code", "credit_subject_id")
    if any(getattr(known, name) != getattr(wanted, name) for name in (*names, "undoes_id")):
        raise DecisionIdTaken(wanted.id)
    return known


def check_waits(decision: BreakDecision) -> None:
    """Let only what waits be decided.

    Raises:
        DecisionTaken
    """
    if decision.status != DecisionStatus.PROPOSED:
        raise DecisionTaken(decision.status)
