"""Meanings of what somebody types into the one box."""

import pytest

from city.search.rules import WORDS_MAX, fold, read_query


@pytest.mark.parametrize(
    "typed", ["20000", "20.000", "20,000", "20 000 đ", "20.000 ₫", "20,000 VND"]
)
def test_an_amount_is_read_however_it_is_grouped(typed: str) -> None:
    assert read_query(typed).amount_vnd == 20_000


@pytest.mark.parametrize("typed", ["20.00", "1.23", "FT20000", "20 mua rau", "0", "9" * 20])
def test_what_is_no_amount_is_none(typed: str) -> None:
    assert read_query(typed).amount_vnd is None


def test_words_lose_case_and_marks_and_what_is_no_letter() -> None:
    assert read_query("  Chị Đào,  mua RAU-củ % x").words == ("chi", "dao", "mua", "rau", "cu")
    assert fold("Đường Ấm") == "duong am"
    assert len(read_query(" ".join(f"tu{n}" for n in range(20))).words) == WORDS_MAX


def test_a_code_needs_a_digit_and_no_space() -> None:
    assert read_query("ft26331000123").codes == ("ft26331000123", "FT26331000123")
    assert read_query("nguyenvana").codes == ()
    assert read_query("ft26 331").codes == ()


def test_a_code_is_looked_for_as_it_was_typed_and_in_either_case() -> None:
    assert read_query(" Don-17a ").codes == ("Don-17a", "DON-17A", "don-17a")


@pytest.mark.parametrize("typed", ["30F-123.45", "30f12345", "29-D1 876.54"])
def test_a_whole_plate_is_read_however_it_is_written(typed: str) -> None:
    plate = read_query(typed).plate
    assert plate is not None
    assert plate.isalnum()


def test_nothing_is_looked_for_in_an_empty_box() -> None:
    assert read_query(" . ").is_empty
    assert not read_query("20000").is_empty
