"""The standing of a stay: what it costs, what was paid, and what is due.

What the session says was paid may be behind its bills for a moment: their changes reach it in a
transaction of their own. Whatever decides about money reads the bills themselves, under the
session's lock.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import Busy
from parking.exits import queries
from parking.exits.errors import ParkingSessionNotFound
from parking.exits.pricing import NO_PRICE, LotRates, StayPrice, read_rates
from parking.exits.rules import OWNER_KIND, StayFacts, due_vnd
from parking.places.rules import PaymentTiming
from parking.tariffs.pricing import covered_until
from payments.bills.queries import find_bills
from payments.bills.queries_owners import sum_of_owners
from payments.bills.rules import BillFacts, BillStatus

IS_PAID = frozenset({BillStatus.PAID, BillStatus.OVER_PAID})
COVERED_WITHIN: Final = timedelta(days=1)  # people plan no further ahead
COVERED_STAY_MAX: Final = timedelta(days=7)  # of a longer one it is not worked out


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """A stay with its price at an instant and what was paid until now."""

    stay: StayFacts  # with what its bills say now
    bill: BillFacts | None  # the one that is shown
    price: StayPrice
    due_vnd: int

    @property
    def grace(self) -> timedelta:
        """To leave in after paying."""
        return self.price.grace

    def find_code(self, *, now: datetime) -> BillFacts | None:
        """Return the bill whose code the driver may pay: it holds, and asks for what is due.

        Where a stay is paid ahead it may ask for more: for hours that were chosen.
        """
        bill, stay = self.bill, self.stay
        if bill is None or not bill.is_payable or now >= bill.expires_at:
            return None
        asked_vnd = bill.code_amount_vnd or 0
        if stay.is_inside and stay.payment_timing == PaymentTiming.PREPAY:
            return bill if asked_vnd >= self.due_vnd else None
        return bill if self.due_vnd and asked_vnd == self.due_vnd else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Unpriced:
    """A stay that no tariff prices, with what was paid until now."""

    stay: StayFacts  # with what its bills say now
    bill: BillFacts | None
    due_vnd: int  # of what it was quoted last, if ever
    grace: timedelta = timedelta()


async def lock_stay(session: AsyncSession, org_id: UUID, session_id: UUID) -> StayFacts:
    """Lock a stay and return it as it is then.

    Raises:
        ParkingSessionNotFound
    """
    await queries.lock_sessions(session, org_id, [session_id])
    return await get_stay(session, org_id, session_id)


async def lock_place_and_stay(session: AsyncSession, org_id: UUID, session_id: UUID) -> StayFacts:
    """Lock the occupancy of a stay's lot and class, then the stay, for who writes `inside`.

    Raises:
        ParkingSessionNotFound
        Busy: it was moved to another class meanwhile.
    """
    before = await get_stay(session, org_id, session_id)
    await queries.lock_occupancy(session, org_id, {(before.lot_id, before.vehicle_class)})
    stay = await lock_stay(session, org_id, session_id)
    if stay.vehicle_class != before.vehicle_class:
        raise Busy("The parking session is being changed. Try again in a second.")
    return stay


async def get_stay(session: AsyncSession, org_id: UUID, session_id: UUID) -> StayFacts:
    """Return a stay.

    Raises:
        ParkingSessionNotFound
    """
    found = await queries.find_stays(session, org_id, [session_id])
    if session_id not in found:
        raise ParkingSessionNotFound(session_id)
    return found[session_id]


async def read_standing(
    session: AsyncSession,
    org_id: UUID,
    stay: StayFacts,
    *,
    at: datetime,
    is_ticket_lost: bool = False,
) -> Standing:
    """Return where a stay stands at an instant.

    Raises:
        LotHasNoTariff, NoRateForVehicle, StayNotPriceable
    """
    rates = await read_rates(session, org_id, [stay])
    bills = await read_bills(session, org_id, [stay])
    return judge(stay, rates, bills, at=at, is_ticket_lost=is_ticket_lost)


async def read_standing_anyway(
    session: AsyncSession,
    org_id: UUID,
    stay: StayFacts,
    *,
    at: datetime,
    is_ticket_lost: bool = False,
) -> Standing | Unpriced:
    """Return where a stay stands at an instant, with or without a price."""
    rates = await read_rates(session, org_id, [stay])
    bills = await read_bills(session, org_id, [stay])
    return judge_anyway(stay, rates, bills, at=at, is_ticket_lost=is_ticket_lost)


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnBills:
    """What the bills of some stays were paid, and those that are shown."""

    paid_vnd: dict[UUID, int]  # by stay
    shown: dict[UUID, BillFacts]  # by bill


async def read_bills(session: AsyncSession, org_id: UUID, stays: Collection[StayFacts]) -> OwnBills:
    """Read the bills of those stays that have any."""
    billed = {stay.id: stay.bill_id for stay in stays if stay.bill_id is not None}
    if not billed:
        return OwnBills(paid_vnd={}, shown={})
    paid_vnd = await sum_of_owners(session, org_id, OWNER_KIND, billed.keys())
    return OwnBills(
        paid_vnd=paid_vnd, shown=await find_bills(session, org_id, list(billed.values()))
    )


async def read_bills_behind(
    session: AsyncSession,
    org_id: UUID,
    stays: Collection[StayFacts],
    paid_vnd: dict[UUID, int],
    *,
    said_paid: Collection[UUID] = (),
) -> OwnBills:
    """Read the bills of those stays that do not know yet what theirs were paid.

    Args:
        paid_vnd: what the bills of each stay were paid.
        said_paid: stays whose drivers say that theirs are paid: they are read as well.
    """
    behind = [
        stay.bill_id
        for stay in stays
        if stay.bill_id is not None
        and (stay.id in said_paid or paid_vnd.get(stay.id, 0) != stay.bill_paid_vnd)
    ]
    shown = await find_bills(session, org_id, behind) if behind else {}
    return OwnBills(paid_vnd=paid_vnd, shown=shown)


def judge(
    stay: StayFacts,
    rates: LotRates,
    bills: OwnBills,
    *,
    at: datetime,
    is_ticket_lost: bool = False,
) -> Standing:
    """Price a stay and say what is due.

    Raises:
        LotHasNoTariff, NoRateForVehicle, StayNotPriceable
    """
    bill = None if stay.bill_id is None else bills.shown.get(stay.bill_id)
    if stay.is_inside:
        price = rates.price(stay, at, is_ticket_lost=is_ticket_lost)
    else:
        assert stay.left_at is not None
        price = rates.price(stay, stay.left_at, is_ticket_lost=is_ticket_lost)
    stay = catch_up(stay, bills.paid_vnd.get(stay.id, 0), bill, price.grace)
    due = due_vnd(stay, price.amount_vnd, at=at)
    return Standing(stay=stay, bill=bill, price=price, due_vnd=due)


def judge_anyway(
    stay: StayFacts,
    rates: LotRates,
    bills: OwnBills,
    *,
    at: datetime,
    is_ticket_lost: bool = False,
) -> Standing | Unpriced:
    """Price a stay and say what is due, or what was due when it had a price."""
    try:
        return judge(stay, rates, bills, at=at, is_ticket_lost=is_ticket_lost)
    except NO_PRICE:
        bill = None if stay.bill_id is None else bills.shown.get(stay.bill_id)
        stay = catch_up(stay, bills.paid_vnd.get(stay.id, 0), bill, timedelta())
        due = due_vnd(stay, stay.price_vnd or 0, at=at)
        return Unpriced(stay=stay, bill=bill, due_vnd=due)


def may_stay_until(standing: Standing, *, at: datetime) -> datetime | None:
    """Return until when a stay that is paid may go on without paying more.

    That is grace, or what the money buys where that is longer: 5.000 ₫ paid on entry cover a day.
    It looks no further than a day ahead. None: nothing was paid, something is due, or it is not
    worked out.
    """
    stay, price = standing.stay, standing.price
    if not stay.is_inside or standing.due_vnd or not stay.settled_vnd:
        return None
    grace_until = stay.paid_until if stay.paid_until is not None and at <= stay.paid_until else None
    if price.tariff is None or price.priced is None or price.priced.is_ticket_lost:
        return grace_until
    assert price.priced.entered_at is not None
    if at - price.priced.entered_at > COVERED_STAY_MAX or price.amount_vnd > stay.settled_vnd:
        return grace_until
    until = covered_until(
        price.tariff, price.priced, paid_vnd=stay.settled_vnd, now=at, within=COVERED_WITHIN
    )
    if until is None:
        return at + COVERED_WITHIN
    # The last minute that is covered has begun: who leaves in it pays no more.
    until = until if until > at else until + timedelta(minutes=1)
    return max(until, grace_until or until)


def with_bills(stay: StayFacts, bills: OwnBills) -> StayFacts:
    """Return a stay with what its bills were paid, whatever it costs."""
    bill_paid_vnd = bills.paid_vnd.get(stay.id, 0)
    paid_vnd = stay.collected_vnd + bill_paid_vnd
    return replace(stay, paid_vnd=paid_vnd, bill_paid_vnd=bill_paid_vnd)


def catch_up(
    stay: StayFacts, bill_paid_vnd: int, bill: BillFacts | None, grace: timedelta
) -> StayFacts:
    """Return a stay as its bills say that it is; the same where it knows that already."""
    change_vnd = bill_paid_vnd - stay.bill_paid_vnd
    if not change_vnd:
        return stay
    paid_until = stay.paid_until
    # A code that was drawn without network may have asked for less than the stay was quoted.
    is_whole = stay.settled_vnd + change_vnd >= (stay.price_vnd or 0)
    if is_whole and bill is not None and bill.status in IS_PAID and not bill.is_late:
        assert bill.paid_at is not None
        until = bill.paid_at + grace
        paid_until = until if paid_until is None else max(paid_until, until)
    elif change_vnd < 0:  # taken back: it owes again at once
        paid_until = None
    paid_vnd = stay.paid_vnd + change_vnd
    arrears_vnd = stay.arrears_vnd
    if not stay.is_inside and change_vnd > 0:
        arrears_vnd = max(0, arrears_vnd - change_vnd)
    elif not stay.is_inside:
        arrears_vnd = max(arrears_vnd, (stay.price_vnd or 0) - paid_vnd - stay.waived_vnd)
    return replace(
        stay,
        paid_vnd=paid_vnd,
        bill_paid_vnd=bill_paid_vnd,
        paid_until=paid_until,
        arrears_vnd=arrears_vnd,
    )


async def write_paid(session: AsyncSession, org_id: UUID, stay: StayFacts) -> None:
    """Write what was paid for a locked stay."""
    await queries.set_paid(
        session,
        org_id,
        stay.id,
        paid_vnd=stay.paid_vnd,
        waived_vnd=stay.waived_vnd,
        bill_paid_vnd=stay.bill_paid_vnd,
        paid_until=stay.paid_until,
        arrears_vnd=stay.arrears_vnd,
    )
