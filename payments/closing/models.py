"""Tables of closing by account: proofs, opening balances, and what each closed day carries."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    String,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base, Vnd
from core.tenancy import OrgRow
from payments.closing.rules import ClosedBy, Proof


def _account_key() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["org_id", "receiving_account_id"],
        ["receiving_accounts.org_id", "receiving_accounts.id"],
    )


def _list(kinds: type[Proof] | type[ClosedBy]) -> str:
    return ", ".join(f"'{one.value}'" for one in kinds)


class AccountProof(Base):
    """What proves an account's days, from one of them on. Days before the first: callbacks only."""

    __tablename__ = "account_proofs"
    __table_args__ = (
        CheckConstraint(f"proof IN ({_list(Proof)})", name="proof_known"),
        _account_key(),
    )

    org_id: Mapped[UUID] = mapped_column(primary_key=True)
    receiving_account_id: Mapped[UUID] = mapped_column(primary_key=True)
    from_day: Mapped[date] = mapped_column(primary_key=True)
    proof: Mapped[str]
    set_by: Mapped[UUID]
    set_at: Mapped[datetime]


class OpeningBalance(OrgRow):
    """What was on an account when its statements begin to count; it posts once it is confirmed."""

    __tablename__ = "opening_balances"
    __table_args__ = (
        CheckConstraint("confirmed_by <> proposed_by", name="two_people"),
        CheckConstraint(
            "num_nonnulls(confirmed_by, confirmed_at, bank_vnd, clearing_vnd, under_way_vnd)"
            " IN (0, 5)",
            name="confirmed_whole",
        ),
        CheckConstraint("(ended_by IS NULL) = (ended_at IS NULL)", name="ended_whole"),
        _account_key(),
        Index(
            "uq_opening_balances_in_force",
            "org_id",
            "receiving_account_id",
            "day",
            unique=True,
            postgresql_where=text("ended_at IS NULL"),
        ),
    )

    receiving_account_id: Mapped[UUID]
    day: Mapped[date]  # the first that the statement proves
    amount_vnd: Mapped[Vnd]  # as the statement opens that day
    # Credits that the statement does not have yet.
    under_way: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid), server_default=text("'{}'"))
    proposed_by: Mapped[UUID]
    proposed_at: Mapped[datetime]
    confirmed_by: Mapped[UUID | None]
    confirmed_at: Mapped[datetime | None]
    bank_vnd: Mapped[Vnd | None]  # what it added to the books' bank balance
    clearing_vnd: Mapped[Vnd | None]  # all clearing until that day, which it took away …
    under_way_vnd: Mapped[Vnd | None]  # … and what of it was put back, credit by credit
    ended_by: Mapped[UUID | None]  # withdrawn, or reversed where it was confirmed
    ended_at: Mapped[datetime | None]


class ClosedOverDay(Base):
    """Two people's word that an account's day is to be closed though it is not proved."""

    __tablename__ = "closed_over_days"
    __table_args__ = (
        CheckConstraint("by_2 <> by_1", name="two_people"),
        CheckConstraint("(by_2 IS NULL) = (at_2 IS NULL)", name="second_whole"),
        _account_key(),
    )

    org_id: Mapped[UUID] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    receiving_account_id: Mapped[UUID] = mapped_column(primary_key=True)
    reason: Mapped[str] = mapped_column(String(500))  # in the words of the first
    by_1: Mapped[UUID]
    at_1: Mapped[datetime]
    by_2: Mapped[UUID | None]
    at_2: Mapped[datetime | None]


class LedgerDayAccount(Base):
    """How an account stood when a day was closed. Balances are debits minus credits here."""

    __tablename__ = "ledger_day_accounts"
    __table_args__ = (
        CheckConstraint(f"proof IN ({_list(ClosedBy)})", name="proof_known"),
        CheckConstraint("opening_vnd + in_vnd - out_vnd = closing_vnd", name="statement_adds_up"),
        CheckConstraint(
            "(in_vnd IS NULL) = (out_vnd IS NULL)"
            " AND (opening_vnd IS NULL) = (closing_vnd IS NULL)"
            " AND (proof <> 'statement' OR in_vnd IS NOT NULL)"
            " AND (proof <> 'callbacks_only' OR in_vnd IS NULL)",
            name="statement_whole",
        ),
        CheckConstraint(
            "proof <> 'statement' OR closing_vnd IS NULL"
            " OR bank_vnd + late_lines_vnd = closing_vnd",
            name="bank_is_the_statement",
        ),
        CheckConstraint("carried_vnd = clearing_vnd", name="all_is_carried"),
        CheckConstraint(
            "CASE proof WHEN 'statement' THEN carried_count IS NOT NULL"
            " WHEN 'callbacks_only' THEN carried_count IS NULL ELSE true END",
            name="carried_by_item",
        ),
        CheckConstraint("carried_count <> 0 OR carried_vnd = 0", name="carried_by_something"),
        CheckConstraint(
            "num_nonnulls(over_by_1, over_by_2) = CASE proof WHEN 'closed_over' THEN 2 ELSE 0 END",
            name="over_by_two",
        ),
        CheckConstraint("over_by_1 <> over_by_2", name="over_by_others"),
        ForeignKeyConstraint(["org_id", "day"], ["ledger_days.org_id", "ledger_days.day"]),
        _account_key(),
    )

    org_id: Mapped[UUID] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    receiving_account_id: Mapped[UUID] = mapped_column(primary_key=True)
    proof: Mapped[str]  # ClosedBy
    opening_vnd: Mapped[Vnd | None]  # of the statement; None: it gives no balance, or there is none
    in_vnd: Mapped[Vnd | None]
    out_vnd: Mapped[Vnd | None]
    closing_vnd: Mapped[Vnd | None]
    bank_vnd: Mapped[Vnd]  # in the books, at the day's end
    late_lines_vnd: Mapped[Vnd]  # in minus out: on the statement by then, and explained later
    clearing_vnd: Mapped[Vnd]  # reported by callbacks, and on no statement
    carried_count: Mapped[int | None] = mapped_column(BigInteger)  # None: as one sum ("hai chiều")
    carried_vnd: Mapped[Vnd]
    over_by_1: Mapped[UUID | None]
    over_by_2: Mapped[UUID | None]


class CarriedItem(Base):
    """A credit, or a line, that waits for its other side ("tiền đang về").

    Carried at the end of day D: first_day <= D, and not cleared by D. Another amount is a row of
    its own.
    """

    __tablename__ = "carried_items"
    __table_args__ = (
        CheckConstraint("amount_vnd <> 0", name="amount_not_zero"),
        CheckConstraint("since_day <= first_day AND first_day < cleared_day", name="days_in_order"),
        ForeignKeyConstraint(
            ["org_id", "first_day", "receiving_account_id"],
            [
                "ledger_day_accounts.org_id",
                "ledger_day_accounts.day",
                "ledger_day_accounts.receiving_account_id",
            ],
            name="fk_carried_items_first",
        ),
        ForeignKeyConstraint(["org_id", "cleared_day"], ["ledger_days.org_id", "ledger_days.day"]),
        Index(
            "uq_carried_items_open",
            "org_id",
            "receiving_account_id",
            "credit_id",
            unique=True,
            postgresql_where=text("cleared_day IS NULL"),
        ),
        Index("ix_carried_items_first", "org_id", "first_day"),
        Index(
            "ix_carried_items_cleared",
            "org_id",
            "cleared_day",
            postgresql_where=text("cleared_day IS NOT NULL"),
        ),
    )

    org_id: Mapped[UUID] = mapped_column(primary_key=True)
    credit_id: Mapped[UUID] = mapped_column(primary_key=True)
    first_day: Mapped[date] = mapped_column(primary_key=True)  # carried with this amount from it on
    since_day: Mapped[date]  # carried at all
    receiving_account_id: Mapped[UUID]
    amount_vnd: Mapped[Vnd]  # below zero: the line came before its callback
    cleared_day: Mapped[date | None]  # the closed day that cleared it
