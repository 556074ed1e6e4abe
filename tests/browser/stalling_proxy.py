"""A network that dies without a word: it stops carrying bytes and closes nothing."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Self
from urllib.parse import urlsplit


class StallingProxy:
    """Carries bytes to a hub and back, until told to carry none; what waited goes on later."""

    def __init__(self, url: str) -> None:
        self._target = urlsplit(url)
        self._loop = asyncio.new_event_loop()
        self._carries = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._thread = Thread(target=self._loop.run_forever, daemon=True)

    @property
    def url(self) -> str:
        """The address that pages open."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def start(self) -> Self:
        """Listen on a free port and carry."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(5)
        self.carry()
        return self

    def carry(self) -> None:
        """Carry bytes, those that waited first."""
        self._loop.call_soon_threadsafe(self._carries.set)

    def stall(self) -> None:
        """Carry nothing from now on; connections stay open, and new ones are taken."""
        self._loop.call_soon_threadsafe(self._carries.clear)

    def stop(self) -> None:
        """End every connection and the thread."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0)

    async def _end(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        writers = [writer]
        try:
            await self._carries.wait()
            target = await asyncio.open_connection(self._target.hostname, self._target.port)
            writers.append(target[1])
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(reader, target[1]))
                both.create_task(self._pump(target[0], writer))
        except* (OSError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            for one in writers:
                one.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            await self._carries.wait()
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError  # one side is done, and so is the other


@contextmanager
def stalling_proxy(url: str) -> Iterator[StallingProxy]:
    """Put a network before a hub; it is gone at the end."""
    proxy = StallingProxy(url).start()
    try:
        yield proxy
    finally:
        proxy.carry()
        proxy.stop()
