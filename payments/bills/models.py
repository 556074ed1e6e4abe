"""The bill: what is owed once."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from core.db import OrgRow, Vnd


class BillStatus(StrEnum):
    """Stored states. A bill open past `expires_at` is *expired* by effect, not by a write."""

    OPEN = "open"
    PART_PAID = "part_paid"
    PAID = "paid"
    OVER_PAID = "over_paid"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    PART_REFUNDED = "part_refunded"
    REFUNDED = "refunded"


class Bill(OrgRow):
    """What is owed once, to whom, until when, and what came in for it."""

    __tablename__ = "bills"
    __table_args__ = (
        UniqueConstraint("org_id", "reference"),
        UniqueConstraint("org_id", "public_token"),
        ForeignKeyConstraint(["org_id", "payee_id"], ["payees.org_id", "payees.id"]),
        ForeignKeyConstraint(
            ["org_id", "receiving_account_id"],
            ["receiving_accounts.org_id", "receiving_accounts.id"],
        ),
        CheckConstraint("amount_vnd BETWEEN 1 AND 499999999", name="amount_in_range"),
        CheckConstraint("paid_vnd >= 0", name="paid_not_negative"),
        Index("ix_bills_payee", "org_id", "payee_id", "id"),
        Index(
            "ix_bills_unpaid",
            "org_id",
            "payee_id",
            "amount_vnd",
            postgresql_where=text("status IN ('open', 'part_paid')"),
        ),
        Index(
            "uq_bills_provider_order",
            "org_id",
            "rail",
            "provider_order_id",
            unique=True,
            postgresql_where=text("provider_order_id IS NOT NULL"),
        ),
    )

    payee_id: Mapped[UUID]
    receiving_account_id: Mapped[UUID]
    virtual_account: Mapped[str | None] = mapped_column(String(19))  # as in the code, if any
    rail: Mapped[str]  # how it is to be paid: "vietqr", "payos"
    provider_order_id: Mapped[str | None]  # the provider's name for it, where it has one
    reference: Mapped[str] = mapped_column(String(13))
    public_token: Mapped[str] = mapped_column(String(22))  # opens the pay page, 128 random bits
    amount_vnd: Mapped[Vnd | None]  # None: the payer decides
    paid_vnd: Mapped[Vnd] = mapped_column(server_default=text("0"))
    purpose: Mapped[str]  # for people: what is being paid
    external_id: Mapped[str | None]  # the integrator's own number
    status: Mapped[str]
    is_late: Mapped[bool] = mapped_column(server_default=text("false"))
    created_by: Mapped[UUID]  # staff or API key
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    monitor_until: Mapped[datetime]
    paid_at: Mapped[datetime | None]  # our clock, when the amount was reached
    cancelled_at: Mapped[datetime | None]
