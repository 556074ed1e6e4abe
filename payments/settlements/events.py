"""The event of a statement that was handed out."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from payments.outbox import service as outbox
from payments.outbox.rules import EventKind, NewEvent
from payments.settlements.types import SettlementFacts


async def record_sent(
    session: AsyncSession, org_id: UUID, settlement: SettlementFacts, *, now: datetime
) -> None:
    """Write that a statement was sent, in the transaction in which it was."""
    sent = NewEvent(
        kind=EventKind.SETTLEMENT_SENT,
        payee_id=settlement.payee_id,
        data={
            "settlement_id": str(settlement.id),
            "number": settlement.number,
            "first_day": settlement.first_day.isoformat(),
            "last_day": settlement.last_day.isoformat(),
            "gross_vnd": settlement.gross_vnd,
            "refunds_vnd": settlement.refunds_vnd,
            "charges_vnd": settlement.charges_vnd + settlement.fixed_charge_vnd,
            "commission_vnd": settlement.commission_vnd,
            "net_vnd": settlement.net_vnd,
            "payee_vnd": settlement.payee_vnd,
        },
    )
    await outbox.record(session, org_id, [sent], now=now)
