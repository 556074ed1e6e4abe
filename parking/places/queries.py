"""SQL of lots."""

from collections.abc import Collection, Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from parking.places.models import Lot

LOTS_MAX: Final = 500  # of one organisation, in a list to choose from


async def find_lot_ids(session: AsyncSession, org_id: UUID, lot_ids: Collection[UUID]) -> set[UUID]:
    """Return those of these ids that are lots of the organisation."""
    query = select(Lot.id).where(Lot.org_id == org_id, Lot.id.in_(lot_ids))
    return set(await session.scalars(query))


async def list_lots(session: AsyncSession, org_id: UUID) -> Sequence[Lot]:
    """List the organisation's lots, closed ones too, the oldest first."""
    query = select(Lot).where(Lot.org_id == org_id).order_by(Lot.id).limit(LOTS_MAX)
    return (await session.scalars(query)).all()
