"""Identifiers: time-ordered UUIDs made in the application, and unguessable tokens."""

import os
import secrets
import time
from datetime import datetime
from hashlib import sha256
from uuid import UUID

_previous_ms = 0
_sequence = 0


def new_id() -> UUID:
    """Return a UUIDv7 (RFC 9562 §5.7): 48 bits of Unix milliseconds, then a 12-bit counter.

    Within one process ids only ever rise, also within a millisecond and when the clock steps
    back, so sorting by id is sorting by time of making. `uuidv7()` of PostgreSQL exists
    from version 18 only.
    """
    global _previous_ms, _sequence
    now_ms = time.time_ns() // 1_000_000
    if now_ms > _previous_ms:
        _previous_ms, _sequence = now_ms, int.from_bytes(os.urandom(1), "big")
    else:
        _sequence += 1
        if _sequence > 0xFFF:
            _previous_ms, _sequence = _previous_ms + 1, 0
    tail = int.from_bytes(os.urandom(8), "big") & ((1 << 62) - 1)
    value = (_previous_ms << 80) | (0x7 << 76) | (_sequence << 64) | (0b10 << 62) | tail
    return UUID(int=value)


def first_id_at(instant: datetime) -> UUID:
    """Return the lowest UUIDv7 of an instant: ids above it were made then or later."""
    milliseconds = max(0, int(instant.timestamp() * 1_000))
    return UUID(int=milliseconds << 80)


def milliseconds_of(id_: UUID) -> int:
    """Return the Unix milliseconds in a UUIDv7: up to the year 10889, which no datetime has."""
    return id_.int >> 80


def new_token() -> str:
    """Return 128 random bits as 22 URL-safe characters."""
    return secrets.token_urlsafe(16)


def hash_token(token: str) -> bytes:
    """Return the 32-byte SHA-256 under which a token of full entropy is stored."""
    return sha256(token.encode()).digest()
