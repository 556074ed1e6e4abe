"""Proposals of refunds: what is due, or was agreed, until a person requests it."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor
from core.reasons import Reason
from payments.bills.queries import lock_status
from payments.bills.queries_payments import sum_written_off
from payments.bills.rules import BillFacts, BillStatus
from payments.bills.service import cancel_bill
from payments.breaks.queries import insert_breaks_once, sum_refunds
from payments.breaks.rules import BreakKind, BreakReason
from payments.breaks.types import NewBreak
from payments.refunds.errors import RefundTooHigh
from payments.refunds.queries import sum_without_proposal


async def cancel_bill_and_propose_refund(
    session: AsyncSession,
    org_id: UUID,
    bill_id: UUID,
    *,
    actor: Actor,
    reason: str | None,
    now: datetime,
) -> BillFacts:
    """Cancel a bill that is not settled, and put what was paid of it on the list of refunds due.

    The money stays in the takings until it is given back. Cancelling twice proposes once. What a
    person agreed to give back of it is on that list already.

    Raises:
        BillNotFound, BillNotCancellable
    """
    before = await lock_status(session, org_id, bill_id)
    bill = await cancel_bill(session, org_id, bill_id, actor=actor, reason=reason, now=now)
    if before == BillStatus.CANCELLED or not bill.paid_vnd:
        return bill
    left_vnd = bill.paid_vnd - await sum_refunds(session, org_id, [bill_id])
    left_vnd -= await sum_written_off(session, org_id, [bill_id])  # nobody paid it
    if left_vnd > 0:
        due = NewBreak(
            kind=BreakKind.REFUND_DUE,
            subject_id=bill_id,
            bill_id=bill_id,
            matter_id=bill_id,
            amount_vnd=left_vnd,
            reason=Reason(BreakReason.CANCELLED_PART_PAID, {"reference": bill.reference}),
        )
        await insert_breaks_once(session, org_id, [due], now=now)
    return bill


async def propose_refund(
    session: AsyncSession,
    org_id: UUID,
    *,
    subject_id: UUID,
    bill_id: UUID | None,
    matter_ids: Collection[UUID],
    paid_vnd: int,
    amount_vnd: int,
    reason: Reason,
    now: datetime,
) -> None:
    """Put what a person agreed to give back on the list, although the books owe nothing.

    The caller has locked what was paid: of two who agree at once the second sees the first one's.

    Args:
        subject_id: what it is given back for.
        bill_id: the bill that was paid, where there is one.
        matter_ids: what was paid for: a stay, then its bills; or a bill alone.
        paid_vnd: what was paid for them together, and was not taken back.

    Raises:
        RefundTooHigh: with what is to be given back already it is more than was paid.
    """
    matter_id, *_ = matter_ids
    given_vnd = await sum_refunds(session, org_id, matter_ids)
    given_vnd += await sum_without_proposal(session, org_id, matter_ids)
    left_vnd = paid_vnd - given_vnd
    if amount_vnd > left_vnd:
        raise RefundTooHigh(max(0, left_vnd))
    agreed = NewBreak(
        kind=BreakKind.REFUND_AGREED,
        subject_id=subject_id,
        bill_id=bill_id,
        matter_id=matter_id,
        amount_vnd=amount_vnd,
        reason=reason,
    )
    await insert_breaks_once(session, org_id, [agreed], now=now)
