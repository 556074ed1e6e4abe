"""Documents of tariffs: every fault is named with its path, and says what to do."""

import contextlib
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parking.tariffs.errors import TariffNotReadable, TariffSampleNotFound
from parking.tariffs.reading import (
    DOCUMENT_BYTES_MAX,
    SAMPLES,
    build_tariff,
    read_sample,
    read_tariff,
    sample_names,
)
from tests.parking.tariffs.stays import SELLER, a_document, cost, flat, hourly


def faults_of(document: Any) -> list[tuple[str, str]]:
    with pytest.raises(TariffNotReadable) as refused:
        build_tariff(document)
    assert all(one.detail for one in refused.value.violations)
    return [(one.field, one.code) for one in refused.value.violations]


PARTY = {"on": "2026-12-31", "type": "party"}
LINE = "rate_tables[0].rate_line_collections[0].rate_lines"


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"format": 2}, ("format", "not_supported")),
        ({"code": "Bãi 1"}, ("code", "bad_value")),
        ({"name": ""}, ("name", "blank")),
        ({"name": "x" * 301}, ("name", "too_long")),
        ({"legal_basis": None}, ("legal_basis", "missing")),
        ({"valid_from_on": "20/11/2026"}, ("valid_from_on", "wrong_type")),
        ({"valid_until_on": "2018-01-01"}, ("valid_until_on", "bad_value")),
        ({"payment_timing": "later"}, ("payment_timing", "bad_value")),
        ({"free_minutes": -1}, ("free_minutes", "out_of_range")),
        ({"free_minutes": "10"}, ("free_minutes", "wrong_type")),
        ({"free_minutes": True}, ("free_minutes", "wrong_type")),
        ({"exit_grace_minutes": 241}, ("exit_grace_minutes", "out_of_range")),
        ({"tax_rate_bps": 10_001}, ("tax_rate_bps", "out_of_range")),
        ({"rounding": {"amount_step_vnd": 0}}, ("rounding.amount_step_vnd", "out_of_range")),
        ({"rounding": 1_000}, ("rounding", "wrong_type")),
        ({"seller": {**SELLER, "tax_code": "1"}}, ("seller.tax_code", "bad_value")),
        ({"rate_tables": []}, ("rate_tables", "out_of_range")),
        ({"rate_tables": {}}, ("rate_tables", "wrong_type")),
        ({"special_days": [PARTY]}, ("special_days[0].type", "bad_value")),
        ({"free_minute": 5}, ("free_minute", "unknown_key")),
    ],
)  # fmt: skip
def test_a_fault_of_a_field_is_named(fields: dict[str, Any], fault: tuple[str, str]) -> None:
    assert faults_of(a_document(hourly(1_000), **fields)) == [fault]


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ([hourly(1.5)], (f"{LINE}[0].value_vnd", "wrong_type")),
        ([hourly(-1)], (f"{LINE}[0].value_vnd", "out_of_range")),
        ([hourly(1, increment_minutes=0)], (f"{LINE}[0].increment_minutes", "out_of_range")),
        ([hourly(1, window="6-18")], (f"{LINE}[0].window", "bad_value")),
        ([hourly(1, window="06:00-06:00")], (f"{LINE}[0].window", "bad_value")),
        ([hourly(1, window="06:00-25:00")], (f"{LINE}[0].window", "bad_value")),
        (
            [hourly(1, duration_end_minutes=90)],
            (f"{LINE}[0].duration_end_minutes", "bad_value"),
        ),
        (
            [hourly(1, duration_end_minutes=60), hourly(1, duration_start_minutes=120)],
            (f"{LINE}[1].duration_start_minutes", "bad_value"),
        ),
        ([hourly(1), hourly(1)], (f"{LINE}[1].duration_start_minutes", "bad_value")),
        ([flat(1, increment_minutes=60)], (f"{LINE}[0].increment_minutes", "unknown_key")),
        ([{"type": "free", "value_vnd": 0}], (f"{LINE}[0].type", "bad_value")),
    ],
)
def test_a_fault_of_a_line_is_named(lines: list[dict[str, Any]], fault: tuple[str, str]) -> None:
    assert faults_of(a_document(*lines)) == [fault]


def test_a_tier_may_not_cost_less_than_a_shorter_stay() -> None:
    tiers = [
        {"type": "flatRateTier", "value_vnd": 20_000, "duration_end_minutes": 60},
        {"type": "flatRateTier", "value_vnd": 10_000, "duration_start_minutes": 60},
    ]

    assert faults_of(a_document(*tiers)) == [(f"{LINE}[1].value_vnd", "bad_value")]


def test_all_faults_are_listed_at_once() -> None:
    document = a_document(hourly(-1), code="?", free_minutes=-1)
    del document["seller"]

    assert faults_of(document) == [
        ("code", "bad_value"),
        ("seller", "missing"),
        ("free_minutes", "out_of_range"),
        (f"{LINE}[0].value_vnd", "out_of_range"),
    ]


def test_an_unknown_field_says_which_one_was_meant() -> None:
    with pytest.raises(TariffNotReadable, match="did you mean free_minutes"):
        build_tariff(a_document(hourly(1_000), free_minuts=5))


def test_json_is_read_as_toml_is() -> None:
    """TOML has days and times of its own; JSON writes them as texts."""
    document = tomllib.loads((SAMPLES / "hn-two-wheelers.toml").read_text())
    tariff = read_tariff(json.dumps(document, default=str))

    assert cost(tariff, "20 17:00", "20 20:00", "motorbike") == 12_000


@pytest.mark.parametrize(
    "document",
    ["", "format = ", "{", "[1]", b"\xff\xfe", "[" * 50_000, "x = " + "9" * 5_000, "a = 1\0"],
)
def test_what_is_no_document_is_refused_and_not_a_crash(document: str | bytes) -> None:
    with pytest.raises(TariffNotReadable):
        read_tariff(document)


def test_a_document_is_bounded() -> None:
    with pytest.raises(TariffNotReadable, match="larger"):
        read_tariff("#" * (DOCUMENT_BYTES_MAX + 1))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just(1.5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
KEYS = sorted({*a_document(), "rounding", "special_days", "free_minutes", "tax_rate_bps"})


@pytest.mark.slow
@given(st.dictionaries(st.sampled_from(KEYS), anything, min_size=1))
def test_no_value_makes_reading_crash(fields: dict[str, Any]) -> None:
    with contextlib.suppress(TariffNotReadable):
        build_tariff(a_document(hourly(1_000), **fields))


def test_only_samples_are_found_by_name() -> None:
    assert "hn-dong-da-cars" in sample_names()
    for name in ("none", "../samples/hn-dong-da-cars", ""):
        with pytest.raises(TariffSampleNotFound):
            read_sample(name)


def test_the_example_of_the_page_is_a_tariff_and_costs_what_it_says() -> None:
    page = (Path(__file__).parents[3] / "docs/tariffs.md").read_text()
    (example,) = re.findall(r"```toml\n(.*?)```", page, re.S)
    tariff = read_tariff(example)

    assert cost(tariff, "20 08:00", "20 11:00") == 2 * 25_000 + 35_000
    assert cost(tariff, "20 18:00", "20 23:00") == 6 * 25_000
    assert cost(tariff, "20 06:00", "20 23:59") == 400_000


@pytest.mark.parametrize(
    ("key", "wanted", "same"), [("version_rule", "clock", "entry"), ("refunds_unused", True, False)]
)
def test_a_rule_that_no_gate_follows_is_refused_with_what_to_do(
    key: str, wanted: object, same: object
) -> None:
    with pytest.raises(TariffNotReadable) as refused:
        build_tariff(a_document(hourly(10_000), **{key: wanted}))

    (fault,) = refused.value.violations
    assert (fault.field, fault.code) == (key, "not_supported")
    assert f"leave {key} out" in fault.detail
    build_tariff(a_document(hourly(10_000), **{key: same}))
