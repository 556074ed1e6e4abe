"""Statements: their files, the days of accounts that they own, and their lines."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base, Vnd
from core.tenancy import OrgRow
from payments.statements.rules import Explanation, StatementStatus


class StatementFilePart(Base):
    """A part of a file as it was sent, compressed. Files lie in the database: evidence is backed up
    with the rows that name it, and every process reads it."""

    __tablename__ = "statement_file_parts"
    __table_args__ = (ForeignKeyConstraint(["org_id"], ["organisations.id"]),)

    org_id: Mapped[UUID] = mapped_column(primary_key=True)
    file_sha256: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    part_no: Mapped[int] = mapped_column(primary_key=True)  # from 0
    content: Mapped[bytes] = mapped_column(LargeBinary)  # zlib; at most PART_BYTES unpacked


class Statement(OrgRow):
    """What a bank says of one account and some days, as one file has it."""

    __tablename__ = "statements"
    __table_args__ = (
        ForeignKeyConstraint(["org_id"], ["organisations.id"]),
        ForeignKeyConstraint(
            ["org_id", "receiving_account_id"],
            ["receiving_accounts.org_id", "receiving_accounts.id"],
        ),
        CheckConstraint(
            f"status IN ({', '.join(repr(one.value) for one in StatementStatus)})",
            name="status_known",
        ),
        CheckConstraint(
            "status NOT IN ('staged', 'accepted', 'visible') OR (receiving_account_id IS NOT NULL"
            " AND period_from IS NOT NULL AND period_to IS NOT NULL AND error_count = 0)",
            name="read_without_fault",
        ),
        CheckConstraint(
            "opening_vnd IS NULL OR closing_vnd IS NULL OR status NOT IN"
            " ('staged', 'accepted', 'visible') OR opening_vnd + in_vnd - out_vnd = closing_vnd",
            name="chained",
        ),
        # The same file twice is the same statement, until somebody discards it.
        Index(
            "uq_statements_file",
            "org_id",
            "file_sha256",
            unique=True,
            postgresql_where=text("status <> 'discarded'"),
        ),
        Index("ix_statements_account", "org_id", "receiving_account_id", "period_to"),
        # The list, newest first; and how much an organisation keeps.
        Index(
            "ix_statements_created",
            "org_id",
            "created_at",
            "id",
            postgresql_include=["file_sha256", "file_bytes"],
        ),
    )

    receiving_account_id: Mapped[UUID | None]  # None until the file says it
    file_sha256: Mapped[bytes] = mapped_column(LargeBinary)
    file_name: Mapped[str] = mapped_column(String(200))  # for people; never trusted
    file_bytes: Mapped[int]
    is_pasted: Mapped[bool]
    mapping: Mapped[dict[str, Any] | None] = mapped_column(JSONB)  # columns, given by hand
    status: Mapped[str]
    job_id: Mapped[UUID | None]  # the one that reads it, then the one that writes its lines
    format: Mapped[str | None]
    period_from: Mapped[date | None]
    period_to: Mapped[date | None]
    opening_vnd: Mapped[Vnd | None]
    closing_vnd: Mapped[Vnd | None]
    in_vnd: Mapped[Vnd] = mapped_column(server_default=text("0"))
    out_vnd: Mapped[Vnd] = mapped_column(server_default=text("0"))
    line_count: Mapped[int] = mapped_column(server_default=text("0"))
    repeat_count: Mapped[int] = mapped_column(server_default=text("0"))  # had by earlier ones
    error_count: Mapped[int] = mapped_column(server_default=text("0"))
    summary: Mapped[dict[str, Any] | None] = mapped_column(JSONB)  # as the reader gives it
    problems: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'"))
    row_errors: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'"))
    created_by: Mapped[UUID | None]
    created_at: Mapped[datetime]
    read_at: Mapped[datetime | None]
    decided_by: Mapped[UUID | None]
    decided_at: Mapped[datetime | None]
    applied_mapping: Mapped[dict[str, Any] | None] = mapped_column(JSONB)  # a saved one
    sample: Mapped[list[dict[str, Any]] | None] = mapped_column(JSONB)  # the top of its table


class StatementDaySum(Base):
    """What the lines of a statement add up to on one day: as it was read, before any is written."""

    __tablename__ = "statement_day_sums"
    __table_args__ = (
        ForeignKeyConstraint(["org_id", "statement_id"], ["statements.org_id", "statements.id"]),
    )

    org_id: Mapped[UUID] = mapped_column(primary_key=True)
    statement_id: Mapped[UUID] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    line_count: Mapped[int]
    in_vnd: Mapped[Vnd]
    out_vnd: Mapped[Vnd]


class StatementMapping(OrgRow):
    """Meanings of columns that somebody gave for an account's files with certain headings."""

    __tablename__ = "statement_mappings"
    __table_args__ = (
        ForeignKeyConstraint(
            ["org_id", "receiving_account_id"],
            ["receiving_accounts.org_id", "receiving_accounts.id"],
        ),
        CheckConstraint("thousands_separator IN (',', '.')", name="separator_known"),
        UniqueConstraint(
            "org_id",
            "receiving_account_id",
            "headings_sha256",
            name="uq_statement_mappings_headings",
        ),
    )

    receiving_account_id: Mapped[UUID]
    headings_sha256: Mapped[bytes] = mapped_column(LargeBinary)
    headings: Mapped[list[str]] = mapped_column(JSONB)  # the row above the lines, for people
    columns: Mapped[dict[str, str]] = mapped_column(JSONB)  # index from 0 → meaning
    thousands_separator: Mapped[str | None] = mapped_column(String(1))
    changed_by: Mapped[UUID | None]
    changed_at: Mapped[datetime]


class StatementDay(Base):
    """One statement owns an account's day; what later files say of it is compared with that."""

    __tablename__ = "statement_days"
    __table_args__ = (
        ForeignKeyConstraint(
            ["org_id", "receiving_account_id"],
            ["receiving_accounts.org_id", "receiving_accounts.id"],
        ),
        ForeignKeyConstraint(["org_id", "statement_id"], ["statements.org_id", "statements.id"]),
    )

    org_id: Mapped[UUID] = mapped_column(primary_key=True)
    receiving_account_id: Mapped[UUID] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    statement_id: Mapped[UUID]  # the first; later ones may add lines
    line_count: Mapped[int]
    in_vnd: Mapped[Vnd]
    out_vnd: Mapped[Vnd]
    closing_vnd: Mapped[Vnd | None]  # None: no balance is known
    listed_at: Mapped[datetime | None]  # when people were asked about credits without a line: once


class LineColumns:
    """What a line says, staged or written."""

    line_no: Mapped[int]  # from 1, in the order of the file
    booked_on: Mapped[date]
    transacted_at: Mapped[datetime | None]
    is_date_only: Mapped[bool]
    direction: Mapped[str]
    amount_vnd: Mapped[Vnd]
    balance_after_vnd: Mapped[Vnd | None]
    bank_reference: Mapped[str]  # '' without one
    provider_line_id: Mapped[str | None]
    memo: Mapped[str]
    counterparty_account: Mapped[str | None]
    counterparty_name: Mapped[str | None]
    counterparty_bank: Mapped[str | None]
    is_reversal: Mapped[bool]


class StagedLine(LineColumns, OrgRow):
    """A line that was read and is not written yet; it goes when it is, or with its statement."""

    __tablename__ = "staged_lines"
    __table_args__ = (
        ForeignKeyConstraint(["org_id", "statement_id"], ["statements.org_id", "statements.id"]),
        UniqueConstraint("org_id", "statement_id", "line_no"),
    )

    statement_id: Mapped[UUID]


class StatementLine(LineColumns, OrgRow):
    """Money that moved, as the bank's statement says. `open_vnd` is what nothing explains yet."""

    __tablename__ = "statement_lines"
    __table_args__ = (
        ForeignKeyConstraint(["org_id", "statement_id"], ["statements.org_id", "statements.id"]),
        ForeignKeyConstraint(
            ["org_id", "receiving_account_id"],
            ["receiving_accounts.org_id", "receiving_accounts.id"],
        ),
        UniqueConstraint("org_id", "statement_id", "line_no"),
        CheckConstraint("amount_vnd > 0", name="amount_positive"),
        CheckConstraint("direction IN ('in', 'out')", name="direction_known"),
        CheckConstraint("open_vnd BETWEEN 0 AND amount_vnd", name="open_in_range"),
        CheckConstraint(
            f"explanation IN ({', '.join(repr(one.value) for one in Explanation)})",
            name="explanation_known",
        ),
        CheckConstraint("(explanation IS NULL) = (open_vnd > 0)", name="explained_whole"),
        Index("ix_statement_lines_day", "org_id", "receiving_account_id", "booked_on", "id"),
        Index(
            "ix_statement_lines_open",
            "org_id",
            "receiving_account_id",
            "booked_on",
            "id",
            postgresql_where=text("open_vnd > 0"),
        ),
        Index(  # what a person looks for by a bank's reference
            "ix_statement_lines_reference",
            "org_id",
            "bank_reference",
            postgresql_where=text("bank_reference <> ''"),
        ),
    )

    statement_id: Mapped[UUID]
    receiving_account_id: Mapped[UUID]
    open_vnd: Mapped[Vnd]
    explanation: Mapped[str | None]  # what its proofs are; None while something of it is open
    listed_at: Mapped[datetime | None]  # when people were asked what it is: once
