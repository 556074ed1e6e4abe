"""Complaints: categories, what they may be about, their states, and by when they are answered.

Pure.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

WORDS_CHARS_MAX: Final = 1_000
CONTACT_CHARS_MAX: Final = 100
ANSWER_CHARS_MAX: Final = 1_000
WORKING_DAYS_MAX: Final = 30
REFUND_WORKING_DAYS: Final = 3  # to give back, unless an installation promises others
_ONE_DAY: Final = timedelta(days=1)


class Category(StrEnum):
    """What went wrong, as the complainant says."""

    OVERCHARGED = "overcharged"
    CHARGED_TWICE = "charged_twice"
    NO_RECEIPT = "no_receipt"
    DAMAGED_OR_LOST = "damaged_or_lost"
    RUDE = "rude"
    OTHER = "other"


class SubjectKind(StrEnum):
    """What a complaint is about."""

    PARKING_SESSION = "parking_session"
    BILL = "bill"
    PAYMENT = "payment"  # a bank transaction
    RECEIPT = "receipt"  # a numbered cash receipt, by its collection


class ComplaintStatus(StrEnum):
    """Where a complaint is in its life."""

    OPEN = "open"
    ANSWERED = "answered"  # decided, with an answer for the complainant
    CLOSED = "closed"  # nothing was decided: it is another one's double, or says nothing


class Outcome(StrEnum):
    """What became of a complaint."""

    UPHELD = "upheld"
    PARTLY_UPHELD = "partly_upheld"
    REJECTED = "rejected"
    DUPLICATE = "duplicate"
    WITHDRAWN = "withdrawn"
    NOT_USABLE = "not_usable"  # an advertisement, an insult


class RefundState(StrEnum):
    """How far the refund of an upheld complaint has come."""

    WAITING = "waiting"  # nobody has requested it yet
    UNDER_WAY = "under_way"  # requested, and not all of it is returned
    RETURNED = "returned"
    CLOSED = "closed"  # somebody noted how it was given back otherwise, or why not


CLOSES: Final = frozenset({Outcome.DUPLICATE, Outcome.WITHDRAWN, Outcome.NOT_USABLE})
GIVES_BACK: Final = frozenset({Outcome.UPHELD, Outcome.PARTLY_UPHELD})


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """What a complaint is about, and whose it is."""

    kind: SubjectKind
    id: UUID
    payee_id: UUID
    lot_id: UUID | None = None
    session_id: UUID | None = None  # the parking session behind it
    bill_id: UUID | None = None  # the bill behind it


def status_after(outcome: Outcome) -> ComplaintStatus:
    """Return the status of a complaint that ends like this."""
    return ComplaintStatus.CLOSED if outcome in CLOSES else ComplaintStatus.ANSWERED


def due_day(received_on: date, *, working_days: int, is_day_off: Callable[[date], bool]) -> date:
    """Return the last day on which an answer is in time.

    Days are counted from the one after the receipt; days off do not count.
    """
    assert 1 <= working_days <= WORKING_DAYS_MAX
    day = received_on
    while working_days:
        day += _ONE_DAY
        working_days -= not is_day_off(day)
    return day


def judge_refund(
    agreed_vnd: int, *, is_waiting: bool, under_way_vnd: int, returned_vnd: int
) -> RefundState:
    """Return how far a refund has come.

    Args:
        is_waiting: its item is open on the list of what people have to do.
    """
    if returned_vnd >= agreed_vnd:
        return RefundState.RETURNED
    if under_way_vnd:
        return RefundState.UNDER_WAY
    return RefundState.WAITING if is_waiting else RefundState.CLOSED
