"""Texts that may be shown to people, and what is left of a paste."""

import pytest
from pydantic import TypeAdapter, ValidationError

from api.http.fields import NameText
from core.text import find_text_fault, tidy_line

SEEN = [
    "Phở Lan", "PHO LAN", "Chợ Đồng Xa, dãy B, quầy 12", "phở\u0301", "ngõ 5\u00a0– Hà Nội", "東京",
    "☕ Cà phê", "❤\ufe0f", "❤\ufe0f Trà", "👩\u200d🍳", "👩🏽\u200d🍳 Cô Ba",
    "👨\u200d👩\u200d👧", "🏳\ufe0f\u200d🌈",
    "1\ufe0f\u20e3", "🇻🇳", "™\ufe0f", "ℹ\ufe0f", "…", "1", "\u05e9\u05dc\u05d5\u05dd",
]  # fmt: skip
UNSEEN = [
    "\u200b", "\ufeff", "\u2800", "\u3164", "\u115f", "\u1160", "\uffa0", "\u00ad",
    "\u034f", "\u180e", "\u180b", "\u2060", "\u2061", "\u2063", "\u206a", "\ufffc",
    "\u202a", "\u202b", "\u202c", "\u202d", "\u202e", "\u2066", "\u2067", "\u2068",
    "\u2069", "\u200e", "\u200f", "\u061c", "\u200c", "\u200d", "\ufe0f", "\ufe00",
    "\U000e0100", "\U000e0041", "\U0001d173", "\u2028", "\u2029", "\u17b4", "\ufff0",
]  # fmt: skip
BLANK = ["\u00a0", "\u3000", "\u2003", " ", "\u0301", "\u3000\u0301"]

NAME: TypeAdapter[str] = TypeAdapter(NameText)


@pytest.mark.parametrize("text", SEEN)
def test_what_people_write_is_taken_as_it_is(text: str) -> None:
    assert find_text_fault(text) is None
    assert NAME.validate_python(text) == text
    assert tidy_line(text) == " ".join(text.split())


@pytest.mark.parametrize("char", UNSEEN)
def test_what_nobody_sees_is_refused_wherever_it_stands(char: str) -> None:
    for text in (
        char,
        char * 3,
        f"NGUYEN {char}VAN A",
        f"{char}Phở",
        f"Phở{char}",
        f"\u00e0{char}",
    ):
        assert find_text_fault(text) is not None, ascii(text)
        with pytest.raises(ValidationError):
            NAME.validate_python(f".{text}.")


@pytest.mark.parametrize("char", UNSEEN)
def test_what_nobody_sees_is_left_out_of_what_was_pasted(char: str) -> None:
    assert tidy_line(f"NGUYEN {char}VAN A") == "NGUYEN VAN A"
    assert tidy_line(char * 2) == ""


@pytest.mark.parametrize("text", BLANK)
def test_a_text_without_a_shape_is_blank(text: str) -> None:
    assert find_text_fault(text) == "blank"
    assert tidy_line(text) == ""
    with pytest.raises(ValidationError):
        NAME.validate_python(text)


@pytest.mark.parametrize(
    "text", ["a\u200db", "❤\u200d", "\u200d❤", "a\ufe0f", "1\ufe0f", "+\ufe0f", "👩\u200da"]
)
def test_a_joiner_that_joins_no_emoji_is_refused(text: str) -> None:
    assert find_text_fault(text) == "unseen"
