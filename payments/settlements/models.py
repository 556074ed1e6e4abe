"""Settlement statements: terms, runs, statements, the periods that they own, and their lines."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    Integer,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base, Vnd
from core.tenancy import OrgRow


class SettlementTerms(OrgRow):
    """What was agreed with a payee from a day on. A new version never changes an old one."""

    __tablename__ = "settlement_terms"
    __table_args__ = (
        ForeignKeyConstraint(["org_id", "payee_id"], ["payees.org_id", "payees.id"]),
        UniqueConstraint("org_id", "payee_id", "version"),
        CheckConstraint("version >= 1", name="version_positive"),
        CheckConstraint("commission_bps BETWEEN 0 AND 10000", name="commission_in_range"),
        CheckConstraint("fixed_charge_vnd >= 0", name="fixed_charge_not_negative"),
    )

    payee_id: Mapped[UUID]
    version: Mapped[int] = mapped_column(Integer)  # 1, 2, … of this payee
    from_day: Mapped[date]  # statements whose first day with money is this one or a later one
    commission_bps: Mapped[int] = mapped_column(Integer)
    fixed_charge_vnd: Mapped[Vnd]  # of each statement
    charge_bps: Mapped[dict[str, int]] = mapped_column(JSONB)  # by channel
    shares: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)  # [{name, bps}], in their order
    set_by: Mapped[UUID]
    set_at: Mapped[datetime]


class SettlementRun(OrgRow):
    """One order to draft the statements of a period. Its id is made by the client."""

    __tablename__ = "settlement_runs"
    __table_args__ = (
        ForeignKeyConstraint(["org_id", "payee_id"], ["payees.org_id", "payees.id"]),
        # The period is over: nothing can be posted into a closed day.
        ForeignKeyConstraint(["org_id", "last_day"], ["ledger_days.org_id", "ledger_days.day"]),
        CheckConstraint("last_day >= first_day", name="days_in_order"),
    )

    # Of payees that have no statement yet, unless others begin earlier; the rest go on where theirs
    # ended.
    first_day: Mapped[date]
    last_day: Mapped[date]
    payee_id: Mapped[UUID | None]  # None: all
    job_id: Mapped[UUID | None]
    created_by: Mapped[UUID]
    created_at: Mapped[datetime]
    payees_done: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    drafted: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    reached_payee_id: Mapped[UUID | None]  # all up to it are done
    finished_at: Mapped[datetime | None]


class Settlement(OrgRow):
    """What a payee took in a period, what is deducted, and whose the rest is."""

    __tablename__ = "settlements"
    __table_args__ = (
        ForeignKeyConstraint(
            ["org_id", "run_id"], ["settlement_runs.org_id", "settlement_runs.id"]
        ),
        ForeignKeyConstraint(["org_id", "payee_id"], ["payees.org_id", "payees.id"]),
        ForeignKeyConstraint(
            ["org_id", "terms_id"], ["settlement_terms.org_id", "settlement_terms.id"]
        ),
        # For the foreign key of its period.
        UniqueConstraint(
            "org_id", "id", "payee_id", "first_day", "last_day", name="uq_settlements_period"
        ),
        CheckConstraint("last_day >= first_day", name="days_in_order"),
        CheckConstraint(
            "status IN ('drafting', 'reviewed', 'approved', 'sent', 'discarded')",
            name="status_known",
        ),
        CheckConstraint(
            "status IN ('drafting', 'discarded') OR drafted_at IS NOT NULL", name="drafted_first"
        ),
        CheckConstraint(
            "status NOT IN ('reviewed', 'approved', 'sent') OR reviewed_by IS NOT NULL",
            name="reviewed",
        ),
        CheckConstraint(
            "(status IN ('approved', 'sent')) = (approved_by IS NOT NULL)"
            " AND (status IN ('approved', 'sent')) = (number IS NOT NULL)",
            name="approved_with_its_number",
        ),
        CheckConstraint(
            "approved_by IS NULL OR is_approved_alone"
            " OR (approved_by <> drafted_by AND approved_by <> reviewed_by)",
            name="two_people",
        ),
        CheckConstraint("status <> 'sent' OR sent_by IS NOT NULL", name="sent_by_a_person"),
        CheckConstraint(
            "net_vnd = gross_vnd - refunds_vnd - charges_vnd - fixed_charge_vnd - commission_vnd",
            name="net_follows",
        ),
        Index("ix_settlements_payee", "org_id", "payee_id", "id"),
        Index("ix_settlements_status", "org_id", "status", "id"),
        Index("ix_settlements_last_day", "org_id", "last_day", "id"),
        Index(
            "uq_settlements_number",
            "org_id",
            "number",
            unique=True,
            postgresql_where=text("number IS NOT NULL"),
        ),
    )

    run_id: Mapped[UUID]
    payee_id: Mapped[UUID]
    payee_name: Mapped[str]  # as they were when it was drafted
    payee_place: Mapped[str]
    first_day: Mapped[date]
    last_day: Mapped[date]
    cut_off_at: Mapped[datetime]  # when the last of its days was closed: nothing in it came later
    terms_id: Mapped[UUID | None]  # None: nothing is deducted
    status: Mapped[str]
    # How far its postings are read: those of one side of the takings up to this one.
    side: Mapped[str] = mapped_column(server_default=text("'credit'"))
    reached_at: Mapped[datetime | None]
    reached_id: Mapped[UUID | None]
    postings: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    gross_vnd: Mapped[Vnd] = mapped_column(server_default=text("0"))
    refunds_vnd: Mapped[Vnd] = mapped_column(server_default=text("0"))
    charges: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'"))
    charges_vnd: Mapped[Vnd] = mapped_column(server_default=text("0"))
    fixed_charge_vnd: Mapped[Vnd] = mapped_column(server_default=text("0"))
    commission_bps: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    commission_vnd: Mapped[Vnd] = mapped_column(server_default=text("0"))
    net_vnd: Mapped[Vnd] = mapped_column(server_default=text("0"))
    shares: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'"))
    payee_vnd: Mapped[Vnd] = mapped_column(server_default=text("0"))  # net without the shares
    carried: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'"))
    carried_count: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    drafted_by: Mapped[UUID]
    started_at: Mapped[datetime]
    drafted_at: Mapped[datetime | None]  # None: it is being written
    reviewed_by: Mapped[UUID | None]
    reviewed_at: Mapped[datetime | None]
    approved_by: Mapped[UUID | None]
    approved_at: Mapped[datetime | None]
    is_approved_alone: Mapped[bool] = mapped_column(server_default=text("false"))
    number: Mapped[str | None]  # "QT26-01-000017"
    sent_by: Mapped[UUID | None]
    sent_at: Mapped[datetime | None]
    discarded_by: Mapped[UUID | None]
    discarded_at: Mapped[datetime | None]
    discarded_words: Mapped[str | None]


class SettlementPeriod(Base):
    """The days of a payee that a statement owns: a chain without a gap, a fork or an overlap.

    It has a row for each statement that is not discarded. Each posting on the payee's takings has
    one day of the books, so that it is in one statement; the last day is closed, so that none comes
    later (docs/adr/0017).
    """

    __tablename__ = "settlement_periods"
    __table_args__ = (
        ForeignKeyConstraint(
            ["org_id", "settlement_id", "payee_id", "first_day", "last_day"],
            [
                "settlements.org_id",
                "settlements.id",
                "settlements.payee_id",
                "settlements.first_day",
                "settlements.last_day",
            ],
            name="fk_settlement_periods_settlement",
        ),
        ForeignKeyConstraint(
            ["org_id", "payee_id", "previous_last_day"],
            [
                "settlement_periods.org_id",
                "settlement_periods.payee_id",
                "settlement_periods.last_day",
            ],
            name="fk_settlement_periods_previous",
        ),
        ForeignKeyConstraint(["org_id", "last_day"], ["ledger_days.org_id", "ledger_days.day"]),
        UniqueConstraint("org_id", "settlement_id"),
        # One first period, and no fork.
        UniqueConstraint(
            "org_id",
            "payee_id",
            "previous_last_day",
            name="uq_settlement_periods_previous",
            postgresql_nulls_not_distinct=True,
        ),
        # Where an organisation's statements begin: no payee's first one begins later.
        Index(
            "ix_settlement_periods_first",
            "org_id",
            "first_day",
            postgresql_where=text("previous_last_day IS NULL"),
        ),
        CheckConstraint("last_day >= first_day", name="days_in_order"),
        CheckConstraint(
            "previous_last_day IS NULL OR first_day = previous_last_day + 1", name="follows"
        ),
    )

    org_id: Mapped[UUID] = mapped_column(primary_key=True)
    payee_id: Mapped[UUID] = mapped_column(primary_key=True)
    last_day: Mapped[date] = mapped_column(primary_key=True)
    first_day: Mapped[date]
    previous_last_day: Mapped[date | None]  # None: the payee's first
    settlement_id: Mapped[UUID]


class SettlementLine(Base):
    """What one channel, the refunds, or what was written off moved in a statement's period."""

    __tablename__ = "settlement_lines"
    __table_args__ = (
        ForeignKeyConstraint(["org_id", "settlement_id"], ["settlements.org_id", "settlements.id"]),
        CheckConstraint("credited_vnd >= 0 AND debited_vnd >= 0", name="not_negative"),
    )

    org_id: Mapped[UUID] = mapped_column(primary_key=True)
    settlement_id: Mapped[UUID] = mapped_column(primary_key=True)
    line: Mapped[str] = mapped_column(primary_key=True)  # rules.LINES
    credited_vnd: Mapped[Vnd]
    debited_vnd: Mapped[Vnd]
    postings: Mapped[int] = mapped_column(Integer)
