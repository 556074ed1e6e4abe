"""Bank references as identifiers: which ones distinguish transfers. Pure.

Banks number transfers by the day, repeat a number for a whole batch, or write a filler. So a
reference never is a key by itself: it counts together with amount, direction and time, and only
where it looks like one transfer's own.
"""

import re
from typing import Final

# Real ones seen: FT26324000123, FT24364030863634, TF230204212323, 208V009252001310,
# MBVCB.3278907687, 519810759252, SB7703EF77157F.
NUMBER_MIN: Final = 10  # digits of a number, be there letters before it or not
MIXED_MIN: Final = 8  # letters and digits where letters stand among the digits, too
MIXED_DIGITS_MIN: Final = 4
BEHIND_DATE_MIN: Final = 6  # a time of day, or more than a day's counter has
DIFFERENT_CHARS_MIN: Final = 3

_NOT_PLAIN: Final = re.compile(r"[^0-9A-Z]")
_LEADING_LETTERS: Final = re.compile(r"[A-Z]*")
_YEAR, _MONTH, _DAY = "20[2-4][0-9]", "(?:0[1-9]|1[0-2])", "(?:0[1-9]|[12][0-9]|3[01])"
_DATE: Final = re.compile(f"{_YEAR}{_MONTH}{_DAY}|{_DAY}{_MONTH}{_YEAR}")
_SAME_AGAIN: Final = re.compile(r"(.)\1+")
_COUNTED: Final = ("01234567890123456789", "98765432109876543210")
_PHONE: Final = re.compile(r"1[89]00[0-9]{4,6}|84[0-9]{9}")
_BRANCH: Final = re.compile(r"\D*[0-9]{10}-[0-9]{3}\s*")
_TAX_WORDS: Final = ("", "MST", "MASOTHUE")
# Circular 105/2020/TT-BTC: nine digits and a check digit, and three of a branch.
_TAX_WEIGHTS: Final = (31, 29, 23, 19, 17, 13, 7, 5, 3)


def is_identifying_reference(reference: str | None) -> bool:
    """Decide whether a bank's reference looks like one transfer's own.

    The letters and zeros before its number do not count. No reference are: nothing and blanks,
    signs alone ("-", "."), words with or without a counter ("NULL", "NOREF0000", "UNKNOWN1234"),
    dates with or without a day's counter ("ND20261120", "20261120-0007"), one piece again and again
    ("00000000", "1212121212"), digits in a row ("1234567890"), numbers of people ("0100109106", a
    tax code; a telephone), and counters, whatever they are padded with ("0007", "FT000000000012").
    """
    plain = _make_plain(reference)
    letters = _read_letters(plain)
    digits = plain[len(letters) :]
    if letters in _TAX_WORDS and _is_tax_code(digits, has_branch=_has_branch(reference)):
        return False
    core = digits.lstrip("0")
    if len(set(core)) < DIFFERENT_CHARS_MIN or _is_date(digits) or _is_repetition(core):
        return False
    if not core.isdigit():
        digit_count = sum(char.isdigit() for char in core)
        return len(letters) + len(core) >= MIXED_MIN and digit_count >= MIXED_DIGITS_MIN
    once = _SAME_AGAIN.sub(r"\1", core)
    is_counted = any(once in row for row in _COUNTED)
    return len(core) >= NUMBER_MIN and not is_counted and not _PHONE.fullmatch(core)


def are_two_transfers(one: str | None, other: str | None) -> bool:
    """Decide whether two references are of one bank's form, and say of two transfers that they are.

    Providers may pass on different numbers of one transfer (the bank's, NAPAS's): these look
    different. A number that one of them has cut is the same.
    """
    if not (is_identifying_reference(one) and is_identifying_reference(other)):
        return False
    first, second = sorted((_make_plain(one), _make_plain(other)), key=len)
    if second.startswith(first) or second.endswith(first):
        return False
    letters = _read_letters(first)
    return letters == _read_letters(second) and (letters != "" or len(first) == len(second))


def _make_plain(reference: str | None) -> str:
    return _NOT_PLAIN.sub("", (reference or "").upper())


def _read_letters(plain: str) -> str:
    found = _LEADING_LETTERS.match(plain)
    assert found is not None
    return found.group()


def _is_date(digits: str) -> bool:
    """Tell whether there is a date, and no more behind it than a day's counter."""
    core = digits.lstrip("0")
    dates = (_DATE.match(core), _DATE.match(digits[-len(core) - 1 :]))  # a day may begin with 0
    return any(
        len(date.string[date.end() :].lstrip("0")) < BEHIND_DATE_MIN
        for date in dates
        if date is not None
    )


def _is_repetition(core: str) -> bool:
    """Tell whether there is one piece again and again, be the last one cut."""
    return any(core[size:] == core[:-size] for size in range(1, len(core) // 2 + 1))


def _has_branch(reference: str | None) -> bool:
    return _BRANCH.fullmatch(reference or "") is not None


def _is_tax_code(digits: str, *, has_branch: bool) -> bool:
    """Tell whether ten digits are a Vietnamese tax code by their check digit."""
    if not digits.isdigit() or len(digits) != (13 if has_branch else 10):
        return False
    weighted = sum(int(digit) * by for digit, by in zip(digits, _TAX_WEIGHTS, strict=False))
    return 10 - weighted % 11 == int(digits[9])
