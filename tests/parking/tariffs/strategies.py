"""Strategies of tariffs of every shape, and of stays that they price."""

from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from core.clock import HANOI
from parking.places.rules import PaymentTiming
from parking.tariffs.charges import Stay
from parking.tariffs.reading import build_tariff, read_sample, sample_names
from parking.tariffs.structure import DayType, Tariff
from parking.vehicles import VehicleClass
from tests.parking.tariffs.stays import a_document

STAY_MINUTES_MAX = 6 * 1440
prices_vnd = st.integers(0, 60).map(lambda thousands: thousands * 1_000 + 1)
clocks = st.integers(0, 47).map(lambda half: f"{half // 2:02}:{half % 2 * 30:02}")
windows = st.lists(clocks, min_size=2, max_size=2, unique=True).map("-".join)


@st.composite
def ladders(draw: st.DrawFn, window: str | None) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    start = 0
    tier_vnd = 0
    is_tiered = draw(st.booleans())
    for is_last in [False] * draw(st.integers(0, 2)) + [True]:
        line: dict[str, Any] = {"duration_start_minutes": start, "value_vnd": draw(prices_vnd)}
        if window:
            line["window"] = window
        if is_tiered:
            line["type"] = "flatRateTier"
            tier_vnd += line["value_vnd"]
            line["value_vnd"] = tier_vnd
        else:
            line["type"] = draw(st.sampled_from(["flatRate", "incrementingRate", "perUnit"]))
        if line["type"] == "incrementingRate":
            line["increment_minutes"] = draw(st.sampled_from([1, 7, 15, 30, 60, 120, 1440]))
        if not is_last or draw(st.booleans()):
            start += draw(st.integers(1, 4)) * line.get("increment_minutes", 45)
            line["duration_end_minutes"] = start
        lines.append(line)
        if line["type"] == "flatRate":
            line["blocks"] = draw(st.integers(1, 6))
    return lines


@st.composite
def collections(draw: st.DrawFn) -> dict[str, Any]:
    chosen = draw(st.lists(windows, max_size=3, unique=True))
    fields: dict[str, Any] = draw(
        st.sampled_from([{}, {"reset_time": "00:00"}, {"reset_time": "05:30"}])
        | st.sampled_from([1440, 720, 100]).map(lambda minutes: {"reset_after_minutes": minutes})
    )
    if draw(st.booleans()):
        fields["max_value_vnd"] = draw(st.integers(0, 200_000))
    lines = [line for window in chosen for line in draw(ladders(window))]
    if not chosen or draw(st.booleans()):
        lines += draw(ladders(None))
    return {**fields, "rate_lines": lines, "restarts_each_window": draw(st.booleans())}


@st.composite
def tables(draw: st.DrawFn, *, has_conditions: bool) -> dict[str, Any]:
    table: dict[str, Any] = {
        "rate_line_collections": draw(st.lists(collections(), min_size=1, max_size=2))
    }
    if has_conditions:
        table["days"] = draw(st.lists(st.sampled_from([*DayType]), min_size=1, unique=True))
        if draw(st.booleans()):
            table["entry_window"] = draw(windows)
    return table


@st.composite
def tariffs(draw: st.DrawFn) -> Tariff:
    return build_tariff(
        a_document(
            rate_tables=[
                *draw(st.lists(tables(has_conditions=True), max_size=2)),
                draw(tables(has_conditions=False)),
            ],
            payment_timing=draw(st.sampled_from([*PaymentTiming])),
            free_minutes=draw(st.sampled_from([0, 10, 30])),
            free_minutes_rule=draw(st.sampled_from(["whole_stay", "rest_only"])),
            exit_grace_minutes=draw(st.sampled_from([0, 15])),
            minimum_vnd=draw(st.sampled_from([0, 5_000])),
            day_rule=draw(st.sampled_from(["start", "clock"])),
            boundary_rule=draw(st.sampled_from(["finish_block", "cut"])),
            rounding={
                "blocks": draw(st.sampled_from(["started", "nearest", "complete"])),
                "amount": draw(st.sampled_from(["up", "nearest", "down"])),
                "amount_step_vnd": draw(st.sampled_from([1, 500, 1_000])),
            },
            special_days=[
                {"on": "2026-09-03", "type": "publicEventDay"},
                {"on": "2026-09-01", "type": "ordinary"},
            ],
        )
    )


known_tariffs = tariffs() | st.sampled_from([read_sample(name) for name in sample_names()])
entries = st.integers(0, 7 * 86_400).map(
    lambda seconds: datetime(2026, 8, 29, tzinfo=HANOI) + timedelta(seconds=seconds)
)
lengths = st.integers(0, STAY_MINUTES_MAX)


def stay_of(tariff: Tariff, entered_at: datetime) -> Stay:
    """A stay that the tariff has rates for."""
    table = tariff.rate_tables[-1]
    classes = sorted(table.vehicle_classes) or [VehicleClass.CAR]
    zone = min(table.zones, default=None)
    return Stay(vehicle_class=classes[0], entered_at=entered_at, zone=zone, units=2)
