"""Kinds of breaks. Pure."""

from enum import StrEnum


class BreakKind(StrEnum):
    """What is not explained, or must be done by a person."""

    UNKNOWN_ACCOUNT = "unknown_account"
    FOREIGN_ACCOUNT = "foreign_account"  # tested here, but in force elsewhere or another payee's
    WRONG_ACCOUNT = "wrong_account"  # a bill's reference paid into another account
    CONTRADICTION = "contradiction"  # subject: the sighting
    POSSIBLE_DUPLICATE = "possible_duplicate"  # subject: the credit to take back, if it is one
    SEVERAL_REFERENCES = "several_references"
    UNKNOWN_REFERENCE = "unknown_reference"
    UNASSIGNED = "unassigned"  # a shared account's credit that no stall has been assigned
    REFUND_DUE = "refund_due"
    SIMULATED_IN_LIVE = "simulated_in_live"
    UNREADABLE = "unreadable"
    STUCK = "stuck"
    BOOKS_DISAGREE = "books_disagree"  # an invariant does not hold (payments/invariants/)
