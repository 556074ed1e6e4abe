"""Small servers on loopback: an application in a thread, and sockets that answer as told."""

import asyncio
import socket
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import httpx
import uvicorn
from starlette.types import ASGIApp

from tests.world.waits import DEADLINE_S, wait_until

STARTED_WITHIN_S = 120.0  # a machine that has other work starts them slowly
LOOKS_EVERY_S = 0.005
Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


class QuickServer(uvicorn.Server):
    """Uvicorn that ends within milliseconds: its own loops look, and rest at the end, for 0.1 s."""

    async def main_loop(self) -> None:
        await self.on_tick(0)
        while not self.should_exit:  # noqa: ASYNC110 (uvicorn's own way to be told)
            await asyncio.sleep(LOOKS_EVERY_S)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End as uvicorn does: answers under way are finished, at most for the grace."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        state = self.server_state
        try:
            async with asyncio.timeout(self.config.timeout_graceful_shutdown):
                while state.connections or state.tasks:  # noqa: ASYNC110
                    await asyncio.sleep(LOOKS_EVERY_S)
        except TimeoutError:
            for task in state.tasks:
                task.cancel()
        await self.lifespan.shutdown()


@contextmanager
def serve(app: ASGIApp) -> Iterator[str]:
    """Run an application in a thread on a free port; yields its address."""
    config = uvicorn.Config(app, port=0, log_level="error", timeout_graceful_shutdown=1)
    server = QuickServer(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
    thread.start()
    wait_until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(timeout=DEADLINE_S)
        assert not thread.is_alive()


def wait_until_served(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until a process that was just started answers at an address."""
    end = time.monotonic() + STARTED_WITHIN_S
    while True:
        assert process.poll() is None, "the process ended at its start"
        assert time.monotonic() < end, f"{url} did not answer"
        try:
            if httpx.get(url, timeout=5, trust_env=False).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)


@asynccontextmanager
async def a_server(speak: Answer) -> AsyncIterator[tuple[str, list[str]]]:
    """Serve whatever is said, over real sockets; yields the address and the first lines heard."""
    lines: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            lines.append(head.partition(b"\r\n")[0].decode())
            await speak(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", lines


def answering(status: str, body: bytes = b"", *headers: str) -> Answer:
    async def speak(writer: asyncio.StreamWriter) -> None:
        head = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", ""]
        writer.write("\r\n".join(head).encode() + body)
        await writer.drain()

    return speak


async def drip(writer: asyncio.StreamWriter) -> None:
    """Answer for ever, a byte at a time: no wait between two bytes is long."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.3)
