"""A shift and what its close posts. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from payments.ledger.rules import NewPosting, cash_in_drawer, cash_variance, takings

CAUSE: Final = "shift_close"  # of the one journal entry of a shift
STEP_TAKEN, STEP_VARIANCE = 0, 1
# What a device's clock may still be off after it was corrected.
CLOCKS_APART: Final = timedelta(minutes=5)


class PersonFault(StrEnum):
    """Why what a device reports is not of the person, or of the shift, that it names."""

    UNKNOWN_PERSON = "unknown_person"  # nobody of this gate, or somebody who had been removed
    OTHER_SHIFT = "other_shift"  # another person's, another lot's, or over by then


@dataclass(frozen=True, kw_only=True, slots=True)
class ShiftFacts:
    """A shift as it is stored."""

    id: UUID
    lot_id: UUID
    staff_id: UUID
    payee_id: UUID  # whose money it takes, until its close and after it
    opened_at: datetime
    change_vnd: int
    closed_at: datetime | None
    counted_vnd: int | None
    expected_vnd: int | None
    note: str | None

    @property
    def variance_vnd(self) -> int | None:
        """What the count found more (or, below zero, less) than was expected; None while open."""
        if self.counted_vnd is None or self.expected_vnd is None:
            return None
        return self.counted_vnd - self.expected_vnd


def is_shift_of(shift: ShiftFacts | None, *, staff_id: UUID, lot_id: UUID, at: datetime) -> bool:
    """Whether what a person did at a lot at that time belongs to a shift."""
    if shift is None or (shift.staff_id, shift.lot_id) != (staff_id, lot_id):
        return False
    has_begun = at >= shift.opened_at - CLOCKS_APART
    return has_begun and (shift.closed_at is None or at <= shift.closed_at + CLOCKS_APART)


def list_postings(
    shift_id: UUID, payee_id: UUID, *, cash_vnd: int, variance_vnd: int, closed_at: datetime
) -> list[NewPosting]:
    """Return the journal entry of a close: the shift's cash, and what the count found otherwise.

    Args:
        cash_vnd: what was collected in cash, without the change that the bag began with.
    """
    drawer, variance = cash_in_drawer(shift_id), cash_variance(payee_id)
    sides = [(STEP_TAKEN, drawer, takings(payee_id), cash_vnd)]
    if variance_vnd < 0:
        sides.append((STEP_VARIANCE, variance, drawer, -variance_vnd))
    else:
        sides.append((STEP_VARIANCE, drawer, variance, variance_vnd))
    return [
        NewPosting(
            debit=debit,
            credit=credit,
            amount_vnd=amount_vnd,
            cause_kind=CAUSE,
            cause_id=shift_id,
            step=step,
            effective_at=closed_at,
        )
        for step, debit, credit, amount_vnd in sides
        if amount_vnd
    ]
