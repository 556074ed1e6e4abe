"""Days that have prices of their own: holidays, events, weekends."""

from datetime import date

import pytest

from parking.tariffs.calendar import types_of_day
from parking.tariffs.structure import DayType, SpecialDay, Tariff
from tests.parking.tariffs.stays import a_tariff, cost, flat, hourly

HOLIDAY, EVENT = DayType.PUBLIC_HOLIDAY, DayType.PUBLIC_EVENT_DAY
EVE = DayType.DAY_BEFORE_PUBLIC_HOLIDAY


@pytest.mark.parametrize(
    ("day", "types"),
    [
        ("2026-02-17", {HOLIDAY}),  # the first day of Tết
        ("2026-02-15", {EVE}),
        ("2026-09-02", {HOLIDAY}),
        ("2026-08-31", {DayType.IN_LIEU_OF_PUBLIC_HOLIDAY}),  # a swap of the government
        ("2026-04-27", {DayType.IN_LIEU_OF_PUBLIC_HOLIDAY}),  # Hùng Kings' day was a Sunday
        ("2026-11-20", set()),
    ],
)
def test_the_calendar_knows_viet_nams_holidays(day: str, types: set[DayType]) -> None:
    weekday = {DayType(date.fromisoformat(day).strftime("%A").lower())}

    assert types_of_day(date.fromisoformat(day)) == types | weekday


def test_a_tariffs_own_days_come_before_the_calendar() -> None:
    day = date(2026, 9, 2)

    assert HOLIDAY not in types_of_day(day, [SpecialDay(day, None)])
    assert EVE not in types_of_day(date(2026, 9, 1), [SpecialDay(date(2026, 9, 1), None)])
    assert {HOLIDAY, EVENT} <= types_of_day(day, [SpecialDay(day, EVENT)])
    assert HOLIDAY in types_of_day(date(2026, 11, 20), [SpecialDay(date(2026, 11, 20), HOLIDAY)])
    assert EVE in types_of_day(date(2026, 11, 19), [SpecialDay(date(2026, 11, 20), HOLIDAY)])


def with_days(**fields: object) -> Tariff:
    def table(value_vnd: int, *days: str) -> dict[str, object]:
        rates = {"rate_line_collections": [{"rate_lines": [hourly(value_vnd)]}]}
        return {**rates, "days": [*days]} if days else rates

    return a_tariff(
        rate_tables=[
            table(50_000, "publicEventDay"),
            table(30_000, "publicHoliday", "inLieuOfPublicHoliday"),
            table(20_000, "saturday", "sunday"),
            table(10_000),
        ],
        special_days=[{"on": "2026-12-31", "type": "publicEventDay", "name": "Đếm ngược"}],
        **fields,
    )


@pytest.mark.parametrize(
    ("day", "hour_vnd"),
    [
        ("2026-11-20", 10_000),
        ("2026-11-21", 20_000),
        ("2026-09-02", 30_000),
        ("2026-08-31", 30_000),
        ("2026-12-31", 50_000),
    ],
)
def test_a_day_has_the_rates_of_its_type(day: str, hour_vnd: int) -> None:
    assert cost(with_days(), f"{day} 08:00", f"{day} 09:00") == hour_vnd


def test_a_stay_over_midnight_keeps_the_day_of_its_entry_or_follows_the_clock() -> None:
    entered, left = "2026-12-30 22:00", "2026-12-31 02:00"

    assert cost(with_days(), entered, left) == 4 * 10_000
    assert cost(with_days(day_rule="clock"), entered, left) == 2 * 10_000 + 2 * 50_000


def test_a_day_is_hanois_and_not_utcs() -> None:
    """Half past six in the morning of 2 September is still 1 September in UTC."""
    first = [{"on": "2026-09-01", "type": "ordinary"}]
    tariff = a_tariff(
        rate_tables=[
            {"days": ["publicHoliday"], "rate_line_collections": [{"rate_lines": [hourly(9_000)]}]},
            {"rate_line_collections": [{"rate_lines": [hourly(1_000)]}]},
        ],
        special_days=first,
    )

    assert cost(tariff, "2026-09-02 06:30", "2026-09-02 07:00") == 9_000
    assert cost(tariff, "2026-09-01 23:30", "2026-09-01 23:59") == 1_000


def test_a_ladder_goes_on_over_midnight_at_the_rates_of_the_new_day() -> None:
    """Otherwise a visit at a flat price would pay twice, and a climbed ladder would start anew."""

    def table(factor: int, **conditions: object) -> dict[str, object]:
        lines = [
            flat(10_000 * factor, duration_end_minutes=60),
            hourly(1_000 * factor, duration_start_minutes=60),
        ]
        return {"rate_line_collections": [{"rate_lines": lines}], **conditions}

    tables = [table(3, days=["publicHoliday"]), table(1)]
    entered, left = "2026-04-29 22:00", "2026-04-30 02:00"

    going_on = a_tariff(rate_tables=tables, day_rule="clock")
    assert cost(going_on, entered, left) == 10_000 + 1_000 + 2 * 3_000


def test_a_cap_that_resets_at_midnight_starts_the_ladder_of_the_new_day() -> None:
    def table(factor: int, **conditions: object) -> dict[str, object]:
        collection = {"reset_time": "00:00", "rate_lines": [flat(10_000 * factor)]}
        return {"rate_line_collections": [collection], **conditions}

    tariff = a_tariff(rate_tables=[table(3, days=["publicHoliday"]), table(1)], day_rule="clock")

    assert cost(tariff, "2026-04-29 22:00", "2026-04-30 02:00") == 10_000 + 30_000


def test_each_period_of_a_cap_has_the_rates_of_its_day() -> None:
    """A long stay that began on a holiday is not charged as one for weeks."""

    def table(value_vnd: int, **conditions: object) -> dict[str, object]:
        collection = {"reset_time": "00:00", "rate_lines": [hourly(value_vnd)]}
        return {"rate_line_collections": [collection], **conditions}

    tariff = a_tariff(rate_tables=[table(30_000, days=["publicHoliday"]), table(10_000)])

    assert cost(tariff, "2026-09-02 22:00", "2026-09-03 02:00") == 2 * 30_000 + 2 * 10_000
