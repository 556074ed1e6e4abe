"""The ledger: accounts per organisation, and postings between them that are never changed."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, SmallInteger, UniqueConstraint
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
