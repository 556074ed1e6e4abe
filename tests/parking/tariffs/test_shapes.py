"""Documents of tariffs as a form shows them: taken apart, put together, nothing lost."""

from typing import Any

import pytest

from parking.tariffs.reading import build_tariff, read_sample_document, sample_names
from parking.tariffs.shapes import Group, Shape, Step, day_and_night, put_together, take_apart


@pytest.mark.parametrize("name", sample_names())
def test_nothing_of_a_sample_is_lost_by_way_of_the_form(name: str) -> None:
    document = read_sample_document(name)

    again = put_together(take_apart(document))

    assert again == document
    build_tariff(again)


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("crowd-flat", {Shape.PER_VISIT}),
        ("hn-two-wheelers", {Shape.DAY_NIGHT}),
        ("hn-dong-da-cars", {Shape.LADDER}),
        ("hn-iparking-overnight", {Shape.CUSTOM}),
    ],
)
def test_common_prices_are_seen_in_their_shape(name: str, shapes: set[Shape]) -> None:
    assert {one.shape for one in take_apart(read_sample_document(name)).groups} == shapes


def test_a_block_with_a_cap_is_written_as_a_tariff_knows_it() -> None:
    form = take_apart(read_sample_document("hn-dong-da-cars"))
    blocks = Group(
        shape=Shape.BLOCKS,
        vehicle_classes=("car",),
        steps=(Step(value_vnd=20_000, increment_minutes=120),),
        cap_vnd=100_000,
    )
    document = put_together(type(form)(head=form.head, groups=(blocks,)))

    [table] = build_tariff(document).rate_tables

    assert table.collections[0].max_value_vnd == 100_000
    assert take_apart(document).groups == (blocks,)


def test_day_and_night_fill_the_day() -> None:
    assert day_and_night("06:00", "18:00") == ("06:00-18:00", "18:00-06:00")


@pytest.mark.parametrize(
    "table",
    [
        {"rate_line_collections": "x"},
        {"rate_line_collections": [{"rate_lines": [{"type": 1}]}]},
        {"rate_line_collections": [{"rate_lines": [{"type": "flatRate", "value_vnd": "5"}]}]},
        {"vehicle_classes": 7, "rate_line_collections": [{"rate_lines": []}]},
        {"monthly_prices": {"a": 1}, "rate_line_collections": [{}]},
    ],
)
def test_a_table_with_faults_is_kept_as_it_stands(table: dict[str, Any]) -> None:
    document = {"name": "Thử", "rate_tables": [table]}

    assert put_together(take_apart(document)) == document


@pytest.mark.parametrize("text", ["\x00", "\ud800", "a\u2028b"])
def test_what_no_database_keeps_is_a_fault(text: str) -> None:
    from parking.tariffs.errors import TariffNotReadable

    document = read_sample_document("crowd-flat")
    document["rate_tables"][0]["zones"] = [text]
    document[text] = 1

    with pytest.raises(TariffNotReadable) as refused:
        build_tariff(document)
    assert {one.code for one in refused.value.violations} == {"unseen", "unknown_key"}
