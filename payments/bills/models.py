"""Bills, what was paid of them, and the changes that their owners are notified of."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    UniqueConstraint,
    text,
)
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
        CheckConstraint("(owner_kind IS NULL) = (owner_id IS NULL)", name="owner_whole"),
        CheckConstraint(
            "status IN ('open', 'part_paid', 'paid', 'over_paid', 'expired', 'cancelled',"
            " 'part_refunded', 'refunded')",
            name="status_known",
        ),
        CheckConstraint(
            "status NOT IN ('part_refunded', 'refunded') OR refunded_at IS NOT NULL",
            name="refunds_have_their_time",  # lists find them by it
        ),
        Index("ix_bills_payee", "org_id", "payee_id", "id"),
        # Not partial on status: an index that holds no changing column keeps settling updates HOT.
        Index("ix_bills_amount", "org_id", "payee_id", "amount_vnd", "created_at"),
        Index(
            "ix_bills_external",
            "org_id",
            "external_id",
            "id",
            postgresql_where=text("external_id IS NOT NULL"),
        ),
        Index("ix_bills_expiry", "org_id", "expires_at"),  # what can still be paid
        Index(  # what was paid for one subject
            "ix_bills_owner",
            "org_id",
            "owner_id",
            postgresql_where=text("owner_id IS NOT NULL"),
        ),
        Index(
            "ix_bills_cancelled",
            "org_id",
            "id",
            postgresql_where=text("cancelled_at IS NOT NULL"),
        ),
        Index(
            "ix_bills_refunded",
            "org_id",
            "id",
            postgresql_where=text("refunded_at IS NOT NULL"),
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
    refunded_at: Mapped[datetime | None]  # when some of it was first given back
    owner_kind: Mapped[str | None]  # what it is owed for: a parking session, dues, or nothing here
    owner_id: Mapped[UUID | None]
    due_on: Mapped[date | None]  # by when it is to be paid, where that is before its expiry


class PaymentRow(OrgRow):
    """What settles a bill, from one source, by one rail. Reversed by a correction, never edited."""

    __tablename__ = "payments"
    __table_args__ = (
        # One source pays one bill once.
        Index(
            "uq_payments_in_force",
            "org_id",
            "source_kind",
            "source_id",
            "bill_id",
            unique=True,
            postgresql_where=text("reversed_at IS NULL"),
        ),
        ForeignKeyConstraint(["org_id", "bill_id"], ["bills.org_id", "bills.id"]),
        CheckConstraint("amount_vnd > 0", name="amount_positive"),
        CheckConstraint("refundable_vnd BETWEEN 0 AND amount_vnd", name="refundable_in_range"),
        CheckConstraint(
            "reversed_at IS NULL OR refundable_vnd = 0", name="reversed_is_not_refundable"
        ),
        Index("ix_payments_bill", "org_id", "bill_id"),
    )

    bill_id: Mapped[UUID]
    rail: Mapped[str]  # how it came: the debit side of its posting
    source_kind: Mapped[str]  # "credit", "cash", "toll", "write_off"
    source_id: Mapped[UUID]  # bank transaction, toll charge, decision; of cash the payment's own id
    amount_vnd: Mapped[Vnd]
    occurred_at: Mapped[datetime]  # by the source's clock
    recorded_at: Mapped[datetime]  # by ours
    recorded_by: Mapped[UUID | None]  # a person or API key; None: the hub's own rules
    reversed_at: Mapped[datetime | None]
    refundable_vnd: Mapped[Vnd]  # what no refund has taken


class BillChange(OrgRow):
    """One change that an owner is to be notified of: a row of the owners' inbox."""

    __tablename__ = "bill_changes"
    __table_args__ = (
        UniqueConstraint("org_id", "subject_id", "seq", name="uq_bill_changes_order"),
        CheckConstraint("subject_kind IN ('bill', 'credit')", name="subject_known"),
        Index(
            "ix_bill_changes_waiting",
            "org_id",
            "owner_kind",
            "next_attempt_at",
            postgresql_where=text("handled_at IS NULL"),
        ),
    )

    subject_kind: Mapped[str]  # a bill, or the credit of a counter sale on an owner's static code
    subject_id: Mapped[UUID]
    seq: Mapped[int] = mapped_column(Integer)  # 1, 2, … of this subject: the order of handling
    owner_kind: Mapped[str]
    owner_id: Mapped[UUID]
    from_status: Mapped[str | None]  # None: a sale, which had none before
    to_status: Mapped[str]
    created_at: Mapped[datetime]
    handled_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    next_attempt_at: Mapped[datetime]
    error: Mapped[str | None]  # of the last attempt that failed, if one did


class ReferenceBlock(OrgRow):
    """References that one phone draws codes from while it has no network. Never changed.

    It names the account that those codes pay to, whatever the payee's is once their bills come.
    """

    __tablename__ = "reference_blocks"
    __table_args__ = (
        # Serials come from one counter for each code, so that no two blocks overlap.
        UniqueConstraint("org_id", "code", "first_serial"),
        ForeignKeyConstraint(["org_id", "device_id"], ["devices.org_id", "devices.id"]),
        ForeignKeyConstraint(
            ["org_id", "link_id", "payee_id", "receiving_account_id"],
            [
                "payee_accounts.org_id",
                "payee_accounts.id",
                "payee_accounts.payee_id",
                "payee_accounts.receiving_account_id",
            ],
            name="fk_reference_blocks_link",
        ),
        CheckConstraint(
            "first_serial >= 0 AND last_serial >= first_serial", name="serials_in_order"
        ),
        CheckConstraint("expires_at > issued_at", name="ends_after_it_begins"),
        Index("ix_reference_blocks_device", "org_id", "device_id", "issued_at"),
    )

    device_id: Mapped[UUID]
    link_id: Mapped[UUID]
    payee_id: Mapped[UUID]
    receiving_account_id: Mapped[UUID]
    virtual_account: Mapped[str | None] = mapped_column(String(19))  # as in the codes, if any
    code: Mapped[str] = mapped_column(String(4))  # the organisation's, in its references
    first_serial: Mapped[int] = mapped_column(Integer)
    last_serial: Mapped[int] = mapped_column(Integer)
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime]  # the phone draws no code from then on, nor once it is revoked
