"""Results of charges and refunds, each one transaction: what a bill keeps, what is to go back.

Order of locks: the bill, then the charge. Of a charge and another payment at once, whoever has the
bill first is kept; a charge that comes second is a refund due with its whole amount.
"""

from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.reasons import Reason
from payments.bills import settling
from payments.bills.payment_rules import (
    MoneySource,
    SettlingPlan,
    SourceKind,
    apply_payment,
    describe_bill,
)
from payments.bills.queries import get_bill
from payments.bills.rules import BillState
from payments.breaks.queries import (
    close_breaks,
    hold_break,
    insert_breaks_once,
    lock_open_break,
)
from payments.breaks.rules import BreakKind, BreakReason
from payments.breaks.types import NewBreak
from payments.ledger import service as ledger
from payments.ledger.rules import NewPosting, toll_receivable, unapplied
from payments.outbox import service as outbox
from payments.outbox.rules import EventKind, NewEvent
from payments.rails.rules import wait_after
from payments.rails.toll import queries
from payments.rails.toll.errors import TollNotRefundable
from payments.rails.toll.protocol import CHARGE_ID_CHARS_MAX, TollAnswer
from payments.rails.toll.rules import (
    ASKED_IN_VAIN,
    LEASE,
    TOLL,
    RefundStatus,
    TollFacts,
    TollProblem,
    TollStatus,
    keep_vnd,
)

log = structlog.get_logger()


async def store_charged(
    session: AsyncSession, org_id: UUID, id_: UUID, answer: TollAnswer, *, now: datetime
) -> None:
    """Write that the operator has taken the money: the bill keeps what it owes. Idempotent.

    It counts whatever was thought before: what an operator has signed as charged, is.
    """
    assert answer.charged_at is not None
    before = await queries.get_request(session, org_id, id_)
    (bill,) = (await settling.lock_bills(session, org_id, [before.bill_id])).values()
    toll = await queries.lock_request(session, org_id, id_)
    if toll.status == TollStatus.CHARGED:
        return
    kept_vnd = keep_vnd(bill, toll.amount_vnd)
    await queries.store_status(
        session,
        toll,
        TollStatus.CHARGED,
        charge_id=answer.charge_id[:CHARGE_ID_CHARS_MAX],
        kept_vnd=kept_vnd,
        charged_at=answer.charged_at,
        resolved_at=now,
    )
    await _close_question(session, toll, now=now)
    await _trust_keys(session, toll, now=now)
    if kept_vnd:
        await _settle(session, toll, bill, kept_vnd, answer.charged_at, now=now)
    if rest_vnd := toll.amount_vnd - kept_vnd:
        await _propose_refund(session, toll, bill, rest_vnd, answer.charged_at, now=now)
    log.info("toll.charged", toll=str(id_), kept_vnd=kept_vnd, amount_vnd=toll.amount_vnd)


async def store_declined(
    session: AsyncSession, org_id: UUID, id_: UUID, problem: TollProblem, *, now: datetime
) -> None:
    """Write that nothing was charged, for certain."""
    toll = await queries.lock_request(session, org_id, id_)
    if toll.is_resolved:
        return
    await queries.store_status(session, toll, TollStatus.DECLINED, problem=problem, resolved_at=now)
    await _close_question(session, toll, now=now)
    if problem is not TollProblem.KEYS_REFUSED:
        await _trust_keys(session, toll, now=now)


async def store_open(
    session: AsyncSession, org_id: UUID, id_: UUID, status: TollStatus, *, now: datetime
) -> None:
    """Write that it is not certain yet; it is looked up again, and a person is told in an hour."""
    toll = await queries.lock_request(session, org_id, id_)
    if toll.is_resolved:
        return
    await queries.store_status(session, toll, status, wait=wait_after(toll.attempts))
    if toll.attempts == ASKED_IN_VAIN:
        bill = await get_bill(session, org_id, toll.bill_id)
        question = NewBreak(
            kind=BreakKind.STUCK,
            subject_id=toll.id,
            bill_id=toll.bill_id,
            amount_vnd=toll.amount_vnd,
            reason=Reason(BreakReason.TOLL_UNANSWERED, {"reference": bill.reference}),
        )
        await insert_breaks_once(session, org_id, [question], now=now)
        await hold_break(session, org_id, subject_id=id_, kind=question.kind, held_at=now)


async def doubt_keys(
    session: AsyncSession, org_id: UUID, contract_id: UUID, *, now: datetime
) -> None:
    """Tell the managers that an operator seems not to take the key of a contract. Idempotent."""
    contract = await queries.get_contract(session, org_id, contract_id)
    alarm = NewBreak(
        kind=BreakKind.KEYS_DOUBTED,
        subject_id=contract_id,
        reason=Reason(BreakReason.TOLL_KEYS_NOT_TAKEN, {"name": contract.name}),
    )
    await insert_breaks_once(session, org_id, [alarm], now=now)


async def ask_refund(
    session: AsyncSession, org_id: UUID, id_: UUID, *, actor: Actor, reason: str, now: datetime
) -> TollFacts:
    """Write that what is left of a charge is to be refunded, before the operator is asked.

    Idempotent: a refund that is under way or done answers as it stands.

    Raises:
        TollChargeNotFound, TollNotRefundable
    """
    toll = await queries.lock_request(session, org_id, id_)
    if toll.refund_status in (RefundStatus.PENDING, RefundStatus.REFUNDED):
        return toll
    # Somebody may have closed it in words: paid back in cash.
    is_due = await lock_open_break(session, org_id, subject_id=id_, kind=BreakKind.REFUND_DUE)
    if not toll.left_vnd or not is_due:
        raise TollNotRefundable
    await queries.store_refund(
        session, toll, RefundStatus.PENDING, refunded_vnd=0, attempts=1, wait=LEASE
    )
    await hold_break(session, org_id, subject_id=id_, kind=BreakKind.REFUND_DUE, held_at=now)
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="toll_charge.refund_asked",
        object_kind="toll_charge",
        object_id=id_,
        after={"refund_vnd": toll.left_vnd},
        reason=reason,
        now=now,
    )
    return await queries.get_request(session, org_id, id_)


async def store_refund(
    session: AsyncSession, org_id: UUID, id_: UUID, status: RefundStatus, *, now: datetime
) -> None:
    """Write how a refund stands at the operator; once it is made, it posts and its break closes."""
    toll = await queries.lock_request(session, org_id, id_)
    if toll.refund_status != RefundStatus.PENDING:
        return
    if status is not RefundStatus.PENDING:
        await _trust_keys(session, toll, now=now)
    left_vnd = toll.left_vnd
    is_made = status is RefundStatus.REFUNDED
    await queries.store_refund(
        session,
        toll,
        status,
        refunded_vnd=left_vnd if is_made else 0,
        attempts=toll.attempts,
        wait=wait_after(toll.attempts),
    )
    if not is_made:
        if status is RefundStatus.REFUSED:  # a person gives it back otherwise, and says how
            kind = BreakKind.REFUND_DUE
            await hold_break(session, org_id, subject_id=id_, kind=kind, held_at=None)
        return
    posting = NewPosting(
        debit=unapplied(toll.contract_id),
        credit=toll_receivable(toll.contract_id),
        amount_vnd=left_vnd,
        cause_kind="toll_refund",
        cause_id=toll.id,
        step=0,
        effective_at=now,
    )
    await ledger.post(session, org_id, [posting], now=now)
    await close_breaks(
        session,
        org_id,
        subject_id=toll.id,
        kinds=[BreakKind.REFUND_DUE],
        by=None,
        resolution="refunded",
        is_decision=True,
        now=now,
    )


async def _settle(
    session: AsyncSession,
    toll: TollFacts,
    bill: BillState,
    kept_vnd: int,
    charged_at: datetime,
    *,
    now: datetime,
) -> None:
    source = MoneySource(
        kind=SourceKind.TOLL,
        id=toll.id,
        amount_vnd=kept_vnd,
        occurred_at=charged_at,
        rail=TOLL,
        debit=toll_receivable(toll.contract_id),
    )
    applied = apply_payment(bill, source, now=now)
    assert applied.payment is not None
    plan = SettlingPlan(bills={bill.id: bill}, payments=[applied.payment])
    await settling.write(session, toll.org_id, plan, now=now)
    paid = NewEvent(
        kind=EventKind.BILL_PAID,
        payee_id=bill.payee_id,
        bill_id=bill.id,
        data={
            "payment_id": str(applied.payment.id),
            "is_cash": False,
            "verdict": applied.effect.value,
            "amount_vnd": toll.amount_vnd,
            "applied_vnd": kept_vnd,
            "payer_name": None,
            "occurred_at": charged_at.isoformat(),
            "is_late": applied.is_late,
            **describe_bill(bill),
        },
    )
    await outbox.record(session, toll.org_id, [paid], now=now)


async def _propose_refund(
    session: AsyncSession,
    toll: TollFacts,
    bill: BillState,
    rest_vnd: int,
    charged_at: datetime,
    *,
    now: datetime,
) -> None:
    posting = NewPosting(
        debit=toll_receivable(toll.contract_id),
        credit=unapplied(toll.contract_id),
        amount_vnd=rest_vnd,
        cause_kind="toll_charge",
        cause_id=toll.id,
        step=0,
        effective_at=charged_at,
    )
    await ledger.post(session, toll.org_id, [posting], now=now)
    due = NewBreak(
        kind=BreakKind.REFUND_DUE,
        subject_id=toll.id,
        bill_id=bill.id,
        amount_vnd=rest_vnd,
        reason=Reason(BreakReason.TOLL_CHARGED_TOO, {"reference": bill.reference}),
    )
    await insert_breaks_once(session, toll.org_id, [due], now=now)


async def _close_question(session: AsyncSession, toll: TollFacts, *, now: datetime) -> None:
    await close_breaks(
        session,
        toll.org_id,
        subject_id=toll.id,
        kinds=[BreakKind.STUCK],
        by=None,
        resolution="answered",
        now=now,
    )


async def _trust_keys(session: AsyncSession, toll: TollFacts, *, now: datetime) -> None:
    """Close the alarm about a contract's key: an answer came that only who has it could sign."""
    await close_breaks(
        session,
        toll.org_id,
        subject_id=toll.contract_id,
        kinds=[BreakKind.KEYS_DOUBTED],
        by=None,
        resolution="answered",
        now=now,
    )
