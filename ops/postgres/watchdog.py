"""Keeps one PostgreSQL server no longer than the process that started it.

Run as a program of its own, with only the standard library:

    python postgres_watchdog.py LOG [--account UID GID] -- postgres -D DATA …

Standard input is the lifeline. The parent holds the other end; the kernel closes it when the parent
dies, even by kill -9, and then the server is stopped. A parent that wants to choose writes one word
first: "fast" (roll back and close), "immediate" (as after a crash) or "kill" (a crash, for tests).

A server that something else kills (as the kernel does when memory runs out) is started again.

The process ignores SIGINT: a Ctrl-C in the terminal is for the parent, which stops the server last.
"""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import BinaryIO

PR_SET_PDEATHSIG = 1  # linux/prctl.h
# A fast stop writes a checkpoint, which takes seconds on a slow disk; what is left after that is
# recovered from the log at the next start.
FAST_STOP_S = 15.0
IMMEDIATE_STOP_S = 5.0
STOP_SIGNALS = {b"fast": signal.SIGINT, b"immediate": signal.SIGQUIT, b"kill": signal.SIGKILL}
# The children of a killed server hold its shared memory for moments; until then a start fails.
RESTART_FOR_S = 20.0
RESTART_PAUSE_S = 0.5


def main(arguments: list[str]) -> int:
    """Start the server, wait for its end or the parent's, and leave no server behind."""
    split = arguments.index("--")
    log_path, *account = arguments[:split]
    uid, gid = (int(account[1]), int(account[2])) if account else (None, None)
    woken = _listen_for_signals()
    with Path(log_path).open("ab") as log:
        killed_at: float | None = None
        while True:
            server = _start_server(arguments[split + 1 :], log=log, uid=uid, gid=gid)
            wish = _wait_for_end(server, woken)
            if server.poll() is None:
                _stop(server, wish)
                break
            if server.returncode < 0:  # killed; one that ends by itself says why and stays down
                killed_at = time.monotonic()
            if killed_at is None or time.monotonic() - killed_at > RESTART_FOR_S:
                break
            if select.select([0], [], [], RESTART_PAUSE_S)[0]:
                break
    return server.returncode if server.returncode >= 0 else 128 - server.returncode


def _listen_for_signals() -> int:
    """Return a descriptor that becomes readable when the server ends or a stop is asked for."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return woken


def _start_server(
    command: list[str], *, log: BinaryIO, uid: int | None, gid: int | None
) -> subprocess.Popen[bytes]:
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def die_with_watchdog() -> None:
        # Runs after the change of user, which would clear it. Stops the server should the
        # watchdog itself be killed.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        if libc is not None:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)

    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        user=uid,
        group=gid,
        extra_groups=[] if uid is not None else None,
        umask=0o077,
        preexec_fn=die_with_watchdog,  # safe: this process has one thread
    )


def _wait_for_end(server: subprocess.Popen[bytes], woken: int) -> bytes:
    """Return how to stop the server: it ended, the parent wrote a wish, died, or SIGTERM came."""
    while True:
        ready, _, _ = select.select([0, woken], [], [])
        if 0 in ready:
            return os.read(0, 64).strip() or b"fast"
        caught = os.read(woken, 64)
        if server.poll() is not None or signal.SIGTERM in caught:
            return b"fast"


def _stop(server: subprocess.Popen[bytes], wish: bytes) -> None:
    steps = [
        (STOP_SIGNALS.get(wish, signal.SIGINT), FAST_STOP_S),
        (signal.SIGQUIT, IMMEDIATE_STOP_S),
        (signal.SIGKILL, IMMEDIATE_STOP_S),
    ]
    for number, wait_s in steps:
        server.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(wait_s)
            return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
