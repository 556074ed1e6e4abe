"""Idempotency-Keys: whoever repeats a request with its key gets the resource of the first one.

A key belongs to an organisation and a route. Which API key or person sends it does not matter: an
order is the same order after its till's key was rotated, and from the machine beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Index, LargeBinary, SmallInteger, String, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base
from core.errors import Busy, HubError, Kind
from core.sql import run

IDEMPOTENCY_KEY_CHARS_MAX: Final = 255


class IdempotencyKeyReused(HubError):
    """The same Idempotency-Key came with another body."""

    kind, code, title = Kind.CONFLICT, "idempotency_key_reused", "The key was used for another body"

    def __init__(self) -> None:
        super().__init__(
            "This Idempotency-Key was used with another body in the last 7 days. Repeat a request"
            " with the same body, or make a new key for a new request."
        )


class IdempotencyKey(Base):
    """One key of an organisation on one route: the request (its hash) and what answered it."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index("ix_idempotency_keys_created", "created_at", postgresql_using="brin"),)

    org_id: Mapped[UUID] = mapped_column(primary_key=True)
    route: Mapped[str] = mapped_column(String(64), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    body_hash: Mapped[bytes] = mapped_column(LargeBinary)  # SHA-256 of the parsed body
    status: Mapped[int] = mapped_column(SmallInteger)
    resource_id: Mapped[UUID]
    created_at: Mapped[datetime]  # kept 7 days


@dataclass(frozen=True, kw_only=True, slots=True)
class Repeatable:
    """What makes a request repeatable: under which key, and what it asks (hash of the body)."""

    route: str
    key: str
    body_hash: bytes

    @property
    def name(self) -> tuple[str, str]:
        """What is unique in an organisation."""
        return self.route, self.key


# Of one key that comes twice in one statement, the earlier request is the first.
INSERT_KEYS = text("""
    INSERT INTO idempotency_keys (
        org_id, route, key, body_hash, status, resource_id, created_at)
    SELECT :org_id, t.route, t.key, t.body_hash, 201, t.resource_id, :now
    FROM unnest(
        CAST(:routes AS text[]), CAST(:keys AS text[]),
        CAST(:body_hashes AS bytea[]), CAST(:resource_ids AS uuid[]))
        WITH ORDINALITY AS t (route, key, body_hash, resource_id, nth)
    ORDER BY t.route, t.key, t.nth
    ON CONFLICT DO NOTHING
    RETURNING route, key, resource_id
""")

FIND_KEYS = text("""
    SELECT k.route, k.key, k.body_hash, k.resource_id
    FROM idempotency_keys k
    JOIN unnest(CAST(:routes AS text[]), CAST(:keys AS text[])) AS t (route, key)
      ON k.route = t.route AND k.key = t.key
    WHERE k.org_id = :org_id
""")


async def take_keys(
    session: AsyncSession,
    org_id: UUID,
    keyed: Sequence[tuple[Repeatable, UUID]],
    *,
    now: datetime,
) -> list[UUID | IdempotencyKeyReused | None]:
    """Store keys with the resource that each will make, and say which came before.

    A request that runs at the same time is waited for. If it rolls back, its key is free again.

    Returns:
        Per key, in order: None if it is the first, the first one's resource if it is a repeat, or
        that it was used for another body.

    Raises:
        Busy: a key of seven days ago was erased at this very moment.
    """
    rows = await run(
        session,
        INSERT_KEYS,
        {
            "org_id": org_id,
            "routes": [key.route for key, _ in keyed],
            "keys": [key.key for key, _ in keyed],
            "body_hashes": [key.body_hash for key, _ in keyed],
            "resource_ids": [resource_id for _, resource_id in keyed],
            "now": now,
        },
    )
    first = {(row[0], row[1], row[2]) for row in rows}
    if len(first) == len(keyed):
        return [None] * len(keyed)
    repeats = [key for key, resource_id in keyed if (*key.name, resource_id) not in first]
    known = await find_keys(session, org_id, repeats)
    if any(key.name not in known for key in repeats):
        raise Busy("A key of seven days ago was just erased; repeat the request.")
    return [
        None if (*key.name, resource_id) in first else _decide(key, known[key.name])
        for key, resource_id in keyed
    ]


async def find_repeats(
    session: AsyncSession, org_id: UUID, keys: Sequence[Repeatable]
) -> list[UUID | IdempotencyKeyReused | None]:
    """Say which keys came before, as `take_keys` does, without storing any."""
    known = await find_keys(session, org_id, keys)
    return [_decide(key, known[key.name]) if key.name in known else None for key in keys]


async def find_keys(
    session: AsyncSession, org_id: UUID, keys: Sequence[Repeatable]
) -> dict[tuple[str, str], tuple[bytes, UUID]]:
    """Find stored keys: (route, key) → (hash of the first body, its resource)."""
    rows = await run(
        session,
        FIND_KEYS,
        {
            "org_id": org_id,
            "routes": [key.route for key in keys],
            "keys": [key.key for key in keys],
        },
    )
    return {(row[0], row[1]): (bytes(row[2]), row[3]) for row in rows}


def _decide(key: Repeatable, first: tuple[bytes, UUID]) -> UUID | IdempotencyKeyReused:
    body_hash, resource_id = first
    return resource_id if body_hash == key.body_hash else IdempotencyKeyReused()
