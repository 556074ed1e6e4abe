"""Stays whose money a person must look at: no tariff prices them, or they were paid too much."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID, uuid5

from sqlalchemy.ext.asyncio import AsyncSession

from core.reasons import Reason
from parking.exits.rules import StayFacts
from parking.places.queries import find_lot_name
from parking.plates import mask_plate
from payments.breaks.queries import insert_breaks_once, sum_told
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
        facts = {"plate": _name(stay), "lot": lots[stay.lot_id]}
        reason = Reason(BreakReason.STAY_WITHOUT_PRICE, facts)
        kind = BreakKind.PARKING_CONFLICT
        breaks.append(NewBreak(kind=kind, subject_id=stay.id, reason=reason))
    await insert_breaks_once(session, org_id, breaks, now=now)


async def report_overpaid(
    session: AsyncSession, org_id: UUID, stay: StayFacts, *, price_vnd: int, now: datetime
) -> None:
    """Open a break for what a locked stay was paid beyond its price, and nobody was told yet.

    Of a stay one code is payable at a time, but for those that were drawn without network. Each
    has a subject of its own: another conflict of the stay may be open. Safe to repeat.

    Args:
        price_vnd: of the stay; it may have been quoted at more, without its ticket.
    """
    too_much_vnd = stay.settled_vnd - max(price_vnd, stay.price_vnd or 0)
    if too_much_vnd <= 0:
        return
    told_vnd = await sum_told(session, org_id, stay.id, BreakReason.STAY_OVERPAID)
    if too_much_vnd <= told_vnd:
        return
    lot = await find_lot_name(session, org_id, stay.lot_id) or ""
    reason = Reason(BreakReason.STAY_OVERPAID, {"plate": _name(stay), "lot": lot})
    one = NewBreak(
        kind=BreakKind.PARKING_CONFLICT,
        subject_id=uuid5(stay.id, f"overpaid beyond {told_vnd}"),
        matter_id=stay.id,
        amount_vnd=too_much_vnd - told_vnd,
        reason=reason,
    )
    await insert_breaks_once(session, org_id, [one], now=now)


def _name(stay: StayFacts) -> str:
    return mask_plate(stay.plate) if stay.plate else stay.ticket or ""
