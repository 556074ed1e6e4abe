"""The ledger: accounts, postings between them that are never changed, and closed days."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    SmallInteger,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base, Vnd
from core.tenancy import OrgRow


class LedgerAccount(Base):
    """One account. Its key is what it is for, so nobody has to look an id up."""

    __tablename__ = "ledger_accounts"
    __table_args__ = (ForeignKeyConstraint(["org_id"], ["organisations.id"]),)

    org_id: Mapped[UUID] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(primary_key=True)
    subject_id: Mapped[UUID] = mapped_column(primary_key=True)
    opened_at: Mapped[datetime]


class Posting(OrgRow):
    """An amount that moved from one account to another. Balanced by construction.

    (kind of cause, cause, step) is unique: the same cause cannot post twice.
    """

    __tablename__ = "postings"
    __table_args__ = (
        ForeignKeyConstraint(
            ["org_id", "debit_code", "debit_subject_id"],
            ["ledger_accounts.org_id", "ledger_accounts.code", "ledger_accounts.subject_id"],
            name="fk_postings_debit",
        ),
        ForeignKeyConstraint(
            ["org_id", "credit_code", "credit_subject_id"],
            ["ledger_accounts.org_id", "ledger_accounts.code", "ledger_accounts.subject_id"],
            name="fk_postings_credit",
        ),
        UniqueConstraint("org_id", "cause_kind", "cause_id", "step", name="uq_postings_cause"),
        CheckConstraint("amount_vnd > 0", name="amount_positive"),
        CheckConstraint(
            "(debit_code, debit_subject_id) <> (credit_code, credit_subject_id)",
            name="two_accounts",
        ),
        CheckConstraint(
            "item_id IS NOT NULL OR day = '-infinity'"
            " OR (debit_code <> 'bank_clearing' AND credit_code <> 'bank_clearing')",
            name="clearing_has_its_item",
        ),
        Index("ix_postings_day", "org_id", "day", "id"),
        Index("ix_postings_debit", "org_id", "debit_subject_id", "debit_code", "posted_at"),
        Index("ix_postings_credit", "org_id", "credit_subject_id", "credit_code", "posted_at"),
    )

    debit_code: Mapped[str]
    debit_subject_id: Mapped[UUID]
    credit_code: Mapped[str]
    credit_subject_id: Mapped[UUID]
    amount_vnd: Mapped[Vnd]
    cause_kind: Mapped[str]  # "match": why it moved
    cause_id: Mapped[UUID]
    step: Mapped[int] = mapped_column(SmallInteger)  # 0, 1, … among the postings of one cause
    effective_at: Mapped[datetime]  # when the money moved, by the bank's clock
    posted_at: Mapped[datetime]  # when the hub wrote it, by ours
    # The day of the books; '-infinity' for what was posted before there were any, which no Python
    # date holds: such rows are summed and counted, and read by nobody.
    day: Mapped[date] = mapped_column(server_default=text("'-infinity'"))
    item_id: Mapped[UUID | None]  # the credit whose bank clearing moved


class LedgerBooks(Base):
    """How far an organisation's books are closed. Whoever posts shares this row's lock.

    A trigger makes it with the organisation.
    """

    __tablename__ = "ledger_books"
    __table_args__ = (
        ForeignKeyConstraint(["org_id"], ["organisations.id"]),
        ForeignKeyConstraint(
            ["org_id", "closed_through"], ["ledger_days.org_id", "ledger_days.day"]
        ),
    )

    org_id: Mapped[UUID] = mapped_column(primary_key=True)
    closed_through: Mapped[date | None]  # the last closed day; None: no day is closed


class LedgerDay(Base):
    """A closed day, chained to the day before. The first one holds all that lies before it, too."""

    __tablename__ = "ledger_days"
    __table_args__ = (
        ForeignKeyConstraint(["org_id"], ["organisations.id"]),
        ForeignKeyConstraint(
            ["org_id", "previous_day", "previous_hash"],
            ["ledger_days.org_id", "ledger_days.day", "ledger_days.hash"],
            name="fk_ledger_days_previous",
        ),
        CheckConstraint("previous_day = day - 1", name="follows"),
        CheckConstraint("(previous_day IS NULL) = (previous_hash IS NULL)", name="chained"),
        CheckConstraint("octet_length(hash) = 32", name="hash_whole"),
        UniqueConstraint("org_id", "day", "hash"),
        # One first day, and no fork.
        UniqueConstraint("org_id", "previous_day", postgresql_nulls_not_distinct=True),
    )

    org_id: Mapped[UUID] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    previous_day: Mapped[date | None]  # None: the first that was closed
    closed_at: Mapped[datetime]  # not before anything in it was posted
    closed_by: Mapped[UUID | None]
    postings: Mapped[int] = mapped_column(BigInteger)  # how many it holds
    postings_before: Mapped[int] = mapped_column(BigInteger)  # of the first: before the books
    hash: Mapped[bytes]  # 32 bytes, payments/ledger/hashing.py
    # 1: postings and checkpoints; 2: with accounts and what they carry (payments/closing).
    hash_version: Mapped[int] = mapped_column(SmallInteger, server_default=text("1"))
    previous_hash: Mapped[bytes | None]


class LedgerCheckpoint(Base):
    """An account's balance at the end of a closed day on which it moved."""

    __tablename__ = "ledger_checkpoints"
    __table_args__ = (
        ForeignKeyConstraint(
            ["org_id", "code", "subject_id"],
            ["ledger_accounts.org_id", "ledger_accounts.code", "ledger_accounts.subject_id"],
            name="fk_ledger_checkpoints_account",
        ),
        ForeignKeyConstraint(["org_id", "day"], ["ledger_days.org_id", "ledger_days.day"]),
        Index("ix_ledger_checkpoints_day", "org_id", "day"),
    )

    org_id: Mapped[UUID] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(primary_key=True)
    subject_id: Mapped[UUID] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    balance_vnd: Mapped[Vnd]  # credits minus debits, of all time
    postings: Mapped[int] = mapped_column(BigInteger)  # how many of its legs were summed
