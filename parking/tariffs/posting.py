"""The posted price of a lot: what each class of vehicles pays by the tariff of today."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from parking.tariffs import queries
from parking.tariffs.charges import Stay
from parking.tariffs.errors import NoRateForVehicle, StayNotPriceable
from parking.tariffs.in_force import pick_rate
from parking.tariffs.pricing import price_points
from parking.tariffs.reading import build_tariff
from parking.tariffs.records_errors import LotHasNoTariff
from parking.tariffs.structure import Tariff
from parking.vehicles import VehicleClass

POSTED_MINUTES: Final = 24 * 60
POINTS_MAX: Final = 10  # lines of one class on a sheet of paper


@dataclass(frozen=True, kw_only=True, slots=True)
class PostedClass:
    """What one class of vehicles pays: a stay of up to so many minutes costs so many đồng."""

    vehicle_class: VehicleClass
    points: tuple[tuple[int, int], ...]
    is_cut: bool  # longer stays cost more than the last point says


@dataclass(frozen=True, kw_only=True, slots=True)
class PostedPrice:
    """The tariff that holds at a lot now, worked out for who comes in now."""

    tariff: Tariff
    classes: tuple[PostedClass, ...]


async def read_posted_price(
    session: AsyncSession,
    org_id: UUID,
    lot_id: UUID,
    *,
    zone: str | None,
    classes: Collection[VehicleClass],
    now: datetime,
) -> PostedPrice:
    """Work out what is posted at a lot. A class without a rate is left out.

    Raises:
        LotHasNoTariff
    """
    rate = pick_rate((await queries.list_rates(session, org_id, [lot_id]))[lot_id], now)
    if rate is None:
        raise LotHasNoTariff(lot_id)
    documents = await queries.find_documents(session, org_id, [rate.version_id])
    tariff = build_tariff(documents[rate.version_id])
    posted = []
    for vehicle_class in classes:
        stay = Stay(vehicle_class=vehicle_class, entered_at=now, zone=zone)
        try:
            points = price_points(tariff, stay, minutes=POSTED_MINUTES, points_max=POINTS_MAX)
        except (NoRateForVehicle, StayNotPriceable):
            continue
        is_cut = points[-1][0] < POSTED_MINUTES
        posted.append(PostedClass(vehicle_class=vehicle_class, points=points, is_cut=is_cut))
    return PostedPrice(tariff=tariff, classes=tuple(posted))
