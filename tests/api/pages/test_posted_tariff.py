"""The words of a posted tariff: what hangs on a wall is true at any hour of any day."""

from datetime import date, datetime
from typing import Any

import pytest

from api.pages.posted_tariff import PostedWords, present_posted
from core.clock import HANOI
from parking.tariffs.posting import PostedTariff, list_posted
from parking.tariffs.reading import read_sample, sample_names
from parking.tariffs.structure import Tariff
from parking.vehicles import VehicleClass
from tests.parking.tariffs.stays import a_tariff, flat, hourly

TODAY = date(2026, 11, 20)
SINCE = datetime(2018, 1, 1, tzinfo=HANOI)


def posted(
    tariff: Tariff, lang: str = "vi", *, zone: str | None = None, **facts: Any
) -> PostedWords:
    vehicles = list_posted(tariff, [*VehicleClass], zone=zone)
    return present_posted(
        PostedTariff(tariff=tariff, vehicles=vehicles, since=SINCE, **facts),
        lang,
        timing="payPriorToExit",
        on=TODAY,
    )


def rows_of(words: PostedWords, number: int = 0) -> list[tuple[str, str, int | None]]:
    """(title of days and hours, words, amount) of one group of vehicles."""
    return [
        (" ".join(filter(None, [table.title, hours.title])), row.words, row.amount_vnd)
        for table in words.classes[number].tables
        for hours in table.hours
        for row in hours.rows
    ]


def test_a_ladder_tells_its_steps() -> None:
    words = posted(read_sample("hn-dong-da-cars"))

    assert [one.title for one in words.classes] == ["Ô tô"]
    assert rows_of(words) == [
        ("", "2 giờ đầu, mỗi giờ", 25_000),
        ("", "Trên 2 giờ đến 4 giờ, mỗi giờ", 35_000),
        ("", "Sau 4 giờ, mỗi giờ", 45_000),
    ]
    assert "Bắt đầu giờ (hoặc lượt) nào thì tính trọn giờ (hoặc lượt) đó." in words.notes
    assert "Trả xong có ít nhất 15 phút để ra khỏi bãi." in words.notes


def test_day_night_and_both_are_told_whatever_the_hour() -> None:
    words = posted(read_sample("hn-two-wheelers"))

    assert [one.title for one in words.classes] == ["Xe đạp, Xe đạp điện", "Xe máy, Xe máy điện"]
    assert rows_of(words, 1) == [
        ("06:00–18:00", "Mỗi lượt", 5_000),
        ("18:00–06:00", "Mỗi lượt", 8_000),
    ]
    (table,) = words.classes[1].tables
    assert table.notes == (
        "Cả ngày và đêm: thu tối đa 12.000\u00a0₫ cho mỗi 24 giờ kể từ lúc vào.",
        "Cứ sau 24 giờ kể từ lúc vào, giá tính lại từ đầu.",
        "Vé tháng, cả ngày và đêm: 120.000\u00a0₫.",
    )


def test_overnight_blocks_end_and_say_so() -> None:
    words = posted(read_sample("hn-iparking-overnight"))

    assert rows_of(words)[-2:] == [
        ("18:00–06:00", "6 giờ đầu, mỗi giờ", 25_000),
        ("18:00–06:00", "Sau 6 giờ: không thu thêm", None),
    ]
    (table,) = words.classes[0].tables
    assert "Mỗi khi bắt đầu một khung giờ, bậc giá tính lại từ đầu." in table.notes
    assert any("tính trọn theo giá cũ" in note for note in table.notes)


def test_a_night_that_counts_as_six_blocks_costs_six() -> None:
    night = flat(25_000, window="18:00-06:00", blocks=6)

    assert rows_of(posted(a_tariff(night, hourly(10_000, window="06:00-18:00")))) == [
        ("06:00–18:00", "Mỗi giờ", 10_000),
        ("18:00–06:00", "Mỗi lượt (tính 6 lượt × 25.000\u00a0₫)", 150_000),
    ]


def test_free_minutes_and_unpaid_hours_are_told() -> None:
    airport = posted(read_sample("airport-10-minutes-free"))
    assert rows_of(airport) == [
        ("", "1 giờ đầu, thu một lần", 15_000),
        ("", "Sau 1 giờ, mỗi 30 phút", 5_000),
    ]
    free = "Gửi không quá 10 phút thì không mất tiền; gửi lâu hơn thì tính từ lúc vào."
    assert free in airport.notes

    by_day = posted(a_tariff(hourly(10_000, window="08:00-22:00")))
    assert rows_of(by_day) == [
        ("08:00–22:00", "Mỗi giờ", 10_000),
        ("22:00–08:00", "Không thu tiền", None),
    ]


def test_holidays_and_event_days_are_told_on_any_day() -> None:
    tables = [
        {"days": ["publicEventDay"], "rate_line_collections": [{"rate_lines": [hourly(50_000)]}]},
        {
            "days": ["publicHoliday", "inLieuOfPublicHoliday"],
            "rate_line_collections": [{"rate_lines": [hourly(30_000)]}],
        },
        {"entry_window": "05:00-07:00", "rate_line_collections": [{"rate_lines": [flat(7_000)]}]},
        {"rate_line_collections": [{"rate_lines": [hourly(10_000)]}]},
        {"days": ["sunday"], "rate_line_collections": [{"rate_lines": [hourly(1)]}]},
    ]
    days = [
        {"on": "2026-12-31", "type": "publicEventDay", "name": "Đếm ngược"},
        {"on": "2025-12-31", "type": "publicEventDay", "name": "Năm ngoái"},
    ]
    words = posted(a_tariff(rate_tables=tables, special_days=days))

    assert rows_of(words) == [
        ("Ngày có sự kiện", "Mỗi giờ", 50_000),
        ("Ngày lễ, Tết, ngày nghỉ bù", "Mỗi giờ", 30_000),
        ("Xe vào trong khoảng 05:00–07:00", "Mỗi lượt", 7_000),
        ("Các trường hợp khác", "Mỗi giờ", 10_000),
    ]
    assert "31/12/2026: ngày có sự kiện (Đếm ngược)." in words.notes
    assert not any("Năm ngoái" in note for note in words.notes)


def test_what_a_gate_never_charges_is_not_posted() -> None:
    """A gate prices nobody by a user group, and a lot has one zone."""
    school = posted(read_sample("hn-school"))
    assert rows_of(school, 1) == [
        ("06:00–18:00", "Mỗi lượt", 3_000),
        ("18:00–06:00", "Mỗi lượt", 4_000),
    ]
    street = read_sample("hcm-on-street")
    assert rows_of(posted(street, zone="2"))[0] == ("", "2 giờ đầu, mỗi giờ", 20_000)
    assert posted(street).classes == ()


def test_other_rules_have_their_sentences() -> None:
    tariff = a_tariff(
        {"type": "flatRateTier", "value_vnd": 10_000, "duration_end_minutes": 90},
        {"type": "flatRateTier", "value_vnd": 15_000, "duration_start_minutes": 90},
        collection={"max_value_vnd": 40_000, "reset_time": "05:00"},
        lost_ticket_vnd=50_000,
        lost_ticket_rule="at_least",
        minimum_vnd=5_000,
        free_minutes=15,
        free_minutes_rule="rest_only",
        tax_rate_bps=850,
        rounding={"amount": "up", "amount_step_vnd": 1_000},
    )
    words = posted(tariff, "en", changes_at=datetime(2026, 12, 1, tzinfo=HANOI))

    assert rows_of(words) == [
        ("", "A stay of up to 1 hour 30 minutes, in all", 10_000),
        ("", "A stay of more than 1 hour 30 minutes, in all", 15_000),
    ]
    assert words.since == "In force from 01/01/2018. Other prices hold from 00:00, 01/12/2026."
    assert words.classes[0].tables[0].notes == (
        "At most 40.000\u00a0₫ a day, counted from 05:00.",
        "The price starts again at 05:00 each day.",
    )
    assert words.notes == (
        "Pay before leaving.",
        "The first 15 minutes are free; only what follows is charged.",
        "Whoever has to pay pays at least 5.000\u00a0₫ a visit.",
        "The sum is rounded up to 1.000\u00a0₫.",
        "Lost ticket: at least 50.000\u00a0₫.",
        "Prices contain 8.5 % value-added tax.",
    )


@pytest.mark.parametrize("lang", ["vi", "en"])
@pytest.mark.parametrize("sample", sample_names())
def test_every_sample_can_be_posted(sample: str, lang: str) -> None:
    tariff = read_sample(sample)
    zone = min(tariff.rate_tables[0].zones, default=None)

    words = posted(tariff, lang, zone=zone)

    assert words.classes
    assert all(rows_of(words, number) for number in range(len(words.classes)))
