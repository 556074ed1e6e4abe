"""Properties of every price: it never falls, its lines add up, and the chart says the same."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parking.tariffs.pricing import (
    amount_due,
    covered_until,
    price_points,
    price_stay,
)
from parking.tariffs.structure import Tariff
from tests.parking.tariffs.strategies import entries, known_tariffs, lengths, stay_of


@pytest.mark.slow
@given(known_tariffs, entries, lengths, lengths)
def test_a_longer_stay_never_costs_less(
    tariff: Tariff, entered_at: datetime, one: int, other: int
) -> None:
    stay = stay_of(tariff, entered_at)
    shorter, longer = sorted([one, other])

    def cost(minutes: int) -> int:
        return price_stay(tariff, stay, left_at=entered_at + timedelta(minutes=minutes)).amount_vnd

    assert cost(shorter) <= cost(longer)


@pytest.mark.slow
@given(known_tariffs, entries, lengths)
def test_lines_add_up_to_whole_dong_of_at_least_nothing(
    tariff: Tariff, entered_at: datetime, minutes: int
) -> None:
    price = price_stay(
        tariff, stay_of(tariff, entered_at), left_at=entered_at + timedelta(minutes=minutes)
    )

    assert price.lines
    assert sum(line.amount_vnd for line in price.lines) == price.amount_vnd
    assert all(type(line.amount_vnd) is int for line in price.lines)
    assert price.amount_vnd >= 0
    assert 0 <= price.tax_vnd <= price.amount_vnd


@pytest.mark.slow
@given(known_tariffs, entries, lengths, lengths)
def test_a_stay_that_is_paid_in_parts_costs_what_it_costs_at_once(
    tariff: Tariff, entered_at: datetime, one: int, other: int
) -> None:
    """Splitting a stay loses no đồng and wins none, whenever the driver pays."""
    stay = stay_of(tariff, entered_at)
    first, last = (entered_at + timedelta(minutes=minutes) for minutes in sorted([one, other]))

    paid_vnd = amount_due(tariff, stay, now=first).amount_vnd
    rest = amount_due(tariff, stay, now=last, paid_vnd=paid_vnd)

    assert paid_vnd + rest.amount_vnd == price_stay(tariff, stay, left_at=last).amount_vnd
    assert sum(line.amount_vnd for line in rest.lines) == rest.amount_vnd
    assert rest.unused_vnd == 0


@settings(max_examples=60)
@given(known_tariffs, entries, st.integers(1, 2 * 1440))
def test_the_chart_says_what_stays_cost(tariff: Tariff, entered_at: datetime, minutes: int) -> None:
    stay = stay_of(tariff, entered_at)
    points = price_points(tariff, stay, minutes=minutes, points_max=10_000)

    assert [*points] == sorted(set(points))
    for length, amount_vnd in points[:60]:
        for probe, is_same in ((length, True), (length + 1, length == points[-1][0])):
            if probe <= minutes and probe:
                left_at = entered_at + timedelta(minutes=probe)
                cost = price_stay(tariff, stay, left_at=left_at).amount_vnd
                assert (cost == amount_vnd) is is_same


@settings(max_examples=60)
@given(known_tariffs, entries, st.integers(0, 2 * 1440))
def test_a_sum_covers_a_stay_until_its_price_rises(
    tariff: Tariff, entered_at: datetime, minutes: int
) -> None:
    stay = stay_of(tariff, entered_at)
    now = entered_at + timedelta(minutes=minutes)
    paid_vnd = price_stay(tariff, stay, left_at=now).amount_vnd

    until = covered_until(tariff, stay, paid_vnd=paid_vnd, now=now, within=timedelta(days=2))

    if until is not None:
        assert price_stay(tariff, stay, left_at=until).amount_vnd <= paid_vnd
        later = until + timedelta(minutes=1)
        assert price_stay(tariff, stay, left_at=later).amount_vnd > paid_vnd
