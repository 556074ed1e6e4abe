"""Texts of plates: as they are typed, tidied for the eye and made compact for the key.

People type plates with any separators, on keyboards that write Vietnamese, in full width or lower
case, with Đ in one of four spellings; cameras give the same and worse. Nothing here knows grammar.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from parking.plates.errors import PlateEmpty, PlateNotText, PlateTooLong

# "XE CỨU THƯƠNG KHÔNG BIỂN" and 24 others fit; the longest real plate has 12 characters.
PLATE_CHARS_MAX: Final = 32
# What is looked at before white space and invisible characters are taken away.
_RAW_CHARS_MAX: Final = 256

_SPACES: Final = frozenset("\t\n\r\v\f")  # two lines of a plate
# Nobody who types these means another letter; D with a stroke over it has no composed form.
_D_STROKES: Final = {ord(letter): "Đ" for letter in "đðÐƉɖ"}
_D_AND_STROKE: Final = re.compile("[Dd][\u0335\u0336\u0337\u0338]")
_OTHER_SCRIPTS: Final = str.maketrans(
    "АВЕКМНОРСТУХЅІЈΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",
    "ABEKMHOPCTYXSIJABEZHIKMNOPTYX",
)
# What Telex and VNI make of a letter and the key after it: "AS" becomes "Á", "A1" too.
_KEYS: Final = {
    "\u0301": "S1",
    "\u0300": "F2",
    "\u0309": "R3",
    "\u0303": "X4",
    "\u0323": "J5",
    "\u0302": " 6",  # Telex repeats the letter: "AA" becomes "Â"
    "\u031b": "W7",
    "\u0306": "W8",
}


@dataclass(frozen=True, kw_only=True)
class CompactText:
    """Letters and digits of a plate, and after how many of them there was a separator."""

    chars: str
    breaks: frozenset[int]


def tidy_text(text: str) -> str:
    """Return a plate's text for the eye: upper case, NFC, one space between words.

    Raises:
        PlateNotText: it holds control characters (but for tabs and line ends) or surrogates.
        PlateTooLong: it has more than PLATE_CHARS_MAX characters.
    """
    if len(text) > _RAW_CHARS_MAX:
        raise PlateTooLong(chars_max=PLATE_CHARS_MAX)
    for at, char in enumerate(text if not text.isprintable() else ""):
        if unicodedata.category(char) in ("Cc", "Cs") and char not in _SPACES:
            raise PlateNotText(at=at)
    if not text.isascii():
        text = "".join(char for char in text if unicodedata.category(char) != "Cf")
        text = _D_AND_STROKE.sub("Đ", unicodedata.normalize("NFKC", text))
        text = unicodedata.normalize("NFC", text.translate(_D_STROKES).upper())
    tidied = " ".join(text.upper().split())
    if len(tidied) > PLATE_CHARS_MAX:
        raise PlateTooLong(chars_max=PLATE_CHARS_MAX)
    return tidied


def compact_text(tidied: str) -> CompactText:
    """Return the letters and digits of a tidied text, without accents (Đ is a letter).

    Raises:
        PlateEmpty: there are none.
        PlateTooLong: there are more than PLATE_CHARS_MAX.
    """
    plain = tidied if tidied.isascii() else _strip_accents(tidied)
    chars: list[str] = []
    breaks: set[int] = set()
    for char in plain:
        if char.isalnum():
            chars.append(char)
        elif chars:
            breaks.add(len(chars))
    if not chars:
        raise PlateEmpty
    if len(chars) > PLATE_CHARS_MAX:
        raise PlateTooLong(chars_max=PLATE_CHARS_MAX)
    breaks.discard(len(chars))
    return CompactText(chars="".join(chars), breaks=frozenset(breaks))


def has_accents(tidied: str) -> bool:
    """Whether a keyboard's Vietnamese may have swallowed a letter or digit of the plate."""
    return not tidied.isascii() and any(
        char in _KEYS for char in unicodedata.normalize("NFD", tidied)
    )


def undo_keyboard(tidied: str) -> Iterator[str]:
    """Yield what was typed if a Telex or a VNI keyboard wrote the accents and Đ."""
    decomposed = unicodedata.normalize("NFD", tidied)
    for method, d_key in enumerate("D9"):
        typed: list[str] = []
        for char in decomposed:
            if char == "Đ":
                typed.append("D" + d_key)
            elif char in _KEYS and typed:
                key = _KEYS[char][method]
                typed.append(typed[-1] if key == " " else key)
            else:
                typed.append(char)
        yield "".join(typed)


def _strip_accents(tidied: str) -> str:
    decomposed = unicodedata.normalize("NFKD", tidied.translate(_OTHER_SCRIPTS))
    return "".join(
        str(unicodedata.decimal(char)) if char.isdecimal() else char
        for char in decomposed
        if not unicodedata.category(char).startswith("M")
    )
