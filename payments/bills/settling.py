"""Settling: the only writer of what a bill has been paid (docs/adr/0010).

Lock the bills, decide (payments/bills/payment_rules.py), write. Order of locks: whatever the
money came from, then the bills in the order of their ids; all else is only inserted.
"""

from collections.abc import Collection, Iterable
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from payments.bills import queries_payments, queries_settling
from payments.bills.owners_rules import NewChange, list_changes
from payments.bills.payment_rules import Payment, SettlingPlan, SourceKind, expire_taken_back
from payments.bills.rules import UNPAID, BillState, BillStatus
from payments.breaks import queries as break_queries
from payments.breaks.rules import BreakKind
from payments.ledger import service as ledger
from payments.ledger.rules import NewPosting, takings


async def lock_named_bills(
    session: AsyncSession,
    org_id: UUID,
    *,
    references: Iterable[str],
    orders: Iterable[tuple[str, str]] = (),
) -> dict[UUID, BillState]:
    """Lock every bill that a reference or (rail, provider's order id) names."""
    locked = await queries_settling.lock_named_bills(
        session, org_id, references=references, orders=orders
    )
    return {bill.id: bill for bill in locked}


async def lock_bills(
    session: AsyncSession, org_id: UUID, bill_ids: Collection[UUID]
) -> dict[UUID, BillState]:
    """Lock bills by their ids, all in one statement; those that are not there are left out."""
    return {bill.id: bill for bill in await queries_settling.lock_bills(session, org_id, bill_ids)}


async def write(
    session: AsyncSession,
    org_id: UUID,
    plan: SettlingPlan,
    *,
    sales: Collection[NewChange] = (),
    now: datetime,
) -> None:
    """Write what was decided: bills, payments, postings, refunds due, and owners' changes.

    Nothing is read, so that all of it may travel in one trip (core.sql.sent_together). Reversals
    come first: a source may pay the same bill anew.

    Args:
        sales: the changes for owners of static codes.
    """
    expire_taken_back(plan, now=now)
    if plan.reversed:
        await queries_payments.reverse_payments(
            session, org_id, [payment.id for payment in plan.reversed], now=now
        )
        await _renew_refunds(session, org_id, plan, now=now)
    if plan.bills:
        await queries_settling.update_bills(session, org_id, list(plan.bills.values()))
    if plan.payments:
        await queries_payments.insert_payments(session, org_id, plan.payments, now=now)
    if plan.reversed:
        await queries_payments.set_lateness(
            session, org_id, {payment.bill_id for payment in plan.reversed}
        )
    postings = [_posting(payment, is_reversal=True) for payment in plan.reversed]
    postings += [_posting(payment) for payment in plan.payments]
    await ledger.post(session, org_id, postings, now=now)
    await close_short(session, org_id, plan.bills.values(), now=now)
    await notify_rails(session, org_id, plan.bills.values())
    await notify_owners(session, org_id, plan.bills.values(), sales=sales, now=now)


async def close_short(
    session: AsyncSession, org_id: UUID, bills: Iterable[BillState], *, now: datetime
) -> None:
    """Close what says that locked bills are short, of those that are owed nothing any more.

    Only what was paid in part, or is over its time, can be on that list: of most bills nothing is
    sent.
    """
    may_be_short = (BillStatus.PART_PAID, BillStatus.EXPIRED)
    ended = {
        bill.id: str(bill.status)
        for bill in bills
        if bill.status_locked in may_be_short and bill.status not in UNPAID
    }
    if ended:
        await break_queries.close_breaks_of(
            session, org_id, ended, kinds=[BreakKind.SHORT], now=now
        )


async def write_refunded(
    session: AsyncSession, org_id: UUID, bill: BillState, *, now: datetime
) -> None:
    """Write the status of a locked bill after a refund of it; its owner is notified."""
    if bill.status == bill.status_locked:
        return
    await queries_settling.mark_refunded(session, org_id, bill.id, status=bill.status, now=now)
    await notify_owners(session, org_id, [bill], now=now)


async def notify_rails(session: AsyncSession, org_id: UUID, bills: Iterable[BillState]) -> None:
    """Wake the requests at rails of locked bills that are owed no longer, or again."""
    of_rails = [bill for bill in bills if bill.provider_order_id is not None]
    was_owed = {bill.id for bill in of_rails if bill.status_locked in UNPAID}
    is_owed = {bill.id for bill in of_rails if bill.status in UNPAID}
    if over := was_owed - is_owed:
        await queries_payments.wake_requests(session, org_id, over)
    if again := is_owed - was_owed:
        await queries_payments.reopen_requests(session, org_id, again)


async def notify_owners(
    session: AsyncSession,
    org_id: UUID,
    bills: Iterable[BillState],
    *,
    sales: Collection[NewChange] = (),
    now: datetime,
) -> None:
    """Write the changes for owners of locked bills whose status is another now."""
    if changes := [*list_changes(bills), *sales]:
        await queries_payments.insert_changes(session, org_id, changes, now=now)


async def _renew_refunds(
    session: AsyncSession, org_id: UUID, plan: SettlingPlan, *, now: datetime
) -> None:
    """Let the refunds that cancelled bills are due say what is left of their payments."""
    bills = [plan.bills[bill_id] for bill_id in {payment.bill_id for payment in plan.reversed}]
    left_vnd = {bill.id: bill.paid_vnd for bill in bills if bill.status == BillStatus.CANCELLED}
    if left_vnd:
        await break_queries.renew_refunds_due(session, org_id, left_vnd, now=now)


def _posting(payment: Payment, *, is_reversal: bool = False) -> NewPosting:
    """Post a payment: debit where the money is, credit the takings. Undone, the other way round."""
    debit, credit = payment.debit, takings(payment.payee_id)
    if is_reversal:
        debit, credit = credit, debit
    return NewPosting(
        debit=debit,
        credit=credit,
        amount_vnd=payment.amount_vnd,
        cause_kind="payment_reversal" if is_reversal else "payment",
        cause_id=payment.id,
        step=0,
        effective_at=payment.occurred_at,
        item_id=payment.source_id if payment.source_kind == SourceKind.CREDIT else None,
    )
