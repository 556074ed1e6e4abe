"""Amounts in Vietnamese words, checked on known cases and by reading the words back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.vnd_words import NUMBER_MAX, spell_number, spell_vnd, words_of

# What a Vietnamese reader says; the first four and 1.5×10¹² are those that num2words gets wrong.
SPELLED = [
    (1_005, "một nghìn không trăm linh năm"),
    (1_015, "một nghìn không trăm mười lăm"),
    (1_005_000, "một triệu không trăm linh năm nghìn"),
    (1_500_000_000_000, "một nghìn năm trăm tỷ"),
    (0, "không"),
    (1, "một"),
    (4, "bốn"),
    (5, "năm"),
    (10, "mười"),
    (11, "mười một"),
    (14, "mười bốn"),
    (15, "mười lăm"),
    (20, "hai mươi"),
    (21, "hai mươi mốt"),
    (24, "hai mươi tư"),
    (25, "hai mươi lăm"),
    (100, "một trăm"),
    (104, "một trăm linh bốn"),
    (115, "một trăm mười lăm"),
    (555, "năm trăm năm mươi lăm"),
    (20_000, "hai mươi nghìn"),
    (21_500, "hai mươi mốt nghìn năm trăm"),
    (1_000_001, "một triệu không trăm linh một"),
    (409_990_900, "bốn trăm linh chín triệu chín trăm chín mươi nghìn chín trăm"),
    (1_000_000_000, "một tỷ"),
    (1_000_000_005, "một tỷ không trăm linh năm"),
    (2_050_000_000, "hai tỷ không trăm năm mươi triệu"),
    (1_005_000_000_000, "một nghìn không trăm linh năm tỷ"),
    (10**15, "một triệu tỷ"),
]

DIGITS = ["không", "một", "hai", "ba", "bốn", "năm", "sáu", "bảy", "tám", "chín"]
VALUES = {word: digit for digit, word in enumerate(DIGITS)}
VALUES |= {"mốt": 1, "tư": 4, "lăm": 5}


@pytest.mark.parametrize(("number", "words"), SPELLED)
def test_number_is_said_as_a_vietnamese_reader_says_it(number: int, words: str) -> None:
    assert spell_number(number) == words
    assert spell_vnd(number) == f"{words} đồng"


def test_south_says_le_and_ngan() -> None:
    assert spell_vnd(1_005, linh="lẻ", nghin="ngàn") == "một ngàn không trăm lẻ năm đồng"


@pytest.mark.parametrize("number", [-1, -5, NUMBER_MAX + 1])
def test_what_cannot_be_money_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match="from 0 to"):
        spell_vnd(number)


def test_words_are_the_syllables_of_the_sentence() -> None:
    assert words_of(20_000) == ["hai", "mươi", "nghìn", "đồng"]


@given(st.integers(0, NUMBER_MAX) | st.integers(0, 10_000_000))
def test_words_read_back_give_the_number(number: int) -> None:
    assert read_back(spell_number(number).split()) == number


@given(st.integers(0, NUMBER_MAX) | st.integers(0, 10_000_000))
def test_southern_words_differ_in_two_words_only(number: int) -> None:
    southern = spell_number(number, linh="lẻ", nghin="ngàn")
    assert southern.replace("lẻ", "linh").replace("ngàn", "nghìn") == spell_number(number)


def read_back(words: list[str]) -> int:
    """Turn words into the number, by another road than the speller: one word after another.

    Refuses what nobody says: "mốt" elsewhere than after "mươi", a zero after "linh".
    """
    billions = total = group = 0
    digit: int | None = None
    last = ""
    for word in words:
        if word == "tỷ":
            billions, total, group, digit = total + group + (digit or 0), 0, 0, None
        elif word in {"triệu", "nghìn"}:
            total += (group + (digit or 0)) * (10**6 if word == "triệu" else 10**3)
            group, digit = 0, None
        elif word == "trăm":
            assert digit is not None
            group, digit = digit * 100, None
        elif word == "mươi":
            assert digit is not None
            assert digit > 1
            group, digit = group + digit * 10, None
        elif word == "mười":
            assert digit is None
            group += 10
        elif word == "linh":
            assert last == "trăm"
        else:
            assert digit is None
            assert word not in {"mốt", "tư"} or last == "mươi"
            assert word != "lăm" or last in {"mươi", "mười"}
            assert word != "không" or len(words) == 1 or last != "linh"
            digit = VALUES[word]
        last = word
    return billions * 10**9 + total + group + (digit or 0)
