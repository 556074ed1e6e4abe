"""Receivers of webhooks for the bench: one answers at once, one never does; both keep a log.

Run as `python -m loadtests.webhook_receiver`; it prints its port. What is posted below /hang gets
no answer, what is posted below /other is answered and not kept. GET /received returns what came to
the others since it was last asked for, as JSON: [[webhook-id, Unix time], …].
"""

import asyncio
import json
import time
from typing import cast

import httptools
import uvloop

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
received: list[tuple[str, float]] = []


class Receiver(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._url = b""
        self._event_id = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to write."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Feed the parser."""
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        """Remember what is asked for."""
        self._url = url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Remember which event it is."""
        if name.lower() == b"webhook-id":
            self._event_id = value.decode()

    def on_message_complete(self) -> None:
        """Answer a whole request, or do not."""
        assert self._transport is not None
        if self._url.startswith(b"/hang"):
            return
        if self._url == b"/received":
            body = json.dumps(received).encode()
            received.clear()
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            self._transport.write(head + body)
            return
        if self._url.startswith(b"/other"):
            self._transport.write(ANSWER)
            return
        received.append((self._event_id, time.time()))
        self._transport.write(ANSWER)


async def serve() -> None:
    """Serve until stopped."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Receiver, "127.0.0.1", 0, backlog=1_000)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve())
