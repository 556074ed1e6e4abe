"""Bills whose codes a phone drew without network: recorded for their stay as the codes ask.

The driver may have paid by now, whatever the hub would have asked for: a code that asks for more
than the stay costs is a person's to look at, and of one that asks for less the rest is due
(docs/adr/0014).
"""

from datetime import datetime
from enum import Enum, auto
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import Busy
from parking.exits import queries, queries_movements
from parking.exits.rules import SessionStatus, StayFacts
from parking.exits.standing import Standing, lock_stay, read_standing_anyway
from parking.exits.unpriced import report_unpriced
from payments.bills.blocks import IssuedBill, open_issued_bill


class DrawnBill(Enum):
    """What became of a bill that was drawn without network."""

    OPENED = auto()
    REPEAT = auto()
    ASKS_TOO_MUCH = auto()  # opened, too


async def record_drawn_bill(
    session: AsyncSession,
    org_id: UUID,
    device_id: UUID,
    found: StayFacts,
    wanted: IssuedBill,
    *,
    is_ticket_lost: bool = False,
    at: datetime,
    now: datetime,
) -> DrawnBill:
    """Open the bill of a code and let its stay show it. An earlier bill of the stay stays payable:
    money for it may be under way.

    Args:
        found: the stay that owns it, not locked yet.
        at: when the code was drawn.

    Raises:
        ParkingSessionNotFound, ReferenceNotIssued, ReferenceUsed, BillIdTaken
        Busy: the stay was joined into another at this moment.
    """
    stay = await lock_stay(session, org_id, found.id)
    if stay.status == SessionStatus.VOIDED and found.status != SessionStatus.VOIDED:
        raise Busy("The parking session is being joined. Try again in a second.")
    bill, is_new = await open_issued_bill(session, org_id, device_id, wanted, now=now)
    if not is_new:
        return DrawnBill.REPEAT
    standing = await read_standing_anyway(
        session, org_id, stay, at=max(at, stay.entered_at), is_ticket_lost=is_ticket_lost
    )
    await queries_movements.show_bill(session, org_id, stay.id, bill_id=bill.id)
    if not isinstance(standing, Standing):
        await report_unpriced(session, org_id, [stay], now=now)
        return DrawnBill.OPENED
    price_vnd = standing.price.amount_vnd
    if stay.is_inside:  # what it is due to pay: whoever pays less has no grace to leave in
        await queries.set_price(
            session,
            org_id,
            stay.id,
            price_vnd=price_vnd,
            version_id=standing.price.version_id,
        )
    return DrawnBill.ASKS_TOO_MUCH if wanted.amount_vnd > price_vnd else DrawnBill.OPENED
