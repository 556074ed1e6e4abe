"""Prices of stays, by the version of the tariff that their lot takes.

Versions never change, so a process keeps those that it has read.
"""

from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import day_bounds
from parking.exits.rules import StayFacts
from parking.places.rules import PaymentTiming
from parking.tariffs import queries
from parking.tariffs.charges import Stay
from parking.tariffs.errors import NoRateForVehicle, StayNotPriceable
from parking.tariffs.in_force import LotRate, pick_rate
from parking.tariffs.pricing import PriceLine, price_on_entry, price_stay
from parking.tariffs.reading import build_tariff
from parking.tariffs.records_errors import LotHasNoTariff
from parking.tariffs.structure import Tariff
from parking.vehicles import VehicleClass

# Why a stay has no price: what happened at the gate is written down all the same.
NO_PRICE: Final = (LotHasNoTariff, NoRateForVehicle, StayNotPriceable)
TARIFFS_KEPT_MAX: Final = 2_000
_tariffs: OrderedDict[UUID, Tariff] = OrderedDict()


@dataclass(frozen=True, kw_only=True, slots=True)
class StayPrice:
    """The price of a whole stay until an instant."""

    amount_vnd: int
    lines: tuple[PriceLine, ...]
    grace: timedelta  # to leave in after paying
    version_id: UUID | None  # None: nothing was priced, the stay is on a pass
    tariff: Tariff | None = None  # by which it was priced
    priced: Stay | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class LotRates:
    """What the lots of a batch take, and the tariffs that were read for them."""

    rates: Mapping[UUID, Sequence[LotRate]]
    tariffs: Mapping[UUID, Tariff]

    def price(self, stay: StayFacts, at: datetime, *, is_ticket_lost: bool = False) -> StayPrice:
        """Return what a stay costs until an instant, nothing of it being paid.

        A pass covers its days, but not a ticket that is lost on them; from the midnight after the
        last one on, the stay is charged.

        Args:
            is_ticket_lost: also where nobody has reported it yet.

        Raises:
            LotHasNoTariff, NoRateForVehicle, StayNotPriceable
        """
        is_ticket_lost = is_ticket_lost or stay.is_ticket_lost
        charged_from = _find_charged_from(stay, at)
        free = StayPrice(amount_vnd=0, lines=(), grace=timedelta(), version_id=None)
        if charged_from is None and not is_ticket_lost:
            return free
        rate = pick_rate(self.rates[stay.lot_id], charged_from or stay.entered_at)
        if rate is None or rate.version_id not in self.tariffs:
            raise LotHasNoTariff(stay.lot_id)
        tariff = self.tariffs[rate.version_id]
        if charged_from is None and tariff.lost_ticket_vnd is None:
            return free
        priced = Stay(
            vehicle_class=VehicleClass(stay.vehicle_class),
            entered_at=charged_from,
            zone=stay.zone,
            is_ticket_lost=is_ticket_lost,
        )
        at = at if charged_from is None else max(at, charged_from)
        is_first_minute = charged_from is not None and at - charged_from < timedelta(minutes=1)
        if stay.payment_timing == PaymentTiming.PAY_ON_ENTRY and is_first_minute:
            price = price_on_entry(tariff, priced)
        else:
            price = price_stay(tariff, priced, left_at=at)
        return StayPrice(
            amount_vnd=price.amount_vnd,
            lines=price.lines,
            grace=timedelta(minutes=tariff.exit_grace_minutes),
            version_id=rate.version_id,
            tariff=tariff,
            priced=priced,
        )


def _find_charged_from(stay: StayFacts, at: datetime) -> datetime | None:
    """Return from when on a stay is charged; None while a pass covers it."""
    if stay.pass_until is None:
        return stay.entered_at
    pass_ends_at = day_bounds(stay.pass_until)[1]
    return None if at < pass_ends_at else max(stay.entered_at, pass_ends_at)


async def read_rates(session: AsyncSession, org_id: UUID, stays: Collection[StayFacts]) -> LotRates:
    """Read what the lots of these stays take, with the tariffs that hold during them."""
    rates = await queries.list_rates(session, org_id, {stay.lot_id for stay in stays})
    return await add_tariffs(session, org_id, stays, rates)


async def add_tariffs(
    session: AsyncSession,
    org_id: UUID,
    stays: Collection[StayFacts],
    rates: Mapping[UUID, Sequence[LotRate]],
) -> LotRates:
    """Read those tariffs of these rates that hold during these stays."""
    wanted: set[UUID] = set()
    for stay in stays:
        starts = [stay.entered_at]
        if stay.pass_until is not None:
            starts.append(max(stay.entered_at, day_bounds(stay.pass_until)[1]))
        found = [pick_rate(rates[stay.lot_id], start) for start in starts]
        wanted |= {rate.version_id for rate in found if rate is not None}
    if unread := wanted - _tariffs.keys():
        for version_id, document in (await queries.find_documents(session, org_id, unread)).items():
            _tariffs[version_id] = build_tariff(document)
    tariffs = {version_id: _tariffs[version_id] for version_id in wanted if version_id in _tariffs}
    while len(_tariffs) > TARIFFS_KEPT_MAX:
        _tariffs.popitem(last=False)
    return LotRates(rates=rates, tariffs=tariffs)
