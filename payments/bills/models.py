"""The bill: what is owed once."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Vnd
from core.tenancy import OrgRow


class Bill(OrgRow):
    """What is owed once, to whom, until when, and what came in for it."""

    __tablename__ = "bills"
    __table_args__ = (
        UniqueConstraint("org_id", "reference"),
        UniqueConstraint("org_id", "public_token"),
        # The account is the payee's own, by a link that two people agreed to.
        ForeignKeyConstraint(
            ["org_id", "link_id", "payee_id", "receiving_account_id"],
            [
                "payee_accounts.org_id",
                "payee_accounts.id",
                "payee_accounts.payee_id",
                "payee_accounts.receiving_account_id",
            ],
            name="fk_bills_link",
        ),
        CheckConstraint("amount_vnd BETWEEN 1 AND 499999999", name="amount_in_range"),
        CheckConstraint("paid_vnd >= 0", name="paid_not_negative"),
        CheckConstraint("amount_vnd IS NULL OR paid_vnd <= amount_vnd", name="paid_within_amount"),
        CheckConstraint("received_vnd >= paid_vnd", name="received_covers_paid"),
        CheckConstraint(
            "status IN ('open', 'part_paid', 'paid', 'over_paid', 'expired', 'cancelled',"
            " 'part_refunded', 'refunded')",
            name="status_known",
        ),
        Index("ix_bills_payee", "org_id", "payee_id", "id"),
        # Not partial on status: an index that holds no changing column keeps settling updates HOT.
        Index("ix_bills_amount", "org_id", "payee_id", "amount_vnd"),
        Index(
            "ix_bills_external",
            "org_id",
            "external_id",
            "id",
            postgresql_where=text("external_id IS NOT NULL"),
        ),
        Index("ix_bills_expiry", "org_id", "expires_at"),  # what can still be paid
        Index(
            "ix_bills_cancelled",
            "org_id",
            "id",
            postgresql_where=text("cancelled_at IS NOT NULL"),
        ),
        Index(
            "uq_bills_provider_order",
            "org_id",
            "rail",
            "provider_order_id",
            unique=True,
            postgresql_where=text("provider_order_id IS NOT NULL"),
        ),
        # Bills lie on disk in the order of time: a summary for each 128 pages is enough to find
        # those whose monitoring ended just now, and costs an insert next to nothing.
        Index(
            "ix_bills_monitor",
            "monitor_until",
            postgresql_using="brin",
            postgresql_with={"autosummarize": True},
        ),
        {"postgresql_with": {"fillfactor": 80}},  # room on the page for the paid version
    )

    link_id: Mapped[UUID]  # the payee's account link when the bill was made
    payee_id: Mapped[UUID]
    receiving_account_id: Mapped[UUID]
    virtual_account: Mapped[str | None] = mapped_column(String(19))  # as in the code, if any
    rail: Mapped[str]  # how it is to be paid: "vietqr", "payos"
    provider_order_id: Mapped[str | None]  # the provider's name for it, where it has one
    reference: Mapped[str] = mapped_column(String(13))
    public_token: Mapped[str] = mapped_column(String(22))  # opens the pay page, 128 random bits
    amount_vnd: Mapped[Vnd | None]  # None: the payer decides
    paid_vnd: Mapped[Vnd] = mapped_column(server_default=text("0"))  # applied, never above amount
    received_vnd: Mapped[Vnd] = mapped_column(server_default=text("0"))  # with what was too much
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
