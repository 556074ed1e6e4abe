"""Stays as a whole, for who asks about one: its driver, and who looks into a complaint."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import HubError
from parking.collections.queries import list_of_session
from parking.collections.rules import CollectionFacts
from parking.exits import queries_tickets
from parking.exits.errors import TicketNotFound
from parking.exits.joined import find_stay_or_kept
from parking.exits.pricing import LotRates, read_rates
from parking.exits.queries_joining import list_one_vehicle
from parking.exits.rules import OWNER_KIND, StayFacts
from parking.exits.standing import Standing, judge, read_bills
from parking.places.models import Lot, ParkingOperator
from parking.places.queries import get_lot, get_operator
from parking.tariffs.errors import NoRateForVehicle, StayNotPriceable
from parking.tariffs.in_force import pick_rate
from parking.tariffs.posting import PostedTariff, list_posted
from parking.tariffs.pricing import LineCode, PriceLine
from parking.tariffs.records_errors import LotHasNoTariff
from parking.vehicles import VehicleClass
from payments.bills.queries_owners import list_of_owner
from payments.bills.queries_payments import sum_written_off
from payments.bills.rules import BillFacts


@dataclass(frozen=True, kw_only=True, slots=True)
class WholeStay:
    """A stay, what it costs, what was paid, and where."""

    stay: StayFacts  # with what its bills say now
    standing: Standing | None  # None: it cannot be priced; `problem` says why
    problem: HubError | None
    lines: tuple[PriceLine, ...]  # they add up to what is due
    due_vnd: int
    lot: Lot
    operator: ParkingOperator
    posted: PostedTariff | None
    # Of the stay, then of each that was joined into it, the oldest first.
    collections: tuple[CollectionFacts, ...]
    bills: tuple[BillFacts, ...]
    written_off_vnd: Mapping[UUID, int]  # of a bill's `received_vnd` what never came

    def came_vnd(self, bill: BillFacts) -> int:
        """Return what came in for a bill, in đồng."""
        return bill.received_vnd - self.written_off_vnd.get(bill.id, 0)


async def open_ticket(
    session: AsyncSession, org_id: UUID, session_id: UUID, key: UUID
) -> StayFacts:
    """Return the stay that a ticket's code opens, or the one that it was joined into.

    Raises:
        TicketNotFound: there is no such stay, or the key is another.
    """
    if not await queries_tickets.opens(session, org_id, session_id, key):
        raise TicketNotFound
    stay = await find_stay_or_kept(session, org_id, session_id)
    assert stay is not None
    return stay


async def read_whole_stay(
    session: AsyncSession, org_id: UUID, stay: StayFacts, *, at: datetime
) -> WholeStay:
    """Read everything about a stay as it is at an instant; one that cannot be priced, too."""
    lot = await get_lot(session, org_id, stay.lot_id)
    rates = await read_rates(session, org_id, [stay])
    own = await read_bills(session, org_id, [stay])
    standing, problem = None, None
    try:
        standing = judge(stay, rates, own, at=at)
    except (LotHasNoTariff, NoRateForVehicle, StayNotPriceable) as error:
        problem = error
    lines: tuple[PriceLine, ...] = ()
    due_vnd = 0
    if standing is not None:
        due_vnd = standing.due_vnd
        lines = _lines_of(standing)
    one_vehicle = await list_one_vehicle(session, org_id, stay.id)
    collections: list[CollectionFacts] = []
    bills: list[BillFacts] = []
    for id_ in one_vehicle if one_vehicle[0] == stay.id else [stay.id]:
        collections += await list_of_session(session, org_id, id_)
        bills += await list_of_owner(session, org_id, OWNER_KIND, id_)
    return WholeStay(
        stay=stay if standing is None else standing.stay,
        standing=standing,
        problem=problem,
        lines=lines,
        due_vnd=due_vnd,
        lot=lot,
        operator=await get_operator(session, org_id, lot.operator_id),
        posted=_post(stay, rates),
        collections=tuple(collections),
        bills=tuple(bills),
        written_off_vnd={
            bill.id: await sum_written_off(session, org_id, [bill.id])
            for bill in bills
            if bill.received_vnd
        },
    )


def _lines_of(standing: Standing) -> tuple[PriceLine, ...]:
    """Return the lines of the price, and what was paid of it or waived."""
    lines, stay = standing.price.lines, standing.stay
    if stay.paid_vnd:
        lines = (*lines, PriceLine(LineCode.PAID, -stay.paid_vnd, {"paid_vnd": stay.paid_vnd}))
    if stay.waived_vnd:
        waived = {"waived_vnd": stay.waived_vnd}
        lines = (*lines, PriceLine(LineCode.WAIVED, -stay.waived_vnd, waived))
    return lines


def _post(stay: StayFacts, rates: LotRates) -> PostedTariff | None:
    """Return the tariff that held when a stay began, as it was posted for such a vehicle."""
    rate = pick_rate(rates.rates[stay.lot_id], stay.entered_at)
    tariff = None if rate is None else rates.tariffs.get(rate.version_id)
    if rate is None or tariff is None:
        return None
    vehicles = list_posted(tariff, [VehicleClass(stay.vehicle_class)], zone=stay.zone)
    since = max(rate.from_at, rate.valid_from)
    return PostedTariff(tariff=tariff, vehicles=vehicles, since=since) if vehicles else None
