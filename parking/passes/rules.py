"""Rules of passes and watch lists: months, states, and what a bill does to a pass. Pure."""

import calendar
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final, NoReturn
from uuid import UUID

from core.clock import day_bounds
from core.errors import InvalidRequest, Violation
from core.sealing import derive_key
from parking.plates import PlateError, read_plate
from parking.vehicles import VehicleClass
from payments.bills.rules import BillStatus

OWNER_KIND: Final = "parking_pass"  # of the bills that pay for passes; the owner is the pass
PLATES_MAX: Final = 20
MONTHS_MAX: Final = 12
STARTS_AHEAD: Final = timedelta(days=62)  # a pass is sold at most this long before its first day
RENEWED_AHEAD: Final = timedelta(days=731)
EXEMPT_FOR_MAX: Final = timedelta(days=5 * 366)
BILL_VALID_FOR: Final = timedelta(days=3)
WARN_BEFORE: Final = timedelta(days=7)
WATCHED_FOR_MAX: Final = timedelta(days=90)
WATCHED_AHEAD: Final = timedelta(days=30)
PHONE_LISTS: Final = "passes of a lot v1"  # what the key of phones' lists is derived for
HASH_CHARS: Final = 32  # of a plate in the list for phones: 128 bits


class PassKind(StrEnum):
    """What makes a pass hold."""

    MONTHLY = "monthly"
    EXEMPT = "exempt"


class ExemptAs(StrEnum):
    """Who is exempt."""

    RESIDENT = "resident"
    STAFF = "staff"
    DISABLED = "disabled"
    STATE = "state"  # vehicles of the state, on duty


class PassState(StrEnum):
    """Where a pass is in its life, on a day."""

    UNPAID = "unpaid"
    COMING = "coming"  # paid or given; its first day is ahead
    IN_FORCE = "in_force"
    OVER = "over"
    REVOKED = "revoked"


class WatchState(StrEnum):
    """Where an entry of the watch list is in its life, on a day."""

    PROPOSED = "proposed"
    COMING = "coming"
    WATCHED = "watched"
    OVER = "over"
    REMOVED = "removed"


# Bills that leave a pass paid for; what was given back in part is a person's decision.
IS_PAID: Final = frozenset({BillStatus.PAID, BillStatus.OVER_PAID, BillStatus.PART_REFUNDED})


class TermChange(StrEnum):
    """What the state of its bill does to a term."""

    NONE = "none"
    PUT_IN_FORCE = "put_in_force"
    REFUND = "refund"  # paid when it could not count any more: a person decides
    CANCEL = "cancel"  # its money went back
    WAIT = "wait"  # the payment was taken back: it is owed again


@dataclass(frozen=True, kw_only=True, slots=True)
class TermFacts:
    """A term of a pass, for the rules."""

    id: UUID
    last_on: date
    in_force_at: datetime | None
    cancelled_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class PassDates:
    """From when and until when a pass holds, as its terms say."""

    in_force_at: datetime | None
    valid_until: date
    is_revoked: bool = False


def last_day(first_on: date, months: int) -> date:
    """Return the last day of months that begin on a day; a month ends before its like.

    Where the later month has no such day, the term takes that month whole: a term from the 31st
    of January ends on the last day of February.
    """
    assert 1 <= months <= MONTHS_MAX
    year, month = divmod(first_on.year * 12 + first_on.month - 1 + months, 12)
    days = calendar.monthrange(year, month + 1)[1]
    if first_on.day > days:
        return date(year, month + 1, days)
    return date(year, month + 1, first_on.day) - timedelta(days=1)


def pass_state(
    *,
    in_force_at: datetime | None,
    revoked_at: datetime | None,
    valid_from: date,
    valid_until: date,
    today: date,
) -> PassState:
    """Say where a pass is in its life on a Hà Nội day; its last day counts."""
    if revoked_at is not None:
        return PassState.REVOKED
    if today > valid_until:
        return PassState.OVER
    if in_force_at is None:
        return PassState.UNPAID
    return PassState.COMING if today < valid_from else PassState.IN_FORCE


def watch_state(
    *,
    approved_at: datetime | None,
    removed_at: datetime | None,
    from_on: date,
    expires_on: date,
    today: date,
) -> WatchState:
    """Say where an entry of the watch list is in its life on a Hà Nội day."""
    if removed_at is not None:
        return WatchState.REMOVED
    if today > expires_on:
        return WatchState.OVER
    if approved_at is None:
        return WatchState.PROPOSED
    return WatchState.COMING if today < from_on else WatchState.WATCHED


def judge_bill(term: TermFacts, status: BillStatus, *, is_revoked: bool, today: date) -> TermChange:
    """Decide what the state of a term's bill does to the term. It may come again.

    Money for months that are over, or of a pass that was revoked, buys nothing: a break asks a
    person to give it back.
    """
    if status in IS_PAID:
        if term.in_force_at is not None:
            return TermChange.NONE
        is_dead = is_revoked or term.cancelled_at is not None or today > term.last_on
        return TermChange.REFUND if is_dead else TermChange.PUT_IN_FORCE
    if term.in_force_at is None:
        return TermChange.NONE
    return TermChange.CANCEL if status is BillStatus.REFUNDED else TermChange.WAIT


def dates_of(
    terms: Sequence[TermFacts], *, valid_from: date, valid_until: date, today: date
) -> PassDates:
    """Return from when and until when a monthly pass holds by its terms.

    A pass whose payments were all taken back or refunded ends today, so that who is inside on it
    is charged from midnight on; if nothing of it waits to be paid, it is revoked.
    """
    held = [term for term in terms if term.in_force_at is not None]
    if held:
        starts = [term.in_force_at for term in held if term.in_force_at is not None]
        return PassDates(in_force_at=min(starts), valid_until=max(t.last_on for t in held))
    is_waiting = any(term.cancelled_at is None for term in terms)
    return PassDates(
        in_force_at=None,
        valid_until=end_today(valid_from, valid_until, today),
        is_revoked=not is_waiting,
    )


def end_today(valid_from: date, valid_until: date, today: date) -> date:
    """Return the last day of a pass that ends today; one that has not begun keeps its first."""
    return max(valid_from, min(valid_until, today))


def bill_expires_at(last_on: date, *, now: datetime) -> datetime:
    """Return until when a bill for months that end on a day can be paid."""
    return min(now + BILL_VALID_FOR, day_bounds(last_on)[1])


def read_plates(texts: Sequence[str], vehicle_class: VehicleClass) -> list[str]:
    """Return the compact plates of a pass, sorted.

    Raises:
        InvalidRequest: none, too many, one that is no plate, or one that stands twice.
    """
    if not 1 <= len(texts) <= PLATES_MAX:
        refuse("plates", "out_of_range", f"A pass is for 1 to {PLATES_MAX} plates.")
    found: list[str] = []
    for index, written in enumerate(texts):
        try:
            plate = read_plate(written, vehicle_class).compact
        except PlateError as error:
            refuse(f"plates[{index}]", error.code, str(error))
        if plate in found:
            refuse(f"plates[{index}]", "repeated", "This plate stands twice.")
        found.append(plate)
    return sorted(found)


def check_months(months: int, first_on: date, *, today: date) -> date:
    """Return the last day of a term that is to be sold.

    Raises:
        InvalidRequest: the months are out of range, or end too far ahead.
    """
    if not 1 <= months <= MONTHS_MAX:
        refuse("months", "out_of_range", f"A pass is sold for 1 to {MONTHS_MAX} months.")
    last_on = last_day(first_on, months)
    if last_on - today > RENEWED_AHEAD:
        refuse("months", "too_far", "A pass can be paid for at most two years ahead.")
    return last_on


def check_start(valid_from: date, *, today: date) -> None:
    """Refuse a first day that is past or far ahead.

    Raises:
        InvalidRequest
    """
    if not today <= valid_from <= today + STARTS_AHEAD:
        detail = f"It begins today or within {STARTS_AHEAD.days} days."
        refuse("valid_from", "out_of_range", detail)


def check_exemption(valid_from: date, valid_until: date, *, today: date) -> None:
    """Refuse days of an exemption that are past, turned round, or too many.

    Raises:
        InvalidRequest
    """
    check_start(valid_from, today=today)
    if not valid_from <= valid_until <= valid_from + EXEMPT_FOR_MAX:
        detail = "Its last day is its first one or later, within five years."
        refuse("valid_until", "out_of_range", detail)


def check_watch(from_on: date, expires_on: date, *, today: date) -> None:
    """Refuse days of a watch list's entry that are past or more than 90.

    Raises:
        InvalidRequest
    """
    if not today <= from_on <= today + WATCHED_AHEAD:
        detail = f"It begins today or within {WATCHED_AHEAD.days} days."
        refuse("from_on", "out_of_range", detail)
    if not from_on <= expires_on <= from_on + WATCHED_FOR_MAX:
        detail = f"A plate is watched for at most {WATCHED_FOR_MAX.days} days."
        refuse("expires_on", "out_of_range", detail)


def phone_key(secret_key: str, org_id: UUID, lot_id: UUID) -> bytes:
    """Return the key under which a lot's phones find the plates of passes; no other lot's fits."""
    return hmac.digest(derive_key(secret_key, PHONE_LISTS), org_id.bytes + lot_id.bytes, "sha256")


def hash_plate(key: bytes, vehicle_class: str, plate: str) -> str:
    """Return what a phone looks a vehicle up by: the beginning of HMAC-SHA-256, hexadecimal."""
    message = f"{vehicle_class}:{plate}".encode()
    return hmac.digest(key, message, "sha256").hex()[:HASH_CHARS]


def refuse(field: str, code: str, detail: str) -> NoReturn:
    """Refuse a request for one field of it.

    Raises:
        InvalidRequest
    """
    raise InvalidRequest(detail, violations=[Violation(field=field, code=code, detail=detail)])
