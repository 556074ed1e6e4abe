"""Prices that a phone works out by itself: to the đồng those of the hub, whatever the tariff."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playwright.sync_api import Browser, Page

from parking.tariffs.charges import Stay
from parking.tariffs.plan import plan_tariff
from parking.tariffs.pricing import price_stay
from parking.tariffs.reading import read_sample, sample_names
from parking.tariffs.structure import Tariff
from parking.vehicles import VehicleClass
from tests.browser.static_site import StaticSite
from tests.parking.tariffs.stays import a_tariff, at, flat, hourly
from tests.parking.tariffs.strategies import entries, lengths, tariffs

pytestmark = pytest.mark.browser
PRICE = """async ([rates, stays]) => {
  const { priceOf, withLostTicket } = await import("/static/js/gate_price.js");
  return stays.map(([stay, left, isLost]) => {
    const price = priceOf(rates, stay, left);
    return isLost ? withLostTicket(rates, stay, price) : price;
  });
}"""
PLANNED = timedelta(days=31)
Case = tuple[Stay, datetime]


@pytest.fixture(scope="module")
def phone(chromium: Browser, static_site: StaticSite) -> Iterator[Page]:
    """A page with the phone's scripts; without a hub there is no network to ask."""
    page = chromium.new_page()
    page.goto(static_site.put("/prices", "<!doctype html><title>Giá</title>"))
    yield page
    page.close()


def price_on(phone: Page, tariff: Tariff, cases: list[Case]) -> list[int]:
    """Let the phone price stays by the plan of their tariff."""
    rates = [{"from_at": "2000-01-01T00:00:00Z", "plans": plan_for(tariff, cases)}]
    asked = [
        [
            {"vehicle_class": stay.vehicle_class.value, "entered_at": entered_at(stay).isoformat()},
            round(left_at.timestamp() * 1000),
            stay.is_ticket_lost,
        ]
        for stay, left_at in cases
    ]
    found: list[int] = phone.evaluate(PRICE, [rates, asked])
    return found


def plan_for(tariff: Tariff, cases: list[Case]) -> dict[str, Any]:
    begin = min(entered_at(stay) for stay, _ in cases)
    end = max(left_at for _, left_at in cases)
    kinds = {(stay.vehicle_class, stay.zone) for stay, _ in cases}
    return {
        kind.value: plan_tariff(tariff, kind, zone=zone, begin=begin, end=end)
        for kind, zone in kinds
    }


def entered_at(stay: Stay) -> datetime:
    assert stay.entered_at is not None
    return stay.entered_at


def price_at_hub(tariff: Tariff, cases: list[Case]) -> list[int]:
    return [price_stay(tariff, stay, left_at=left_at).amount_vnd for stay, left_at in cases]


def kind_of(tariff: Tariff) -> dict[str, Any]:
    """A class and a zone that the last of its tables prices, as a lot has them."""
    table = next(one for one in reversed(tariff.rate_tables) if not one.user_groups)
    return {
        "vehicle_class": min(table.vehicle_classes, default=VehicleClass.CAR),
        "zone": min(table.zones, default=None),
    }


@pytest.mark.parametrize(
    ("sample", "vehicle_class", "entered", "left", "amount_vnd"),
    [
        ("hn-dong-da-cars", "car", "20 08:00", "20 16:00", 300_000),
        ("hn-dong-da-cars", "car", "20 08:00", "20 17:00", 345_000),
        ("hn-hoan-kiem-restricted", "car", "20 08:00", "20 10:01", 120_000),
        ("hn-iparking-overnight", "car", "20 18:00", "21 06:00", 150_000),
        ("hn-two-wheelers", "motorbike", "20 17:59", "20 18:00", 5_000),
        ("hn-two-wheelers", "motorbike", "20 18:00", "21 06:00", 8_000),
        ("hn-two-wheelers", "motorbike", "20 17:00", "21 07:00", 12_000),
        ("airport-10-minutes-free", "car", "20 08:00", "20 08:10", 0),
        ("airport-10-minutes-free", "car", "20 08:00", "20 08:11", 15_000),
    ],
)
def test_phone_knows_the_prices_of_the_decrees(
    phone: Page, sample: str, vehicle_class: str, entered: str, left: str, amount_vnd: int
) -> None:
    stay = Stay(vehicle_class=VehicleClass(vehicle_class), entered_at=at(entered))

    assert price_on(phone, read_sample(sample), [(stay, at(left))]) == [amount_vnd]


@pytest.mark.parametrize("sample", sample_names())
def test_phone_prices_every_sample_as_the_hub_at_any_hour_of_three_days(
    phone: Page, sample: str
) -> None:
    tariff, start = read_sample(sample), at("20 00:00")
    cases = [
        (
            Stay(entered_at=start + timedelta(minutes=entry), **kind_of(tariff)),
            start + timedelta(minutes=entry + minutes, seconds=59),
        )
        for entry in range(0, 1440, 37)
        for minutes in (0, 10, 11, 60, 61, 119, 120, 121, 480, 540, 719, 720, 1441, 4319)
    ]

    assert price_on(phone, tariff, cases) == price_at_hub(tariff, cases)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    tariffs(),
    st.lists(st.tuples(entries, lengths, st.booleans()), min_size=1, max_size=20),
)
def test_phone_prices_as_the_hub_whatever_the_tariff(
    phone: Page, tariff: Tariff, drawn: list[tuple[datetime, int, bool]]
) -> None:
    cases = [
        (
            Stay(entered_at=entry, is_ticket_lost=is_lost, **kind_of(tariff)),
            entry + timedelta(minutes=minutes),
        )
        for entry, minutes, is_lost in drawn
    ]

    assert price_on(phone, tariff, cases) == price_at_hub(tariff, cases)


def test_phone_takes_the_holidays_price_of_the_day_of_the_entry(phone: Page) -> None:
    tariff = a_tariff(
        rate_tables=[
            {
                "days": ["publicHoliday"],
                "rate_line_collections": [{"rate_lines": [hourly(30_000)]}],
            },
            {
                "entry_window": "05:00-07:00",
                "rate_line_collections": [{"rate_lines": [flat(7_000)]}],
            },
            {"rate_line_collections": [{"rate_lines": [hourly(10_000)]}]},
        ]
    )
    moments = [
        ("2026-04-29 22:00", "2026-04-30 02:00", 40_000),
        ("2026-04-30 22:00", "2026-05-01 02:00", 120_000),
        ("2026-05-04 06:00", "2026-05-04 20:00", 7_000),
    ]
    cases = [
        (Stay(vehicle_class=VehicleClass.CAR, entered_at=at(one)), at(other))
        for one, other, _ in moments
    ]

    assert price_on(phone, tariff, cases) == [amount_vnd for *_, amount_vnd in moments]


@pytest.mark.parametrize("rule", ["added", "instead", "at_least"])
def test_phone_adds_a_lost_ticket_by_the_rule_of_the_tariff(phone: Page, rule: str) -> None:
    tariff = a_tariff(hourly(10_000), lost_ticket_vnd=25_000, lost_ticket_rule=rule)
    stay = Stay(vehicle_class=VehicleClass.CAR, entered_at=at("20 08:00"), is_ticket_lost=True)
    cases = [(stay, at("20 10:00")), (stay, at("20 13:00"))]

    assert price_on(phone, tariff, cases) == price_at_hub(tariff, cases)


def test_phone_keeps_the_price_of_the_entry_and_says_nothing_of_what_it_does_not_know(
    phone: Page,
) -> None:
    def plans(value_vnd: int) -> dict[str, Any]:
        plan = plan_tariff(
            a_tariff(hourly(value_vnd)),
            VehicleClass.CAR,
            zone=None,
            begin=at("20 00:00"),
            end=at("22 00:00"),
        )
        return {"car": plan}

    rates = [
        {"from_at": at("20 00:00").isoformat(), "plans": plans(10_000)},
        {"from_at": at("21 00:00").isoformat(), "plans": plans(30_000)},
    ]
    left = round(at("21 01:00").timestamp() * 1000)
    asked = [
        [{"vehicle_class": kind, "entered_at": at(entered).isoformat()}, left, False]
        for kind, entered in [
            ("car", "20 23:00"),
            ("car", "21 00:00"),
            ("car", "19 23:59"),
            ("bus", "21 00:00"),
        ]
    ]

    assert phone.evaluate(PRICE, [rates, asked]) == [20_000, 30_000, None, None]
