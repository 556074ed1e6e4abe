"""SQL of lots."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from parking.places.models import Lot


async def find_lot_ids(session: AsyncSession, org_id: UUID, lot_ids: Collection[UUID]) -> set[UUID]:
    """Find which of these lots the organisation has, closed ones too."""
    query = select(Lot.id).where(Lot.org_id == org_id, Lot.id.in_(lot_ids))
    return set(await session.scalars(query))


async def find_lot_name(session: AsyncSession, org_id: UUID, lot_id: UUID) -> str | None:
    """Return what a lot is called, or None."""
    return await session.scalar(select(Lot.name).where(Lot.org_id == org_id, Lot.id == lot_id))
