"""Calls that come a few seconds later: one for each key, however often it is asked for."""

import asyncio
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class DelayedCalls(Generic[Key]):
    """One process's planned calls. A key that has one planned gets no second."""

    def __init__(self, *, after_s: float) -> None:
        self._after_s = after_s
        self._planned: dict[Key, asyncio.TimerHandle] = {}

    def plan(self, key: Key, call: Callable[[], None]) -> None:
        """Call in a few seconds, unless that is planned for this key already."""
        if key not in self._planned:
            loop = asyncio.get_running_loop()
            self._planned[key] = loop.call_later(self._after_s, self._run, key, call)

    def cancel(self) -> None:
        """Drop what is planned."""
        while self._planned:
            self._planned.popitem()[1].cancel()

    def _run(self, key: Key, call: Callable[[], None]) -> None:
        del self._planned[key]
        call()
