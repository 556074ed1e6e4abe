"""Quotes: what a stay owes now, signed, and what the same vehicle left owing before."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from parking.exits import queries
from parking.exits.errors import NotInside, PrepayNotOffered
from parking.exits.lost_tickets import check_reported
from parking.exits.rules import StayFacts
from parking.exits.standing import Standing, get_stay, read_standing
from parking.places.rules import PaymentTiming
from parking.tariffs.pricing import LineCode, PriceLine
from parking.tariffs.quotes import Quote, QuoteSigner

STAY_MINUTES_MAX: Final = 7 * 24 * 60  # that may be paid ahead
QUOTED_FOR: Final = timedelta(minutes=5)  # to find the money in; the amount holds until then


@dataclass(frozen=True, kw_only=True, slots=True)
class StayQuote:
    """What a vehicle owes at the way out."""

    standing: Standing
    lines: tuple[PriceLine, ...]  # they add up to what is due
    quoted_at: datetime
    valid_until: datetime
    token: str | None  # of the signed quote; None: nothing is due
    arrears: tuple[StayFacts, ...]  # its earlier stays here, to be collected too


async def quote_stay(
    session: AsyncSession,
    org_id: UUID,
    session_id: UUID,
    signer: QuoteSigner,
    *,
    is_ticket_lost: bool = False,
    stay_minutes: int | None = None,
    now: datetime,
) -> StayQuote:
    """Quote what is due for the whole stay until now, less what was paid.

    Args:
        stay_minutes: paid ahead is a stay of so many minutes, as long as it is not over.

    Raises:
        ParkingSessionNotFound, LotHasNoTariff, NoRateForVehicle, StayNotPriceable
        LostTicketNotReported: its price is asked for, and there is no report.
        NotInside: it is to be paid ahead, and is over.
        PrepayNotOffered: its lot takes nothing ahead.
    """
    stay = await get_stay(session, org_id, session_id)
    at = now if stay_minutes is None else _end_of(stay, stay_minutes, now=now)
    if is_ticket_lost:
        await check_reported(session, org_id, session_id)
    standing = await read_standing(session, org_id, stay, at=at, is_ticket_lost=is_ticket_lost)
    lines = standing.price.lines
    settled_vnd = sum(line.amount_vnd for line in lines) - standing.due_vnd
    if waived_vnd := min(standing.stay.waived_vnd, settled_vnd):
        lines = (*lines, PriceLine(LineCode.WAIVED, -waived_vnd, {"waived_vnd": waived_vnd}))
    if paid_vnd := settled_vnd - waived_vnd:
        lines = (*lines, PriceLine(LineCode.PAID, -paid_vnd, {"paid_vnd": paid_vnd}))
    valid_until, token = now + QUOTED_FOR, None
    if standing.due_vnd and standing.price.version_id is not None:
        token = signer.sign(
            Quote(
                org_id=org_id,
                session_id=session_id,
                tariff_version_id=standing.price.version_id,
                amount_vnd=standing.due_vnd,
                lines=lines,
                quoted_at=now,
                valid_until=valid_until,
                paid_until=at if at > now else None,
            )
        )
    return StayQuote(
        standing=standing,
        lines=lines,
        quoted_at=now,
        valid_until=valid_until,
        token=token,
        arrears=await list_debts_of(session, org_id, stay) if stay.is_inside else (),
    )


async def list_debts_of(
    session: AsyncSession, org_id: UUID, stay: StayFacts
) -> tuple[StayFacts, ...]:
    """List what the vehicle of a stay left owing at its lot before, oldest first (at most 20)."""
    if stay.plate is None:
        return ()
    arrears = await queries.list_arrears(
        session, org_id, stay.lot_id, plate=stay.plate, vehicle_class=stay.vehicle_class
    )
    return tuple(one for one in arrears if one.id != stay.id)


def _end_of(stay: StayFacts, minutes: int, *, now: datetime) -> datetime:
    """Return when a stay that is paid ahead ends; the moment itself where that is over."""
    if not stay.is_inside:
        raise NotInside(stay.status)
    timing = PaymentTiming(stay.payment_timing)
    if timing is not PaymentTiming.PREPAY:
        raise PrepayNotOffered(timing)
    return max(now, stay.entered_at + timedelta(minutes=minutes))


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """What a quote holds the hub to."""

    priced_at: datetime  # the moment until which it prices the stay
    is_ticket_lost: bool


def hold_to(
    signer: QuoteSigner,
    token: str,
    *,
    org_id: UUID,
    session_id: UUID,
    amount_vnd: int,
    now: datetime,
) -> Held:
    """Return when a quote's amount was right, and for what.

    Raises:
        QuoteNotAuthentic, QuoteExpired
        QuoteAmountDiffers: it is of another session, or of another amount.
    """
    quote = signer.read_for(
        token, org_id=org_id, session_id=session_id, amount_vnd=amount_vnd, now=now
    )
    is_ticket_lost = any(line.code is LineCode.LOST_TICKET for line in quote.lines)
    return Held(priced_at=quote.paid_until or quote.quoted_at, is_ticket_lost=is_ticket_lost)
