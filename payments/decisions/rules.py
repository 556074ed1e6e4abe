"""Decisions about the money of breaks: what may be decided of which, and what it posts. Pure."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final
from uuid import UUID

from payments.bills.rules import UNPAID, BillState
from payments.breaks.rules import BreakKind
from payments.credits.rules import Verdict
from payments.ledger.rules import AccountCode, AccountKey


class Action(StrEnum):
    """What is decided of the money of a break."""

    WRITE_OFF = "write_off"  # given up
    CORRECT = "correct"  # it belongs on another account of the books
    UNDO = "undo"  # an earlier decision, by a reversing entry


class DecisionStatus(StrEnum):
    """How far a decision has come."""

    PROPOSED = "proposed"
    APPROVED = "approved"  # it has posted
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"  # by who proposed it


class Target(StrEnum):
    """Where a correction moves money to, out of unapplied cash."""

    NOT_THE_HUBS = "not_the_hubs"
    INTEREST = "interest"
    OWN_TRANSFERS = "own_transfers"
    NOT_TAKINGS = "not_takings"  # of a payee


class Whose(StrEnum):
    """Whose account a target is."""

    ACCOUNT = "account"  # of the receiving account that the money came to
    ORGANISATION = "organisation"
    PAYEE = "payee"  # named by who proposes


# The pairs that a correction may post between: debit `unapplied_cash` of the receiving account,
# credit one of these. The bank's own accounts are moved by what a bank says, never by a person.
TARGETS: Final[Mapping[Target, tuple[AccountCode, Whose]]] = {
    Target.NOT_THE_HUBS: (AccountCode.NOT_THE_HUBS, Whose.ACCOUNT),
    Target.INTEREST: (AccountCode.INTEREST, Whose.ACCOUNT),
    Target.OWN_TRANSFERS: (AccountCode.OWN_TRANSFERS, Whose.ORGANISATION),
    Target.NOT_TAKINGS: (AccountCode.NOT_TAKINGS, Whose.PAYEE),
}
# Breaks about what lies in unapplied cash of a credit.
ABOUT_CREDITS: Final = frozenset(
    {
        BreakKind.UNASSIGNED,
        BreakKind.UNKNOWN_REFERENCE,
        BreakKind.SEVERAL_REFERENCES,
        BreakKind.WRONG_ACCOUNT,
        BreakKind.REFUND_DUE,
    }
)
# Its rest waits for a phone, counts for nothing, or is another credit's.
NOT_DECIDABLE: Final = frozenset({Verdict.AWAITING_SYNC, Verdict.ACCOUNT_TEST, Verdict.SAME_MONEY})
RESOLUTIONS: Final[Mapping[Action, str]] = {  # words: [resolution] of reasons.toml
    Action.WRITE_OFF: "written_off",
    Action.CORRECT: "corrected",
}
WRITTEN_OFF_RAIL: Final = "write_off"  # what a payment says that no money came by


def list_actions(
    kind: str, *, subject_id: UUID, credit_id: UUID | None, bill_id: UUID | None
) -> frozenset[Action]:
    """List what may be decided of the money of an open break."""
    if kind == BreakKind.SHORT and bill_id is not None:
        return frozenset({Action.WRITE_OFF})
    if kind not in ABOUT_CREDITS or credit_id is None:
        return frozenset()
    if kind == BreakKind.REFUND_DUE and subject_id != credit_id:
        return frozenset()  # of a cancelled bill, or of a toll charge: it goes back
    return frozenset({Action.WRITE_OFF, Action.CORRECT})


def rest_of(bill: BillState) -> int:
    """Return how many đồng a bill that was paid in part is short of; 0: it is not short."""
    if bill.amount_vnd is None or bill.status not in UNPAID or not bill.paid_vnd:
        return 0
    return bill.amount_vnd - bill.paid_vnd


def written_off(org_id: UUID) -> AccountKey:
    """What an organisation has given up, by two people."""
    return AccountKey(code=AccountCode.WRITTEN_OFF, subject_id=org_id)


def find_target(
    target: Target, *, org_id: UUID, account_id: UUID, payee_id: UUID | None
) -> AccountKey:
    """Return the account that a correction credits."""
    code, whose = TARGETS[target]
    subjects = {Whose.ACCOUNT: account_id, Whose.ORGANISATION: org_id, Whose.PAYEE: payee_id}
    subject_id = subjects[whose]
    assert subject_id is not None
    return AccountKey(code=code, subject_id=subject_id)


def needs_payee(target: Target) -> bool:
    """Whether who proposes a correction says whose it is."""
    return TARGETS[target][1] is Whose.PAYEE
