"""Rows of the books' days as they travel."""

from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID


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
