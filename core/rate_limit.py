"""Limits on how often something may be tried, in the memory of one process."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from core.errors import TooManyRequests

NAMES_MAX: Final = 20_000


class RateLimit:
    """So many tries in so many seconds for each name, refilled steadily (a token bucket).

    Each process counts for itself; what must hold over all of them is counted in the database
    (failed logins, Staff.failed_attempts).
    """

    def __init__(
        self, tries: int, *, per_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._tries = tries
        self._per_s = per_s
        self.clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> None:
        """Count one try.

        Raises:
            TooManyRequests: none is left; says when the next one is.
        """
        now = self.clock()
        left, at = self._left.pop(name, (float(self._tries), now))
        left = min(self._tries, left + (now - at) * self._tries / self._per_s)
        is_allowed = left >= 1
        self._left[name] = (left - 1 if is_allowed else left, now)
        if len(self._left) > NAMES_MAX:
            self._left.popitem(last=False)
        if not is_allowed:
            wait_s = math.ceil((1 - left) * self._per_s / self._tries)
            raise TooManyRequests("Too many tries; wait a little.", retry_after_s=max(1, wait_s))
