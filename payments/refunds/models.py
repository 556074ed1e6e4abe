"""Refunds, and the payment files that carry them to a bank."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Vnd
from core.tenancy import OrgRow
from payments.bills.models import Bill, PaymentRow
from payments.credits.models import BankTransaction
from payments.payees.models import ReceivingAccount


class RefundFile(OrgRow):
    """A bank's bulk transfer file of instructed refunds, as it was handed out. Never changed."""

    __tablename__ = "refund_files"
    __table_args__ = (
        ForeignKeyConstraint(
            ["org_id", "receiving_account_id"],
            [ReceivingAccount.org_id, ReceivingAccount.id],
            name="fk_refund_files_account",
        ),
    )

    layout: Mapped[str]  # which columns it has
    receiving_account_id: Mapped[UUID]  # the account that pays
    refunds: Mapped[int] = mapped_column(Integer)
    amount_vnd: Mapped[Vnd]
    content: Mapped[bytes] = mapped_column(LargeBinary)
    content_hash: Mapped[bytes] = mapped_column(LargeBinary)  # SHA-256
    request_hash: Mapped[bytes] = mapped_column(LargeBinary)
    created_by: Mapped[UUID]
    created_at: Mapped[datetime]


class Refund(OrgRow):
    """Money to be given back, with who did which step. Its id is made by the client."""

    __tablename__ = "refunds"
    __table_args__ = (
        CheckConstraint("amount_vnd > 0", name="amount_positive"),
        CheckConstraint("(payment_id IS NULL) <> (credit_id IS NULL)", name="one_source"),
        CheckConstraint("held_by IN ('organisation', 'payee')", name="holder_known"),
        CheckConstraint("way IN ('transfer', 'cash')", name="way_known"),
        CheckConstraint(
            "status IN ('requested', 'approved', 'instructed', 'unknown', 'returned', 'not_done',"
            " 'rejected', 'cancelled')",
            name="status_known",
        ),
        CheckConstraint("destination_kind IN ('payer', 'entered')", name="destination_known"),
        CheckConstraint(
            "destination_kind IS NULL OR (destination_bank IS NOT NULL"
            " AND destination_account IS NOT NULL AND destination_name IS NOT NULL)",
            name="destination_whole",
        ),
        CheckConstraint(
            "decided_by <> requested_by OR is_decided_alone OR status IN ('cancelled', 'rejected')",
            name="two_people",
        ),
        CheckConstraint(
            "held_by = 'payee' OR status IN ('requested', 'cancelled', 'rejected')"
            " OR decided_by IS NOT NULL",
            name="decided",
        ),
        CheckConstraint(
            "status NOT IN ('instructed', 'unknown') OR instructed_at IS NOT NULL",
            name="instructed_at_a_time",
        ),
        CheckConstraint(
            "status NOT IN ('returned', 'not_done') OR ended_at IS NOT NULL",
            name="ended_at_a_time",
        ),
        CheckConstraint(
            "status <> 'returned' OR way = 'cash' OR bank_reference IS NOT NULL",
            name="returned_by_a_reference",
        ),
        ForeignKeyConstraint(
            ["org_id", "payment_id"], [PaymentRow.org_id, PaymentRow.id], name="fk_refunds_payment"
        ),
        ForeignKeyConstraint(
            ["org_id", "credit_id"],
            [BankTransaction.org_id, BankTransaction.id],
            name="fk_refunds_credit",
        ),
        ForeignKeyConstraint(["org_id", "bill_id"], [Bill.org_id, Bill.id], name="fk_refunds_bill"),
        ForeignKeyConstraint(
            ["org_id", "receiving_account_id"],
            [ReceivingAccount.org_id, ReceivingAccount.id],
            name="fk_refunds_account",
        ),
        ForeignKeyConstraint(
            ["org_id", "file_id"],
            ["refund_files.org_id", "refund_files.id"],
            name="fk_refunds_file",
        ),
        Index("ix_refunds_bill", "org_id", "bill_id"),
        Index("ix_refunds_payment", "org_id", "payment_id"),
        Index("ix_refunds_credit", "org_id", "credit_id"),
        Index("ix_refunds_break", "org_id", "break_id"),
        Index("ix_refunds_status", "org_id", "status", "id"),
        Index(  # what payers entered in a day
            "ix_refunds_entered",
            "org_id",
            "destination_at",
            postgresql_where=text("destination_at IS NOT NULL"),
        ),
        Index(
            "ix_refunds_returned",
            "org_id",
            "receiving_account_id",
            "ended_at",
            postgresql_where=text("status = 'returned'"),
        ),
        Index(
            "ix_refunds_unanswered",
            "instructed_at",
            postgresql_where=text("status = 'instructed'"),
        ),
    )

    payment_id: Mapped[UUID | None]  # what it is against: takings …
    credit_id: Mapped[UUID | None]  # … or unapplied cash, what a credit brought too much
    bill_id: Mapped[UUID | None]
    payee_id: Mapped[UUID | None]
    receiving_account_id: Mapped[UUID]  # that the money is on, and goes back from
    break_id: Mapped[UUID | None]  # the proposal that it was requested from
    held_by: Mapped[str]  # HeldBy, as it was when it was requested
    way: Mapped[str]  # Way
    amount_vnd: Mapped[Vnd]
    reason: Mapped[str]  # in a person's words
    status: Mapped[str]
    destination_kind: Mapped[str | None]  # "payer": the paying account; "entered": not proven
    destination_bank: Mapped[str | None]  # a BIN where it was entered; else as the bank said
    destination_account: Mapped[str | None]
    destination_name: Mapped[str | None]
    destination_by: Mapped[UUID | None]  # who entered it; None: the payer, or the bank's report
    destination_at: Mapped[datetime | None]  # when it was entered
    requested_by: Mapped[UUID]
    requested_at: Mapped[datetime]
    decided_by: Mapped[UUID | None]  # who approved, rejected or cancelled it
    decided_at: Mapped[datetime | None]
    decided_words: Mapped[str | None]
    is_decided_alone: Mapped[bool] = mapped_column(server_default=text("false"))
    reviewed_by: Mapped[UUID | None]  # of what one person decided alone
    reviewed_at: Mapped[datetime | None]
    instructed_by: Mapped[UUID | None]
    instructed_at: Mapped[datetime | None]
    file_id: Mapped[UUID | None]
    doubted_by: Mapped[UUID | None]
    doubted_at: Mapped[datetime | None]
    ended_by: Mapped[UUID | None]  # who said that it was returned, or not done
    ended_at: Mapped[datetime | None]
    ended_words: Mapped[str | None]
    bank_reference: Mapped[str | None]  # of the transfer back
