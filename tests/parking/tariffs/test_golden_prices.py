"""Prices that laws and newspapers name, from the samples that ship with the product."""

import pytest

from parking.tariffs.reading import read_sample
from tests.parking.tariffs.stays import cost


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


@pytest.mark.parametrize("left", ["20 18:00", "20 18:01", "20 23:59", "22 03:00"])
def test_a_visit_on_a_crowded_day_costs_the_same_however_long(left: str) -> None:
    assert cost(read_sample("crowd-flat"), "20 18:00", left, "motorbike") == 5_000
