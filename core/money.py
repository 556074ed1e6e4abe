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


def split_vnd(total_vnd: int, weights: list[int]) -> list[int]:
    """Share a total by weight without losing a đồng; leftover đồng go to the first shares.

    Args:
        total_vnd: what to share, zero or more.
        weights: one whole number of at least 1 per share.

    Returns:
        One amount in đồng per weight, in the same order, adding up to total_vnd.
    """
    assert total_vnd >= 0
    assert weights
    assert min(weights) >= 1
    whole = sum(weights)
    shares_vnd = [total_vnd * weight // whole for weight in weights]
    for i in range(total_vnd - sum(shares_vnd)):
        shares_vnd[i] += 1
    return shares_vnd
