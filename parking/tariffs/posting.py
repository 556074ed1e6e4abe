"""The posted tariff of a lot: what its tariff says of each vehicle, whatever the hour is.

It hangs on a wall by night and on holidays, too: it tells the tariff and prices no stay.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from parking.tariffs import queries
from parking.tariffs.in_force import pick_rate
from parking.tariffs.reading import build_tariff
from parking.tariffs.records_errors import LotHasNoTariff
from parking.tariffs.structure import RateTable, Tariff
from parking.vehicles import VehicleClass


@dataclass(frozen=True, kw_only=True, slots=True)
class PostedVehicles:
    """Classes that pay by the same rate tables; of these the first that fits holds."""

    classes: tuple[VehicleClass, ...]
    tables: tuple[RateTable, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class PostedTariff:
    """A tariff as it is posted at a lot."""

    tariff: Tariff
    vehicles: tuple[PostedVehicles, ...]
    since: datetime  # from when on the lot takes it
    changes_at: datetime | None = None  # when another is known to come into force


async def read_posted_tariff(
    session: AsyncSession,
    org_id: UUID,
    lot_id: UUID,
    *,
    zone: str | None,
    classes: Collection[VehicleClass],
    now: datetime,
) -> PostedTariff:
    """Read what is posted at a lot.

    Raises:
        LotHasNoTariff
    """
    rates = (await queries.list_rates(session, org_id, [lot_id]))[lot_id]
    rate = pick_rate(rates, now)
    if rate is None:
        raise LotHasNoTariff(lot_id)
    changes = [
        at
        for at in sorted({at for one in rates for at in (one.from_at, one.valid_from)})
        if at > now
        and (next_one := pick_rate(rates, at))
        and next_one.version_id != rate.version_id
    ]
    documents = await queries.find_documents(session, org_id, [rate.version_id])
    tariff = build_tariff(documents[rate.version_id])
    return PostedTariff(
        tariff=tariff,
        vehicles=list_posted(tariff, classes, zone=zone),
        since=max(rate.from_at, rate.valid_from),
        changes_at=changes[0] if changes else None,
    )


def list_posted(
    tariff: Tariff, classes: Collection[VehicleClass], *, zone: str | None
) -> tuple[PostedVehicles, ...]:
    """Return the rate tables of these classes at a lot. A class without rates is left out.

    Tables of a user group are not among them: a gate prices nobody by a group.
    """
    by_tables: dict[tuple[RateTable, ...], list[VehicleClass]] = {}
    for vehicle_class in classes:
        if tables := _list_tables(tariff, vehicle_class, zone):
            by_tables.setdefault(tables, []).append(vehicle_class)
    return tuple(
        PostedVehicles(classes=tuple(own), tables=tables) for tables, own in by_tables.items()
    )


def _list_tables(
    tariff: Tariff, vehicle_class: VehicleClass, zone: str | None
) -> tuple[RateTable, ...]:
    found: list[RateTable] = []
    for table in tariff.rate_tables:
        if table.user_groups or (table.zones and zone not in table.zones):
            continue
        if table.vehicle_classes and vehicle_class not in table.vehicle_classes:
            continue
        found.append(table)
        if not table.days and not table.entry_window:
            break  # no later one is ever reached
    return tuple(found)
