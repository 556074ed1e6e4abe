"""Rules of collections: who may take one back, and when an id has come again for the same."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from core.ids import new_id
from parking.collections.errors import (
    ApprovalNeeded,
    CollectionIdTaken,
    CollectionNotReversible,
)
from parking.collections.rules import (
    MONEY,
    UNDO_FOR,
    CollectionFacts,
    CollectionRail,
    NewCollection,
    is_same,
    may_undo,
)
from parking.collections.service import check_repeat, check_reversible
from tests.world.constants import NOON

TU, LAN = new_id(), new_id()
STAY_ID = new_id()
INSTANT = timedelta(microseconds=1)


def a_known(**facts: Any) -> CollectionFacts:
    """Return cash that was taken at noon by Tú."""
    plain: dict[str, Any] = {
        "id": new_id(),
        "lot_id": new_id(),
        "session_id": STAY_ID,
        "shift_id": new_id(),
        "rail": "cash",
        "amount_vnd": 5_000,
        "receipt_number": "PT000001",
        "reason": None,
        "credit_id": None,
        "bill_id": None,
        "pass_id": None,
        "device_id": None,
        "collected_by": TU,
        "collected_at": NOON,
        "recorded_at": NOON,
        "reversed_at": None,
        "reversed_by": None,
    }
    return CollectionFacts(**plain | facts)


def a_new(**facts: Any) -> NewCollection:
    """Return the same cash as it is asked to be recorded."""
    plain: dict[str, Any] = {
        "id": new_id(),
        "lot_id": new_id(),
        "session_id": STAY_ID,
        "shift_id": None,
        "rail": CollectionRail.CASH,
        "amount_vnd": 5_000,
        "collected_at": NOON,
        "collected_by": TU,
    }
    return NewCollection(**plain | facts)


@pytest.mark.parametrize(
    ("by", "at", "may"),
    [
        (TU, NOON, True),
        (TU, NOON + UNDO_FOR, True),
        (TU, NOON + UNDO_FOR + INSTANT, False),
        (LAN, NOON, False),
        (None, NOON, False),
    ],
)
def test_ones_own_is_taken_back_without_approval_within_ten_seconds(
    by: UUID | None, at: datetime, may: bool
) -> None:
    assert may_undo(a_known(), by, now=at) is may


def test_what_nobody_took_is_nobodys_to_take_back() -> None:
    assert not may_undo(a_known(collected_by=None), None, now=NOON)


LATE = NOON + UNDO_FOR + INSTANT
REVERSALS = [
    ({}, {"now": NOON}, None),
    ({}, {"now": LATE}, ApprovalNeeded),
    ({}, {"now": LATE, "may_override": True}, ApprovalNeeded),  # with a reason alone
    ({}, {"now": LATE, "reason": "Nhầm xe"}, ApprovalNeeded),
    ({}, {"now": LATE, "may_override": True, "reason": "Nhầm xe"}, None),
    ({"collected_by": LAN}, {"now": NOON}, ApprovalNeeded),
    ({}, {"now": NOON, "is_shift_closed": True}, CollectionNotReversible),
    ({"bill_id": new_id()}, {"now": NOON}, CollectionNotReversible),
]


@pytest.mark.parametrize(("known", "asked", "error"), REVERSALS)
def test_a_collection_is_taken_back_as_long_as_its_money_was_neither_counted_nor_deposited(
    known: dict[str, Any], asked: dict[str, Any], error: type[Exception] | None
) -> None:
    plain = {"is_shift_closed": False, "may_override": False, "reason": None, "by": TU}

    def check() -> None:
        check_reversible(a_known(**known), **plain | asked)

    if error is None:
        check()
    else:
        with pytest.raises(error):
            check()


OTHER_FACTS: list[dict[str, Any]] = [
    {"session_id": new_id()},
    {"rail": CollectionRail.FLOAT},
    {"amount_vnd": 5_001},
    {"rail": CollectionRail.PASS, "pass_id": new_id()},
    {"reason": "khách quen"},
]


@pytest.mark.parametrize("facts", OTHER_FACTS, ids=lambda facts: next(iter(facts)))
def test_an_id_that_comes_with_other_facts_is_taken(facts: dict[str, Any]) -> None:
    known = a_known()
    assert check_repeat(known, a_new()) is known

    assert not is_same(known, a_new(**facts))
    with pytest.raises(CollectionIdTaken):
        check_repeat(known, a_new(**facts))


def test_a_stay_that_was_paid_by_another_pass_is_another_collection() -> None:
    known, rail = a_known(rail="pass", pass_id=TU), CollectionRail.PASS

    assert is_same(known, a_new(rail=rail, pass_id=TU))
    assert not is_same(known, a_new(rail=rail, pass_id=LAN))


def test_a_repeat_may_come_from_another_shift_later_and_quote_the_plate_that_was_masked() -> None:
    known = a_known(rail="exempt", reason="Xe 29D***54 của trạm")
    again = a_new(rail=CollectionRail.EXEMPT, reason="Xe 29-D1 876.54 của trạm")

    assert is_same(known, replace(again, shift_id=new_id(), collected_at=NOON + UNDO_FOR))


@pytest.mark.parametrize(
    "facts",
    [
        {"session_id": None},
        {"rail": CollectionRail.POSTER},
        {"rail": CollectionRail.EXEMPT},
        {"amount_vnd": -1},
        {"pass_id": new_id()},
    ],
)
def test_a_collection_that_lacks_what_its_rail_needs_is_a_programmers_mistake(
    facts: dict[str, Any],
) -> None:
    with pytest.raises(AssertionError):
        a_new(**facts)


def test_money_changes_hands_by_cash_float_and_poster_alone() -> None:
    assert {one.value for one in CollectionRail} - {one.value for one in MONEY} == {
        "pass",
        "exempt",
    }
