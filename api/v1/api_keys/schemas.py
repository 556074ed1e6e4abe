"""Schemas of API keys."""

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from pydantic import Field

from api.http.fields import Body, Instant, NameText, Read
from identity.people.rules import API_SCOPES, Permission

Scopes = Annotated[
    list[Permission],
    Field(
        min_length=1,
        max_length=len(API_SCOPES),
        examples=[["bills.open", "bills.read"]],
        description="Of: " + ", ".join(sorted(API_SCOPES)),
    ),
]


class KeyCreate(Body):
    """An API key to make."""

    name: NameText
    scopes: Scopes
    lot_id: UUID | None = Field(
        default=None, description="Holds the key to one lot; `lanes.serve` needs it."
    )
    expires_at: Instant | None = None


class KeyRotate(Body):
    """How long the old key holds beside the new one."""

    overlap_s: Annotated[int, Field(strict=True, ge=0, le=30 * 86_400)] = 86_400

    @property
    def overlap(self) -> timedelta:
        """As a timedelta."""
        return timedelta(seconds=self.overlap_s)


class KeyRead(Read):
    """An API key, without what makes it work."""

    id: UUID
    prefix: str
    name: str
    scopes: list[str]
    lot_id: UUID | None
    created_by: UUID
    created_at: datetime
    last_used_at: datetime | None = Field(description="To the minute.")
    expires_at: datetime | None
    revoked_at: datetime | None


class KeyMade(KeyRead):
    """A new key with its text, which is shown this once."""

    key: str | None = Field(
        examples=["pp_live_DXA2_k3v9x0q2m7ab_…"],
        description="Null when an earlier request with this Idempotency-Key made the key: its text"
        " is not kept. If that answer was lost, rotate the key or revoke it.",
    )


class KeyPage(Read):
    """A page of keys, newest first."""

    keys: list[KeyRead]
    next_cursor: str | None
