"""The request for a bill at the rail's provider, and its result."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, SmallInteger, String, text
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base


class RailRequest(Base):
    """One a bill. Written with the bill, called outside any transaction, then written again."""

    __tablename__ = "rail_requests"
    __table_args__ = (
        ForeignKeyConstraint(
            ["org_id", "bill_id"], ["bills.org_id", "bills.id"], name="fk_rail_requests_bill"
        ),
        ForeignKeyConstraint(
            ["org_id", "endpoint_id"],
            ["callback_endpoints.org_id", "callback_endpoints.id"],
            name="fk_rail_requests_endpoint",
        ),
        CheckConstraint(
            "status IN ('pending', 'open', 'unknown', 'failed', 'cancelled', 'closed', 'reopened')",
            name="status_known",
        ),
        CheckConstraint("status <> 'open' OR payload IS NOT NULL", name="open_has_code"),
        CheckConstraint("orders BETWEEN 1 AND 8", name="orders_bounded"),
        # Read by the worker across all organisations.
        Index(
            "ix_rail_requests_due",
            "next_attempt_at",
            postgresql_where=text("status IN ('pending', 'unknown', 'open', 'reopened')"),
        ),
    )

    org_id: Mapped[UUID] = mapped_column(primary_key=True)
    bill_id: Mapped[UUID] = mapped_column(primary_key=True)
    rail: Mapped[str]
    endpoint_id: Mapped[UUID]  # whose keys sign it
    order_id: Mapped[str] = mapped_column(String(40))  # as in bills.provider_order_id
    orders: Mapped[int] = mapped_column(SmallInteger)  # how many numbers the bill has used there
    status: Mapped[str]
    problem: Mapped[str | None]  # why it failed
    # Whether VietQR direct pays the bill instead: it failed for certain, and another provider
    # reports on the account.
    falls_back: Mapped[bool] = mapped_column(server_default=text("false"))
    request_id: Mapped[str | None]  # the provider's own id
    checkout_url: Mapped[str | None]
    payload: Mapped[str | None]  # of the code
    bin: Mapped[str | None]
    account_number: Mapped[str | None]  # as the code names it
    attempts: Mapped[int] = mapped_column(server_default=text("0"))  # also whose result counts
    next_attempt_at: Mapped[datetime]
    created_at: Mapped[datetime]
    resolved_at: Mapped[datetime | None]
