"""Callbacks that a line gives rise to."""

from datetime import UTC, datetime
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.bank import Line
from sandbox.faults import FaultProfile, is_paid_twice, plan

NOON = datetime(2026, 11, 20, 5, 0, tzinfo=UTC)


def a_line(amount_vnd: int = 20_000) -> Line:
    return Line(
        id=1, bin="970422", number="0988", virtual_number="", direction="in",
        amount_vnd=amount_vnd, memo="PPMOXA234567K", typed_memo="PPMOXA234567K",
        reference="FT1", balance_vnd=amount_vnd, occurred_at=NOON, counter_bin="970436",
        counter_number="0011", counter_name="NGUYEN VAN A",
    )  # fmt: skip


def test_an_honest_sender_tells_a_line_once_and_truly() -> None:
    [only] = plan(FaultProfile(), a_line(), Random(1))
    assert (only.kind, only.amount_vnd, only.memo) == ("credit", 20_000, "PPMOXA234567K")
    assert (only.is_dropped, only.is_signature_wrong, only.wait_s, only.faults) == (
        False, False, 0, (),
    )  # fmt: skip


def test_copies_come_besides_the_first() -> None:
    planned = plan(FaultProfile(duplicates=3, duplicates_at_once=False), a_line(), Random(1))
    assert [one.kind for one in planned] == ["credit", "duplicate", "duplicate", "duplicate"]
    assert [one.wait_s for one in planned] == [0, 1, 2, 3]


def test_a_dropped_callback_may_still_have_copies_that_arrive() -> None:
    first, copy = plan(FaultProfile(drop_percent=100, duplicates=1), a_line(), Random(1))
    assert (first.is_dropped, copy.is_dropped) == (True, False)


@given(st.integers(1, 10**12), st.integers(0, 10**6))
def test_a_wrong_amount_is_wrong_and_above_zero(amount_vnd: int, seed: int) -> None:
    profile = FaultProfile(wrong_amount_percent=100)
    [only] = plan(profile, a_line(amount_vnd), Random(seed))
    assert only.amount_vnd > 0
    assert only.amount_vnd != amount_vnd


def test_the_same_id_with_another_amount_follows_the_honest_one() -> None:
    honest, other = plan(FaultProfile(same_id_other_amount_percent=100), a_line(), Random(1))
    assert (honest.amount_vnd, honest.kind, other.kind) == (20_000, "credit", "other_amount")
    assert other.amount_vnd != 20_000


def test_a_wrong_memo_is_the_banks_default() -> None:
    [only] = plan(FaultProfile(wrong_memo_percent=100), a_line(), Random(1))
    assert (only.memo, only.faults) == ("NGUYEN VAN A chuyen tien", ("wrong_memo",))


@given(st.integers(0, 10**6), st.integers(0, 100))
def test_one_percentage_does_not_move_another_fault(seed: int, percent: int) -> None:
    alone = plan(FaultProfile(drop_percent=30), a_line(), Random(seed))
    beside = FaultProfile(drop_percent=30, wrong_memo_percent=percent, delay_s=5)
    assert plan(beside, a_line(), Random(seed))[0].is_dropped == alone[0].is_dropped


@pytest.mark.parametrize(("percent", "low", "high"), [(0, 0, 0), (30, 200, 400), (100, 1000, 1000)])
def test_shares_are_percent_of_lines(percent: int, low: int, high: int) -> None:
    profile = FaultProfile(drop_percent=percent, pay_twice_percent=percent)
    dropped = sum(plan(profile, a_line(), Random(n))[0].is_dropped for n in range(1_000))
    twice = sum(is_paid_twice(profile, Random(n)) for n in range(1_000))
    assert low <= dropped <= high
    assert low <= twice <= high
