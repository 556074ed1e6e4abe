"""Transfer numbers in MB's form, and the day on which a bank books a transfer."""

from datetime import date, datetime, timedelta, timezone
from random import Random
from typing import Final

# Việt Nam keeps UTC+7 all year.
VIETNAM: Final = timezone(timedelta(hours=7), "ICT")
# Transfers from 22:00 on may be booked the next day (payOS FAQ).
LATE_HOUR: Final = 22
SUNDAY: Final = 6
FT_DIGITS: Final = 9


def booking_day(at: datetime) -> date:
    """Return the day the bank books a transfer on.

    From 22:00 it is the next day; a Sunday is booked on Monday, a Saturday stays. Inferred from
    three dated FT numbers of MB (docs/sandbox.md), not from a bank's own document.
    """
    local = at.astimezone(VIETNAM)
    day = local.date() + timedelta(days=1 if local.hour >= LATE_HOUR else 0)
    return day + timedelta(days=1) if day.weekday() == SUNDAY else day


def ft_number(ordinal: int, at: datetime, seed: int) -> str:
    """Return a reference in MB's form: FT + yyddd of the booking day + nine digits.

    The digits are the ordinal under a seeded one-to-one map, so they look random and never repeat
    below 10**9 transfers.
    """
    rng = Random(f"ft:{seed}")
    factor = rng.randrange(10**8, 10**9) * 10 + rng.choice((1, 3, 7, 9))
    digits = (ordinal * factor + rng.randrange(10**FT_DIGITS)) % 10**FT_DIGITS
    day = booking_day(at)
    return f"FT{day:%y%j}{digits:0{FT_DIGITS}d}"
