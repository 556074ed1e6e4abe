"""Grammar by position: what a reader mistook is mended, and what is no plate is left alone."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parking.plate_reading.rules import (
    CORRECTED_FACTOR,
    CORRECTIONS_MAX,
    SEPARATOR_FACTOR,
    TO_DIGIT,
    TO_LETTER,
    TWO_ROWS,
    correct_rows,
)


def ways(*rows: str) -> list[str]:
    return [f"{way.head} {way.number}" for way in correct_rows(rows)]


@pytest.mark.parametrize(
    ("rows", "plate"),
    [
        (("51H-040.73",), "51H 04073"),
        (("29A-1234",), "29A 1234"),
        (("30LD-044.11",), "30LD 04411"),
        (("29-B1", "123.45"), "29B1 12345"),
        (("29AA", "123.45"), "29AA 12345"),
        (("30F", "123.45"), "30F 12345"),
        (("50HA", "6666"), "50HA 6666"),
        (("29-MD1", "013.53"), "29MĐ1 01353"),
    ],
)
def test_what_is_read_right_is_left_as_it_is(rows: tuple[str, ...], plate: str) -> None:
    (way,) = correct_rows(rows)

    assert f"{way.head} {way.number}" == plate
    assert way.factor == 1


@pytest.mark.parametrize(
    ("rows", "plate"),
    [
        (("51H-O4O.73",), "51H 04073"),
        (("S1H-040.73",), "51H 04073"),
        (("516-040.73",), "51G 04073"),
        (("3OLD-044.11",), "30LD 04411"),
        (("29-81", "123.45"), "29B1 12345"),
        (("29-B1", "L23.4S"), "29B1 42345"),
        (("5O-F1", "Z345"), "50F1 2345"),
        (("29-M01", "013.53"), "29MĐ1 01353"),
        (("29-NĐ1", "013.53"), "29MĐ1 01353"),
        (("36-MET", "355.20"), "36MĐ7 35520"),
    ],
)
def test_a_character_that_looks_like_another_is_mended(rows: tuple[str, ...], plate: str) -> None:
    assert ways(*rows) == [plate]
    assert correct_rows(rows)[0].factor < 1


@pytest.mark.parametrize(
    "rows", [("H51H-040.73",), ("51H-040.73K",), ("29-B1H", "123.45"), ("29-B1", "H123.45")]
)
def test_a_screw_or_a_rim_that_was_read_as_a_character_is_dropped(rows: tuple[str, ...]) -> None:
    assert ways(*rows) in (["51H 04073"], ["29B1 12345"])


def test_where_either_end_may_be_the_screw_both_plates_are_offered() -> None:
    assert sorted(ways("29-B1", "712.345")) == ["29B1 12345", "29B1 71234"]


@pytest.mark.parametrize(
    "rows",
    [
        ("HONDA",),
        ("CAFE SEN",),
        ("0912345678",),
        ("123456",),
        ("12", "3456"),
        ("",),
        ("374.49",),
        ("86-B1",),
        ("374.49", "86-B1"),
        ("HONDA", "374.49"),
        ("SOBBBOB",),
    ],
)
def test_what_is_no_plate_is_not_made_one(rows: tuple[str, ...]) -> None:
    assert ways(*rows) == []


def test_the_string_that_is_two_plates_is_told_by_its_rows() -> None:
    assert ways("30F", "123.45") == ["30F 12345"]
    assert ways("30-F1", "2345") == ["30F1 2345"]


def test_a_row_that_needs_less_mending_comes_alone() -> None:
    # 29-B8 as it stands, and not 29BB, which would be a mistake more.
    assert ways("29-B8", "1234") == ["29B8 1234"]


def test_confusions_end_in_what_they_are_for() -> None:
    assert all(mended.isdigit() and not read.isdigit() for read, mended in TO_DIGIT.items())
    assert all(mended.isalpha() and read.isdigit() for read, mended in TO_LETTER.items())


SHAPES = {shape.replace("|", "").replace("9", r"\d").replace("A", "[A-ZĐ]") for shape in TWO_ROWS}
texts = st.text("0123456789ABDGHOQSTZMĐ.-· |字", max_size=14)


@given(st.lists(texts, min_size=1, max_size=2))
def test_every_way_has_the_shape_of_a_plate_and_little_is_mended(rows: list[str]) -> None:
    for way in correct_rows(tuple(rows)):
        assert any(re.fullmatch(shape, way.head + way.number) for shape in SHAPES)
        assert SEPARATOR_FACTOR * CORRECTED_FACTOR**CORRECTIONS_MAX <= way.factor <= 1


@given(st.lists(texts, min_size=2, max_size=2))
def test_what_was_mended_needs_no_more_mending(rows: list[str]) -> None:
    for way in correct_rows(tuple(rows)):
        (again,) = correct_rows((way.head, way.number))
        assert (again.head, again.number, again.factor) == (way.head, way.number, 1)
