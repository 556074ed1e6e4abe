"""Cases that tariffs of other systems got wrong (shared contract notes on parking, §1.4)."""

from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest

from parking.tariffs.charges import Stay
from parking.tariffs.errors import NoRateForVehicle, StayNotPriceable, TariffNotInForce
from parking.tariffs.pricing import (
    LineCode,
    amount_due,
    covered_until,
    price_on_entry,
    price_points,
    price_stay,
    price_stay_by_versions,
)
from parking.tariffs.reading import read_sample
from parking.tariffs.structure import AmountRounding, BlockRounding, Rounding, Tariff
from tests.parking.tariffs.stays import a_stay, a_tariff, at, cost, flat, hourly, price

DAY = {"window": "08:00-22:00"}
A_DAY = timedelta(days=1)
STEPS = (
    hourly(10_000, duration_end_minutes=120),
    hourly(20_000, duration_start_minutes=120, duration_end_minutes=240),
    hourly(30_000, duration_start_minutes=240),
)


def covered(tariff: Tariff, stay: Stay, paid_vnd: int, now: str) -> datetime | None:
    """Return until when a sum covers a stay, looking a day ahead."""
    return covered_until(tariff, stay, paid_vnd=paid_vnd, now=at(now), within=A_DAY)


# Where the paid hours begin and end


def test_who_comes_before_the_paid_hours_starts_to_pay_when_they_begin() -> None:
    tariff = a_tariff(hourly(10_000), collection=DAY)

    assert cost(tariff, "20 06:30", "20 08:00") == 0
    assert cost(tariff, "20 06:30", "20 09:00") == 10_000
    assert cost(tariff, "20 07:55", "20 08:05") == 10_000


def test_time_after_the_paid_hours_is_not_paid_for() -> None:
    tariff = a_tariff(hourly(10_000), collection=DAY)

    assert cost(tariff, "20 21:00", "20 22:00") == 10_000
    assert cost(tariff, "20 21:00", "21 00:00") == 10_000


def test_what_is_paid_at_night_buys_the_next_morning() -> None:
    tariff = a_tariff(hourly(10_000), collection=DAY)
    stay = a_stay("20 23:00")

    assert cost(tariff, "20 23:00", "21 10:00") == 20_000
    assert covered(tariff, stay, 0, "20 23:00") == at("21 08:00")
    assert covered(tariff, stay, 20_000, "20 23:00") == at("21 10:00")


def test_a_block_that_runs_over_a_boundary_is_finished() -> None:
    lines = (hourly(10_000, window="08:00-18:00"), hourly(20_000, window="18:00-08:00"))
    finishing, cutting = a_tariff(*lines), a_tariff(*lines, boundary_rule="cut")

    assert cost(finishing, "20 17:45", "20 18:15") == 10_000
    assert cost(finishing, "20 17:45", "20 18:46") == 30_000
    assert cost(cutting, "20 17:45", "20 18:15") == 30_000
    assert cost(cutting, "20 17:45", "20 19:00") == 30_000


def test_the_rate_of_the_entry_may_follow_the_stay_over_a_boundary() -> None:
    """Follow-through: who comes by day keeps the day's rate in the evening."""
    tariff = a_tariff(
        rate_tables=[
            {
                "entry_window": "08:00-18:00",
                "rate_line_collections": [{"rate_lines": [hourly(10_000)]}],
            },
            {"rate_line_collections": [{"rate_lines": [hourly(50_000)]}]},
        ]
    )

    assert cost(tariff, "20 16:00", "20 20:00") == 40_000
    assert cost(tariff, "20 18:00", "20 20:00") == 100_000


def test_of_overlapping_rates_the_first_holds_and_an_early_bird_is_one_of_them() -> None:
    early = {
        "entry_window": "06:00-09:00",
        "rate_line_collections": [{"max_value_vnd": 40_000, "rate_lines": [hourly(10_000)]}],
    }
    regular = {"rate_line_collections": [{"rate_lines": [hourly(10_000)]}]}
    tariff = a_tariff(rate_tables=[early, regular])

    assert cost(tariff, "20 08:59", "20 17:00") == 40_000
    assert cost(tariff, "20 09:00", "20 17:00") == 80_000


def test_of_overlapping_windows_the_first_holds() -> None:
    lunch = flat(5_000, window="11:00-13:00")
    tariff = a_tariff(lunch, hourly(10_000, window="08:00-18:00"), boundary_rule="cut")

    assert cost(tariff, "20 10:00", "20 12:00") == 15_000
    assert cost(tariff, "20 10:00", "20 13:30") == 25_000


# Ladders


def test_an_extension_goes_on_where_the_ladder_stood() -> None:
    tariff = a_tariff(*STEPS, exit_grace_minutes=15)
    stay = a_stay("20 08:00")
    paid_vnd = cost(tariff, "20 08:00", "20 11:00")

    due = amount_due(tariff, stay, now=at("20 12:30"), paid_vnd=paid_vnd, paid_at=at("20 11:00"))
    assert paid_vnd == 40_000
    assert due.amount_vnd == 20_000 + 30_000  # hours 4 and 5, not 1 and 2
    assert sum(line.amount_vnd for line in due.lines) == due.amount_vnd
    assert due.lines[-1].code is LineCode.PAID


def test_a_ladder_starts_anew_each_day_or_goes_on() -> None:
    anew = a_tariff(*STEPS, collection=DAY)
    going_on = a_tariff(*STEPS, collection={**DAY, "restarts_each_window": False})

    assert cost(anew, "20 20:00", "21 10:00") == 4 * 10_000
    assert cost(going_on, "20 20:00", "21 10:00") == 2 * 10_000 + 2 * 20_000


def test_a_tier_is_the_price_of_the_whole_stay() -> None:
    def tier(value_vnd: int, start: int, end: int | None) -> dict[str, object]:
        line = {"type": "flatRateTier", "value_vnd": value_vnd, "duration_start_minutes": start}
        return line if end is None else {**line, "duration_end_minutes": end}

    tariff = a_tariff(tier(10_000, 0, 120), tier(25_000, 120, 480), tier(60_000, 480, None))

    assert cost(tariff, "20 08:00", "20 10:00") == 10_000
    assert cost(tariff, "20 08:00", "20 10:01") == 25_000
    assert cost(tariff, "20 08:00", "20 18:00") == 60_000


def test_each_space_is_paid_for() -> None:
    tariff = a_tariff({"type": "perUnit", "value_vnd": 30_000})

    assert cost(tariff, "20 08:00", "20 09:00", "truck", units=2) == 60_000


# Caps


def test_a_cap_counts_anew_at_its_time_of_day() -> None:
    tariff = a_tariff(hourly(10_000), collection={"max_value_vnd": 50_000, "reset_time": "00:00"})

    assert cost(tariff, "20 12:00", "20 23:00") == 50_000
    assert cost(tariff, "20 12:00", "21 02:00") == 70_000
    assert cost(tariff, "20 12:00", "22 12:00") == 150_000


def test_a_rolling_cap_counts_from_the_entry() -> None:
    tariff = a_tariff(
        hourly(10_000), collection={"max_value_vnd": 50_000, "reset_after_minutes": 1440}
    )

    assert cost(tariff, "20 12:00", "21 12:00") == 50_000
    assert cost(tariff, "20 12:00", "21 14:00") == 70_000


# Free minutes, the grace after paying and rounding are three things


def test_free_minutes_count_from_the_entry_and_then_all_is_charged_or_the_rest() -> None:
    whole = a_tariff(hourly(10_000), free_minutes=30)
    rest = a_tariff(hourly(10_000), free_minutes=30, free_minutes_rule="rest_only")

    assert (cost(whole, "20 08:00", "20 08:30"), cost(rest, "20 08:00", "20 08:30")) == (0, 0)
    assert cost(whole, "20 08:00", "20 09:15") == 20_000
    assert cost(rest, "20 08:00", "20 09:15") == 10_000


def test_free_minutes_are_those_after_the_entry_also_outside_paid_hours() -> None:
    """Elsewhere they were compared with the paid minutes, and so were ignored or given twice."""
    tariff = a_tariff(
        hourly(10_000), collection=DAY, free_minutes=30, free_minutes_rule="rest_only"
    )

    assert cost(tariff, "20 07:50", "20 08:20") == 0
    assert cost(tariff, "20 07:00", "20 08:10") == 10_000


def test_a_driver_who_has_paid_has_time_to_leave_and_free_minutes_give_none() -> None:
    tariff = a_tariff(hourly(10_000), exit_grace_minutes=15, free_minutes=5)
    stay = a_stay("20 08:00")

    def due(now: str) -> int:
        return amount_due(
            tariff, stay, now=at(now), paid_vnd=10_000, paid_at=at("20 08:58")
        ).amount_vnd

    assert due("20 08:58") == 0
    assert due("20 09:13") == 0
    assert due("20 09:14") == 10_000
    assert due("20 10:01") == 20_000


def test_a_payment_that_was_too_small_gives_no_grace() -> None:
    tariff = a_tariff(hourly(10_000), exit_grace_minutes=15)

    due = amount_due(
        tariff, a_stay("20 08:00"), now=at("20 10:05"), paid_vnd=10_000, paid_at=at("20 09:58")
    )
    assert due.amount_vnd == 20_000


def test_seconds_are_not_counted() -> None:
    tariff = a_tariff(hourly(10_000))
    stay = a_stay("20 08:00")
    late = at("20 09:00") + timedelta(seconds=59)

    assert price_stay(tariff, stay, left_at=late).amount_vnd == 10_000


def test_who_comes_and_leaves_in_one_minute_has_been_here() -> None:
    assert cost(a_tariff(hourly(10_000)), "20 08:00", "20 08:00") == 10_000


@pytest.mark.parametrize(
    ("blocks", "prices_vnd"),
    [
        (BlockRounding.STARTED, [10_000, 10_000, 10_000, 20_000, 20_000]),
        (BlockRounding.NEAREST, [0, 10_000, 10_000, 10_000, 20_000]),
        (BlockRounding.COMPLETE, [0, 0, 10_000, 10_000, 10_000]),
    ],
)
def test_blocks_are_charged_once_started_half_over_or_complete(
    blocks: BlockRounding, prices_vnd: list[int]
) -> None:
    tariff = replace(a_tariff(hourly(10_000)), rounding=Rounding(blocks=blocks))
    ends = ["20 08:29", "20 08:30", "20 09:00", "20 09:29", "20 09:30"]

    assert [cost(tariff, "20 08:00", end) for end in ends] == prices_vnd


@pytest.mark.parametrize(
    ("amount", "amount_vnd"),
    [
        (AmountRounding.UP, 6_000),
        (AmountRounding.NEAREST, 6_000),
        (AmountRounding.DOWN, 5_000),
    ],
)
def test_the_sum_is_rounded_once_and_not_each_line(amount: AmountRounding, amount_vnd: int) -> None:
    """Three blocks of 1.300 and one of 1.600: each rounded up they would be 8.000."""
    tariff = a_tariff(
        hourly(1_300, duration_end_minutes=180), hourly(1_600, duration_start_minutes=180)
    )
    tariff = replace(tariff, rounding=Rounding(amount=amount, amount_step_vnd=1_000))

    found = price(tariff, "20 08:00", "20 12:00")
    assert found.amount_vnd == amount_vnd
    assert found.lines[-1].code is LineCode.ROUNDING


def test_a_stay_that_costs_something_costs_the_minimum() -> None:
    tariff = a_tariff(hourly(3_000), collection=DAY, minimum_vnd=5_000)

    assert cost(tariff, "20 08:00", "20 08:30") == 5_000
    assert cost(tariff, "20 08:00", "20 10:00") == 6_000
    assert cost(tariff, "20 23:00", "21 01:00") == 0


# Paying on entry, and ahead


def test_a_motorbike_pays_on_entry_and_the_rest_when_day_turns_to_night() -> None:
    tariff = read_sample("hn-two-wheelers")
    stay = a_stay("20 16:00", "motorbike")
    paid_vnd = price_on_entry(tariff, stay).amount_vnd

    def due(now: str) -> int:
        return amount_due(tariff, stay, now=at(now), paid_vnd=paid_vnd).amount_vnd

    assert paid_vnd == 5_000
    assert due("20 17:59") == 0
    assert due("20 18:01") == 7_000
    assert covered(tariff, stay, 5_000, "20 16:00") == at("20 18:00")
    assert covered(tariff, stay, 12_000, "20 18:01") == at("21 16:00")


def test_how_long_a_sum_covers_is_worked_out_no_further_than_asked() -> None:
    tariff = a_tariff(hourly(10_000), collection={"max_value_vnd": 20_000})

    assert covered(tariff, a_stay("20 08:00"), 20_000, "20 10:00") is None


def test_a_sum_that_covers_too_little_covers_nothing() -> None:
    with pytest.raises(StayNotPriceable):
        covered(a_tariff(*STEPS), a_stay("20 08:00"), 10_000, "20 11:00")


def test_who_paid_ahead_and_leaves_early_owes_nothing_and_who_stays_longer_the_rest() -> None:
    tariff, stay = a_tariff(*STEPS, payment_timing="prepay"), a_stay("20 08:00")
    paid_vnd = price_stay(tariff, stay, left_at=at("20 11:00")).amount_vnd

    early = amount_due(tariff, stay, now=at("20 10:00"), paid_vnd=paid_vnd)
    late = amount_due(tariff, stay, now=at("20 11:01"), paid_vnd=paid_vnd)

    assert (paid_vnd, early.amount_vnd, early.unused_vnd) == (40_000, 0, 20_000)
    assert late.amount_vnd == 20_000


# Lost tickets


@pytest.mark.parametrize(
    ("rule", "amount_vnd"), [("added", 70_000), ("instead", 50_000), ("at_least", 50_000)]
)
def test_a_lost_ticket_has_its_price(rule: str, amount_vnd: int) -> None:
    tariff = a_tariff(hourly(10_000), lost_ticket_vnd=50_000, lost_ticket_rule=rule)

    assert cost(tariff, "20 08:00", "20 10:00", is_ticket_lost=True) == amount_vnd


def test_a_stay_that_costs_more_than_a_lost_ticket_costs_no_more_for_it() -> None:
    tariff = a_tariff(hourly(10_000), lost_ticket_vnd=50_000, lost_ticket_rule="at_least")

    assert cost(tariff, "20 08:00", "20 16:00", is_ticket_lost=True) == 80_000


def test_without_ticket_and_entry_the_price_of_a_lost_ticket_is_due() -> None:
    tariff = a_tariff(hourly(10_000), lost_ticket_vnd=50_000)
    unknown = a_stay(None, is_ticket_lost=True)

    assert price_stay(tariff, unknown, left_at=at("20 10:00")).amount_vnd == 50_000
    with pytest.raises(StayNotPriceable):
        price_stay(a_tariff(hourly(10_000)), unknown, left_at=at("20 10:00"))


@pytest.mark.parametrize(
    ("tax_rate_bps", "tax_vnd"), [(None, 0), (0, 0), (800, 7_407), (1_000, 9_091)]
)
def test_a_price_contains_its_tax(tax_rate_bps: int | None, tax_vnd: int) -> None:
    """Of 100.000: 8 % is 7.407,4 and 10 % is 9.090,9."""
    fields = {} if tax_rate_bps is None else {"tax_rate_bps": tax_rate_bps}

    assert price(a_tariff(flat(100_000), **fields), "20 08:00", "20 09:00").tax_vnd == tax_vnd


# Versions, bounds, charts


def test_a_new_version_holds_for_those_who_come_after_it() -> None:
    old = replace(a_tariff(*STEPS), valid_until_on=date(2026, 11, 21))
    new = a_tariff(hourly(50_000), valid_from_on="2026-11-21")
    over_midnight = a_stay("20 22:00")

    price = price_stay_by_versions([new, old], over_midnight, left_at=at("21 02:00"))

    assert price.amount_vnd == 10_000 + 10_000 + 20_000 + 20_000


def test_of_two_versions_in_force_the_later_one_holds() -> None:
    old, new = a_tariff(hourly(10_000)), a_tariff(hourly(20_000), valid_from_on="2026-11-01")
    stay = a_stay("20 08:00")

    for versions in ([old, new], [new, old]):
        price_of_hour = price_stay_by_versions(versions, stay, left_at=at("20 09:00"))
        assert price_of_hour.amount_vnd == 20_000


def test_no_version_before_the_first() -> None:
    with pytest.raises(TariffNotInForce):
        price_stay_by_versions(
            [a_tariff(*STEPS)], a_stay("2017-12-31 23:00"), left_at=at("20 08:00")
        )


def test_a_class_without_rates_is_refused_with_what_to_do() -> None:
    with pytest.raises(NoRateForVehicle, match="add a rate table"):
        cost(read_sample("hn-dong-da-cars"), "20 08:00", "20 09:00", "bus")


@pytest.mark.parametrize(
    ("entered", "left"),
    [("20 08:00", "20 07:59"), ("2025-01-01 00:00", "2026-01-03 00:00"), ("1970-01-01 00:00",) * 2],
)
def test_a_stay_that_cannot_be_is_refused(entered: str, left: str) -> None:
    with pytest.raises(StayNotPriceable):
        cost(a_tariff(*STEPS), entered, left)


def test_a_chart_has_a_point_where_the_price_rises() -> None:
    points = price_points(a_tariff(*STEPS, free_minutes=10), a_stay("20 08:00"), minutes=200)

    assert points == ((10, 0), (60, 10_000), (120, 20_000), (180, 40_000), (200, 60_000))


def test_a_chart_is_bounded() -> None:
    by_minute = a_tariff(hourly(100, increment_minutes=1))

    points = price_points(by_minute, a_stay("20 08:00"), minutes=10_000, points_max=100)
    assert len(points) == 100
    assert points[-1] == (100, 10_000)
