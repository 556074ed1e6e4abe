"""Tables of notices, and of messages that were refused."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core.tenancy import OrgRow


class Notice(OrgRow):
    """One verified message, stored as it came, before anything is done with it.

    Only the columns that say how far its handling got are ever changed.
    """

    __tablename__ = "notices"
    __table_args__ = (
        Index(
            "ix_notices_fresh",
            "org_id",
            "id",
            postgresql_where=text("handled_at IS NULL AND attempts = 0"),
        ),
        Index(
            "ix_notices_tried",
            "org_id",
            "next_attempt_at",
            postgresql_where=text("handled_at IS NULL AND attempts > 0"),
        ),
        Index("ix_notices_endpoint", "org_id", "endpoint_id", "id"),
        # Rows of earlier polls are looked for among few, not among all callbacks.
        Index(
            "ix_notices_pulled",
            "org_id",
            "endpoint_id",
            "id",
            postgresql_where=text("source = 'pulled'"),
        ),
        ForeignKeyConstraint(
            ["org_id", "endpoint_id"], ["callback_endpoints.org_id", "callback_endpoints.id"]
        ),
    )

    endpoint_id: Mapped[UUID]
    provider: Mapped[str]
    source: Mapped[str]  # "callback", or "pulled" when the hub fetched it
    body: Mapped[bytes] = mapped_column(LargeBinary)
    headers: Mapped[dict[str, str]] = mapped_column(JSONB)  # without secrets
    skew_s: Mapped[int | None]  # our clock minus the signature's
    received_at: Mapped[datetime]
    handled_at: Mapped[datetime | None]
    outcome: Mapped[str | None]  # NoticeOutcome, for the notice log
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    next_attempt_at: Mapped[datetime]


class Rejection(OrgRow):
    """A message that was not accepted: enough to help with the set-up, capped per endpoint."""

    __tablename__ = "rejections"
    __table_args__ = (
        Index("ix_rejections_endpoint", "org_id", "endpoint_id", "id"),
        Index("ix_rejections_received", "received_at"),  # retention goes by it
        ForeignKeyConstraint(
            ["org_id", "endpoint_id"], ["callback_endpoints.org_id", "callback_endpoints.id"]
        ),
    )

    endpoint_id: Mapped[UUID]
    refusal: Mapped[str]
    detail: Mapped[str]  # RefusalDetail
    skew_s: Mapped[int | None]
    body_start: Mapped[bytes] = mapped_column(LargeBinary)  # the first 2 KiB
    received_at: Mapped[datetime]
