"""Rows of the books' days as they travel, and what a package above adds to a close."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession


class DayCount(NamedTuple):
    """How many postings a day holds, and when the last of them was written."""

    postings: int
    last_posted_at: datetime | None

    def add(self, postings: int, last_posted_at: datetime) -> "DayCount":
        """Return the count with more postings."""
        if self.last_posted_at is not None:
            last_posted_at = max(last_posted_at, self.last_posted_at)
        return DayCount(self.postings + postings, last_posted_at)


class Checkpoint(NamedTuple):
    """An account's balance at the end of a day, in the order of hashing.CHECKPOINT_FIELDS."""

    code: str
    subject_id: UUID
    balance_vnd: int
    postings: int  # how many of its legs were summed


class ClosedDay(NamedTuple):
    """A closed day, as ledger_days has it."""

    day: date
    previous_day: date | None
    closed_at: datetime
    closed_by: UUID | None
    postings: int
    postings_before: int  # of the first day: what was posted before there were books
    hash: bytes
    previous_hash: bytes | None
    hash_version: int = 1


class Section(NamedTuple):
    """Rows of a closed day that its hash covers, in an order that does not change."""

    name: str
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True, kw_only=True, slots=True)
class DayRead:
    """What a close has read of its day so far, for whoever adds parts to it."""

    org_id: UUID
    day: date
    previous_day: date | None  # None: the first close; all before it belongs to the day
    checkpoints: Sequence[Checkpoint]  # of the accounts that moved


@dataclass(frozen=True, kw_only=True, slots=True)
class DayParts:
    """What a package above adds to a close: rows that the hash covers, and how they are written."""

    sections: Sequence[Section]
    # Under the lock, with every payment waiting: whether what was read still holds.
    still_holds: Callable[[AsyncSession], Awaitable[bool]]
    write: Callable[[AsyncSession, ClosedDay], Awaitable[None]]


# Reads the parts of a day, in the snapshot that its postings are read in. What it raises ends the
# close.
ReadParts = Callable[[AsyncSession, DayRead], Awaitable[DayParts]]
# Reads the sections of a closed day as they are stored, to be verified.
ReadSections = Callable[[AsyncSession, UUID, date], Awaitable[Sequence[Section]]]


class Leg(NamedTuple):
    """One posting as one of its two accounts sees it."""

    id: UUID
    posted_at: datetime
    day: date
    effective_at: datetime
    amount_vnd: int
    is_credit: bool
    other_code: str  # the account on the other side
    cause_kind: str
    cause_id: UUID
