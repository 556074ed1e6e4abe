"""One hub process whose clock is off, serving on a socket that its parent has bound.

Run as `python -m tests.browser.skewed_hub FD SKEW_S`. Everything that reads this machine's time in
the process reads it wrong; the database's is right.
"""

import sys
import time
from datetime import UTC, datetime, timedelta

import core.clock

SKEW = timedelta(seconds=float(sys.argv[2]))
_time, _time_ns = time.time, time.time_ns
time.time = lambda: _time() + SKEW.total_seconds()
time.time_ns = lambda: _time_ns() + int(SKEW.total_seconds() * 1e9)
core.clock.read_clock = lambda: datetime.now(UTC) + SKEW  # before anybody imports it

from ops import hub_process  # noqa: E402

hub_process.main(int(sys.argv[1]))
