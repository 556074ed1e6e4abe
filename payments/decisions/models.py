"""Decisions about the money of breaks: proposed by one person, approved by another."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Vnd
from core.tenancy import OrgRow
from payments.bills.models import Bill
from payments.breaks.models import Break
from payments.credits.models import BankTransaction

IN_FORCE = "status = 'approved' AND action <> 'undo' AND undone_at IS NULL"


class BreakDecision(OrgRow):
    """What becomes of the money of a break. Its id is made by the client."""

    __tablename__ = "break_decisions"
    __table_args__ = (
        CheckConstraint("amount_vnd > 0", name="amount_positive"),
        CheckConstraint("action IN ('write_off', 'correct', 'undo')", name="action_known"),
        CheckConstraint(
            "status IN ('proposed', 'approved', 'refused', 'withdrawn')", name="status_known"
        ),
        CheckConstraint("(credit_id IS NULL) <> (bill_id IS NULL)", name="one_money"),
        CheckConstraint("(action = 'undo') = (undoes_id IS NOT NULL)", name="undo_names_it"),
        CheckConstraint(
            "(status = 'proposed') = (decided_by IS NULL)"
            " AND (decided_by IS NULL) = (decided_at IS NULL)",
            name="decided_by_somebody",
        ),
        CheckConstraint(
            "status <> 'approved' OR decided_by <> proposed_by OR is_decided_alone",
            name="two_people",
        ),
        CheckConstraint(
            "debit_code NOT IN ('bank', 'bank_clearing')"
            " AND credit_code NOT IN ('bank', 'bank_clearing')",
            name="never_the_banks",
        ),
        ForeignKeyConstraint(
            ["org_id", "break_id"], [Break.org_id, Break.id], name="fk_break_decisions_break"
        ),
        ForeignKeyConstraint(
            ["org_id", "credit_id"],
            [BankTransaction.org_id, BankTransaction.id],
            name="fk_break_decisions_credit",
        ),
        ForeignKeyConstraint(
            ["org_id", "bill_id"], [Bill.org_id, Bill.id], name="fk_break_decisions_bill"
        ),
        ForeignKeyConstraint(
            ["org_id", "undoes_id"],
            ["break_decisions.org_id", "break_decisions.id"],
            name="fk_break_decisions_undoes",
        ),
        # One waits, and one is in force; what is undone is undone once.
        Index(
            "uq_break_decisions_waiting",
            "org_id",
            "break_id",
            unique=True,
            postgresql_where=text("status = 'proposed'"),
        ),
        Index(
            "uq_break_decisions_in_force",
            "org_id",
            "break_id",
            unique=True,
            postgresql_where=text(IN_FORCE),
        ),
        Index(
            "uq_break_decisions_undone",
            "org_id",
            "undoes_id",
            unique=True,
            postgresql_where=text("status = 'approved'"),
        ),
        Index("ix_break_decisions_break", "org_id", "break_id", "id"),
        Index(
            "ix_break_decisions_credit",
            "org_id",
            "credit_id",
            postgresql_where=text("credit_id IS NOT NULL"),
        ),
        Index(
            "ix_break_decisions_waiting",
            "org_id",
            "id",
            postgresql_where=text(
                "status = 'proposed' OR (is_decided_alone AND reviewed_at IS NULL)"
            ),
        ),
    )

    break_id: Mapped[UUID]
    action: Mapped[str]  # Action
    amount_vnd: Mapped[Vnd]
    reason: Mapped[str]  # in a person's words
    credit_id: Mapped[UUID | None]  # whose rest it is about …
    bill_id: Mapped[UUID | None]  # … or the short bill
    debit_code: Mapped[str]  # between which accounts it posts, once it is approved
    debit_subject_id: Mapped[UUID]
    credit_code: Mapped[str]
    credit_subject_id: Mapped[UUID]
    undoes_id: Mapped[UUID | None]
    status: Mapped[str]  # DecisionStatus
    proposed_by: Mapped[UUID]
    proposed_at: Mapped[datetime]
    decided_by: Mapped[UUID | None]
    decided_at: Mapped[datetime | None]
    decided_words: Mapped[str | None]
    is_decided_alone: Mapped[bool] = mapped_column(server_default=text("false"))
    reviewed_by: Mapped[UUID | None]  # of what one person decided alone
    reviewed_at: Mapped[datetime | None]
    undone_at: Mapped[datetime | None]  # by the decision that names it
