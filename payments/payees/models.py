"""Organisations, the payees inside them, and the bank accounts that their codes name."""

from datetime import datetime
from enum import StrEnum
from typing import Final
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

from core.db import Base, OrgRow


class OrgKind(StrEnum):
    """What sort of tenant this is; words on screens, no rule depends on it."""

    CITY = "city"
    MARKET_BOARD = "market_board"
    PARKING_OPERATOR = "parking_operator"
    OFFICE = "office"
    BUSINESS = "business"


class AccountStatus(StrEnum):
    """A receiving account's way from a proposal to taking money."""

    PROPOSED = "proposed"  # named by one person
    APPROVED = "approved"  # a second person agreed; a test transfer is awaited
    ACTIVE = "active"  # the test transfer was reported by the bank
    RETIRED = "retired"


class LinkStatus(StrEnum):
    """Whether a payee's codes name this account."""

    PROPOSED = "proposed"
    APPROVED = "approved"  # a second person agreed; its test transfer is awaited
    ACTIVE = "active"  # new codes name it
    FORMER = "former"  # replaced, but printed codes still hang: its money is still this payee's
    ENDED = "ended"  # refused, or taken out of use: nothing that comes is this payee's by it


class Organisation(Base):
    """A tenant. Not tenant data itself: name and code are public, everyone's requests need them."""

    __tablename__ = "organisations"
    __table_args__ = (UniqueConstraint("id", "is_live"),)  # endpoints refer to both

    id: Mapped[UUID] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(String(4), unique=True)  # the one in new references
    name: Mapped[str]
    kind: Mapped[str]
    is_live: Mapped[bool]  # live organisations refuse sandbox endpoints and simulated credits
    created_at: Mapped[datetime]


# The server that this database lies on, and its timeline, which a promoted standby and a recovery
# to a point in time begin anew: on another one, serials may have been given out that are not known
# here. Source: PostgreSQL documentation, 25.3.6 "Timelines", and 9.28 "pg_control_system".
SERVER_AND_TIMELINE: Final = (
    "(pg_control_system()).system_identifier || '/'"
    " || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)"
)


class OrganisationCode(Base):
    """Every code that ever named an organisation in a reference, and its next free serial."""

    __tablename__ = "organisation_codes"
    __table_args__ = (
        CheckConstraint("next_serial BETWEEN 0 AND 729000000", name="serial_in_range"),  # 30^6
        ForeignKeyConstraint(["org_id"], ["organisations.id"]),
    )

    code: Mapped[str] = mapped_column(String(4), primary_key=True)
    org_id: Mapped[UUID]
    next_serial: Mapped[int] = mapped_column(server_default=text("0"))
    # Where and when the last run of serials was taken (payees/queries.py, TAKE_SERIALS).
    taken_on: Mapped[str] = mapped_column(server_default=text(SERVER_AND_TIMELINE))
    taken_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


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
            "status <> 'active' OR NOT (proposed_by = ANY (test_vouchers))", name="tested_by_others"
        ),
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
    # Who answers for the endpoint that told of it: never who proposed the account. Empty in a test
    # organisation, where nobody has to.
    test_vouchers: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid), server_default=text("'{}'"))
    activated_at: Mapped[datetime | None]
    retired_at: Mapped[datetime | None]


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
    # The last test transfer that does not count, told of by an endpoint for which nobody answers
    # who may (payments.callbacks.vouchers) …
    test_refused_at: Mapped[datetime | None]
    test_refused_bank: Mapped[str | None]  # … or which came to its namesake at this bank
    activated_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    holder_told_at: Mapped[datetime | None]  # one of the payee's people saw the change …
    holder_told_by: Mapped[UUID | None]  # … and this is who
