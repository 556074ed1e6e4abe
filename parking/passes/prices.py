"""Monthly prices: what the tariff that a lot takes asks for a month, by day and night."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from parking.passes.errors import NoMonthlyPrice
from parking.places.models import Lot
from parking.places.queries import get_lot, list_lots
from parking.tariffs import queries
from parking.tariffs.in_force import pick_rate
from parking.tariffs.pricing import monthly_price_vnd
from parking.tariffs.reading import build_tariff
from parking.tariffs.structure import MonthlyScope
from parking.vehicles import VehicleClass


async def read_monthly_price(
    session: AsyncSession,
    org_id: UUID,
    vehicle_class: VehicleClass,
    *,
    lot_id: UUID | None,
    at: datetime,
) -> int:
    """Return what a month costs from an instant on, at one lot or at all of them.

    A pass for all lots costs what the dearest of them asks, so that none is undersold.

    Raises:
        LotNotFound
        NoMonthlyPrice: no tariff in force then has a price for a month, day and night.
    """
    if lot_id is not None:
        lots: Collection[Lot] = [await get_lot(session, org_id, lot_id)]
    else:
        lots = await list_lots(session, org_id)
    rates = await queries.list_rates(session, org_id, {lot.id for lot in lots})
    found = {lot.id: pick_rate(rates[lot.id], at) for lot in lots}
    versions = {lot_id: rate.version_id for lot_id, rate in found.items() if rate is not None}
    documents = await queries.find_documents(session, org_id, set(versions.values()))
    tariffs = {id_: build_tariff(document) for id_, document in documents.items()}
    prices_vnd = [
        monthly_price_vnd(
            tariffs[versions[lot.id]],
            vehicle_class,
            scope=MonthlyScope.DAY_AND_NIGHT,
            zone=lot.zone,
        )
        for lot in lots
        if lot.id in versions
    ]
    if not (known := [price for price in prices_vnd if price]):
        raise NoMonthlyPrice(vehicle_class.value)
    return max(known)
