"""Money of a decision: held under its lock, moved, and moved back by a reversing entry.

Order of locks: the credit with its match, or the bill; then the break, then the decision.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from payments.bills import queries_payments, settling
from payments.bills.payment_rules import (
    MoneySource,
    SettlingPlan,
    SourceKind,
    apply_payment,
    describe_bill,
    take_back,
)
from payments.bills.rules import BillState
from payments.credits.effects import open_vnd
from payments.credits.errors import CreditNotFound
from payments.credits.queries_matches import lock_match
from payments.credits.rules import CreditFacts, Verdict
from payments.decisions.errors import DecisionNotPossible, DecisionNotUndoable
from payments.decisions.models import BreakDecision
from payments.decisions.rules import NOT_DECIDABLE, WRITTEN_OFF_RAIL, rest_of, written_off
from payments.ledger import service as ledger
from payments.ledger.rules import AccountCode, AccountKey, NewPosting
from payments.outbox import service as outbox
from payments.outbox.rules import EventKind, NewEvent
from payments.refunds import queries as refund_queries

CAUSE: Final = "break_decision"
CAUSE_OF_UNDOING: Final = "break_decision_reversal"


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldMoney:
    """The money that a decision is about, under its lock."""

    credit: CreditFacts | None = None
    verdict: Verdict | None = None
    whole_vnd: int = 0  # of a credit, what its match leaves; a refund takes from it
    bill: BillState | None = None

    @property
    def left_vnd(self) -> int:
        """How many đồng may be decided about; 0: the money has its explanation."""
        if self.bill is not None:
            return rest_of(self.bill)
        assert self.credit is not None
        if self.verdict in NOT_DECIDABLE or self.credit.open_vnd != self.whole_vnd:
            return 0
        return self.whole_vnd


async def hold_money(
    session: AsyncSession, org_id: UUID, *, credit_id: UUID | None, bill_id: UUID | None
) -> HeldMoney:
    """Lock the credit with its match in force, or the bill.

    Raises:
        CreditNotFound
    """
    if bill_id is not None:
        locked = await settling.lock_bills(session, org_id, [bill_id])
        return HeldMoney(bill=locked[bill_id])
    assert credit_id is not None
    found = await lock_match(session, org_id, credit_id)
    if found is None:
        raise CreditNotFound(credit_id)
    match, credit = found
    return HeldMoney(
        credit=credit, verdict=match.decision.verdict, whole_vnd=open_vnd(match, credit)
    )


async def move(
    session: AsyncSession, decision: BreakDecision, held: HeldMoney, *, by: UUID, now: datetime
) -> None:
    """Do what a decision says with the money that is held.

    Raises:
        DecisionNotPossible: there is another amount to decide about, or none.
    """
    if held.left_vnd != decision.amount_vnd:
        raise DecisionNotPossible(held.left_vnd)
    if held.bill is not None:
        await _write_bill_off(session, decision, held.bill, by=by, now=now)
        return
    assert held.credit is not None
    taken = await refund_queries.take_open(
        session, decision.org_id, held.credit.id, decision.amount_vnd
    )
    assert taken, "the credit is locked, and so much of it is open"
    await _post(session, decision, now=now)


async def move_back(
    session: AsyncSession, undone: BreakDecision, held: HeldMoney, *, now: datetime
) -> None:
    """Undo what a decision did with the money that is held: a reversing entry, once.

    Raises:
        DecisionNotUndoable: some of what paid the bill was refunded, or is being refunded.
    """
    if held.bill is not None:
        await _owe_again(session, undone, held.bill, now=now)
        return
    assert held.credit is not None
    await refund_queries.free_open(session, undone.org_id, held.credit.id, undone.amount_vnd)
    await _post(session, undone, is_reversal=True, now=now)


async def _post(
    session: AsyncSession, decision: BreakDecision, *, is_reversal: bool = False, now: datetime
) -> None:
    debit = AccountKey(code=AccountCode(decision.debit_code), subject_id=decision.debit_subject_id)
    credit = AccountKey(
        code=AccountCode(decision.credit_code), subject_id=decision.credit_subject_id
    )
    await ledger.open_accounts(session, decision.org_id, [debit, credit], now=now)
    if is_reversal:
        debit, credit = credit, debit
    posting = NewPosting(
        debit=debit,
        credit=credit,
        amount_vnd=decision.amount_vnd,
        cause_kind=CAUSE_OF_UNDOING if is_reversal else CAUSE,
        cause_id=decision.id,
        step=0,
        effective_at=now,
    )
    await ledger.post(session, decision.org_id, [posting], now=now)


async def _write_bill_off(
    session: AsyncSession, decision: BreakDecision, bill: BillState, *, by: UUID, now: datetime
) -> None:
    """Let the rest of a short bill be paid by what is given up: a payment as any other."""
    org_id = decision.org_id
    await ledger.open_accounts(session, org_id, [written_off(org_id)], now=now)
    source = MoneySource(
        kind=SourceKind.WRITE_OFF,
        id=decision.id,
        amount_vnd=decision.amount_vnd,
        occurred_at=now,
        rail=WRITTEN_OFF_RAIL,
        by=by,
        debit=written_off(org_id),
    )
    was_late = bill.is_late
    applied = apply_payment(bill, source, now=now)
    bill.is_late = was_late  # nobody paid late: the payer does not pay at all
    assert applied.payment is not None
    plan = SettlingPlan(bills={bill.id: bill}, payments=[applied.payment])
    await settling.write(session, org_id, plan, now=now)
    given_up = NewEvent(
        kind=EventKind.BILL_WRITTEN_OFF,
        payee_id=bill.payee_id,
        bill_id=bill.id,
        data={
            "payment_id": str(applied.payment.id),
            "amount_vnd": decision.amount_vnd,
            "applied_vnd": decision.amount_vnd,
            "occurred_at": now.isoformat(),
            **describe_bill(bill),
        },
    )
    await outbox.record(session, org_id, [given_up], now=now)


async def _owe_again(
    session: AsyncSession, undone: BreakDecision, bill: BillState, *, now: datetime
) -> None:
    org_id = undone.org_id
    payments = [
        replace(payment, debit=written_off(org_id))
        for payment in await queries_payments.list_of_source(
            session, org_id, {bill.id: bill}, kind=SourceKind.WRITE_OFF, source_id=undone.id
        )
    ]
    assert payments, "what is in force pays its bill"
    if await queries_payments.has_refunds(session, org_id, [bill.id]):
        raise DecisionNotUndoable("Some of what paid the bill was refunded, or is being refunded.")
    take_back(bill, payments, brought_vnd=undone.amount_vnd)
    plan = SettlingPlan(bills={bill.id: bill}, reversed=payments)
    await settling.write(session, org_id, plan, now=now)
    owed_again = NewEvent(
        kind=EventKind.BILL_PAYMENT_TAKEN_BACK,
        payee_id=bill.payee_id,
        bill_id=bill.id,
        data={
            "payment_id": str(payments[0].id),
            "amount_vnd": undone.amount_vnd,
            **describe_bill(bill),
        },
    )
    await outbox.record(session, org_id, [owed_again], now=now)
