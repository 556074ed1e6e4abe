"""A wire to PostgreSQL that can fall silent: it takes what is sent and passes nothing on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit


class SilentProxy:
    """Forwards TCP to one server until it is told to be silent; nobody is ever told goodbye."""

    def __init__(self, host: str, port: int) -> None:
        self._to = (host, port)
        self._may_pass = asyncio.Event()
        self._may_pass.set()
        self._dead: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    def fall_silent(self) -> None:
        """Pass nothing on from now on, on old connections and new ones."""
        self._may_pass.clear()

    def come_back(self) -> None:
        """Serve new connections; those that lived through the silence stay dead."""
        self._tasks, old = set(), self._tasks
        for task in old:
            task.cancel()
        self._may_pass.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._dead.add(writer)  # kept open, whatever happens
        if not self._may_pass.is_set():
            return
        back, out = await asyncio.open_connection(*self._to)
        self._dead.add(out)
        for source, sink in ((reader, out), (back, writer)):
            self._tasks.add(asyncio.create_task(self._pass_on(source, sink)))

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await source.read(65_536):
                await self._may_pass.wait()
                sink.write(data)
                await sink.drain()
            sink.close()

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        for writer in self._dead:
            writer.transport.abort()


@asynccontextmanager
async def silent_proxy(url: str) -> AsyncIterator[tuple[SilentProxy, str]]:
    """Run a proxy before a database; yields it and the address that goes through it."""
    parts = urlsplit(url)
    proxy = SilentProxy(parts.hostname or "127.0.0.1", parts.port or 5432)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    user = parts.netloc.rpartition("@")[0]
    try:
        yield proxy, parts._replace(netloc=f"{user}@127.0.0.1:{proxy.port}").geturl()
    finally:
        server.close()
        proxy.close()
