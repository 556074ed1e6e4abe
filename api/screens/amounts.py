"""What a vendor keys: "20" means 20.000 ₫. Pure; static/js/counter_keypad.js is the twin."""

import re
from typing import Final

from core.money import TRANSFER_VND_MAX

THOUSANDS_BELOW: Final = 1_000  # nothing on a market costs less: "20" is said for 20.000
_DIGITS: Final = re.compile(r"[0-9]{1,12}")


def read_amount(typed: str, *, is_plain: bool = False) -> int | None:
    """Return the đồng that were meant, or None for what is no amount that a code can carry.

    Args:
        typed: digits; dots, commas and spaces between them are how people group.
        is_plain: the vendor said that the entry is đồng, not thousands.

    An entry below 1,000 means thousands unless `is_plain`.
    """
    digits = re.sub(r"[.,\s₫đ]", "", typed)
    if not _DIGITS.fullmatch(digits):
        return None
    entered = int(digits)
    amount_vnd = entered if is_plain or entered >= THOUSANDS_BELOW else entered * 1_000
    return amount_vnd if 1 <= amount_vnd <= TRANSFER_VND_MAX else None
