"""The event of a refund: one for each step, without the payer's account."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from payments.outbox import service as outbox
from payments.outbox.rules import EventKind, NewEvent
from payments.refunds.models import Refund


async def record_refund(session: AsyncSession, refund: Refund, *, now: datetime) -> None:
    """Write that a refund changed, in the transaction in which it did."""
    changed = NewEvent(
        kind=EventKind.REFUND_CHANGED,
        payee_id=refund.payee_id,
        receiving_account_id=refund.receiving_account_id if refund.payee_id is None else None,
        bill_id=refund.bill_id,
        data={
            "refund_id": str(refund.id),
            "payment_id": None if refund.payment_id is None else str(refund.payment_id),
            "credit_id": None if refund.credit_id is None else str(refund.credit_id),
            "bill_id": None if refund.bill_id is None else str(refund.bill_id),
            "status": refund.status,
            "amount_vnd": refund.amount_vnd,
        },
    )
    await outbox.record(session, refund.org_id, [changed], now=now)
