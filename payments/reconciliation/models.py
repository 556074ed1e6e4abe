"""Proofs of statement lines, and how far the matching of each account has come."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, Integer, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base, Vnd
from core.tenancy import OrgRow
from payments.statements.rules import Explanation


class Proof(OrgRow):
    """What explains a line, whole or in part. It posts once; to take it back posts again.

    A credit and a refund are proved whole and once; a line no further than `open_vnd` goes.
    """

    __tablename__ = "proofs"
    __table_args__ = (
        CheckConstraint("amount_vnd > 0", name="amount_positive"),
        CheckConstraint(
            f"explanation IN ({', '.join(repr(one.value) for one in Explanation)})",
            name="explanation_known",
        ),
        CheckConstraint("(explanation = 'credit') = (credit_id IS NOT NULL)", name="credit_named"),
        CheckConstraint("(explanation = 'refund') = (refund_id IS NOT NULL)", name="refund_named"),
        CheckConstraint("score_bps BETWEEN 1 AND 10000", name="score_in_range"),
        ForeignKeyConstraint(
            ["org_id", "line_id"], ["statement_lines.org_id", "statement_lines.id"]
        ),
        ForeignKeyConstraint(
            ["org_id", "credit_id"], ["bank_transactions.org_id", "bank_transactions.id"]
        ),
        ForeignKeyConstraint(["org_id", "refund_id"], ["refunds.org_id", "refunds.id"]),
        Index(
            "uq_proofs_credit",
            "org_id",
            "credit_id",
            unique=True,
            postgresql_where=text("reversed_at IS NULL AND credit_id IS NOT NULL"),
        ),
        Index(
            "uq_proofs_refund",
            "org_id",
            "refund_id",
            unique=True,
            postgresql_where=text("reversed_at IS NULL AND refund_id IS NOT NULL"),
        ),
        Index("ix_proofs_line", "org_id", "line_id"),
    )

    line_id: Mapped[UUID]
    explanation: Mapped[str]  # Explanation
    credit_id: Mapped[UUID | None]
    refund_id: Mapped[UUID | None]
    amount_vnd: Mapped[Vnd]
    rule: Mapped[str]  # ProofRule
    score_bps: Mapped[int | None] = mapped_column(Integer)  # None: by hand
    reason: Mapped[str]  # ProofReason
    reason_facts: Mapped[dict[str, Any]] = mapped_column(JSONB)
    next_best: Mapped[dict[str, Any] | None] = mapped_column(JSONB)  # credit_id, rule, score_bps
    proved_by: Mapped[UUID | None]  # a person; None: the hub's own rules
    proved_at: Mapped[datetime]
    reversed_by: Mapped[UUID | None]
    reversed_at: Mapped[datetime | None]


class AccountMatching(Base):
    """An account whose lines are matched: its lock, and since when credits are new to them."""

    __tablename__ = "account_matching"
    __table_args__ = (
        ForeignKeyConstraint(
            ["org_id", "receiving_account_id"],
            ["receiving_accounts.org_id", "receiving_accounts.id"],
        ),
    )

    org_id: Mapped[UUID] = mapped_column(primary_key=True)
    receiving_account_id: Mapped[UUID] = mapped_column(primary_key=True)
    matched_at: Mapped[datetime | None]  # when the last run that came to its end began
    swept_at: Mapped[datetime | None]  # the same, of the last that looked at all open lines
