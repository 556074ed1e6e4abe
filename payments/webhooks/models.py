"""Tables of outgoing webhooks: endpoints, deliveries, attempts."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base
from core.tenancy import OrgRow


class WebhookEndpoint(OrgRow):
    """An address of an integrator, and what is sent there."""

    __tablename__ = "webhook_endpoints"
    __table_args__ = (
        CheckConstraint("status IN ('enabled', 'disabled', 'gone')", name="status_known"),
        CheckConstraint("(status = 'enabled') = (stopped_at IS NULL)", name="stopped"),
        CheckConstraint("deleted_at IS NULL OR status <> 'enabled'", name="deleted_is_stopped"),
        Index(
            "ix_webhook_endpoints_enabled",
            "org_id",
            postgresql_where=text("status = 'enabled'"),
        ),
    )

    url: Mapped[str] = mapped_column(String(500))
    description: Mapped[str] = mapped_column(String(120))
    events: Mapped[list[str]] = mapped_column(ARRAY(Text))  # types and groups, "bill.*"
    status: Mapped[str]
    stop_reason: Mapped[str | None]
    stopped_at: Mapped[datetime | None]
    # {"secrets": [newest, the one before]}, sealed with PHOPAY_SECRET_KEY
    sealed_secrets: Mapped[bytes] = mapped_column(LargeBinary)
    old_secret_until: Mapped[datetime | None]
    relayed_to: Mapped[UUID]  # every event with a lower id has its delivery
    paused_until: Mapped[datetime | None]  # the receiver asked for it
    failing_since: Mapped[datetime | None]  # nothing has succeeded since
    failures: Mapped[int] = mapped_column(Integer)  # since then
    created_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]


class WebhookDelivery(Base):
    """One event on its way to one endpoint. The key lets each be made once."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        ForeignKeyConstraint(
            ["org_id", "endpoint_id"], ["webhook_endpoints.org_id", "webhook_endpoints.id"]
        ),
        CheckConstraint("status IN ('pending', 'delivered', 'failed')", name="status_known"),
        Index(
            "ix_webhook_deliveries_due",
            "org_id",
            "endpoint_id",
            "due_at",
            postgresql_where=text("status = 'pending'"),
        ),
        Index("ix_webhook_deliveries_status", "org_id", "endpoint_id", "status", "event_id"),
        Index("ix_webhook_deliveries_created", "created_at"),
    )

    org_id: Mapped[UUID] = mapped_column(primary_key=True)
    endpoint_id: Mapped[UUID] = mapped_column(primary_key=True)
    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    event_kind: Mapped[str]  # as the outbox has it
    status: Mapped[str]
    attempts: Mapped[int] = mapped_column(Integer)  # begun, of all series
    failures: Mapped[int] = mapped_column(SmallInteger)  # since it was made or replayed
    # When it may be sent: while it is under way, the end of the lease. By the database's clock.
    due_at: Mapped[datetime]
    lease_token: Mapped[UUID | None]
    last_status: Mapped[int | None] = mapped_column(SmallInteger)  # of HTTP
    last_failure: Mapped[str | None]
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class WebhookAttempt(OrgRow):
    """One request of a delivery, and what answered it. Never edited."""

    __tablename__ = "webhook_attempts"
    __table_args__ = (
        Index("ix_webhook_attempts_delivery", "org_id", "endpoint_id", "event_id", "number"),
        Index(
            "ix_webhook_attempts_started",
            "started_at",
            postgresql_using="brin",
            postgresql_with={"autosummarize": True},
        ),
    )

    endpoint_id: Mapped[UUID]
    event_id: Mapped[UUID]
    number: Mapped[int] = mapped_column(Integer)
    started_at: Mapped[datetime]
    took_ms: Mapped[int] = mapped_column(Integer)
    status: Mapped[int | None] = mapped_column(SmallInteger)  # of HTTP; None: no answer
    failure: Mapped[str | None]
    answer: Mapped[str]  # its first bytes, as text
