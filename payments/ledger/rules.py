"""Accounts and postings: the kinds of both. Pure."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Final
from uuid import NAMESPACE_OID, UUID, uuid5


class AccountCode(StrEnum):
    """The kinds of ledger accounts; each belongs to a subject. docs/ledger.md says what posts."""

    BANK = "bank"  # per receiving account: what its bank says is on it
    BANK_CLEARING = (
        "bank_clearing"  # per receiving account: reported by a callback, not by a statement
    )
    TAKINGS = "takings"  # per payee: what was sold or owed and has been paid
    UNAPPLIED = "unapplied_cash"  # per receiving account: money without its reason yet
    NOT_TAKINGS = "not_takings"  # per payee: "không phải tiền hàng", such as family money
    CASH_IN_DRAWER = "cash_in_drawer"  # per payee at a stall, per shift at a lot
    CASH_VARIANCE = "cash_variance"  # per payee: what a count found too little or too much
    ATTENDANT_FLOAT = "attendant_float"  # per person: paid on behalf of a driver from the float
    TOLL_RECEIVABLE = "toll_receivable"  # per contract with a toll operator: charged, not paid out
    CARD_BALANCE = "card_balance"  # per contract with a card provider: charged, not paid out
    BANK_CHARGES = "bank_charges"  # per receiving account: what its bank took for itself
    NOT_THE_HUBS = "not_the_hubs"  # per receiving account: a holder's own money on its statement
    REFUNDS_IN_TRANSIT = "refunds_in_transit"  # per receiving account: ordered, or sent and back
    FEE_INCOME = "fee_income"  # per organisation: public fees that were paid
    OPENING_BALANCE = "opening_balance"  # per receiving account: what was there before the books
    WRITTEN_OFF = "written_off"  # per organisation: given up, by two people
    OWN_TRANSFERS = "own_transfers"  # per organisation: under way between its own accounts
    INTEREST = "interest"  # per receiving account: what its bank paid for the money on it


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountKey:
    """Names a ledger account: what kind, and whose."""

    code: AccountCode
    subject_id: UUID


@dataclass(frozen=True, kw_only=True, slots=True)
class NewPosting:
    """An amount to be moved from the debit to the credit account.

    Whatever moves bank clearing names the credit whose clearing it is.
    """

    debit: AccountKey
    credit: AccountKey
    amount_vnd: int
    cause_kind: str
    cause_id: UUID
    step: int
    effective_at: datetime
    item_id: UUID | None = None


# Causes of postings of a go-live. Their one leg of all clearing until then has the go-live itself
# as its item: it stands for the past, and is carried by nobody.
OPENING: Final = "opening_balance"
OPENING_REVERSAL: Final = "opening_balance_reversal"


def bank_clearing(receiving_account_id: UUID) -> AccountKey:
    """Money that a callback reported and no statement has confirmed yet."""
    return AccountKey(code=AccountCode.BANK_CLEARING, subject_id=receiving_account_id)


def bank(receiving_account_id: UUID) -> AccountKey:
    """What an account's bank says is on it."""
    return AccountKey(code=AccountCode.BANK, subject_id=receiving_account_id)


def opening_balance(receiving_account_id: UUID) -> AccountKey:
    """What was on an account before its statements count."""
    return AccountKey(code=AccountCode.OPENING_BALANCE, subject_id=receiving_account_id)


def unapplied(holder_id: UUID) -> AccountKey:
    """Money whose reason is not known, or that is too much: of an account, or of a contract."""
    return AccountKey(code=AccountCode.UNAPPLIED, subject_id=holder_id)


def takings(payee_id: UUID) -> AccountKey:
    """What a payee sold or was owed, and has been paid."""
    return AccountKey(code=AccountCode.TAKINGS, subject_id=payee_id)


def not_takings(payee_id: UUID) -> AccountKey:
    """A payee's own money that came through the same account."""
    return AccountKey(code=AccountCode.NOT_TAKINGS, subject_id=payee_id)


def cash_in_drawer(holder_id: UUID) -> AccountKey:
    """Cash that was taken and not handed over: of the shift, or of the payee at a stall."""
    return AccountKey(code=AccountCode.CASH_IN_DRAWER, subject_id=holder_id)


def cash_variance(payee_id: UUID) -> AccountKey:
    """What counts of a payee's cash found too little (a debit) or too much."""
    return AccountKey(code=AccountCode.CASH_VARIANCE, subject_id=payee_id)


def toll_receivable(contract_id: UUID) -> AccountKey:
    """Money that a toll operator has charged and not paid out."""
    return AccountKey(code=AccountCode.TOLL_RECEIVABLE, subject_id=contract_id)


def refunds_in_transit(receiving_account_id: UUID) -> AccountKey:
    """Money that is on its way back from an account, and that no statement has shown yet."""
    return AccountKey(code=AccountCode.REFUNDS_IN_TRANSIT, subject_id=receiving_account_id)


def subject_of_day(day: date) -> UUID:
    """Return the id under which the log of changes has the close of a day."""
    return uuid5(NAMESPACE_OID, f"phopay:ledger_day:{day.isoformat()}")
