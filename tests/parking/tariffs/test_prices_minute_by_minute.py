"""Prices held against a clock that walks through a stay, minute by minute, as the page says."""

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import HANOI
from parking.tariffs.charges import Stay
from parking.tariffs.pricing import price_stay
from parking.tariffs.reading import build_tariff
from parking.tariffs.structure import Ladder, RateLineCollection, Tariff
from parking.vehicles import VehicleClass
from tests.parking.tariffs.stays import a_document
from tests.parking.tariffs.strategies import collections


def walk_minutes(  # noqa: C901 (one loop on purpose: it shares no structure with the code)
    tariff: Tariff, entered: int, minutes: int
) -> int:
    """Price a stay of one rate table with started blocks; minutes count from a midnight."""
    is_cut = tariff.boundary_rule == "cut"
    sums_vnd: dict[tuple[int, int], int] = defaultdict(int)
    caps_vnd: dict[int, int] = {}
    place: dict[int, int] = {}  # where each ladder stands
    last: tuple[int, int] | None = None  # the ladder of the minute before, and its period
    period_of: dict[int, int] = {}
    block: tuple[int, int] | None = None  # the ladder whose block runs, and until when
    for minute in range(entered, entered + minutes):
        if block and not is_cut and minute < block[1]:
            place[block[0]] += 1
            if id(find(tariff, minute % 1440)[1]) != block[0]:
                last = None  # its hours were over meanwhile, and may begin again
            continue
        collection, ladder = find(tariff, minute % 1440)
        if collection is None or ladder is None:
            last = block = None
            continue
        period = 0
        if collection.reset_after:
            period = (minute - entered) // collection.reset_after
        elif collection.reset_time is not None:
            period = (minute - collection.reset_time) // 1440
        if period_of.setdefault(id(collection), period) != period:
            period_of[id(collection)] = period
            for one in collection.ladders:
                place.pop(id(one), None)
        here = (id(ladder), period)
        if here == last and block and minute < block[1]:
            place[block[0]] += 1
            continue
        if here != last:
            block = None
            if collection.restarts_each_window:
                place[id(ladder)] = 0
        at = place.setdefault(id(ladder), 0)
        for index, line in enumerate(ladder.lines):
            if line.duration_start <= at and (line.duration_end is None or at < line.duration_end):
                key = (id(collection), period)
                cap_vnd = collection.max_value_vnd
                caps_vnd[id(collection)] = 10**12 if cap_vnd is None else cap_vnd
                if line.type == "incrementingRate":
                    sums_vnd[key] += line.value_vnd
                    block = (id(ladder), minute + line.increment)
                elif at == line.duration_start:
                    block = None
                    sums_vnd[key] += ladder.step_vnd(index)
        place[id(ladder)] = at + 1
        last = here
    return sum(min(sum_vnd, caps_vnd[key[0]]) for key, sum_vnd in sums_vnd.items())


def find(tariff: Tariff, minute: int) -> tuple[RateLineCollection | None, Ladder | None]:
    for collection in tariff.rate_tables[0].collections:
        for ladder in collection.ladders:
            if ladder.window is None or ladder.window.has(minute):
                return collection, ladder
    return None, None


@pytest.mark.slow
@settings(max_examples=300)
@given(
    st.lists(collections(), min_size=1, max_size=2),
    st.sampled_from(["cut", "finish_block"]),
    st.integers(0, 1439),
    st.integers(1, 4 * 1440),
)
def test_a_price_is_what_a_clock_adds_up_minute_by_minute(
    chosen: list[dict[str, Any]], boundary_rule: str, entered: int, minutes: int
) -> None:
    document = a_document(
        rate_tables=[{"rate_line_collections": chosen}], boundary_rule=boundary_rule
    )
    tariff = build_tariff(document)
    entered_at = datetime(2026, 11, 20, tzinfo=HANOI) + timedelta(minutes=entered)
    stay = Stay(vehicle_class=VehicleClass.CAR, entered_at=entered_at)

    price = price_stay(tariff, stay, left_at=entered_at + timedelta(minutes=minutes))

    assert price.amount_vnd == walk_minutes(tariff, entered, minutes)
