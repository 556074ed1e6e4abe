"""Answers that were given under an Idempotency-Key."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, LargeBinary, SmallInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base
from core.errors import HubError, Kind


class IdempotencyKeyReused(HubError):
    """The same Idempotency-Key came with another body."""

    kind, code, title = Kind.CONFLICT, "idempotency_key_reused", "The key was used for another body"

    def __init__(self) -> None:
        super().__init__(
            "This Idempotency-Key was used with another body in the last 7 days. Repeat a request"
            " with the same body, or make a new key for a new bill."
        )


class IdempotencyKey(Base):
    """One key of one caller on one route: what was asked (hash) and which resource answered it."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index("ix_idempotency_keys_created", "created_at", postgresql_using="brin"),)

    org_id: Mapped[UUID] = mapped_column(primary_key=True)
    caller_id: Mapped[UUID] = mapped_column(primary_key=True)  # API key or staff
    route: Mapped[str] = mapped_column(String(64), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    body_hash: Mapped[bytes] = mapped_column(LargeBinary)  # SHA-256 of the parsed body
    status: Mapped[int] = mapped_column(SmallInteger)
    resource_id: Mapped[UUID]
    created_at: Mapped[datetime]  # kept 7 days
