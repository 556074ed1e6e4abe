"""Cash for the rest of a short bill: a person took it, or recorded it by mistake."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.clock import hanoi_day
from payments.bills import queries_payments, settling
from payments.bills.errors import (
    BillNotFound,
    CashNotFound,
    CashNotOwed,
    CashNotReversible,
    PaymentIdTaken,
)
from payments.bills.payment_rules import (
    CASH,
    MoneySource,
    SettlingPlan,
    SourceKind,
    apply_payment,
    describe_bill,
    take_back,
)
from payments.bills.queries import get_bill
from payments.bills.rules import UNPAID, BillFacts
from payments.breaks.queries import sum_refunds
from payments.breaks.rules import BreakKind
from payments.outbox import service as outbox
from payments.outbox.rules import EventKind, NewEvent


async def take_rest_in_cash(
    session: AsyncSession,
    org_id: UUID,
    bill_id: UUID,
    *,
    payment_id: UUID,
    amount_vnd: int,
    actor: Actor,
    now: datetime,
) -> BillFacts:
    """Record that the rest of a part-paid bill came in cash; the bill is paid then.

    Args:
        payment_id: made by the client: the same again answers like the first time.
        amount_vnd: what was taken, which must be what the bill owes: money that came meanwhile
            makes it another amount.

    Raises:
        BillNotFound, PaymentIdTaken
        CashNotOwed: it is not part-paid (any more), or owes another amount.
    """
    locked = await settling.lock_bills(session, org_id, [bill_id])
    if bill_id not in locked:
        raise BillNotFound(bill_id)
    bill = locked[bill_id]
    if (known := await queries_payments.find_payment(session, org_id, payment_id)) is not None:
        if known != (bill_id, SourceKind.CASH.value, amount_vnd):
            raise PaymentIdTaken(payment_id)
        return await get_bill(session, org_id, bill_id)
    if bill.status not in UNPAID or not bill.paid_vnd:  # a part came, be its time over or not
        raise CashNotOwed(str(bill.status), None)
    assert bill.amount_vnd is not None
    if (rest_vnd := bill.amount_vnd - bill.paid_vnd) != amount_vnd:
        raise CashNotOwed(str(bill.status), rest_vnd)
    source = MoneySource(
        kind=SourceKind.CASH,
        id=payment_id,
        amount_vnd=amount_vnd,
        occurred_at=now,
        rail=CASH,
        by=actor.id,
    )
    applied = apply_payment(bill, source, now=now)
    assert applied.payment is not None
    plan = SettlingPlan(bills=locked, payments=[applied.payment])
    await settling.write(session, org_id, plan, now=now)
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="bill.cash_taken",
        object_kind="bill",
        object_id=bill_id,
        before={"status": applied.status_before},
        after={"status": str(bill.status), "payment_id": str(payment_id), "cash_vnd": amount_vnd},
        now=now,
    )
    paid = NewEvent(
        kind=EventKind.BILL_PAID,
        payee_id=bill.payee_id,
        bill_id=bill_id,
        data={
            "payment_id": str(payment_id),
            "is_cash": True,
            "verdict": applied.effect.value,
            "amount_vnd": amount_vnd,
            "applied_vnd": amount_vnd,
            "payer_name": None,
            "occurred_at": now.isoformat(),
            "is_late": applied.is_late,
            **describe_bill(bill),
        },
    )
    await outbox.record(session, org_id, [paid], now=now)
    return await get_bill(session, org_id, bill_id)


async def take_back_cash(
    session: AsyncSession,
    org_id: UUID,
    bill_id: UUID,
    *,
    payment_id: UUID,
    actor: Actor,
    now: datetime,
) -> BillFacts:
    """Take back cash that was recorded by mistake; the bill owes it again. Idempotent.

    Raises:
        BillNotFound, CashNotFound
        CashNotReversible: somebody else recorded it, or on another day, or some was refunded.
    """
    locked = await settling.lock_bills(session, org_id, [bill_id])
    if bill_id not in locked:
        raise BillNotFound(bill_id)
    known = await queries_payments.find_payment(session, org_id, payment_id)
    if known is None or known[:2] != (bill_id, SourceKind.CASH.value):
        raise CashNotFound(payment_id)
    payments = await queries_payments.list_of_source(
        session, org_id, locked, kind=SourceKind.CASH, source_id=payment_id
    )
    if not payments:  # taken back before
        return await get_bill(session, org_id, bill_id)
    (payment,) = payments
    if payment.by is None or payment.by != actor.id:
        raise CashNotReversible("Only who recorded it can take it back.")
    if hanoi_day(payment.occurred_at) != hanoi_day(now):
        raise CashNotReversible("It was recorded on another day, whose cash is counted.")
    bill = locked[bill_id]
    if await queries_payments.has_refunds(session, org_id, [bill_id]):
        raise CashNotReversible("Some of its bill was refunded, or is being refunded.")
    matter_ids = [bill_id] if bill.owner_id is None else [bill_id, bill.owner_id]
    agreed_vnd = await sum_refunds(session, org_id, matter_ids, kinds=[BreakKind.REFUND_AGREED])
    if bill.paid_vnd - payment.amount_vnd < agreed_vnd:
        raise CashNotReversible("It is on the list of what is to be given back.")
    before = bill.status
    take_back(bill, [payment], brought_vnd=payment.amount_vnd)
    plan = SettlingPlan(bills=locked, reversed=[payment])
    await settling.write(session, org_id, plan, now=now)
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="bill.cash_taken_back",
        object_kind="bill",
        object_id=bill_id,
        before={
            "status": before,
            "payment_id": str(payment_id),
            "cash_vnd": payment.amount_vnd,
        },
        after={"status": str(bill.status)},
        now=now,
    )
    taken_back = NewEvent(
        kind=EventKind.BILL_CASH_TAKEN_BACK,
        payee_id=bill.payee_id,
        bill_id=bill_id,
        data={
            "payment_id": str(payment_id),
            "amount_vnd": payment.amount_vnd,
            **describe_bill(bill),
        },
    )
    await outbox.record(session, org_id, [taken_back], now=now)
    return await get_bill(session, org_id, bill_id)
