"""Whole đồng: limits, how amounts are written, and how they are shared out."""

from typing import Final

# NAPAS 247 carries transfers below 500,000,000 ₫ (shared contract notes, §1.4).
TRANSFER_VND_MAX: Final = 499_999_999
# A bank can report more than one transfer may carry (a salary batch, a property sale).
VND_MAX: Final = 10**15


def format_vnd(amount_vnd: int) -> str:
    """Write an amount as people in Việt Nam read it: 20000 → "20.000 ₫" (no-break space)."""
    # As Babel's vi_VN does, which takes a tenth of a millisecond: too much for every live event.
    grouped = f"{amount_vnd:,}".replace(",", ".")
    return f"{grouped}\u00a0₫"
