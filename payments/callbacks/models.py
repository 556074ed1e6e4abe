"""What banks and providers say: endpoints, notices, credits, matches, and what is unexplained."""

from datetime import datetime
from enum import StrEnum
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

from core.db import Base, OrgRow, Vnd


class CallbackEndpoint(OrgRow):
    """An address that one provider calls, with the keys that sign what it says."""

    __tablename__ = "callback_endpoints"
    __table_args__ = (
        UniqueConstraint("org_id", "address"),
        ForeignKeyConstraint(
            ["org_id", "org_is_live"], ["organisations.id", "organisations.is_live"]
        ),
        CheckConstraint("NOT (org_is_live AND is_sandbox)", name="no_sandbox_in_live"),
    )

    org_is_live: Mapped[bool]
    address: Mapped[str] = mapped_column(String(64))  # the random part of its URL
    provider: Mapped[str]
    name: Mapped[str]  # for people
    is_sandbox: Mapped[bool]
    # Encrypted with PHOPAY_SECRET_KEY; {"keys": [current, previous], "username": …}
    sealed_secrets: Mapped[bytes] = mapped_column(LargeBinary)
    previous_key_until: Mapped[datetime | None]  # rotation: both keys hold until then
    # What asking the provider needs ("kiểm tra giao dịch"): address and sealed API keys (ask_keys).
    ask_url: Mapped[str | None]
    sealed_ask_token: Mapped[bytes | None] = mapped_column(LargeBinary)
    # Who set the key, if that is a person who may approve accounts, and from when on no other key
    # can have signed a message: only then does a test transfer count. So for the token.
    key_vouched_by: Mapped[UUID | None]
    key_vouched_from: Mapped[datetime | None]
    ask_vouched_by: Mapped[UUID | None]
    ask_vouched_from: Mapped[datetime | None]
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class EndpointAccount(Base):
    """An endpoint may speak only for the receiving accounts listed here."""

    __tablename__ = "endpoint_accounts"
    __table_args__ = (
        ForeignKeyConstraint(
            ["org_id", "endpoint_id"], ["callback_endpoints.org_id", "callback_endpoints.id"]
        ),
        ForeignKeyConstraint(
            ["org_id", "receiving_account_id"],
            ["receiving_accounts.org_id", "receiving_accounts.id"],
        ),
        # Providers send no BIN: one number may mean one account only, per endpoint.
        Index(
            "uq_endpoint_accounts_number",
            "org_id",
            "endpoint_id",
            text("upper(account_number)"),
            unique=True,
        ),
    )

    org_id: Mapped[UUID] = mapped_column(primary_key=True)
    endpoint_id: Mapped[UUID] = mapped_column(primary_key=True)
    receiving_account_id: Mapped[UUID] = mapped_column(primary_key=True)
    account_number: Mapped[str] = mapped_column(String(19))
    vouched_by: Mapped[UUID | None]  # who listed it, if that is a person who may approve accounts


class Notice(OrgRow):
    """One verified message, stored as it came, before anything is done with it.

    Only the columns that say how far its handling got are ever changed.
    """

    __tablename__ = "notices"
    __table_args__ = (
        Index(
            "ix_notices_fresh",
            "org_id",
            "id",
            postgresql_where=text("handled_at IS NULL AND attempts = 0"),
        ),
        Index(
            "ix_notices_tried",
            "org_id",
            "next_attempt_at",
            postgresql_where=text("handled_at IS NULL AND attempts > 0"),
        ),
        Index("ix_notices_endpoint", "org_id", "endpoint_id", "id"),
        # What was told when asked before is looked for among few, not among all callbacks.
        Index(
            "ix_notices_asked",
            "org_id",
            "endpoint_id",
            "id",
            postgresql_where=text("source = 'asked'"),
        ),
        ForeignKeyConstraint(
            ["org_id", "endpoint_id"], ["callback_endpoints.org_id", "callback_endpoints.id"]
        ),
    )

    endpoint_id: Mapped[UUID]
    provider: Mapped[str]
    source: Mapped[str]  # "callback", or "asked" when the hub fetched it
    body: Mapped[bytes] = mapped_column(LargeBinary)
    headers: Mapped[dict[str, str]] = mapped_column(JSONB)  # without secrets
    skew_s: Mapped[int | None]  # our clock minus the signature's
    received_at: Mapped[datetime]
    handled_at: Mapped[datetime | None]
    outcome: Mapped[str | None]  # the verdict in one word, for the delivery log
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    next_attempt_at: Mapped[datetime]


class Rejection(OrgRow):
    """A message that was not believed: enough to help with the set-up, capped per endpoint."""

    __tablename__ = "rejections"
    __table_args__ = (
        Index("ix_rejections_endpoint", "org_id", "endpoint_id", "id"),
        Index("ix_rejections_received", "received_at"),  # retention goes by it
        ForeignKeyConstraint(
            ["org_id", "endpoint_id"], ["callback_endpoints.org_id", "callback_endpoints.id"]
        ),
    )

    endpoint_id: Mapped[UUID]
    refusal: Mapped[str]
    detail: Mapped[str]
    skew_s: Mapped[int | None]
    body_start: Mapped[bytes] = mapped_column(LargeBinary)  # the first 2 KiB
    received_at: Mapped[datetime]


class Credit(OrgRow):
    """Money a bank says reached (or left) a receiving account. One row per bank transaction."""

    __tablename__ = "credits"
    __table_args__ = (
        # Within one provider its own id decides.
        Index(
            "uq_credits_provider_transaction",
            "org_id",
            "receiving_account_id",
            "provider",
            "provider_transaction_id",
            unique=True,
            postgresql_where=text("admitted_from IS NULL"),
        ),
        # One telling becomes one credit, however often it is admitted.
        Index(
            "uq_credits_admitted",
            "org_id",
            "admitted_from",
            unique=True,
            postgresql_where=text("admitted_from IS NOT NULL"),
        ),
        # Only a signal to look closer: whoever meets it may be the same money or may not be.
        Index(
            "uq_credits_first_of_reference",
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
        CheckConstraint("provider_transaction_id <> ''", name="id_not_empty"),
        Index("ix_credits_account_time", "org_id", "receiving_account_id", "occurred_at"),
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
    payer_name: Mapped[str | None]
    payer_account: Mapped[str | None]
    payer_bank: Mapped[str | None]
    is_date_only: Mapped[bool]
    occurred_at: Mapped[datetime]  # the bank's clock
    received_at: Mapped[datetime]  # our clock


class MatchRule(StrEnum):
    """By which rule a credit was explained."""

    PROVIDER_ORDER = "provider_order"
    ORDER_REFERENCE = "order_reference"  # the provider's order is our reference (VietQR.vn)
    MEMO_EXACT = "memo_exact"
    MEMO_NORMALISED = "memo_normalised"
    VIRTUAL_ACCOUNT = "virtual_account"  # counter sale: the virtual account is one payee's
    SOLE_PAYEE = "sole_payee"  # counter sale: the account is one payee's
    ACCOUNT_TEST = "account_test"
    NONE = "none"  # nothing explains it: unapplied receipts
    CLAIMED = "claimed"  # a stall of a shared account said "mine"
    CONFIRMED = "confirmed"  # the vendor said which bill it pays
    NOT_TAKINGS = "not_takings"  # the vendor said "không phải tiền hàng"
    SAME_MONEY = "same_money"  # a person said that another credit is this transfer


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
        ForeignKeyConstraint(["org_id", "credit_id"], ["credits.org_id", "credits.id"]),
        ForeignKeyConstraint(["org_id", "bill_id"], ["bills.org_id", "bills.id"]),
        CheckConstraint("applied_vnd >= 0", name="applied_not_negative"),
        Index("ix_matches_bill", "org_id", "bill_id"),
        # Money that named something not there yet: judged again when it appears.
        Index(
            "ix_matches_waiting",
            "matched_at",
            postgresql_where=text("reversed_at IS NULL AND verdict = 'no_bill'"),
        ),
        Index("ix_matches_payee", "org_id", "payee_id", "matched_at"),
    )

    credit_id: Mapped[UUID]
    bill_id: Mapped[UUID | None]
    payee_id: Mapped[UUID | None]
    rule: Mapped[str]
    verdict: Mapped[str]
    named: Mapped[str | None]  # the reference or provider's order that the credit names
    reason: Mapped[str]
    applied_vnd: Mapped[Vnd]  # to the bill or as a sale; the rest waits in unapplied receipts
    is_late: Mapped[bool]
    suggested_bill_id: Mapped[UUID | None]  # "của khách này?": same amount, one open bill
    matched_by: Mapped[UUID | None]  # a person, or None: the hub's own rules
    matched_at: Mapped[datetime]
    reversed_by: Mapped[UUID | None]
    reversed_at: Mapped[datetime | None]
    # How often it was judged again in vain since its bill is there, and when it is next.
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    next_attempt_at: Mapped[datetime | None]


class Sighting(OrgRow):
    """A known credit told again with other facts, or through another channel: kept as evidence."""

    __tablename__ = "sightings"
    __table_args__ = (
        ForeignKeyConstraint(["org_id", "credit_id"], ["credits.org_id", "credits.id"]),
        Index("ix_sightings_credit", "org_id", "credit_id"),
        UniqueConstraint(
            "org_id",  # in an order that also finds what a provider's transaction was paired with
            "provider",
            "provider_transaction_id",
            "credit_id",
            "fingerprint",
            name="uq_sightings_told",
        ),
    )

    credit_id: Mapped[UUID]
    notice_id: Mapped[UUID]
    provider: Mapped[str]
    provider_transaction_id: Mapped[str]
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)  # of the facts told, 16 bytes
    is_contradiction: Mapped[bool]
    told: Mapped[dict[str, Any]] = mapped_column(JSONB)  # the facts that differ: {name: [was, is]}
    received_at: Mapped[datetime]


class BreakKind(StrEnum):
    """What is not explained, or must be done by a person."""

    UNKNOWN_ACCOUNT = "unknown_account"
    FOREIGN_ACCOUNT = "foreign_account"  # tested here, but in force elsewhere or another payee's
    WRONG_ACCOUNT = "wrong_account"  # a bill's reference paid into another account
    CONTRADICTION = "contradiction"  # subject: the sighting
    POSSIBLE_DUPLICATE = "possible_duplicate"  # subject: the later credit
    SEVERAL_REFERENCES = "several_references"
    UNKNOWN_REFERENCE = "unknown_reference"
    UNASSIGNED = "unassigned"  # a shared account's credit that no stall has claimed
    REFUND_DUE = "refund_due"
    SIMULATED_IN_LIVE = "simulated_in_live"
    UNREADABLE = "unreadable"
    STUCK = "stuck"
    BOOKS_DISAGREE = "books_disagree"  # an invariant does not hold (payments/invariants.py)


class Break(OrgRow):
    """Something unexplained: typed, aged, and closed by a person or by what explains it."""

    __tablename__ = "breaks"
    __table_args__ = (
        Index(
            "uq_breaks_open",
            "org_id",
            "kind",
            "subject_id",
            unique=True,
            postgresql_where=text("closed_at IS NULL"),
        ),
        Index("ix_breaks_open", "org_id", "opened_at", postgresql_where=text("closed_at IS NULL")),
    )

    kind: Mapped[str]
    subject_id: Mapped[UUID]  # the credit, notice or bill that it is about
    credit_id: Mapped[UUID | None]
    bill_id: Mapped[UUID | None]
    owner_id: Mapped[UUID | None]  # who takes care of it
    amount_vnd: Mapped[Vnd | None]
    detail: Mapped[str]
    opened_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[UUID | None]
    resolution: Mapped[str | None]
