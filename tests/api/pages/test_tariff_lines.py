"""The lines of a price in words: every code and every fact has some, in both languages."""

from dataclasses import replace

import pytest

from api.pages.tariff_lines import present_line
from parking.tariffs.pricing import LineCode, PriceLine, amount_due
from parking.tariffs.reading import read_sample
from tests.parking.tariffs.stays import a_stay, a_tariff, at, flat, hourly, price


def texts(lines: tuple[PriceLine, ...], lang: str = "vi") -> list[str]:
    return [present_line(lang, line).replace("\u00a0", " ") for line in lines]


def test_day_and_night_read_as_an_accountant_writes_them() -> None:
    found = price(read_sample("hn-two-wheelers"), "20 17:00", "21 19:00", "motorbike")

    assert texts(found.lines) == [
        "Trông giữ xe máy ban ngày (06:00–18:00): 3 × 5.000 ₫",
        "Trông giữ xe máy ban đêm (18:00–06:00): 2 × 8.000 ₫",
        "Giảm còn mức cả ngày và đêm 12.000 ₫",
    ]
    assert texts(found.lines, "en") == [
        "Motorbike parking by day (06:00–18:00): 3 × 5.000 ₫",
        "Motorbike parking by night (18:00–06:00): 2 × 8.000 ₫",
        "Down to the day and night price of 12.000 ₫",
    ]


def test_lines_without_names_are_still_sentences() -> None:
    tariff = a_tariff(
        flat(10_000, duration_end_minutes=90),
        hourly(5_000, duration_start_minutes=90, increment_minutes=30),
        collection={"max_value_vnd": 20_000, "reset_after_minutes": 1440},
    )

    assert texts(price(tariff, "20 08:00", "20 12:00").lines) == [
        "Tiền gửi xe theo lượt",
        "Mỗi 30 phút: 5 × 5.000 ₫",
        "Giảm còn mức tối đa 20.000 ₫ cho mỗi 24 giờ",
    ]


def test_a_tier_says_what_it_adds() -> None:
    tiers = [
        {"type": "flatRateTier", "value_vnd": 10_000, "duration_end_minutes": 120},
        {"type": "flatRateTier", "value_vnd": 25_000, "duration_start_minutes": 120},
    ]
    found = price(a_tariff(*tiers), "20 08:00", "20 12:00")

    assert [line.facts["value_vnd"] for line in found.lines] == [10_000, 15_000]
    assert texts(found.lines) == ["Gửi đến 2 giờ", "Gửi trên 2 giờ, thêm"]


def test_what_was_paid_is_a_line() -> None:
    due = amount_due(
        a_tariff(hourly(5_000)), a_stay("20 08:00"), now=at("20 10:00"), paid_vnd=5_000
    )

    assert texts(due.lines) == ["Mỗi giờ: 2 × 5.000 ₫", "Đã trả 5.000 ₫"]
    assert texts(due.lines, "en") == ["Each hour: 2 × 5.000 ₫", "5.000 ₫ already paid"]


FACTS = {
    LineCode.CAP: [
        {"cap_vnd": 1, "count": 1},
        {"cap_vnd": 1, "count": 1, "reset_after_minutes": 90},
        {"cap_vnd": 1, "count": 1, "reset_time": "00:00"},
        {"cap_vnd": 1, "count": 1, "name": "a", "name_en": "a"},
    ],
    LineCode.MINIMUM: [{"minimum_vnd": 5_000}],
    LineCode.ROUNDING: [{"step_vnd": 1_000}],
    LineCode.FREE_MINUTES: [{"minutes": 10}],
    LineCode.LOST_TICKET: [{}, {"at_least_vnd": 50_000}],
    LineCode.PAID: [{"paid_vnd": 5_000}],
    LineCode.WAIVED: [{"waived_vnd": 5_000}],
    LineCode.NOTHING_DUE: [{}],
}
COUNTED = {"count": 1, "value_vnd": 5_000, "block_minutes": 60, "from_minutes": 120, "units": 1}


@pytest.mark.parametrize("lang", ["vi", "en"])
@pytest.mark.parametrize("code", [*LineCode])
def test_every_code_has_words(lang: str, code: LineCode) -> None:
    for facts in FACTS.get(code, [COUNTED, {**COUNTED, "count": 2}]):
        line = replace(PriceLine(code, 1), facts=facts)

        text = present_line(lang, line)
        assert text
        assert "tariff_lines" not in text
        assert "{" not in text
