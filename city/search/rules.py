"""Readings of what somebody types into the one box: reference, amount, plate, words. Pure."""

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from core.money import VND_MAX
from core.text import STROKED_D
from identity.people.rules import Permission
from parking.plates import PlateError, read_plate
from payments.bills.references import find_references

QUERY_CHARS_MAX: Final = 100
WORDS_MAX: Final = 6
WORD_CHARS_MIN: Final = 2  # one letter begins half of all words
FOUND_MAX: Final = 20  # of one kind
# What no index finds is looked for among the newest rows: more takes too long to wait for.
RECENT_ROWS: Final = 20_000
RECENT_MEMOS: Final = 10_000  # each is folded first
KIND_WITHIN_MS: Final = 1_500  # of one kind, in the database
GROUPED: Final = re.compile(r"\d{1,3}(?:[.,\s]\d{3})+|\d+")
CURRENCY: Final = re.compile(r"\s*(?:₫|đ|vnd|dong|d)\s*\Z")
CODE: Final = re.compile(r"[0-9a-z][0-9a-z._/-]{3,59}\Z")
NOT_A_WORD: Final = re.compile(r"[^0-9a-z]+")


class FoundKind(StrEnum):
    """What a search finds."""

    BILL = "bill"
    CREDIT = "credit"
    STATEMENT_LINE = "statement_line"
    PARKING_SESSION = "parking_session"
    REFUND = "refund"


# What somebody must be allowed to read for each kind.
NEEDS: Final = {
    FoundKind.BILL: Permission.BILLS_READ,
    FoundKind.CREDIT: Permission.LEDGER_READ,
    FoundKind.STATEMENT_LINE: Permission.LEDGER_READ,
    FoundKind.PARKING_SESSION: Permission.PARKING_READ,
    FoundKind.REFUND: Permission.BILLS_READ,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What a text may mean; each part that it has is looked for."""

    references: tuple[str, ...]  # of bills, ours
    # A bank's reference or another system's number: as it was typed, in capitals, in small letters.
    codes: tuple[str, ...]
    amount_vnd: int | None
    plate: str | None  # compact
    words: tuple[str, ...]  # folded: lower case, without marks

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to look for."""
        return not (self.references or self.codes or self.amount_vnd or self.plate or self.words)


def read_query(text: str) -> Wanted:
    """Read what somebody typed into the one box."""
    typed = " ".join(text[:QUERY_CHARS_MAX].split())
    folded = fold(typed)
    words = [one for one in NOT_A_WORD.split(folded) if len(one) >= WORD_CHARS_MIN]
    amount_vnd = _read_amount(folded)
    return Wanted(
        references=tuple(one.reference for one in find_references(typed)),
        codes=_list_codes(typed, folded),
        amount_vnd=amount_vnd,
        plate=_read_plate(typed) if any(map(str.isalpha, typed)) else None,
        words=tuple(words[:WORDS_MAX]),
    )


def fold(text: str) -> str:
    """Return a text in lower case and without marks: "Cô Đào" → "co dao"."""
    marked = unicodedata.normalize("NFD", text.translate(STROKED_D)).lower()
    return "".join(one for one in marked if not unicodedata.combining(one))


def _list_codes(typed: str, folded: str) -> tuple[str, ...]:
    """List how a code may be kept: no index finds it whatever its case."""
    if not CODE.match(folded) or not any(map(str.isdigit, folded)):
        return ()
    return tuple(dict.fromkeys((typed, folded.upper(), folded)))


def _read_amount(folded: str) -> int | None:
    """Read an amount: 20000, 20.000, 20,000 d, 20 000 vnd."""
    bare = CURRENCY.sub("", folded)
    if not GROUPED.fullmatch(bare):
        return None
    amount_vnd = int(re.sub(r"\D", "", bare))
    return amount_vnd if 0 < amount_vnd <= VND_MAX else None


def _read_plate(typed: str) -> str | None:
    try:
        plate = read_plate(typed).compact
    except PlateError:
        return None
    has_both = any(map(str.isdigit, plate)) and any(map(str.isalpha, plate))
    return plate if has_both and 6 <= len(plate) <= 12 else None
