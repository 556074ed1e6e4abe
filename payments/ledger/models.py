"""The ledger: accounts per organisation, and transfers between them that are never changed."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, SmallInteger, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base, OrgRow, Vnd


class AccountCode(StrEnum):
    """The kinds of ledger accounts; each belongs to a subject (a receiving account or a payee)."""

    BANK_CLEARING = "bank_clearing"  # per receiving account: told by a callback, not by a statement
    TAKINGS = "takings"  # per payee: what was sold or owed and has been paid
    UNAPPLIED = "unapplied_receipts"  # per receiving account: money without its reason yet
    NOT_TAKINGS = "not_takings"  # per payee: "không phải tiền hàng", such as family money


class LedgerAccount(Base):
    """One account. Its key is what it is for, so nobody has to look an id up."""

    __tablename__ = "ledger_accounts"
    __table_args__ = (ForeignKeyConstraint(["org_id"], ["organisations.id"]),)

    org_id: Mapped[UUID] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(primary_key=True)
    subject_id: Mapped[UUID] = mapped_column(primary_key=True)
    opened_at: Mapped[datetime]


class Transfer(OrgRow):
    """An amount that moved from one account to another. Balanced by construction.

    (kind of cause, cause, step) is unique: the same cause cannot post twice.
    """

    __tablename__ = "transfers"
    __table_args__ = (
        ForeignKeyConstraint(
            ["org_id", "debit_code", "debit_subject_id"],
            ["ledger_accounts.org_id", "ledger_accounts.code", "ledger_accounts.subject_id"],
            name="fk_transfers_debit",
        ),
        ForeignKeyConstraint(
            ["org_id", "credit_code", "credit_subject_id"],
            ["ledger_accounts.org_id", "ledger_accounts.code", "ledger_accounts.subject_id"],
            name="fk_transfers_credit",
        ),
        UniqueConstraint("org_id", "cause_kind", "cause_id", "step", name="uq_transfers_cause"),
        CheckConstraint("amount_vnd > 0", name="amount_positive"),
        CheckConstraint(
            "(debit_code, debit_subject_id) <> (credit_code, credit_subject_id)",
            name="two_accounts",
        ),
        Index("ix_transfers_debit", "org_id", "debit_subject_id", "debit_code", "posted_at"),
        Index("ix_transfers_credit", "org_id", "credit_subject_id", "credit_code", "posted_at"),
    )

    debit_code: Mapped[str]
    debit_subject_id: Mapped[UUID]
    credit_code: Mapped[str]
    credit_subject_id: Mapped[UUID]
    amount_vnd: Mapped[Vnd]
    cause_kind: Mapped[str]  # "match": why it moved
    cause_id: Mapped[UUID]
    step: Mapped[int] = mapped_column(SmallInteger)  # 0, 1, … among the transfers of one cause
    effective_at: Mapped[datetime]  # when the money moved, by the bank's clock
    posted_at: Mapped[datetime]  # when the hub wrote it, by ours
