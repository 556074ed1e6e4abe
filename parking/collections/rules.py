"""Collections: by which rail, of what, and who may reverse one. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from core.masking import mask_plates

UNDO_FOR: Final = timedelta(seconds=10)  # a slip of the thumb is taken back without asking anybody


class CollectionRail(StrEnum):
    """How a session was paid without a bill of its own."""

    CASH = "cash"
    PASS = "pass"  # noqa: S105 (no password)
    EXEMPT = "exempt"
    FLOAT = "float"  # the attendant pays on behalf of the driver; a deposit bill clears it
    POSTER = "poster"  # a credit on the lot's static code


# Rails by which money changes hands; the amounts of the others say what it would have cost.
MONEY: Final = frozenset({CollectionRail.CASH, CollectionRail.FLOAT, CollectionRail.POSTER})


@dataclass(frozen=True, kw_only=True, slots=True)
class CollectionFacts:
    """A collection as it is stored."""

    id: UUID
    lot_id: UUID
    session_id: UUID | None
    shift_id: UUID | None
    rail: str
    amount_vnd: int
    receipt_number: str | None
    reason: str | None
    credit_id: UUID | None
    bill_id: UUID | None
    pass_id: UUID | None
    device_id: UUID | None
    collected_by: UUID | None
    collected_at: datetime
    recorded_at: datetime
    reversed_at: datetime | None
    reversed_by: UUID | None


@dataclass(frozen=True, kw_only=True, slots=True)
class NewCollection:
    """What was taken, as who took it says."""

    id: UUID  # made by the client
    lot_id: UUID
    session_id: UUID | None
    shift_id: UUID | None
    rail: CollectionRail
    amount_vnd: int
    collected_at: datetime
    collected_by: UUID | None
    reason: str | None = None
    credit_id: UUID | None = None
    pass_id: UUID | None = None
    device_id: UUID | None = None

    def __post_init__(self) -> None:
        """Hold a collection to what its rail needs (a programmer's mistake)."""
        is_pass_sold = self.rail is CollectionRail.CASH and self.pass_id is not None
        assert (self.session_id is None) == (self.rail is CollectionRail.POSTER or is_pass_sold)
        assert self.rail is not CollectionRail.EXEMPT or self.reason
        assert self.amount_vnd >= 0


def is_same(known: CollectionFacts, new: NewCollection) -> bool:
    """Tell whether a client's id came again for the same collection."""
    return (known.session_id, known.rail, known.amount_vnd, known.pass_id, known.reason) == (
        new.session_id,
        new.rail.value,
        new.amount_vnd,
        new.pass_id,
        None if new.reason is None else mask_plates(new.reason),
    )


def may_undo(known: CollectionFacts, by: UUID | None, *, now: datetime) -> bool:
    """Tell whether somebody may reverse a collection without approval: their own, at once."""
    return by is not None and known.collected_by == by and now - known.recorded_at <= UNDO_FOR
