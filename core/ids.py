"""Identifiers: time-ordered UUIDs made in the application, and unguessable tokens."""

import os
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from uuid import UUID

# Where a clock was wrong by more than this and was set right, ids follow it back.
STEP_BACK_MAX_MS = 5_000


class IdMaker:
    """Makes UUIDv7 (RFC 9562 §5.7): 48 bits of Unix milliseconds, then a 12-bit counter.

    Ids of one maker only ever rise, also within a millisecond and when the clock steps back a
    little, so sorting by id is sorting by time of making.
    """

    def __init__(self, read_ms: Callable[[], int]) -> None:
        self._read_ms = read_ms
        self._previous_ms = 0
        self._sequence = 0

    def make(self) -> UUID:
        """Return the next id."""
        now_ms = self._read_ms()
        if now_ms > self._previous_ms or now_ms < self._previous_ms - STEP_BACK_MAX_MS:
            self._previous_ms, self._sequence = now_ms, int.from_bytes(os.urandom(1), "big")
        else:
            self._sequence += 1
            if self._sequence > 0xFFF:
                self._previous_ms, self._sequence = self._previous_ms + 1, 0
        tail = int.from_bytes(os.urandom(8), "big") & ((1 << 62) - 1)
        return UUID(
            int=(self._previous_ms << 80)
            | (0x7 << 76)
            | (self._sequence << 64)
            | (0b10 << 62)
            | tail
        )


_ids = IdMaker(lambda: time.time_ns() // 1_000_000)


def new_id() -> UUID:
    """Return a UUIDv7 by this process's clock. `uuidv7()` of PostgreSQL exists from 18 only."""
    return _ids.make()


def first_id_at(instant: datetime) -> UUID:
    """Return the lowest UUIDv7 of an instant: ids above it were made then or later."""
    milliseconds = max(0, int(instant.timestamp() * 1_000))
    return UUID(int=milliseconds << 80)


def instant_of(id_: UUID) -> datetime:
    """Return when a UUIDv7 was made.

    Raises:
        ValueError, OverflowError: it names an instant that no datetime has.
    """
    return datetime.fromtimestamp(milliseconds_of(id_) / 1_000, UTC)


def milliseconds_of(id_: UUID) -> int:
    """Return the Unix milliseconds in a UUIDv7: up to the year 10889, which no datetime has."""
    return id_.int >> 80


def new_token() -> str:
    """Return 128 random bits as 22 URL-safe characters."""
    return secrets.token_urlsafe(16)


def hash_token(token: str) -> bytes:
    """Return the 32-byte SHA-256 under which a token of full entropy is stored."""
    return sha256(token.encode()).digest()
