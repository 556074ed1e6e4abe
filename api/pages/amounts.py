"""Amounts as a vendor keys them: "20" means 20.000 ₫. Pure; counter_keypad.js is the twin."""

import re
from typing import Final

from core.money import TRANSFER_VND_MAX

THOUSANDS_BELOW: Final = 1_000  # nothing on a market costs less: "20" is said for 20.000
DIGITS_MAX: Final = 12
# Digits alone, or in groups of three with one kind of separator, and a currency behind them. What
# looks like a decimal is refused: "20.5" is neither 205 nor 20.
_ENTRY: Final = re.compile(
    r"(?P<digits>[0-9]{1,12}"
    r"|[1-9][0-9]{0,2}(?P<mark>[., \u00a0\u202f])[0-9]{3}(?:(?P=mark)[0-9]{3})*)"
    r"[ \u00a0\u202f]?(?:₫|đ|vnd|vnđ)?",
    re.IGNORECASE,
)
_NOT_DIGITS: Final = re.compile(r"[^0-9]")


def read_amount(typed: str, *, is_plain: bool = False) -> int | None:
    """Return the đồng that were meant, or None for what is no amount that a code can carry.

    Args:
        typed: digits; a dot, comma or space between groups of three is how people group.
        is_plain: the vendor said that the entry is đồng, not thousands.

    An entry below 1,000 means thousands unless `is_plain`.
    """
    found = _ENTRY.fullmatch(typed.strip(" \u00a0\u202f"))
    if found is None:
        return None
    digits = _NOT_DIGITS.sub("", found["digits"])
    if len(digits) > DIGITS_MAX:
        return None
    entered = int(digits)
    amount_vnd = entered if is_plain or entered >= THOUSANDS_BELOW else entered * 1_000
    return amount_vnd if 1 <= amount_vnd <= TRANSFER_VND_MAX else None
