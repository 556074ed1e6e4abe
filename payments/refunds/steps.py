"""Steps of a refund after its request: decided, instructed, returned or not. Each is idempotent.

Order of locks: the bill, then the refund. The hub moves no money: it records what people say.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.reasons import Reason
from core.text import check_lines
from identity.people.callers import Caller
from identity.people.queries import find_key_makers, is_only_person
from identity.people.rules import Role
from payments.bills import queries_payments, settling
from payments.bills.rules import BillState
from payments.breaks.queries import close_breaks, hold_break, insert_breaks_once
from payments.breaks.rules import BreakKind, BreakReason
from payments.breaks.types import NewBreak
from payments.ledger import service as ledger
from payments.ledger.rules import (
    NewPosting,
    cash_in_drawer,
    refunds_in_transit,
    takings,
    unapplied,
)
from payments.payees.rules import HeldBy
from payments.refunds import queries
from payments.refunds.errors import (
    RefundDestinationChanged,
    RefundHasNoDestination,
    RefundNeedsAnother,
    RefundNotPossible,
    RefundNotYours,
    RefundReferenceNeeded,
    RefundStepNotPossible,
)
from payments.refunds.events import record_refund
from payments.refunds.models import Refund
from payments.refunds.rules import (
    LEADS_TO,
    OPEN,
    REFUNDABLE,
    RefundStatus,
    Step,
    StepEffect,
    Way,
    decide_step,
    hash_destination,
    may_approve,
    status_given_back,
)

GIVEN_BACK: Final = "refunded"  # how a proposal closes (reasons.toml)
ANSWERED: Final = "answered"  # how the question closes what became of it
ALONE: Final = (Step.APPROVE, Step.CONFIRM)  # what one person may do alone where nobody else is
ACTIONS: Final = {
    Step.APPROVE: "refund.approved",
    Step.REJECT: "refund.rejected",
    Step.CANCEL: "refund.cancelled",
    Step.INSTRUCT: "refund.instructed",
    Step.DOUBT: "refund.doubted",
    Step.CONFIRM: "refund.returned",
    Step.FAIL: "refund.not_done",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class StepTaken:
    """What somebody does to a refund, and what they say with it."""

    step: Step
    words: str | None = None
    bank_reference: str | None = None
    destination_hash: str | None = None  # of the account that who approves saw
    is_alone: bool = False  # the only person of an organisation, who gave the password again
    file_id: UUID | None = None  # the payment file that instructs it
    may_decline: bool = False  # what somebody else requested of the payee: refunds.instruct
    acts_for: HeldBy | None = None  # whose people they are; None: an administrator, or the hub


async def take_step(
    session: AsyncSession,
    org_id: UUID,
    refund_id: UUID,
    taken: StepTaken,
    *,
    actor: Actor,
    now: datetime,
) -> Refund:
    """Take a refund a step further. The same step again answers like the first time.

    Raises:
        RefundNotFound
        RefundStepNotPossible: the step does not follow.
        RefundNotYours: the account is held by others; or somebody else requested it.
        RefundNeedsAnother: who approves requested it, opened the bill or changed the account; or an
            administrator says for a payee what they brought about themselves.
        RefundNotPossible: its bill is owed the rest by now.
        RefundHasNoDestination: nobody knows the account to pay to.
        RefundDestinationChanged: it is not the one that who approves saw.
        RefundReferenceNeeded: a transfer was made, and has the bank's reference.
        InvalidRequest: the words may not be shown.
    """
    check_lines(words=taken.words, bank_reference=taken.bank_reference)
    seen = await queries.get_refund(session, org_id, refund_id)
    bills = await settling.lock_bills(session, org_id, [seen.bill_id] if seen.bill_id else [])
    refund = await queries.lock_refund(session, org_id, refund_id)
    _check_holder(refund, taken, actor)
    if _was_taken(refund, taken):
        return refund
    before = RefundStatus(refund.status)
    effect = decide_step(before, taken.step, held_by=HeldBy(refund.held_by), way=Way(refund.way))
    if effect is None:
        raise RefundStepNotPossible(refund.status)
    if refund.payment_id is not None and (taken.step is Step.APPROVE or effect.posts):
        assert refund.bill_id is not None
        _check_bill(bills[refund.bill_id])
    if taken.step is Step.APPROVE:
        await _check_approval(session, refund, taken, actor)
    if taken.step is Step.CONFIRM and refund.held_by == HeldBy.PAYEE and taken.acts_for is None:
        await _check_given_back_by_administrator(session, refund, actor)
    if taken.step is Step.CONFIRM and refund.way == Way.TRANSFER and not taken.bank_reference:
        raise RefundReferenceNeeded
    _write(refund, taken, effect, actor, now)
    await session.flush()
    await _move_money(session, refund, effect, now=now)
    if effect.is_end and refund.payment_id is not None and refund.bill_id is not None:
        await _write_bill(session, org_id, bills[refund.bill_id], now=now)
    await _keep_proposal(session, refund, before, actor, now=now)
    await _keep_question(session, refund, before, now=now)
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action=ACTIONS[taken.step],
        object_kind="refund",
        object_id=refund.id,
        before={"status": before.value},
        after={"status": refund.status, "amount_vnd": refund.amount_vnd}
        | ({"bank_reference": taken.bank_reference} if taken.bank_reference else {})
        | ({"is_alone": True} if refund.is_decided_alone and taken.step in ALONE else {}),
        reason=taken.words,
        now=now,
    )
    await record_refund(session, refund, now=now)
    return refund


async def review_alone(
    session: AsyncSession, org_id: UUID, refund_id: UUID, *, actor: Actor, now: datetime
) -> Refund:
    """Write that somebody has looked at a refund that one person decided alone. Idempotent.

    Raises:
        RefundNotFound
        RefundStepNotPossible: two people decided it.
        RefundNeedsAnother: who decided it does not review it.
    """
    refund = await queries.lock_refund(session, org_id, refund_id)
    if refund.reviewed_at is not None:
        return refund
    if not refund.is_decided_alone:
        raise RefundStepNotPossible(refund.status)
    if actor.id in (refund.decided_by, refund.ended_by):
        raise RefundNeedsAnother
    refund.reviewed_by, refund.reviewed_at = actor.id, now
    await session.flush()
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="refund.reviewed",
        object_kind="refund",
        object_id=refund.id,
        after={"status": refund.status},
        now=now,
    )
    return refund


def acts_for(caller: Caller) -> HeldBy | None:
    """Return whose people a caller is among; None: an administrator acts for both."""
    if caller.is_scoped:
        return HeldBy.PAYEE
    return None if Role.ADMIN in caller.roles else HeldBy.ORGANISATION


def _check_holder(refund: Refund, taken: StepTaken, actor: Actor) -> None:
    """Let the holder of the account take a step, and who requested a refund take it back."""
    is_holder = taken.acts_for in (None, refund.held_by)
    is_declined = taken.may_decline and refund.held_by == HeldBy.PAYEE
    if taken.step is Step.CANCEL and actor.id == refund.requested_by:
        return
    if not is_holder or (taken.step is Step.CANCEL and not is_declined):
        raise RefundNotYours(refund.held_by)


def _was_taken(refund: Refund, taken: StepTaken) -> bool:
    if refund.status != LEADS_TO[taken.step]:
        return False
    return taken.step is not Step.CONFIRM or refund.bank_reference == taken.bank_reference


async def _check_approval(
    session: AsyncSession, refund: Refund, taken: StepTaken, actor: Actor
) -> None:
    if refund.way == Way.TRANSFER and refund.destination_kind is None:
        raise RefundHasNoDestination
    if refund.way == Way.TRANSFER and taken.destination_hash != hash_destination(
        refund.destination_bank, refund.destination_account, refund.destination_name
    ):
        raise RefundDestinationChanged
    opener = await queries.find_opener(session, refund.org_id, refund.bill_id)
    if may_approve(actor.id, involved=await _find_involved(session, refund, opener)):
        return
    if not taken.is_alone:
        raise RefundNeedsAnother
    refund.is_decided_alone = True


async def _check_given_back_by_administrator(
    session: AsyncSession, refund: Refund, actor: Actor
) -> None:
    """Let an administrator say for a payee that it gave back, who did not bring that about.

    The payee's own people are not asked: it is their account. The only person of an organisation
    may, and it stands on the list to be looked at.

    Raises:
        RefundNeedsAnother
    """
    if may_approve(actor.id, involved=await _find_involved(session, refund)):
        return
    since = refund.requested_at
    if not await is_only_person(session, refund.org_id, actor.id, since=since):
        raise RefundNeedsAnother
    refund.is_decided_alone = True


async def _find_involved(
    session: AsyncSession, refund: Refund, *others: UUID | None
) -> frozenset[UUID]:
    """Find who had a hand in a refund or in its account; of a machine, who made its key."""
    holder = await queries.get_holder(session, refund.org_id, refund.receiving_account_id)
    named = {refund.requested_by, refund.destination_by, *holder.changed_by, *others}
    involved = frozenset(one for one in named if one is not None)
    return involved | await find_key_makers(session, refund.org_id, involved)


def _check_bill(bill: BillState) -> None:
    """Hold a refund that is on its way to what its bill is by now.

    Raises:
        RefundNotPossible: it is owed the rest.
    """
    if bill.status not in REFUNDABLE:
        raise RefundNotPossible(bill.status)


def _write(
    refund: Refund, taken: StepTaken, effect: StepEffect, actor: Actor, now: datetime
) -> None:
    refund.status = effect.status.value
    if taken.step in (Step.APPROVE, Step.REJECT, Step.CANCEL):
        refund.decided_by, refund.decided_at = actor.id, now
        refund.decided_words = taken.words
    elif taken.step is Step.INSTRUCT:
        refund.instructed_by, refund.instructed_at = actor.id, now
        refund.file_id = taken.file_id
    elif taken.step is Step.DOUBT:
        refund.doubted_by, refund.doubted_at = actor.id, now
    else:
        refund.ended_by, refund.ended_at, refund.ended_words = actor.id, now, taken.words
        if taken.step is Step.CONFIRM:
            refund.bank_reference = taken.bank_reference


async def _move_money(
    session: AsyncSession, refund: Refund, effect: StepEffect, *, now: datetime
) -> None:
    """Post, or post the other way round, and free what was held."""
    org_id = refund.org_id
    if effect.frees:
        if refund.payment_id is not None:
            await queries_payments.free_refundable(
                session, org_id, refund.payment_id, refund.amount_vnd
            )
        else:
            assert refund.credit_id is not None
            await queries.free_open(session, org_id, refund.credit_id, refund.amount_vnd)
    if not (effect.posts or effect.reverses):
        return
    if refund.payment_id is None:
        debit = unapplied(refund.receiving_account_id)
    else:
        assert refund.payee_id is not None
        debit = takings(refund.payee_id)
    if refund.way == Way.CASH:
        assert refund.payee_id is not None
        credit = cash_in_drawer(refund.payee_id)
    else:
        account_id = refund.receiving_account_id
        await ledger.open_refund_accounts(session, org_id, account_id, now=now)
        credit = refunds_in_transit(account_id)
    if effect.reverses:
        debit, credit = credit, debit
    posting = NewPosting(
        debit=debit,
        credit=credit,
        amount_vnd=refund.amount_vnd,
        cause_kind="refund_reversal" if effect.reverses else "refund",
        cause_id=refund.id,
        step=0,
        effective_at=now,
    )
    await ledger.post(session, org_id, [posting], now=now)


async def _write_bill(
    session: AsyncSession, org_id: UUID, bill: BillState, *, now: datetime
) -> None:
    """Let a locked bill say how much of it was given back; its owner is notified."""
    written_off_vnd = await queries_payments.sum_written_off(session, org_id, [bill.id])
    bill.status = status_given_back(
        bill.status,
        paid_vnd=bill.paid_vnd - written_off_vnd,
        received_vnd=bill.received_vnd - written_off_vnd,
        returned_vnd=await queries.sum_returned(session, org_id, bill.id),
    ).value
    await settling.write_refunded(session, org_id, bill, now=now)


async def _keep_proposal(
    session: AsyncSession, refund: Refund, before: RefundStatus, actor: Actor, *, now: datetime
) -> None:
    """Close the proposal once all of it was given back; open it again if that came to nothing."""
    if refund.break_id is None:
        return
    proposal = await queries.find_proposal(session, refund.org_id, refund.break_id)
    kind, subject_id = BreakKind(proposal.kind), proposal.subject_id
    if refund.status == RefundStatus.RETURNED:
        returned_vnd = await queries.sum_of_proposal(
            session, proposal, statuses=[RefundStatus.RETURNED]
        )
        if returned_vnd >= (proposal.amount_vnd or 0):
            await close_breaks(
                session,
                refund.org_id,
                subject_id=subject_id,
                kinds=[kind],
                by=actor.id,
                resolution=GIVEN_BACK,
                is_decision=True,
                now=now,
            )
    elif before is RefundStatus.RETURNED:
        await queries.reopen_proposal(session, refund.org_id, proposal.id, resolution=GIVEN_BACK)
    if not await queries.sum_of_proposal(session, proposal, statuses=OPEN):  # the rest may wait
        await hold_break(session, refund.org_id, subject_id=subject_id, kind=kind, held_at=None)


async def _keep_question(
    session: AsyncSession, refund: Refund, before: RefundStatus, *, now: datetime
) -> None:
    """Ask what became of a refund while nobody knows; close the question with the answer."""
    if refund.status == RefundStatus.UNKNOWN:
        question = NewBreak(
            kind=BreakKind.STUCK,
            subject_id=refund.id,
            bill_id=refund.bill_id,
            credit_id=refund.credit_id,
            amount_vnd=refund.amount_vnd,
            reason=Reason(BreakReason.REFUND_UNANSWERED, {"amount_vnd": refund.amount_vnd}),
        )
        await insert_breaks_once(session, refund.org_id, [question], now=now)
        await hold_break(
            session, refund.org_id, subject_id=refund.id, kind=question.kind, held_at=now
        )
    elif before is RefundStatus.UNKNOWN:
        await close_breaks(
            session,
            refund.org_id,
            subject_id=refund.id,
            kinds=[BreakKind.STUCK],
            by=None,
            resolution=ANSWERED,
            now=now,
        )
