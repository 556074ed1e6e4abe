"""Read models of lots: how full they are, who is inside, and whether partitions are in order."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from parking.sessions import queries
from parking.sessions.partitions import (
    WARN_UNDER,
    PartitionWarning,
    ready_until,
)
from parking.sessions.queries_partitions import list_partitions

SHOWN_MAX: Final = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassOccupancy:
    """A class of vehicles at a lot."""

    vehicle_class: str
    inside_count: int
    capacity: int
    licensed_capacity: int

    @property
    def is_over_licence(self) -> bool:
        """Whether more are inside than the licence allows."""
        return self.inside_count > self.licensed_capacity


async def list_warnings(session: AsyncSession, *, now: datetime) -> list[PartitionWarning]:
    """Say what is wrong with the partitions; nothing is lost meanwhile."""
    partitions, written = await list_partitions(session)
    ends_at = min(ready_until(of_table, now=now) for of_table in partitions.values())
    warnings = []
    if ends_at < now + WARN_UNDER:
        warnings.append(PartitionWarning.END_SOON)
    if written:
        warnings.append(PartitionWarning.ROWS_WITHOUT)
    return warnings


async def list_occupancy(
    session: AsyncSession, org_id: UUID, lot_id: UUID
) -> Sequence[ClassOccupancy]:
    """List how full a lot is, by class; nothing where there is no such lot."""
    return [
        ClassOccupancy(
            vehicle_class=row[0], inside_count=row[1], capacity=row[2], licensed_capacity=row[3]
        )
        for row in await queries.list_occupancy(session, org_id, lot_id)
    ]
