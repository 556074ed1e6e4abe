"""The division of a period's money: no đồng is lost, and each remainder has its place."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.decisions.rules import WRITTEN_OFF_RAIL
from payments.settlements.rules import (
    BPS,
    LINES,
    REFUND_LINE,
    WRITTEN_OFF_LINE,
    Channel,
    SettlementStatus,
    Share,
    Step,
    Terms,
    charge_while_open,
    find_terms_fault,
    leads_to,
    line_of,
    split_shares,
    steps_from,
    take_bps,
    work_out,
)
from payments.settlements.rules import LineTotal as Total

amounts_vnd = st.integers(-(10**13), 10**13)
rates = st.integers(0, BPS)


@st.composite
def shares_of(draw: st.DrawFn) -> list[int]:
    """Basis points of up to ten shares that together are no more than the whole."""
    left, found = BPS, []
    for _ in range(draw(st.integers(0, 10))):
        found.append(draw(st.integers(0, left)))
        left -= found[-1]
    return found


@given(amounts_vnd, shares_of())
def test_shares_and_the_payees_part_are_the_whole(net_vnd: int, bps: list[int]) -> None:
    parts_vnd = split_shares(net_vnd, bps)

    assert len(parts_vnd) == len(bps) + 1
    assert sum(parts_vnd) == net_vnd


@given(amounts_vnd, shares_of())
def test_a_part_is_within_one_dong_of_its_exact_value_and_nobody_gets_without_a_share(
    net_vnd: int, bps: list[int]
) -> None:
    for part_vnd, weight in zip(split_shares(net_vnd, bps), [*bps, BPS - sum(bps)], strict=True):
        assert abs(part_vnd * BPS - net_vnd * weight) < BPS
        assert weight or not part_vnd


def test_the_largest_remainders_get_the_dong_that_are_left() -> None:
    assert split_shares(10, [3_333, 3_333]) == [3, 3, 4]  # .333, .333, .334
    assert split_shares(5, [5_000, 5_000]) == [3, 2, 0]  # of equal ones the earlier
    assert split_shares(-5, [5_000, 5_000]) == [-3, -2, 0]
    assert split_shares(1, [1, 1]) == [0, 0, 1]


@given(amounts_vnd, rates)
def test_a_rate_is_rounded_towards_zero_and_alike_in_both_directions(
    amount_vnd: int, bps: int
) -> None:
    part_vnd = take_bps(amount_vnd, bps)

    assert abs(part_vnd) * BPS <= abs(amount_vnd) * bps < (abs(part_vnd) + 1) * BPS
    assert take_bps(-amount_vnd, bps) == -part_vnd


totals = st.dictionaries(
    st.sampled_from(LINES),
    st.builds(
        Total,
        credited_vnd=st.integers(0, 10**12),
        debited_vnd=st.integers(0, 10**12),
        postings=st.integers(1, 1_000),
    ),
)
terms = st.builds(
    Terms,
    commission_bps=rates,
    fixed_charge_vnd=st.integers(0, 10**6),
    charge_bps=st.dictionaries(st.sampled_from(Channel), rates),
    shares=shares_of().map(lambda bps: [Share(name=f"{i}", bps=b) for i, b in enumerate(bps)]),
)


@given(totals, terms)
def test_every_dong_of_a_period_is_somebodys(moved: dict[str, Total], agreed: Terms) -> None:
    found = work_out(moved, agreed)

    posted_vnd = sum(
        one.credited_vnd - one.debited_vnd
        for line, one in moved.items()
        if line != WRITTEN_OFF_LINE  # nobody's: nobody paid it
    )
    taken_vnd = found.charges_vnd + found.fixed_charge_vnd + found.commission_vnd
    parts_vnd = sum(one.amount_vnd for one in found.shares) + found.payee_vnd
    assert found.gross_vnd - found.refunds_vnd == posted_vnd
    assert posted_vnd == taken_vnd + parts_vnd
    assert found.charges_vnd == sum(one.amount_vnd for one in found.charges)


def test_refunds_are_no_part_of_gross_and_lower_what_the_commission_is_taken_of() -> None:
    moved = {
        "vietqr": Total(credited_vnd=1_000_000, debited_vnd=100_000, postings=5),
        REFUND_LINE: Total(credited_vnd=20_000, debited_vnd=120_000, postings=3),
    }

    found = work_out(moved, Terms(commission_bps=1_000, charge_bps={"vietqr": 100, "toll": 100}))

    assert (found.gross_vnd, found.refunds_vnd) == (900_000, 100_000)
    assert [(one.channel, one.amount_vnd) for one in found.charges] == [("vietqr", 9_000)]
    assert found.commission_vnd == 80_000
    assert (found.net_vnd, found.payee_vnd) == (711_000, 711_000)


def test_what_was_written_off_is_in_no_amount() -> None:
    agreed = Terms(commission_bps=1_000, fixed_charge_vnd=500, shares=[Share(name="A", bps=5_000)])
    moved = {"vietqr": Total(credited_vnd=15_000, postings=1)}
    given_up = {WRITTEN_OFF_LINE: Total(credited_vnd=5_000, debited_vnd=1_000, postings=2)}

    assert work_out({**moved, **given_up}, agreed) == work_out(moved, agreed)


def test_the_rail_of_a_write_off_is_the_one_that_decisions_write() -> None:
    assert line_of("payment", WRITTEN_OFF_RAIL) == WRITTEN_OFF_LINE


@pytest.mark.parametrize(
    ("closed_on", "charge_vnd"),
    [(None, 500), (date(2026, 11, 1), 500), (date(2026, 10, 31), 0)],
)
def test_who_was_closed_before_a_period_has_no_fixed_charge(
    closed_on: date | None, charge_vnd: int
) -> None:
    agreed = Terms(commission_bps=1_000, fixed_charge_vnd=500)

    found = charge_while_open(agreed, closed_on=closed_on, first_day=date(2026, 11, 1))

    assert (found.fixed_charge_vnd, found.commission_bps) == (charge_vnd, 1_000)


@pytest.mark.parametrize(
    ("cause", "rail", "line"),
    [
        ("payment", "vietqr", "vietqr"),
        ("payment_reversal", "toll", "toll"),
        ("payment", "a_new_rail", "other"),
        ("payment", None, "other"),
        ("payment", "write_off", "written_off"),
        ("payment_reversal", "write_off", "written_off"),
        ("match", None, "counter_sale"),
        ("match_reversal", None, "counter_sale"),
        ("shift_close", None, "shift_cash"),
        ("late_collection", None, "shift_cash"),
        ("refund", None, "refund"),
        ("refund_reversal", None, "refund"),
        ("what_is_to_come", None, "other"),
    ],
)
def test_each_cause_has_its_line(cause: str, rail: str | None, line: str) -> None:
    assert line_of(cause, rail) == line


@pytest.mark.parametrize(
    ("agreed", "field"),
    [
        (Terms(commission_bps=BPS + 1), "commission_bps"),
        (Terms(fixed_charge_vnd=-1), "fixed_charge_vnd"),
        (Terms(charge_bps={"gold": 1}), "charge_bps"),
        (Terms(charge_bps={"toll": -1}), "charge_bps"),
        (Terms(shares=[Share(name="A", bps=6_000), Share(name="B", bps=4_001)]), "shares"),
        (Terms(shares=[Share(name="A", bps=1), Share(name="A", bps=2)]), "shares"),
        (Terms(shares=[Share(name=" ", bps=1)]), "shares"),
        (Terms(shares=[Share(name="A", bps=0)]), "shares"),
        (Terms(shares=[Share(name=str(i), bps=1) for i in range(11)]), "shares"),
    ],
)
def test_terms_that_make_no_sense_are_refused(agreed: Terms, field: str) -> None:
    fault = find_terms_fault(agreed)

    assert fault is not None
    assert fault[0] == field


def test_a_statement_goes_one_way_and_nothing_leads_back_from_approved() -> None:
    is_, to = SettlementStatus, leads_to
    assert to(Step.REVIEW, is_.DRAFTING) is is_.REVIEWED
    assert to(Step.APPROVE, is_.DRAFTING) is None
    assert to(Step.APPROVE, is_.REVIEWED) is is_.APPROVED
    assert to(Step.SEND, is_.APPROVED) is is_.SENT
    assert {to(Step.DISCARD, one) for one in (is_.APPROVED, is_.SENT, is_.DISCARDED)} == {None}
    assert steps_from(is_.DRAFTING, is_ready=False) == [Step.DISCARD]
    assert steps_from(is_.DRAFTING, is_ready=True) == [Step.REVIEW, Step.DISCARD]
