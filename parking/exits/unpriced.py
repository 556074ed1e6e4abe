"""Stays that no tariff prices: each becomes a break, so that a person looks at its money."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.reasons import Reason
from parking.exits.rules import StayFacts
from parking.places.queries import find_lot_name
from parking.plates import mask_plate
from payments.breaks.queries import insert_breaks_once
from payments.breaks.rules import BreakKind, BreakReason
from payments.breaks.types import NewBreak


async def report_unpriced(
    session: AsyncSession, org_id: UUID, stays: Collection[StayFacts], *, now: datetime
) -> None:
    """Open a break for each stay that ended, or was paid, without a price. Safe to repeat."""
    lot_ids = {stay.lot_id for stay in stays}
    lots = {lot_id: await find_lot_name(session, org_id, lot_id) or "" for lot_id in lot_ids}
    breaks = []
    for stay in stays:
        plate = mask_plate(stay.plate) if stay.plate else stay.ticket or ""
        facts = {"plate": plate, "lot": lots[stay.lot_id]}
        reason = Reason(BreakReason.STAY_WITHOUT_PRICE, facts)
        kind = BreakKind.PARKING_CONFLICT
        breaks.append(NewBreak(kind=kind, subject_id=stay.id, reason=reason))
    await insert_breaks_once(session, org_id, breaks, now=now)
