"""The owner of parking bills: what a session does when one of its bills changes.

It sets what the bills say and adds nothing, so that the same change may come again.
"""

from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from parking.exits.joined import lock_stay_and_kept, write_paid_for
from parking.exits.standing import IS_PAID, Standing, read_standing_anyway
from parking.exits.unpriced import report_overpaid
from payments.bills.owners_rules import Change
from payments.bills.rules import GIVEN_BACK
from payments.outbox import service as outbox
from payments.outbox.rules import EventKind, NewEvent

log = structlog.get_logger()


async def handle_bill_change(session: AsyncSession, change: Change, *, now: datetime) -> None:
    """Write what a session's bills were paid, and tell its screens once it may leave."""
    stay, kept = await lock_stay_and_kept(session, change.org_id, change.owner_id)
    standing = await read_standing_anyway(session, change.org_id, stay, at=now)
    counted = standing
    if standing.stay != stay:
        for_stay = await write_paid_for(
            session, change.org_id, standing.stay, kept, by=None, now=now
        )
        if for_stay.id != stay.id:
            counted = await read_standing_anyway(session, change.org_id, for_stay, at=now)
    # A refund that came to nothing says "paid" again of what was paid for long ago.
    if change.to_status not in IS_PAID or change.from_status in GIVEN_BACK:
        return
    if isinstance(counted, Standing):
        price_vnd = counted.price.amount_vnd
        await report_overpaid(session, change.org_id, counted.stay, price_vnd=price_vnd, now=now)
    paid = NewEvent(
        kind=EventKind.PARKING_SESSION_PAID,
        payee_id=stay.payee_id,
        bill_id=change.subject_id,
        data={
            "session_id": str(stay.id),
            "lot_id": str(stay.lot_id),
            "due_vnd": standing.due_vnd,
            "paid_until": standing.stay.paid_until and standing.stay.paid_until.isoformat(),
        },
    )
    await outbox.record(session, change.org_id, [paid], now=now)
    log.info("parking_session.paid", session=str(stay.id), due_vnd=standing.due_vnd)
