"""SQL of lots."""

from collections.abc import Collection, Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from parking.places.models import Lot

LOTS_MAX: Final = 500  # of one organisation, in a list to choose from


async def find_lot_ids(session: AsyncSession, org_id: UUID, lot_ids: Collection[UUID]) -> set[UUID]:
    """Find which of these lots the organisation has, closed ones too."""
    query = select(Lot.id).where(Lot.org_id == org_id, Lot.id.in_(lot_ids))
    return set(await session.scalars(query))


async def list_lots(session: AsyncSession, org_id: UUID) -> Sequence[Lot]:
    """List the organisation's lots, closed ones too, the oldest first."""
    query = select(Lot).where(Lot.org_id == org_id).order_by(Lot.id).limit(LOTS_MAX)
    return (await session.scalars(query)).all()


async def find_lot_name(session: AsyncSession, org_id: UUID, lot_id: UUID) -> str | None:
    """Return what a lot is called, or None."""
    return await session.scalar(select(Lot.name).where(Lot.org_id == org_id, Lot.id == lot_id))
