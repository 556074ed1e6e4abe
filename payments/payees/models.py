"""Payees of an organisation, and the bank accounts that their codes name."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    String,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from core.tenancy import OrgRow


class Payee(OrgRow):
    """Who money is for inside an organisation: a vendor household, a lot, the office itself."""

    __tablename__ = "payees"
    __table_args__ = (ForeignKeyConstraint(["org_id"], ["organisations.id"]),)

    name: Mapped[str]
    place: Mapped[str]  # where to find it: "Chợ Đồng Xa, dãy B, quầy 12"
    created_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]


class ReceivingAccount(OrgRow):
    """A bank account that codes may name. Its holder owns it, not the hub.

    (BIN, number) is unique in the whole hub among active accounts: whoever shows by a test transfer
    that the bank reports to them has it. Within an organisation a number keeps its row for ever,
    so that what was credited to it is known again after it was retired and came back.
    """

    __tablename__ = "receiving_accounts"
    __table_args__ = (
        ForeignKeyConstraint(["org_id"], ["organisations.id"]),
        Index(
            "uq_receiving_accounts_active",
            "bin",
            text("upper(account_number)"),
            unique=True,
            postgresql_where=text("status = 'active'"),
        ),
        Index(
            "uq_receiving_accounts_own",
            "org_id",
            "bin",
            text("upper(account_number)"),
            unique=True,
        ),
        CheckConstraint(
            "status IN ('proposed', 'approved', 'active', 'retired')", name="status_known"
        ),
        CheckConstraint("approved_by IS NULL OR approved_by <> proposed_by", name="two_people"),
        CheckConstraint(
            "status NOT IN ('approved', 'active') OR approved_by IS NOT NULL", name="approved"
        ),
        CheckConstraint(
            "status <> 'active' OR (test_credit_id IS NOT NULL AND activated_at IS NOT NULL)",
            name="tested",
        ),
        CheckConstraint(
            "status <> 'active' OR NOT (proposed_by = ANY (test_vouched_by))",
            name="tested_by_others",
        ),
        CheckConstraint("held_by IN ('organisation', 'payee')", name="holder_known"),
    )

    bin: Mapped[str] = mapped_column(String(6))
    account_number: Mapped[str] = mapped_column(String(19))
    holder_name: Mapped[str]
    status: Mapped[str]
    proposed_by: Mapped[UUID]
    proposed_at: Mapped[datetime]
    approved_by: Mapped[UUID | None]
    approved_at: Mapped[datetime | None]
    test_credit_id: Mapped[UUID | None]  # the first test transfer that the bank reported
    # Who answers for the endpoint that reported it: never who proposed the account. Empty in a test
    # organisation, where nobody has to.
    test_vouched_by: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid), server_default=text("'{}'"))
    activated_at: Mapped[datetime | None]
    retired_at: Mapped[datetime | None]
    held_by: Mapped[str] = mapped_column(server_default=text("'payee'"))  # HeldBy
    holder_set_by: Mapped[UUID | None]  # who said so; None: nobody, it is the payee's


class PayeeAccount(OrgRow):
    """Which account a payee's codes name, since when, and by whose decision.

    Stalls may share one account; a virtual account tells them apart. A payee has at most one
    link in force, and a virtual account leads to at most one payee. A virtual account is a number
    of its own on a printed code, so each needs a test transfer of its own; a link without one is
    tested with its account.
    """

    __tablename__ = "payee_accounts"
    __table_args__ = (
        ForeignKeyConstraint(["org_id", "payee_id"], ["payees.org_id", "payees.id"]),
        ForeignKeyConstraint(
            ["org_id", "receiving_account_id"],
            ["receiving_accounts.org_id", "receiving_accounts.id"],
        ),
        Index(
            "uq_payee_accounts_in_force",
            "org_id",
            "payee_id",
            unique=True,
            postgresql_where=text("status = 'active'"),
        ),
        Index(
            "uq_payee_accounts_virtual_account",
            "org_id",
            "receiving_account_id",
            text("upper(virtual_account)"),
            unique=True,
            postgresql_where=text("status IN ('active', 'former') AND virtual_account IS NOT NULL"),
        ),
        UniqueConstraint(
            "org_id", "id", "payee_id", "receiving_account_id", name="uq_payee_accounts_link"
        ),
        CheckConstraint(
            "status IN ('proposed', 'approved', 'active', 'former', 'ended')", name="status_known"
        ),
        CheckConstraint(
            "status NOT IN ('approved', 'active', 'former') OR approved_by IS NOT NULL",
            name="approved",
        ),
        CheckConstraint(
            "status NOT IN ('active', 'former') OR virtual_account IS NULL"
            " OR test_credit_id IS NOT NULL",
            name="tested",
        ),
        Index("ix_payee_accounts_account", "org_id", "receiving_account_id"),
        CheckConstraint("approved_by IS NULL OR approved_by <> proposed_by", name="two_people"),
        CheckConstraint("(owner_kind IS NULL) = (owner_id IS NULL)", name="owner_whole"),
    )

    payee_id: Mapped[UUID]
    receiving_account_id: Mapped[UUID]
    virtual_account: Mapped[str | None] = mapped_column(String(19))
    status: Mapped[str]
    test_reference: Mapped[str] = mapped_column(String(13))  # memo of this link's test transfer
    proposed_by: Mapped[UUID]
    proposed_at: Mapped[datetime]
    approved_by: Mapped[UUID | None]
    approved_at: Mapped[datetime | None]
    test_credit_id: Mapped[UUID | None]  # the bank's report of the transfer to this very code
    # The last test transfer that does not count, reported by an endpoint for which nobody answers
    # who may (payments.connections.vouching) …
    test_refused_at: Mapped[datetime | None]
    test_refused_bank: Mapped[str | None]  # … or which came to its namesake at this bank
    activated_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    holder_confirmed_at: Mapped[datetime | None]  # one of the payee's people confirmed it …
    holder_confirmed_by: Mapped[UUID | None]  # … and this is who
    owner_kind: Mapped[
        str | None
    ]  # who is notified of counter sales on its static code, as for a bill
    owner_id: Mapped[UUID | None]
    # Its counter opens bills by VietQR direct although payOS could (payments/rails/choice.py).
    is_direct_only: Mapped[bool] = mapped_column(server_default=text("false"))
