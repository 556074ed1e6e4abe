"""Months of what is kept by month: which partitions there must be, and how long each is kept.

`./phopay maintain` makes and erases them (ops/maintenance.py); a hub only looks.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from core.clock import HANOI
from core.ids import first_id_at, instant_of

# How many months are kept, the running one not counted. Stays are the evidence of what was paid
# and owed; sightings and what devices sent are personal data and only explain them.
# docs/parking.md says so to people.
KEPT_MONTHS: Final = {"parking_sessions": 24, "observations": 6, "movements": 6}
MONTHS_AHEAD: Final = 3
# Ids of devices that were offline, or whose clock is wrong, lie this far back.
MONTHS_BACK: Final = 2
WARN_UNDER: Final = timedelta(days=45)
DEFAULT_SUFFIX: Final = "default"
# As PostgreSQL writes a partition's bounds.
_BOUNDS: Final = re.compile(r"FROM \('([0-9a-f-]{36})'\) TO \('([0-9a-f-]{36})'\)")


class PartitionWarning(StrEnum):
    """What `./phopay maintain` was not run for."""

    END_SOON = "partitions_end_soon"  # new entries have partitions for less than 45 days
    ROWS_WITHOUT = "rows_without_partition"  # they fell into the default one; none is lost


@dataclass(frozen=True, order=True)
class Month:
    """A calendar month in Hà Nội."""

    year: int
    number: int  # 1 to 12

    @classmethod
    def of(cls, instant: datetime) -> "Month":
        """Return the month that an instant lies in."""
        day = instant.astimezone(HANOI)
        return cls(day.year, day.month)

    def plus(self, months: int) -> "Month":
        """Return the month so many later; fewer than zero: earlier."""
        count = self.year * 12 + self.number - 1 + months
        return Month(count // 12, count % 12 + 1)

    @property
    def starts_at(self) -> datetime:
        """Its first instant."""
        return datetime(self.year, self.number, 1, tzinfo=HANOI)

    @property
    def first_id(self) -> UUID:
        """The lowest id of the month."""
        return first_id_at(self.starts_at)

    def name(self, table: str) -> str:
        """Return what its partition of a table is called."""
        return f"{table}_{self.year}_{self.number:02d}"


@dataclass(frozen=True, kw_only=True)
class Partition:
    """A partition that there is: from one id on, up to another."""

    table: str
    name: str
    first_id: UUID
    end_id: UUID

    def covers(self, id_: UUID) -> bool:
        """Whether an id lies in it."""
        return self.first_id <= id_ < self.end_id


def wanted_months(now: datetime) -> Iterator[Month]:
    """Yield the months that must have a partition: those of late devices, and some ahead."""
    running = Month.of(now)
    for months in range(-MONTHS_BACK, MONTHS_AHEAD + 1):
        yield running.plus(months)


def is_over(partition: Partition, *, now: datetime) -> bool:
    """Whether the whole of a partition is older than its table is kept."""
    kept_from = Month.of(now).plus(-KEPT_MONTHS[partition.table])
    return partition.end_id <= kept_from.first_id


def read_partition(table: str, name: str, bounds: str) -> Partition | None:
    """Read a partition as PostgreSQL describes it; None: the default one."""
    found = _BOUNDS.search(bounds)
    if found is None:
        return None
    return Partition(table=table, name=name, first_id=UUID(found[1]), end_id=UUID(found[2]))


def ready_until(partitions: list[Partition], *, now: datetime) -> datetime:
    """Return until when new ids have partitions, without a gap from now on."""
    at = first_id_at(now)
    for partition in sorted(partitions, key=lambda one: one.first_id):
        if partition.covers(at):
            at = partition.end_id
    return instant_of(at)
