"""A lot's day as one list: each stay that left beside its payments, the bank's reports, its photos.

The bank's column is what a callback or a poll reported; whether a statement proves it is the matter
of statements, which post nothing yet.
"""

from datetime import date, datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import day_bounds
from parking.overview import queries_compared
from parking.plates import mask_plate


class Difference(StrEnum):
    """Where a stay and what stands beside it do not agree."""

    OWES = "owes"  # less was paid and waived than it cost
    PAID_DIFFERS = "paid_differs"  # what the stay says was paid is not what its payments say
    NOT_IN_BANK = "not_in_bank"  # it left on a transfer that no bank has reported
    NO_ENTRY_PHOTO = "no_entry_photo"
    NO_EXIT_PHOTO = "no_exit_photo"  # it left unpaid or by hand


class ComparedStay(NamedTuple):
    """A stay that left, with a masked plate."""

    id: UUID
    left_at: datetime
    vehicle_class: str
    plate: str | None
    ticket: str | None
    exit_reason: str | None
    price_vnd: int
    waived_vnd: int
    paid_vnd: int  # as the stay says
    bank_vnd: int  # that a bank reported for its bills
    other_vnd: int  # of its bills by toll account or in cash
    written_off_vnd: int  # of its bills: given up by two people, and paid by nobody
    collected_vnd: int  # at the gate: cash, and what was paid on behalf
    differences: tuple[Difference, ...]


class ComparedDay(NamedTuple):
    """All who left on a day, added up."""

    stays: int
    odd: int  # with a difference
    price_vnd: int
    waived_vnd: int
    paid_vnd: int
    bank_vnd: int
    other_vnd: int
    written_off_vnd: int
    collected_vnd: int
    differences: dict[Difference, int]  # how many stays have it


# In the order of the statements' columns.
DIFFERENCES: Final = (
    *(Difference.NO_ENTRY_PHOTO, Difference.NO_EXIT_PHOTO),
    *(Difference.OWES, Difference.PAID_DIFFERS, Difference.NOT_IN_BANK),
)
COUNTED: Final = (
    *(Difference.OWES, Difference.PAID_DIFFERS, Difference.NOT_IN_BANK),
    *(Difference.NO_ENTRY_PHOTO, Difference.NO_EXIT_PHOTO),
)


async def list_day(
    session: AsyncSession,
    org_id: UUID,
    lot_id: UUID,
    day: date,
    *,
    odd_only: bool,
    after_id: UUID | None,
    limit: int,
) -> list[ComparedStay]:
    """List the stays that left a lot on a day, in that order, as they are known now.

    Args:
        odd_only: those with a difference alone.
    """
    since, until = day_bounds(day)
    rows = await queries_compared.list_compared(
        session,
        org_id,
        lot_id,
        since=since,
        until=until,
        odd_only=odd_only,
        after_id=after_id,
        limit=limit,
    )
    return [_read(row) for row in rows]


async def read_day(session: AsyncSession, org_id: UUID, lot_id: UUID, day: date) -> ComparedDay:
    """Add up the stays that left a lot on a day, as they are known now."""
    since, until = day_bounds(day)
    row = await queries_compared.sum_compared(session, org_id, lot_id, since=since, until=until)
    return ComparedDay._make([*row[:9], dict(zip(COUNTED, row[9:], strict=True))])


def _read(row: tuple[Any, ...]) -> ComparedStay:
    found = tuple(one for one, is_so in zip(DIFFERENCES, row[13:], strict=True) if is_so)
    plate = None if row[3] is None else mask_plate(row[3])
    return ComparedStay._make([*row[:3], plate, *row[4:13], found])
