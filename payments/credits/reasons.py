"""Reasons of matches. Pure.

A break that a match opens has the match's reason; breaks without one have theirs in
payments/breaks/rules.py. Every code has its words in api/pages/words.
"""

from enum import StrEnum


class MatchReason(StrEnum):
    """Why a credit is what its match says, with the facts that each code comes with."""

    BILL_FOUND = "bill_found"  # reference, rule, bill_status before it
    BILL_CONFIRMED = "bill_confirmed"  # by a person: reference, bill_status before it
    SPREAD = "spread"  # count, of bills
    OTHER_ACCOUNT = "other_account"  # reference, of a bill with another account
    SEVERAL_BILLS = "several_bills"  # count
    AWAITS_PHONE = "awaits_phone"  # reference: issued to a phone that has not sent its bill yet
    NO_SUCH_BILL = "no_such_bill"  # named: the reference or order
    FOREIGN_REFERENCE = "foreign_reference"  # reference, of another organisation
    TEST_REFERENCE = "test_reference"
    PERHAPS_REPORTED_TWICE = "perhaps_reported_twice"
    BEFORE_APPROVAL = "before_approval"
    OWN_VIRTUAL_ACCOUNT = "own_virtual_account"
    ENDED_VIRTUAL_ACCOUNT = "ended_virtual_account"
    SOLE_PAYEE = "sole_payee"
    SHARED_ACCOUNT = "shared_account"  # count, of payees
    NOBODYS_ACCOUNT = "nobodys_account"
    ASSIGNED_BY = "assigned_by"  # by: a person's name
    NOT_TAKINGS_BY = "not_takings_by"  # by, and their words
    TAKINGS_AGAIN_BY = "takings_again_by"  # by
    SAME_MONEY_BY = "same_money_by"  # by
