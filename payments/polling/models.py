"""Tables of polls by the clock: each connection's turn and budget, and what is polled for."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base
from core.tenancy import OrgRow


class EndpointPoll(Base):
    """A connection's turn: one worker polls it at a time, and not before its budget allows it.

    All instants are the database's.
    """

    __tablename__ = "endpoint_polls"
    __table_args__ = (
        ForeignKeyConstraint(
            ["org_id", "endpoint_id"], ["callback_endpoints.org_id", "callback_endpoints.id"]
        ),
    )

    org_id: Mapped[UUID] = mapped_column(primary_key=True)
    endpoint_id: Mapped[UUID] = mapped_column(primary_key=True)
    provider: Mapped[str]
    lease_token: Mapped[UUID | None]  # of the worker whose turn it is
    leased_until: Mapped[datetime | None]
    next_request_at: Mapped[datetime]
    failures: Mapped[int] = mapped_column(server_default=text("0"))  # since the last answer
    problem: Mapped[str | None]  # code of the last failure
    last_answered_at: Mapped[datetime | None]


class PollWindow(OrgRow):
    """A span of time of one account at one connection, and how far it has been read.

    One of an outage ends. The regular one (no outage) has one slice after the other: `from_at` is
    where the next one begins, `until_at` the end of the one under way; it is finished while its
    account is not connected, or has no token. All instants are the database's.
    """

    __tablename__ = "poll_windows"
    __table_args__ = (
        ForeignKeyConstraint(
            ["org_id", "endpoint_id"], ["callback_endpoints.org_id", "callback_endpoints.id"]
        ),
        ForeignKeyConstraint(
            ["org_id", "receiving_account_id"],
            ["receiving_accounts.org_id", "receiving_accounts.id"],
        ),
        UniqueConstraint(
            "org_id",
            "endpoint_id",
            "receiving_account_id",
            "outage_id",
            name="uq_poll_windows_of_outage",
            postgresql_nulls_not_distinct=True,
        ),
        CheckConstraint("outage_id IS NULL OR until_at IS NOT NULL", name="outage_ends"),
        CheckConstraint("every_s = 0 OR every_s BETWEEN 60 AND 86400", name="interval_in_range"),
        Index(
            "ix_poll_windows_due",
            "next_attempt_at",
            postgresql_where=text("finished_at IS NULL"),
        ),
        Index("ix_poll_windows_outage", "outage_id", "org_id"),
        Index("ix_poll_windows_finished", "finished_at"),  # retention goes by it
    )

    endpoint_id: Mapped[UUID]
    receiving_account_id: Mapped[UUID]
    outage_id: Mapped[UUID | None]
    every_s: Mapped[int | None]  # None: the installation's; 0: never
    from_at: Mapped[datetime]
    until_at: Mapped[datetime | None]
    cursor: Mapped[str | None] = mapped_column(String(100))  # the provider's next page
    rows_read: Mapped[int] = mapped_column(server_default=text("0"))
    failures: Mapped[int] = mapped_column(server_default=text("0"))
    problem: Mapped[str | None]
    next_attempt_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
