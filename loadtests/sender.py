"""The sender: a process of its own that calls the hub and writes down every answer.

Run as `python -m loadtests.sender JOB LOG`. It shares two cores with the hub and PostgreSQL, so it
is thin: callbacks of one protocol object per connection, no coroutines, requests put together as
bytes. One request at a time per connection, as real clients do.
"""

import asyncio
import hmac
import resource
import sys
import time
from collections import deque
from pathlib import Path
from typing import Final, cast

import httptools
import uvloop

from loadtests.wire import Answered, Call, SendingJob, SendingLog, read, write

TRIES_MAX: Final = 8  # providers come back too; what is never acknowledged is in the log
RETRY_AFTER_S: Final = 0.25
CONNECT_AT_ONCE: Final = 16


class Sender:
    """Gives calls to connections and keeps the log."""

    def __init__(self, job: SendingJob) -> None:
        self.job = job
        self.answers: list[Answered] = []
        self.finished = asyncio.get_running_loop().create_future()
        self._waiting: deque[tuple[int, float | None]] = deque()  # (call, when it was due)
        self._idle: list[Connection] = []
        self._tries = [0] * len(job.calls)
        self._left = len(job.calls)

    async def run(self) -> None:
        """Send everything and wait for the last answer."""
        loop = asyncio.get_running_loop()
        for start in range(0, self.job.connections, CONNECT_AT_ONCE):
            count = min(CONNECT_AT_ONCE, self.job.connections - start)
            await asyncio.gather(*[self.connect() for _ in range(count)])
        if self.job.calls_per_s is None:
            self._waiting.extend((number, None) for number in range(len(self.job.calls)))
            self._send_waiting()
        else:
            start_at = loop.time() + 0.1
            for number in range(len(self.job.calls)):
                due_at = start_at + number / self.job.calls_per_s
                loop.call_at(due_at, self._offer, number, due_at)
        await self.finished

    async def connect(self) -> None:
        """Open one connection."""
        loop = asyncio.get_running_loop()
        made = await loop.create_connection(lambda: Connection(self), self.job.host, self.job.port)
        self._idle.append(made[1])

    def take_answer(self, connection: "Connection", status: int) -> None:
        """Write an answer down and give the connection its next call."""
        self._write_down(connection.call, status, connection.sent_at_s)
        if self._waiting:
            connection.send(*self._waiting.popleft())
        else:
            self._idle.append(connection)

    def take_break(self, connection: "Connection") -> None:
        """A connection broke: note what was on it, open another."""
        if self.finished.done():
            return
        if connection in self._idle:
            self._idle.remove(connection)
        else:
            self._write_down(connection.call, 0, connection.sent_at_s)
        self._opening = asyncio.ensure_future(self._reconnect())

    def make_request(self, call: Call) -> bytes:
        """Put a request together; callbacks are signed now, with the time of now."""
        signature = ""
        if call.secret:
            now = str(int(time.time()))
            signed = now.encode() + b"." + call.body
            digest = hmac.digest(call.secret.encode(), signed, "sha256").hex()
            signature = f"X-SePay-Timestamp: {now}\r\nX-SePay-Signature: sha256={digest}\r\n"
        head = (
            f"{call.method} {call.path} HTTP/1.1\r\nHost: {self.job.host}:{self.job.port}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(call.body)}\r\n"
            f"{call.headers}{signature}\r\n"
        )
        return head.encode() + call.body

    async def _reconnect(self) -> None:
        while not self.finished.done():
            try:
                await self.connect()
            except OSError:
                await asyncio.sleep(RETRY_AFTER_S)
            else:
                self._send_waiting()
                return

    def _offer(self, number: int, due_at: float | None) -> None:
        self._waiting.append((number, due_at))
        self._send_waiting()

    def _send_waiting(self) -> None:
        while self._waiting and self._idle:
            self._idle.pop().send(*self._waiting.popleft())

    def _write_down(self, number: int, status: int, sent_at_s: float) -> None:
        self.answers.append(Answered(number, status, sent_at_s, time.monotonic()))
        self._tries[number] += 1
        if (status == 0 or status >= 500) and self._tries[number] < TRIES_MAX:
            asyncio.get_running_loop().call_later(RETRY_AFTER_S, self._offer, number, None)
            return
        self._left -= 1
        if self._left == 0:
            self.finished.set_result(None)


class Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request on its way."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self.call = 0
        self.sent_at_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to write."""
        self._transport = cast(asyncio.Transport, transport)

    def send(self, number: int, due_at: float | None) -> None:
        """Send one call."""
        assert self._transport is not None
        request = self._sender.make_request(self._sender.job.calls[number])
        self.call, self.sent_at_s = number, due_at or time.monotonic()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Feed the parser."""
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """An answer is whole."""
        self._sender.take_answer(self, self._parser.get_status_code())

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the sender."""
        self._sender.take_break(self)


async def send_all(job: SendingJob) -> SendingLog:
    """Send a job's calls and return the log."""
    sender = Sender(job)
    await sender.run()
    used = resource.getrusage(resource.RUSAGE_SELF)
    return SendingLog(answers=sender.answers, cpu_s=used.ru_utime + used.ru_stime)


if __name__ == "__main__":
    write(Path(sys.argv[2]), uvloop.run(send_all(read(Path(sys.argv[1]), SendingJob))))
