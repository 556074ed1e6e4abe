"""Prices that laws and newspapers name, from the samples that ship with the product."""

import pytest

from parking.tariffs.pricing import LineCode, monthly_price_vnd
from parking.tariffs.reading import read_sample, sample_names
from parking.tariffs.structure import MonthlyScope
from parking.vehicles import VehicleClass
from tests.parking.tariffs.stays import cost, price


@pytest.mark.parametrize(
    ("left", "amount_vnd"),
    [
        *(("20 08:30", 25_000), ("20 09:00", 25_000), ("20 09:01", 50_000)),
        *(("20 10:00", 50_000), ("20 11:00", 85_000), ("20 12:00", 120_000)),
        *(("20 13:00", 165_000), ("20 16:00", 300_000), ("20 17:00", 345_000)),
    ],
)
def test_a_car_in_dong_da_climbs_the_ladder(left: str, amount_vnd: int) -> None:
    assert cost(read_sample("hn-dong-da-cars"), "20 08:00", left) == amount_vnd


@pytest.mark.parametrize(
    ("entered", "left", "bicycle_vnd", "motorbike_vnd"),
    [
        ("20 06:00", "20 18:00", 3_000, 5_000),  # a whole day
        ("20 18:00", "21 06:00", 5_000, 8_000),  # a whole night
        ("20 17:00", "20 20:00", 7_000, 12_000),  # day, then night
        ("20 20:00", "21 07:00", 7_000, 12_000),  # night, then day
        ("20 17:00", "21 07:00", 7_000, 12_000),  # day, night and day again: one visit
        ("20 08:00", "21 08:00", 7_000, 12_000),  # 24 hours
        ("20 08:00", "21 08:01", 10_000, 17_000),  # and a second visit begins, by day
        ("20 08:00", "22 10:00", 17_000, 29_000),  # two of both, and a day
        ("20 08:00", "27 08:00", 49_000, 84_000),  # a week
    ],
)
def test_two_wheelers_pay_by_day_by_night_or_for_both(
    entered: str, left: str, bicycle_vnd: int, motorbike_vnd: int
) -> None:
    tariff = read_sample("hn-two-wheelers")

    assert cost(tariff, entered, left, "bicycle") == bicycle_vnd
    assert cost(tariff, entered, left, "electric_bicycle") == bicycle_vnd
    assert cost(tariff, entered, left, "motorbike") == motorbike_vnd
    assert cost(tariff, entered, left, "electric_motorbike") == motorbike_vnd


def test_day_and_night_are_written_as_two_prices_and_what_is_taken_off() -> None:
    found = price(read_sample("hn-two-wheelers"), "20 17:00", "20 20:00", "motorbike")

    assert [(line.code, line.amount_vnd) for line in found.lines] == [
        (LineCode.VISITS, 5_000),
        (LineCode.VISITS, 8_000),
        (LineCode.CAP, -1_000),
    ]


@pytest.mark.parametrize(
    ("name", "left", "amount_vnd"),
    [
        ("hn-hoan-kiem-restricted", "20 10:00", 60_000),
        ("hn-hoan-kiem-restricted", "20 10:01", 120_000),
        ("hn-hoan-kiem-restricted", "20 12:00", 120_000),
        ("hn-hoan-kiem-other", "20 08:20", 50_000),
        ("hn-hoan-kiem-other", "20 11:00", 100_000),
    ],
)
def test_streets_of_hoan_kiem_are_paid_by_two_hours(name: str, left: str, amount_vnd: int) -> None:
    assert cost(read_sample(name), "20 08:00", left) == amount_vnd


@pytest.mark.parametrize(
    ("entered", "left", "amount_vnd"),
    [
        ("20 18:00", "21 06:00", 150_000),  # overnight: six blocks
        ("20 20:00", "21 06:00", 150_000),
        ("20 19:00", "20 20:00", 25_000),  # an evening of one hour is one block
        ("20 16:00", "21 07:00", 50_000 + 150_000 + 25_000),  # each day its own ladder
        ("20 18:00", "22 06:00", 150_000 + 50_000 + 70_000 + 8 * 45_000 + 150_000),
    ],
)
def test_a_night_counts_as_six_blocks(entered: str, left: str, amount_vnd: int) -> None:
    assert cost(read_sample("hn-iparking-overnight"), entered, left) == amount_vnd


@pytest.mark.parametrize(
    ("left", "amount_vnd"),
    [
        *(("20 08:05", 0), ("20 08:10", 0), ("20 08:11", 15_000), ("20 09:00", 15_000)),
        *(("20 09:01", 20_000), ("20 09:30", 20_000), ("20 09:31", 25_000)),
    ],
)
def test_ten_minutes_at_an_airport_are_free(left: str, amount_vnd: int) -> None:
    assert cost(read_sample("airport-10-minutes-free"), "20 08:00", left) == amount_vnd


@pytest.mark.parametrize("left", ["20 18:00", "20 18:01", "20 23:59", "22 03:00"])
def test_a_visit_on_a_crowded_day_costs_the_same_however_long(left: str) -> None:
    assert cost(read_sample("crowd-flat"), "20 18:00", left, "motorbike") == 5_000


@pytest.mark.parametrize(
    ("vehicle_class", "group", "day_vnd", "evening_vnd"),
    [
        ("bicycle", "regular", 1_000, 2_000),
        ("bicycle", None, 2_000, 3_000),
        ("motorbike", "regular", 2_000, 4_000),
        ("motorbike", None, 3_000, 4_000),
    ],
)
def test_a_school_has_prices_for_its_own_people(
    vehicle_class: str, group: str | None, day_vnd: int, evening_vnd: int
) -> None:
    school = read_sample("hn-school")

    day = cost(school, "20 07:00", "20 11:30", vehicle_class, user_group=group)
    evening = cost(school, "20 18:00", "20 21:00", vehicle_class, user_group=group)
    assert (day, evening) == (day_vnd, evening_vnd)


def test_a_zone_has_a_ladder_of_its_own() -> None:
    tariff = read_sample("hcm-on-street")

    assert cost(tariff, "20 08:00", "20 13:00", zone="1") == 2 * 25_000 + 2 * 30_000 + 35_000
    assert cost(tariff, "20 08:00", "20 13:00", zone="2") == 2 * 20_000 + 2 * 25_000 + 30_000


def test_months_have_the_prices_of_the_decree() -> None:
    def month(name: str, vehicle: VehicleClass, scope: MonthlyScope) -> int | None:
        return monthly_price_vnd(read_sample(name), vehicle, scope=scope)

    both, day = MonthlyScope.DAY_AND_NIGHT, MonthlyScope.DAY
    assert month("hn-two-wheelers", VehicleClass.BICYCLE, both) == 70_000
    assert month("hn-two-wheelers", VehicleClass.MOTORBIKE, both) == 120_000
    assert month("hn-hoan-kiem-restricted", VehicleClass.CAR, day) == 3_000_000
    assert month("hn-hoan-kiem-restricted", VehicleClass.CAR, both) == 4_000_000
    assert month("hn-hoan-kiem-other", VehicleClass.CAR, both) == 3_000_000
    assert month("hn-hoan-kiem-other", VehicleClass.MOTORBIKE, both) is None


@pytest.mark.parametrize("name", sample_names())
def test_a_sample_says_that_it_is_unverified_and_on_what_it_stands(name: str) -> None:
    tariff = read_sample(name)

    assert tariff.code == name
    assert tariff.is_unverified_sample
    assert tariff.legal_basis
    assert tariff.name_en != tariff.name
