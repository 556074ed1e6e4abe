"""The listener: a process of its own that keeps vendors' live streams open and times each event.

Run as `python -m loadtests.listener JOB LOG`. It prints "ready" when every stream has said hello,
and ends when it received everything that it was to await, or after its time.
"""

import asyncio
import re
import sys
import time
from pathlib import Path
from typing import cast

import httptools
import uvloop

from loadtests.wire import ListeningJob, ListeningLog, PullResult, read, write
from payments.bills.references import ALPHABET

READY_TIMEOUT_S = 30.0
# A bill's id or its reference, wherever a screen's data has it.
NAME = re.compile(rf"[0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}|PP[{ALPHABET}]{{11}}")


class Listener:
    """Collects what all streams say."""

    def __init__(self, job: ListeningJob) -> None:
        loop = asyncio.get_running_loop()
        self.job = job
        self.received: dict[str, PullResult] = {}
        self._awaited = frozenset(job.awaited)
        self._left = job.awaited_count
        self.is_ready = loop.create_future()
        self.is_done = loop.create_future()
        self._silent = len(job.streams)

    def greet(self) -> None:
        """A stream said its first word."""
        self._silent -= 1
        if self._silent == 0:
            self.is_ready.set_result(None)

    def give_up(self, reason: str) -> None:
        """A stream was refused."""
        if not self.is_ready.done():
            self.is_ready.set_exception(RuntimeError(reason))

    def note(self, data: str) -> None:
        """Note when what is awaited comes for the first time; a fresh page also receives echoes."""
        at_s = time.monotonic()
        names = self._awaited.intersection(NAME.findall(data))
        if not names or any(name in self.received for name in names):
            return
        for name in names:
            self.received[name] = PullResult(at_s, name)
        self._left -= 1
        if self._left == 0:
            self.is_done.set_result(None)


class Stream(asyncio.Protocol):
    """One open stream of server-sent events."""

    def __init__(self, listener: Listener, number: int) -> None:
        self._listener = listener
        self._number = number
        self._parser = httptools.HttpResponseParser(self)
        self._text = b""
        self._has_greeted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the stream."""
        job = self._listener.job
        path, headers = job.streams[self._number]
        cast(asyncio.Transport, transport).write(
            f"GET {path} HTTP/1.1\r\nHost: {job.host}:{job.port}\r\n"
            f"Accept: text/event-stream\r\n{headers}\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        """Feed the parser."""
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """Take whole events off the text."""
        status = self._parser.get_status_code()
        if status != 200:
            self._listener.give_up(f"a stream was answered {status}: {body[:300]!r}")
            return
        if not self._has_greeted:
            self._has_greeted = True
            self._listener.greet()
        *whole, self._text = (self._text + body).split(b"\n\n")
        for event in whole:
            for line in event.split(b"\n"):
                if line.startswith(b"data: "):
                    self._listener.note(line[6:].decode())


async def listen(job: ListeningJob) -> ListeningLog:
    """Open the streams, say "ready" and listen."""
    loop = asyncio.get_running_loop()
    listener = Listener(job)
    for number in range(len(job.streams)):
        await loop.create_connection(
            lambda number=number: Stream(listener, number),  # type: ignore[misc]
            job.host,
            job.port,
        )
    async with asyncio.timeout(READY_TIMEOUT_S):
        await listener.is_ready
    print("ready", flush=True)
    await asyncio.wait([listener.is_done], timeout=job.timeout_s)
    return ListeningLog(events=list(listener.received.values()))


if __name__ == "__main__":
    write(Path(sys.argv[2]), uvloop.run(listen(read(Path(sys.argv[1]), ListeningJob))))
