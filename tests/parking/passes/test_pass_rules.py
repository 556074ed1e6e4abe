"""Months, plates and states of passes."""

from datetime import date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidRequest
from parking.passes.rules import (
    PassState,
    TermChange,
    TermFacts,
    dates_of,
    hash_plate,
    judge_bill,
    last_day,
    pass_state,
    phone_key,
    read_plates,
)
from parking.vehicles import VehicleClass
from payments.bills.rules import BillStatus
from tests.world.constants import NOON

LAST = date(2026, 11, 30)
FIRST = date(2026, 11, 1)
SOME_ID = UUID(int=7)


@pytest.mark.parametrize(
    ("first_on", "months", "last_on"),
    [
        ("2026-12-01", 1, "2026-12-31"),
        ("2026-11-20", 1, "2026-12-19"),
        ("2026-12-15", 3, "2027-03-14"),
        ("2027-01-31", 1, "2027-02-28"),
        ("2027-01-30", 1, "2027-02-28"),
        ("2027-01-29", 1, "2027-02-28"),
        ("2027-01-28", 1, "2027-02-27"),
        ("2028-01-31", 1, "2028-02-29"),
        ("2027-03-31", 1, "2027-04-30"),
        ("2028-02-29", 12, "2029-02-28"),
        ("2027-03-01", 12, "2028-02-29"),
    ],
)
def test_months_end_the_day_before_they_would_begin_again(
    first_on: str, months: int, last_on: str
) -> None:
    assert last_day(date.fromisoformat(first_on), months) == date.fromisoformat(last_on)


@given(st.dates(date(2020, 1, 1), date(2090, 1, 1)), st.integers(1, 12))
def test_no_month_is_shorter_than_february_or_longer_than_31_days(first: date, months: int) -> None:
    days = (last_day(first, months) - first).days + 1

    assert 28 * months <= days <= 31 * months
    assert months == 1 or last_day(first, months - 1) < last_day(first, months)


def held(*, in_force_at: datetime | None = NOON, revoked_at: datetime | None = None) -> PassState:
    return pass_state(
        in_force_at=in_force_at,
        revoked_at=revoked_at,
        valid_from=FIRST,
        valid_until=LAST,
        today=LAST,
    )


def test_a_pass_holds_on_its_last_day_and_is_over_on_the_next() -> None:
    assert held() is PassState.IN_FORCE
    over = pass_state(
        in_force_at=NOON,
        revoked_at=None,
        valid_from=FIRST,
        valid_until=LAST,
        today=LAST + timedelta(days=1),
    )
    assert over is PassState.OVER
    assert held(in_force_at=None) is PassState.UNPAID
    assert held(revoked_at=NOON) is PassState.REVOKED


def a_term(*, paid: bool = False, cancelled: bool = False, last_on: date = LAST) -> TermFacts:
    return TermFacts(
        id=SOME_ID,
        last_on=last_on,
        in_force_at=NOON if paid else None,
        cancelled_at=NOON if cancelled else None,
    )


@pytest.mark.parametrize(
    ("term", "status", "is_revoked", "today", "effect"),
    [
        (a_term(), BillStatus.PAID, False, LAST, TermChange.PUT_IN_FORCE),
        (a_term(), BillStatus.OVER_PAID, False, LAST, TermChange.PUT_IN_FORCE),
        (a_term(), BillStatus.PART_PAID, False, LAST, TermChange.NONE),
        (a_term(), BillStatus.EXPIRED, False, LAST, TermChange.NONE),
        (a_term(), BillStatus.CANCELLED, False, LAST, TermChange.NONE),
        (a_term(), BillStatus.PAID, False, LAST + timedelta(days=1), TermChange.REFUND),
        (a_term(), BillStatus.PAID, True, LAST, TermChange.REFUND),
        (a_term(cancelled=True), BillStatus.PAID, False, LAST, TermChange.REFUND),
        (a_term(paid=True), BillStatus.PAID, False, LAST, TermChange.NONE),
        (a_term(paid=True), BillStatus.PAID, True, LAST, TermChange.NONE),
        (a_term(paid=True), BillStatus.PART_REFUNDED, False, LAST, TermChange.NONE),
        (a_term(paid=True), BillStatus.REFUNDED, False, LAST, TermChange.CANCEL),
        (a_term(paid=True), BillStatus.OPEN, False, LAST, TermChange.WAIT),
        (a_term(paid=True), BillStatus.PART_PAID, False, LAST, TermChange.WAIT),
    ],
)
def test_what_a_bill_does_to_its_months(
    term: TermFacts, status: BillStatus, is_revoked: bool, today: date, effect: TermChange
) -> None:
    assert judge_bill(term, status, is_revoked=is_revoked, today=today) is effect


def test_a_pass_holds_until_the_last_of_its_paid_months() -> None:
    longer = LAST + timedelta(days=31)
    terms = [a_term(paid=True), a_term(paid=True, last_on=longer), a_term(cancelled=True)]

    assert dates_of(terms, valid_from=FIRST, valid_until=LAST, today=FIRST).valid_until == longer


def test_a_pass_whose_money_all_went_back_ends_today() -> None:
    today = FIRST + timedelta(days=9)

    gone = dates_of([a_term(cancelled=True)], valid_from=FIRST, valid_until=LAST, today=today)
    owed = dates_of([a_term()], valid_from=FIRST, valid_until=LAST, today=today)

    assert (gone.in_force_at, gone.valid_until, gone.is_revoked) == (None, today, True)
    assert (owed.in_force_at, owed.valid_until, owed.is_revoked) == (None, today, False)


def test_plates_are_read_as_gates_read_them_and_stand_once() -> None:
    typed = ["29-B1 123.45", "29AA 000.01"]

    assert read_plates(typed, VehicleClass.MOTORBIKE) == ["29AA00001", "29B112345"]
    for wrong in ([], ["29AA00001", "29 AA 000.01"], [""], ["29AA00001"] * 21):
        with pytest.raises(InvalidRequest):
            read_plates(wrong, VehicleClass.MOTORBIKE)


def test_a_hashed_plate_is_known_at_its_own_lot_only() -> None:
    secret = "k" * 43
    here, there = (phone_key(secret, SOME_ID, UUID(int=n)) for n in (1, 2))

    assert hash_plate(here, "car", "30F12345") == hash_plate(here, "car", "30F12345")
    assert hash_plate(here, "car", "30F12345") != hash_plate(there, "car", "30F12345")
    assert hash_plate(here, "car", "30F12345") != hash_plate(here, "motorbike", "30F12345")
    assert len(hash_plate(here, "car", "30F12345")) == 32
