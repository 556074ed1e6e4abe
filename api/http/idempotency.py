"""Idempotency-Keys of routes that make something in the transaction of their request."""

import hmac
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Header, Response
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from core.idempotency import (
    IDEMPOTENCY_KEY_CHARS_MAX,
    IdempotencyKeyReused,
    Repeatable,
    find_repeats,
    take_keys,
)

KEY_PATTERN: Final = r"^[\x21-\x7e]+$"
HEADER: Final = "Idempotent-Replayed"
IdempotencyKey = Annotated[
    str | None,
    Header(
        pattern=KEY_PATTERN,
        max_length=IDEMPOTENCY_KEY_CHARS_MAX,
        description="Repeating a request with its key makes nothing again: it answers what the"
        " first made, as it stands now, without secrets that were shown once. The key belongs to"
        " the organisation and this route and is kept 7 days; another body is refused.",
        examples=["import-2026-11-28-17"],
    ),
]
# `responses={**may_answer(…), 201: REPLAYED}`
REPLAYED: Final[dict[str, Any]] = {
    "headers": {
        HEADER: {
            "description": "`true` when an earlier request made it.",
            "schema": {"type": "string", "enum": ["true"]},
        }
    }
}


def hash_body(body: BaseModel, *parts: object, secret_key: str = "", **secrets: object) -> bytes:
    """Return what tells one request from another: its body, and what its address names.

    Args:
        secrets: what the body keeps covered. They are hashed with the hub's key, so that nobody
            can try them out on what is stored.
    """
    plain = repr((body.model_dump_json(), parts, sorted(secrets.items()))).encode()
    return (
        hmac.digest(secret_key.encode(), plain, "sha256") if secret_key else sha256(plain).digest()
    )


async def find_first(
    tx: AsyncSession, org_id: UUID, route: str, key: str | None, body_hash: bytes
) -> UUID | None:
    """Return what an earlier request with this key made, or None.

    Raises:
        IdempotencyKeyReused: that was another request.
    """
    if key is None:
        return None
    wanted = Repeatable(route=route, key=key, body_hash=body_hash)
    return _reveal(await find_repeats(tx, org_id, [wanted]))


async def take_key(
    tx: AsyncSession,
    org_id: UUID,
    route: str,
    key: str | None,
    body_hash: bytes,
    *,
    makes: UUID,
    now: datetime,
) -> UUID | None:
    """Store the key with what this request makes, or return what an earlier one made.

    One that runs at this moment is waited for. Without a key nothing is stored.

    Raises:
        IdempotencyKeyReused: the key came with another request.
    """
    if key is None:
        return None
    wanted = Repeatable(route=route, key=key, body_hash=body_hash)
    return _reveal(await take_keys(tx, org_id, [(wanted, makes)], now=now))


def mark_replayed(response: Response) -> None:
    """Say in the answer that an earlier request made what it shows."""
    response.headers[HEADER] = "true"


def _reveal(first: list[UUID | IdempotencyKeyReused | None]) -> UUID | None:
    (found,) = first
    if isinstance(found, IdempotencyKeyReused):
        raise found
    return found
