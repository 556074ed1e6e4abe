"""Ending what never ends by itself, open streams, when the process is to stop."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any


@contextmanager
def closing_on_signals(close: Callable[[], None]) -> Iterator[None]:
    """Call `close` when the process is to stop, before the server does what it does then.

    uvicorn waits for open connections before it ends the lifespan, and an open stream never ends
    by itself. Only the main thread may do this; elsewhere it does nothing.
    """
    loop = asyncio.get_running_loop()
    restore: dict[signal.Signals, Any] = {}

    def chain(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(close)
        previous = restore[signal.Signals(number)]
        if callable(previous):
            previous(number, frame)

    for number in (signal.SIGTERM, signal.SIGINT):
        previous = signal.getsignal(number)
        # Without a server's own handler the default must stay: it ends the process.
        if callable(previous) and previous is not signal.default_int_handler:
            with suppress(ValueError):  # not the main thread
                signal.signal(number, chain)
                restore[number] = previous
    try:
        yield
    finally:
        for number, previous in restore.items():
            with suppress(ValueError):
                signal.signal(number, previous)
