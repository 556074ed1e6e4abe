"""Cells and rows of tables: the one form in which CSV, Excel and HTML reach the table's reader.

A cell is text, a number of Excel's (exact, as Decimal), a fault, or nothing. Dates of Excel are
numbers: it keeps days since 30 December 1899, and a column's meaning says that they are days.
"""

import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Final, NamedTuple

from payments.statements.reading.types import FACT_CHARS_MAX, RowFault

# What a database does not keep or nobody can see; tab and line ends are part of memos.
BAD_CHARACTERS: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
WORDS: Final = re.compile(r"[^0-9a-z]+")
# Excel's way to keep a number as text in a CSV: ="00123".
TEXT_FORMULA: Final = re.compile(r'="([^"]*)"\Z')


@dataclass(frozen=True, slots=True)
class CellFault:
    """A cell that has no value, and why."""

    fault: RowFault
    value: str = ""


Cell = str | Decimal | CellFault | None


class Row(NamedTuple):
    """One row as it stands."""

    number: int  # from 1
    cells: list[Cell]
    sheet: str | None = None


def name_column(index: int) -> str:
    """Return the letters by which spreadsheets name a column: 0 → A, 26 → AA."""
    name = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        name = chr(ord("A") + rest) + name
    return name


def index_of(name: str) -> int | None:
    """Return the index of a column by its letters: A → 0, AA → 26; None for anything else."""
    if not 1 <= len(name) <= 3 or any(not "A" <= letter <= "Z" for letter in name):
        return None
    index = 0
    for letter in name:
        index = index * 26 + ord(letter) - ord("A") + 1
    return index - 1


def text_of(cell: Cell) -> str:
    """Return what a cell shows: numbers without an exponent, a fault as nothing."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, Decimal):
        return _write(cell)
    return ""


def quote(cell: Cell) -> str:
    """Return the start of a cell, for the facts of an error."""
    text = cell.value if isinstance(cell, CellFault) else text_of(cell)
    shown = BAD_CHARACTERS.sub("\ufffd", text.strip())
    return shown if len(shown) <= FACT_CHARS_MAX else shown[: FACT_CHARS_MAX - 1] + "…"


@lru_cache(maxsize=4096)
def fold(text: str) -> str:
    """Return words in plain lower-case letters: "Số dư/Balance (VND)" → "so du balance vnd"."""
    marked = unicodedata.normalize("NFKD", text.lower().replace("đ", "d").replace("\u00d0", "d"))
    plain = "".join(one for one in marked if not unicodedata.combining(one))
    return WORDS.sub(" ", plain).strip()


def unwrap_formula(text: str) -> str:
    """Return the text that ="…" keeps, or the text as it is."""
    match = TEXT_FORMULA.match(text)
    return match[1] if match else text


def _write(number: Decimal) -> str:
    if not number.is_finite():
        return str(number)
    if abs(number.adjusted()) < 30 and number == number.to_integral_value():
        return str(int(number))
    return str(number)
