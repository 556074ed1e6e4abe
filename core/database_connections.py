"""Connections to PostgreSQL that notice when the server has vanished without a word.

A machine that loses power or its network sends no goodbye, and TCP alone waits for hours. Two
guards: the kernel's keepalives, for a machine that is gone, and a limit of our own on every wait
for an answer, for a server that is there and silent (a stopped process, a disk that hangs).
"""

import asyncio
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, Self

import psycopg

from core.settings import (
    TCP_KEEPALIVES_COUNT,
    TCP_KEEPALIVES_IDLE_S,
    TCP_KEEPALIVES_INTERVAL_S,
    TCP_USER_TIMEOUT_MS,
    Settings,
)

# Of every connection, also the tools'. libpq ignores them on a Unix socket.
KEEPALIVES: Final[Mapping[str, Any]] = {
    "keepalives": 1,
    "keepalives_idle": TCP_KEEPALIVES_IDLE_S,
    "keepalives_interval": TCP_KEEPALIVES_INTERVAL_S,
    "keepalives_count": TCP_KEEPALIVES_COUNT,
    "tcp_user_timeout": TCP_USER_TIMEOUT_MS,
}


@dataclass(slots=True)
class _Deadline:
    """When a block wants its answers at the latest; a task begun in it may outlive it."""

    until: float  # on the clock of the loop
    outer: "_Deadline | None"
    is_over: bool = False

    def find_until(self) -> float | None:
        """Return the nearest end of this block and those around it that still run."""
        while self.outer is not None and self.outer.is_over:  # nor is its memory kept
            self.outer = self.outer.outer
        around = self.outer.find_until() if self.outer is not None else None
        if self.is_over:
            return around
        return self.until if around is None else min(self.until, around)


# Of the running task, or of the block in which it was begun.
_deadline: Final[ContextVar[_Deadline | None]] = ContextVar("phopay_answer_deadline", default=None)
# How long one answer may take in the running task, where a connection's limit is too short.
_patience: Final[ContextVar[float]] = ContextVar("phopay_answer_patience", default=0.0)


class ServerSilent(psycopg.OperationalError):
    """The server did not answer in time; the connection was cut off and can no longer be used."""


@contextmanager
def answered_within(seconds: float) -> Iterator[None]:
    """Give the server this long, altogether, for what the running task asks in this block.

    A task that is begun in the block shares its deadline until the block ends, and no longer.
    """
    deadline = _Deadline(asyncio.get_running_loop().time() + seconds, outer=_deadline.get())
    token = _deadline.set(deadline)
    try:
        yield
    finally:
        deadline.is_over = True
        _deadline.reset(token)


def _read_deadline() -> float | None:
    deadline = _deadline.get()
    return None if deadline is None else deadline.find_until()


@contextmanager
def patient(seconds: float) -> Iterator[None]:
    """Let each answer in this block take so long: for statements that are bounded otherwise."""
    token = _patience.set(seconds)
    try:
        yield
    finally:
        _patience.reset(token)


def network_arguments(settings: Settings) -> dict[str, int]:
    """Return what libpq needs to notice a dead machine, as keyword arguments of a connection."""
    return {
        "connect_timeout": settings.database_connect_timeout_s,
        "keepalives": 1,
        "keepalives_idle": settings.tcp_keepalives_idle_s,
        "keepalives_interval": settings.tcp_keepalives_interval_s,
        "keepalives_count": settings.tcp_keepalives_count,
        "tcp_user_timeout": settings.tcp_user_timeout_ms,
    }


class WatchedConnection(psycopg.AsyncConnection[Any]):
    """A connection on which no wait for the server is longer than a limit.

    At the limit its socket is shut down, so that whatever waits on it ends at once, also what the
    driver does to cancel a statement or to roll back; a pool throws the connection away.
    """

    answer_within_s: float = 12.0

    @classmethod
    async def connect_watched(cls, *args: Any, answer_within_s: float, **kwargs: Any) -> Self:
        """Connect as `connect` does, and watch the connection from then on."""
        connection = await cls.connect(*args, **kwargs)
        connection.answer_within_s = answer_within_s
        return connection

    async def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
        """Wait for the server's answer, at most as long as the limit."""
        if kwargs.get("timeout") is not None:  # it has a limit of its own: notifies()
            return await super().wait(gen, *args, **kwargs)
        loop = asyncio.get_running_loop()
        longest = loop.time() + max(self.answer_within_s, _patience.get())
        is_late = False
        timer: asyncio.TimerHandle

        def find_until() -> float:
            wanted = _read_deadline()
            return longest if wanted is None else min(longest, wanted)

        def look() -> None:
            nonlocal timer, is_late
            until = find_until()  # the block may have ended meanwhile, and its deadline with it
            if loop.time() < until:
                timer = loop.call_at(until, look)
                return
            is_late = True
            self._cut_off()

        timer = loop.call_at(find_until(), look)
        try:
            return await super().wait(gen, *args, **kwargs)
        except psycopg.Error as error:
            if is_late:
                raise ServerSilent("The database did not answer in time.") from error
            raise
        finally:
            timer.cancel()

    def _cut_off(self) -> None:
        # A copy of the descriptor: the socket itself stays libpq's. It may be closed meanwhile.
        with (
            suppress(OSError, psycopg.Error),
            socket.socket(fileno=os.dup(self.pgconn.socket)) as copy,
        ):
            copy.shutdown(socket.SHUT_RDWR)
