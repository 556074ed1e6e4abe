"""Bank transactions, their matches, and later reports of them that differ."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Vnd
from core.tenancy import OrgRow


class BankTransaction(OrgRow):
    """Money a bank says reached (or left) a receiving account. One row per bank transaction."""

    __tablename__ = "bank_transactions"
    __table_args__ = (
        # Within one provider its own id decides.
        Index(
            "uq_bank_transactions_provider_transaction",
            "org_id",
            "receiving_account_id",
            "provider",
            "provider_transaction_id",
            unique=True,
            postgresql_where=text("admitted_from IS NULL"),
        ),
        # One report becomes one credit, however often it is admitted.
        Index(
            "uq_bank_transactions_admitted",
            "org_id",
            "admitted_from",
            unique=True,
            postgresql_where=text("admitted_from IS NOT NULL"),
        ),
        # Only a signal to look closer: whoever meets it may be the same money or may not be.
        Index(
            "uq_bank_transactions_first_of_reference",
            "org_id",
            "receiving_account_id",
            "direction",
            "bank_reference",
            "amount_vnd",
            unique=True,
            postgresql_where=text("is_first_of_reference"),
        ),
        ForeignKeyConstraint(
            ["org_id", "receiving_account_id"],
            ["receiving_accounts.org_id", "receiving_accounts.id"],
        ),
        CheckConstraint("amount_vnd > 0", name="amount_positive"),
        CheckConstraint("direction IN ('in', 'out')", name="direction_known"),
        CheckConstraint("open_vnd BETWEEN 0 AND amount_vnd", name="open_in_range"),
        CheckConstraint("provider_transaction_id <> ''", name="id_not_empty"),
        Index("ix_bank_transactions_account_time", "org_id", "receiving_account_id", "occurred_at"),
        # All with a reference, for whoever looks for the same transfer.
        Index(
            "ix_bank_transactions_reference",
            "org_id",
            "receiving_account_id",
            "bank_reference",
            postgresql_where=text("bank_reference <> ''"),
        ),
        Index("ix_bank_transactions_received", "org_id", "received_at"),  # a day's payments
    )

    receiving_account_id: Mapped[UUID]
    direction: Mapped[str]  # "in" or "out"; only money in settles bills
    bank_reference: Mapped[str]  # upper case, '' without one; it repeats and may be a filler
    # The first on this account with this amount, of those that identify (bank_references.py).
    is_first_of_reference: Mapped[bool] = mapped_column(server_default=text("false"))
    # The sighting that a person admitted as another transfer; it shares its id with the first.
    admitted_from: Mapped[UUID | None]
    provider: Mapped[str]
    provider_transaction_id: Mapped[str]
    provider_order_id: Mapped[str | None]
    notice_id: Mapped[UUID]  # the evidence
    virtual_account: Mapped[str | None]
    memo: Mapped[str]  # as it arrived, mangled or not
    amount_vnd: Mapped[Vnd]
    # What no leg and no sale has taken. Written once it is matched, in the same transaction: most
    # credits are taken whole, and their row is not touched again.
    open_vnd: Mapped[Vnd] = mapped_column(server_default=text("0"))
    payer_name: Mapped[str | None]
    payer_account: Mapped[str | None]
    payer_bank: Mapped[str | None]
    is_date_only: Mapped[bool]
    occurred_at: Mapped[datetime]  # the bank's clock
    received_at: Mapped[datetime]  # our clock


class Match(OrgRow):
    """Which bill or payee a credit is for, by which rule, and in words why.

    A credit has at most one match in force; a correction reverses it and adds another.
    """

    __tablename__ = "matches"
    __table_args__ = (
        Index(
            "uq_matches_in_force",
            "org_id",
            "credit_id",
            unique=True,
            postgresql_where=text("reversed_at IS NULL"),
        ),
        ForeignKeyConstraint(
            ["org_id", "credit_id"], ["bank_transactions.org_id", "bank_transactions.id"]
        ),
        ForeignKeyConstraint(["org_id", "bill_id"], ["bills.org_id", "bills.id"]),
        CheckConstraint("applied_vnd >= 0", name="applied_not_negative"),
        Index("ix_matches_bill", "org_id", "bill_id"),
        # Money that named something not there yet: rematched when it appears.
        Index(
            "ix_matches_waiting",
            "matched_at",
            postgresql_where=text("reversed_at IS NULL AND verdict = 'no_bill'"),
        ),
        Index("ix_matches_payee", "org_id", "payee_id", "matched_at"),
        # Lists of what needs somebody are short beside a history; sales cost nothing here.
        Index(
            "ix_matches_rare",
            "org_id",
            "verdict",
            "credit_id",
            postgresql_where=text(
                "reversed_at IS NULL AND verdict NOT IN ('settle', 'counter_sale')"
            ),
        ),
    )

    credit_id: Mapped[UUID]
    bill_id: Mapped[UUID | None]  # the one that is meant; None also where its legs name several
    payee_id: Mapped[UUID | None]
    rule: Mapped[str]
    verdict: Mapped[str]
    named: Mapped[str | None]  # the reference or provider's order that the credit names
    reason: Mapped[str]  # MatchReason
    reason_facts: Mapped[dict[str, Any]] = mapped_column(JSONB)
    applied_vnd: Mapped[Vnd]  # to the bill or as a sale; the rest waits in unapplied cash
    is_late: Mapped[bool]
    suggested_bill_id: Mapped[UUID | None]  # "của khách này?": same amount, one open bill
    matched_by: Mapped[UUID | None]  # a person, or None: the hub's own rules
    matched_at: Mapped[datetime]
    reversed_by: Mapped[UUID | None]
    reversed_at: Mapped[datetime | None]
    # How often a rematch failed since its bill is there, and when the next one is due.
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    next_attempt_at: Mapped[datetime | None]


class MatchLeg(OrgRow):
    """What a match gives to one bill. It has the id of the payment that this makes."""

    __tablename__ = "match_legs"
    __table_args__ = (
        Index(
            "uq_match_legs_in_force",
            "org_id",
            "credit_id",
            "bill_id",
            unique=True,
            postgresql_where=text("reversed_at IS NULL"),
        ),
        ForeignKeyConstraint(["org_id", "match_id"], ["matches.org_id", "matches.id"]),
        ForeignKeyConstraint(["org_id", "id"], ["payments.org_id", "payments.id"]),
        CheckConstraint("applied_vnd > 0", name="applied_positive"),
        Index("ix_match_legs_match", "org_id", "match_id"),
        Index("ix_match_legs_bill", "org_id", "bill_id"),
    )

    match_id: Mapped[UUID]
    credit_id: Mapped[UUID]
    bill_id: Mapped[UUID]
    applied_vnd: Mapped[Vnd]
    reversed_at: Mapped[datetime | None]


class Sighting(OrgRow):
    """Evidence: a known credit reported again with other facts, or through another channel."""

    __tablename__ = "sightings"
    __table_args__ = (
        ForeignKeyConstraint(
            ["org_id", "credit_id"], ["bank_transactions.org_id", "bank_transactions.id"]
        ),
        Index("ix_sightings_credit", "org_id", "credit_id"),
        UniqueConstraint(
            "org_id",  # in an order that also finds what a provider's transaction was paired with
            "provider",
            "provider_transaction_id",
            "credit_id",
            "fingerprint",
            name="uq_sightings_report",
        ),
    )

    credit_id: Mapped[UUID]
    notice_id: Mapped[UUID]
    provider: Mapped[str]
    provider_transaction_id: Mapped[str]
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)  # of the reported facts, 16 bytes
    is_contradiction: Mapped[bool]
    differences: Mapped[dict[str, Any]] = mapped_column(JSONB)  # {name: [was, is]}
    received_at: Mapped[datetime]
