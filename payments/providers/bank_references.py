"""Bank references as identifiers: which ones distinguish transfers. Pure.

Banks number transfers by the day, repeat a number for a whole batch, or write a filler. So a
reference never is a key by itself: it counts together with amount, direction and time, and only
where it looks like one transfer's own.
"""

import re
from typing import Final

# Real ones seen: FT26324000123, TF230204212323, 208V009252001310, MBVCB.3278907687. A day's counter
# is "12", "0007" or "5012"; eight digits alone may be a date.
CHARS_MIN: Final = 8
DIGITS_MIN: Final = 4
DIGITS_ALONE_MIN: Final = 9
DIFFERENT_CHARS_MIN: Final = 3

_NOT_PLAIN: Final = re.compile(r"[^0-9A-Z]")
_ASCII_DIGITS: Final = re.compile(r"[0-9]")


def is_identifying_reference(reference: str | None) -> bool:
    """Decide whether a bank's reference looks like one transfer's own.

    No reference are: nothing and blanks, signs alone ("-", "."), words ("NULL", "N/A", "NONE",
    "NODATA"), one character again and again ("00000000", "XXXXXXXX"), and counters, whatever
    zeros or signs they are padded with ("0007", "5012", "000000000012").
    """
    plain = _NOT_PLAIN.sub("", (reference or "").upper())
    digits = len(_ASCII_DIGITS.findall(plain))
    if digits == len(plain):  # a number: its leading zeros do not count
        plain = plain.lstrip("0")
        return len(plain) >= DIGITS_ALONE_MIN and len(set(plain)) >= DIFFERENT_CHARS_MIN
    return (
        len(plain) >= CHARS_MIN and digits >= DIGITS_MIN and len(set(plain)) >= DIFFERENT_CHARS_MIN
    )
