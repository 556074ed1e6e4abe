"""Text as people see it: letters taken for one another, and characters that nobody sees."""

import unicodedata
from typing import Final

from core.errors import InvalidRequest, Violation

# Đ (U+0110) has twins that look the same and that Unicode does not take apart: Icelandic eth
# (U+00D0, which old code pages send) and African D (U+0189); each has a small letter.
_TWINS_OF_D: Final = "\u0110\u00d0\u0189\ua7c7"
_TWINS_OF_SMALL_D: Final = "\u0111\u00f0\u0256\ua7c8\u1d06"
STROKED_D: Final = str.maketrans(
    dict.fromkeys(_TWINS_OF_D, "D") | dict.fromkeys(_TWINS_OF_SMALL_D, "d")
)

# Controls, format characters (also those that turn the direction of writing) and half characters,
# the separators of lines and paragraphs.
_UNSEEN_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# Drawn as nothing or as a space although their category says letter, mark or symbol.
# Source: Unicode, DerivedCoreProperties, Default_Ignorable_Code_Point; and the blank Braille cell.
_BLANK: Final = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2065\u2800\u3164\uffa0\ufffc"
    "\U00016fe4\U0001d159"
    + "".join(map(chr, (*range(0xFE00, 0xFE10), *range(0xFFF0, 0xFFF9), *range(0xE0000, 0xE1000))))
)

_JOINER: Final = "\u200d"
_SELECTORS: Final = ("\ufe0e", "\ufe0f")  # as text, as a picture
_KEYCAP: Final = "\u20e3"
_AFTER_PICTOGRAPHS: Final = ("\ufe0f", *map(chr, range(0x1F3FB, 0x1F400)))

# What find_text_fault answers, in words.
TEXT_FAULTS: Final = {
    "control_characters": "must be one line of plain text",
    "unseen": "must not hold characters that nobody sees or that turn the direction of writing",
    "blank": "must show something",
}


def is_unseen(char: str) -> bool:
    """Whether a character shows nothing by itself; a space is seen by the gap it leaves."""
    return char in _BLANK or unicodedata.category(char) in _UNSEEN_CATEGORIES


def find_text_fault(text: str) -> str | None:
    """Say why a line may not be shown to people, or None. Emoji keep what joins their parts.

    Refused are characters that nobody sees, also those that turn the direction of writing and could
    dress one name up as another, and a text of nothing but such characters and spaces.
    """
    if text.isascii() and text.isprintable():
        return None if not text or not text.isspace() else "blank"
    for at, char in enumerate(text):
        if is_unseen(char) and not _joins_emoji(text, at):
            return "control_characters" if unicodedata.category(char) == "Cc" else "unseen"
    has_shape = any(unicodedata.category(char)[0] in "LNPSC" for char in text)
    return None if has_shape else "blank"


def check_lines(**lines: str | None) -> None:
    """Refuse texts that may not be shown, whichever way they came; None is no text.

    Raises:
        InvalidRequest: with the field, named as the argument is.
    """
    for field, text in lines.items():
        if text and (fault := find_text_fault(text)):
            detail = f"The {field.replace('_', ' ')} {TEXT_FAULTS[fault]}."
            violation = Violation(field=field, code=fault, detail=detail)
            raise InvalidRequest(detail, violations=[violation])


def tidy_line(text: str) -> str:
    """Return what a person typed or pasted as one line: without what nobody sees, single spaces."""
    kept = (
        char
        if not is_unseen(char) or _joins_emoji(text, at)
        else " " * (unicodedata.category(char) in ("Cc", "Zl", "Zp"))
        for at, char in enumerate(text)
    )
    line = " ".join("".join(kept).split())
    return line if find_text_fault(line) is None else ""


def strip_unseen(text: str) -> str:
    """Take white space and what nobody sees off both ends, as a paste brings it along.

    NUL stays, for whoever reads the text to refuse: no clipboard adds it.
    """
    start, end = 0, len(text)
    while start < end and _is_around(text[start]):
        start += 1
    while start < end and _is_around(text[end - 1]):
        end -= 1
    return text[start:end]


def _is_around(char: str) -> bool:
    return char.isspace() or (is_unseen(char) and char != "\x00")


def _joins_emoji(text: str, at: int) -> bool:
    """Whether a joiner or a variation selector stands where an emoji needs it."""
    before, after = text[at - 1 : at], text[at + 1 : at + 2]
    if text[at] == _JOINER:
        return (_is_pictograph(before) or before in _AFTER_PICTOGRAPHS) and _is_pictograph(after)
    if text[at] in _SELECTORS:
        return _is_pictograph(before) or (before in tuple("#*0123456789") and after == _KEYCAP)
    return False


def _is_pictograph(char: str) -> bool:
    if not char or char.isascii() or char in _BLANK:
        return False
    # Newer emoji are unassigned to an older Python's tables: their block says enough.
    is_in_block = 0x1F000 <= ord(char) < 0x1FB00
    return is_in_block or unicodedata.category(char) in ("So", "Sm") or char in "\u2139\u203c\u2049"
