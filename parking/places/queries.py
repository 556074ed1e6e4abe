"""All SQL of lots, their operators, parts and occupancy."""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from core.search import has_words
from parking.places.errors import AccessNotFound, LotNotFound, OperatorNotFound
from parking.places.models import (
    Lot,
    Occupancy,
    ParkingAccess,
    ParkingArea,
    ParkingOperator,
)
from parking.places.rules import Occupied
from parking.vehicles import VehicleClass

LOTS_MAX = 1_000

# The row may be locked by an entry at this moment: the new capacity waits for it, no longer.
SET_CAPACITY = text("""
    INSERT INTO occupancy (org_id, lot_id, vehicle_class, capacity, licensed_capacity)
    VALUES (:org_id, :lot_id, :vehicle_class, :capacity, :licensed_capacity)
    ON CONFLICT (org_id, lot_id, vehicle_class) DO UPDATE
    SET capacity = excluded.capacity, licensed_capacity = excluded.licensed_capacity
""")


async def get_operator(session: AsyncSession, org_id: UUID, operator_id: UUID) -> ParkingOperator:
    """Return one operator.

    Raises:
        OperatorNotFound
    """
    operator = await session.get(ParkingOperator, (org_id, operator_id))
    if operator is None:
        raise OperatorNotFound(operator_id)
    return operator


async def list_operators(session: AsyncSession, org_id: UUID) -> Sequence[ParkingOperator]:
    """List the organisation's operators in the order they were added."""
    query = select(ParkingOperator).where(ParkingOperator.org_id == org_id)
    return (await session.scalars(query.order_by(ParkingOperator.id).limit(LOTS_MAX))).all()


async def get_lot(session: AsyncSession, org_id: UUID, lot_id: UUID) -> Lot:
    """Return one lot.

    Raises:
        LotNotFound
    """
    lot = await session.get(Lot, (org_id, lot_id))
    if lot is None:
        raise LotNotFound(lot_id)
    return lot


async def lock_lot(session: AsyncSession, org_id: UUID, lot_id: UUID) -> Lot:
    """Lock one lot, to change it.

    Raises:
        LotNotFound
    """
    query = (
        select(Lot)
        .filter_by(org_id=org_id, id=lot_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    lot = await session.scalar(query)
    if lot is None:
        raise LotNotFound(lot_id)
    return lot


async def is_lot_closed(session: AsyncSession, org_id: UUID, lot_id: UUID) -> bool:
    """Tell whether a lot was closed; one that is not there was not."""
    query = select(Lot.closed_at).filter_by(org_id=org_id, id=lot_id)
    return await session.scalar(query) is not None


async def list_lots(
    session: AsyncSession,
    org_id: UUID,
    *,
    only: Collection[UUID] | None = None,
    find: str = "",
    with_closed: bool = False,
    before_id: UUID | None = None,
    limit: int = LOTS_MAX,
) -> Sequence[Lot]:
    """List lots, the newest first; of those named in `only`, if it is given."""
    query = select(Lot).where(Lot.org_id == org_id)
    if only is not None:
        query = query.where(Lot.id.in_(only))
    if find:
        query = query.where(*has_words(Lot.name + " " + Lot.address, find))
    if not with_closed:
        query = query.where(Lot.closed_at.is_(None))
    if before_id is not None:
        query = query.where(Lot.id < before_id)
    return (await session.scalars(query.order_by(Lot.id.desc()).limit(limit))).all()


async def find_lot_ids(
    session: AsyncSession, org_id: UUID, lot_ids: Collection[UUID]
) -> Collection[UUID]:
    """Return which of these lots exist."""
    query = select(Lot.id).where(Lot.org_id == org_id, Lot.id.in_(lot_ids))
    return (await session.scalars(query)).all()


async def find_lot_name(session: AsyncSession, org_id: UUID, lot_id: UUID) -> str | None:
    """Return what a lot is called, or None."""
    return await session.scalar(select(Lot.name).where(Lot.org_id == org_id, Lot.id == lot_id))


async def set_capacity(
    session: AsyncSession,
    org_id: UUID,
    lot_id: UUID,
    vehicle_class: VehicleClass,
    *,
    capacity: int,
    licensed_capacity: int,
) -> None:
    """Say how many vehicles of a class a lot takes. How many are inside stays."""
    values = {
        "org_id": org_id,
        "lot_id": lot_id,
        "vehicle_class": vehicle_class.value,
        "capacity": capacity,
        "licensed_capacity": licensed_capacity,
    }
    await session.execute(SET_CAPACITY, values)


async def list_occupancy(
    session: AsyncSession, org_id: UUID, lot_ids: Collection[UUID]
) -> Mapping[UUID, list[Occupied]]:
    """Return how full each lot is, class by class in the order of VehicleClass."""
    query = select(Occupancy).where(Occupancy.org_id == org_id, Occupancy.lot_id.in_(lot_ids))
    found: dict[UUID, list[Occupied]] = {lot_id: [] for lot_id in lot_ids}
    for row in await session.scalars(query.execution_options(populate_existing=True)):
        occupied = Occupied(
            vehicle_class=VehicleClass(row.vehicle_class),
            capacity=row.capacity,
            licensed_capacity=row.licensed_capacity,
            inside_count=row.inside_count,
        )
        found[row.lot_id].append(occupied)
    order = list(VehicleClass)
    for classes in found.values():
        classes.sort(key=lambda one: order.index(one.vehicle_class))
    return found


async def get_access(
    session: AsyncSession, org_id: UUID, lot_id: UUID, access_id: UUID
) -> ParkingAccess:
    """Return a lane of a lot.

    Raises:
        AccessNotFound
    """
    access = await session.get(ParkingAccess, (org_id, access_id))
    if access is None or access.lot_id != lot_id:
        raise AccessNotFound(access_id)
    return access


async def list_accesses(
    session: AsyncSession, org_id: UUID, lot_id: UUID
) -> Sequence[ParkingAccess]:
    """List the lanes of a lot that are in use, in the order they were added."""
    query = select(ParkingAccess).where(
        ParkingAccess.org_id == org_id,
        ParkingAccess.lot_id == lot_id,
        ParkingAccess.closed_at.is_(None),
    )
    return (await session.scalars(query.order_by(ParkingAccess.id))).all()


async def list_areas(session: AsyncSession, org_id: UUID, lot_id: UUID) -> Sequence[ParkingArea]:
    """List the areas of a lot that are in use, in the order they were added."""
    query = select(ParkingArea).where(
        ParkingArea.org_id == org_id,
        ParkingArea.lot_id == lot_id,
        ParkingArea.closed_at.is_(None),
    )
    return (await session.scalars(query.order_by(ParkingArea.id))).all()


async def get_area(session: AsyncSession, org_id: UUID, area_id: UUID) -> ParkingArea:
    """Return an area that is there."""
    area = await session.get(ParkingArea, (org_id, area_id))
    assert area is not None
    return area


async def count_accesses(session: AsyncSession, org_id: UUID, lot_id: UUID) -> int:
    """Count the lanes of a lot that are in use."""
    query = select(func.count()).where(
        ParkingAccess.org_id == org_id,
        ParkingAccess.lot_id == lot_id,
        ParkingAccess.closed_at.is_(None),
    )
    return await session.scalar(query) or 0
