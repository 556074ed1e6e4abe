"""A signal that Python swallows, because it comes while garbage is collected, still stops us."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SWALLOWED = """
import os, signal
from ops.processes import pause, stop_on_signals

class Garbage:
    def __del__(self):
        os.kill(os.getpid(), signal.{name})

stop_on_signals()
garbage = Garbage()
del garbage
print("swallowed", flush=True)
try:
    pause(30)
except KeyboardInterrupt:
    print("stopped")
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_that_is_swallowed_stops_the_next_pause(name: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", SWALLOWED.format(name=name)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )

    assert ended.stdout.split() == ["swallowed", "stopped"]
