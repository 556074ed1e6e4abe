"""Kinds of breaks, their types and deadlines, and why those open that no match opens. Pure."""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Final

TAKEN_BACK: Final = "taken_back"  # how a refund that is due for another amount by now was resolved


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
    REFUND_AGREED = "refund_agreed"  # by a person, though all of it is owed; subject: why
    NOTHING_GIVEN = "nothing_given"  # a paid bill for what could not be given any more: a pass
    SIMULATED_IN_LIVE = "simulated_in_live"
    UNREADABLE = "unreadable"
    POLL_INCOMPLETE = "poll_incomplete"  # subject: the window of which a poll did not read all
    STUCK = "stuck"
    PARKING_CONFLICT = "parking_conflict"  # subject: the movement, or the stay
    KEYS_DOUBTED = "keys_doubted"  # an operator seems not to take ours; subject: the contract
    WEBHOOK_STOPPED = "webhook_stopped"  # subject: the endpoint, which nothing is sent to now
    STATEMENT_GAP = "statement_gap"  # days closed without their statement; subject: the account
    BOOKS_DISAGREE = "books_disagree"  # an invariant does not hold (payments/invariants/)
    WORK_OVERDUE = "work_overdue"  # something is past its deadline; subject: the check
    ENDPOINT_SILENT = "endpoint_silent"  # a connection that usually reports; subject: the check
    LINE_WITHOUT_CREDIT = "line_without_credit"  # subject: the statement line
    CREDIT_WITHOUT_LINE = "credit_without_line"  # subject: the credit
    SHORT = "short"  # of a bill nobody expects the rest any more; subject: the bill


# What is to be given back, or was: of one matter together no more than was paid for it.
REFUNDS: Final = frozenset({BreakKind.REFUND_DUE, BreakKind.REFUND_AGREED})


class BreakReason(StrEnum):
    """Why a break was opened, with the facts that each code comes with."""

    NOTICE_UNREADABLE = "notice_unreadable"  # fault: which part of it
    NOTICE_FAILED = "notice_failed"  # error: its name
    POLL_ROWS_UNREADABLE = "poll_rows_unreadable"  # account: its last characters; rows
    POLL_ANSWER_PASSED = "poll_answer_passed"  # account: its last characters
    SIMULATED_MONEY = "simulated_money"  # amount_vnd
    ACCOUNT_NOT_LISTED = "account_not_listed"  # account: its last characters
    ACCOUNT_IN_USE = "account_in_use"
    REPORTED_OTHERWISE = "reported_otherwise"  # differing: which facts
    REPORTED_OF_A_DAY = "reported_of_a_day"  # without a time, equal to a part of a bill
    REFERENCES_ADDED = "references_added"  # references
    BANK_REFERENCE_REPEATED = "bank_reference_repeated"  # bank_reference
    BANK_REFERENCES_DIFFER = "bank_references_differ"  # bank_references: of two with our one
    TWIN_WITHOUT_REFERENCE = "twin_without_reference"
    TWIN_NAMED_LATER = "twin_named_later"
    NO_BILL_FITS = "no_bill_fits"  # though the bill that was waited for is there
    MATCHING_FAILED = "matching_failed"  # the same, and its rematch fails: error
    OWNER_FAILED = "owner_failed"  # owner_kind, to_status, error
    CANCELLED_PART_PAID = "cancelled_part_paid"  # reference
    TOLL_CHARGED_TOO = "toll_charged_too"  # reference: its bill was paid or cancelled before
    TOLL_UNANSWERED = "toll_unanswered"  # reference
    TOLL_KEYS_NOT_TAKEN = "toll_keys_not_taken"  # name: the contract's
    VEHICLE_INSIDE_ALREADY = "vehicle_inside_already"  # plate: masked; lot
    STAYS_OVERLAP = "stays_overlap"  # plate: masked; lot
    STAY_WITHOUT_PRICE = "stay_without_price"  # plate: masked, or the ticket; lot
    STAY_OVERPAID = "stay_overpaid"  # plate: masked, or the ticket; lot
    MOVEMENT_NOT_ACCEPTED = "movement_not_accepted"  # why; lot
    MOVEMENT_TO_CHECK = "movement_to_check"  # it counts: why; lot
    COMPLAINT_UPHELD = "complaint_upheld"  # words: the answer to the complainant
    PAID_TOO_LATE = "paid_too_late"  # reference; the pass it is for was over, or revoked
    WEBHOOK_GONE = "webhook_gone"  # host
    WEBHOOK_FAILING = "webhook_failing"  # host
    REFUND_UNANSWERED = "refund_unanswered"  # amount_vnd: instructed, and nobody knows the end
    CLOSED_OVER = "closed_over"  # account: its last characters; day: the first one
    INVARIANT_BROKEN = "invariant_broken"  # invariant, evidence: {name: value}
    WORK_OVERDUE = "work_overdue"  # the same
    ENDPOINT_SILENT = "endpoint_silent"  # the same
    NO_CALLBACK_OF_LINE = "no_callback_of_line"  # booked_on, amount_vnd
    NOT_ON_STATEMENT = "not_on_statement"  # day: the bank's, of a callback; amount_vnd
    BILL_SHORT = "bill_short"  # reference: a person says that nobody will pay the rest


class BreakType(StrEnum):
    """The families of breaks, as finance counts and filters them."""

    EXPECTED = "expected"  # one side has come, and the other is due
    MISSING = "missing"  # … and did not come in time; or nobody told us what happened
    SHORT = "short"
    OVER = "over"
    DUPLICATE = "duplicate"
    DATA_MISMATCH = "data_mismatch"
    DIRECTION = "direction"  # money went the other way
    NO_BILL_FOUND = "no_bill_found"
    SEVERAL_FOUND = "several_found"
    LATE = "late"
    UNAPPLIED_CASH = "unapplied_cash"
    REVERSAL = "reversal"
    STATEMENT_GAP = "statement_gap"
    OPERATION = "operation"  # no money by itself: something of the hub or of a connection


# By the kind's name, so that a kind that another package opens needs a line here and nothing else.
# How long somebody has, in hours of the clock: what stops money from being known is for the same
# half day, whose money it is for the next day, and what the payer waits for takes three days.
_KINDS: Final[Mapping[str, tuple[BreakType, int]]] = {
    "unknown_account": (BreakType.DATA_MISMATCH, 24),
    "foreign_account": (BreakType.DATA_MISMATCH, 24),
    "wrong_account": (BreakType.UNAPPLIED_CASH, 48),
    "contradiction": (BreakType.DATA_MISMATCH, 24),
    "possible_duplicate": (BreakType.DUPLICATE, 24),
    "several_references": (BreakType.SEVERAL_FOUND, 48),
    "unknown_reference": (BreakType.NO_BILL_FOUND, 48),
    "unassigned": (BreakType.UNAPPLIED_CASH, 24),
    "refund_due": (BreakType.OVER, 72),
    "refund_agreed": (BreakType.REVERSAL, 72),
    "nothing_given": (BreakType.LATE, 72),
    "simulated_in_live": (BreakType.DATA_MISMATCH, 24),
    "unreadable": (BreakType.DATA_MISMATCH, 4),
    "poll_incomplete": (BreakType.MISSING, 24),
    "stuck": (BreakType.OPERATION, 24),
    "parking_conflict": (BreakType.DATA_MISMATCH, 72),
    "keys_doubted": (BreakType.OPERATION, 4),
    "webhook_stopped": (BreakType.OPERATION, 24),
    "books_disagree": (BreakType.OPERATION, 4),
    "work_overdue": (BreakType.OPERATION, 4),
    "endpoint_silent": (BreakType.MISSING, 4),
    "short": (BreakType.SHORT, 72),
    "line_without_credit": (BreakType.MISSING, 48),  # on a statement, and no callback told it
    "credit_without_line": (BreakType.EXPECTED, 48),  # told, and on no statement yet
    "statement_gap": (BreakType.STATEMENT_GAP, 48),
}
TYPES: Final[Mapping[str, BreakType]] = {kind: one[0] for kind, one in _KINDS.items()}
DEADLINES: Final[Mapping[str, timedelta]] = {
    kind: timedelta(hours=one[1]) for kind, one in _KINDS.items()
}


class Outcome(StrEnum):
    """How a break ended, where a person ended it."""

    EXPLAINED = "explained"  # in words
    RECEIVED = "received"  # the money came or went outside the hub, and is in order
    VOID = "void"  # it was opened by mistake
    DECIDED = "decided"  # its money was decided to be something


# What people say without moving money.
SAID: Final = frozenset({Outcome.EXPLAINED, Outcome.RECEIVED, Outcome.VOID})

WORDS_MAX: Final = 500
NOTE_CHARS_MAX: Final = 2_000
NOTES_MAX: Final = 200  # of one break
FILES_MAX: Final = 10
FILE_BYTES_MAX: Final = 5 * 1024 * 1024
FILE_NAME_CHARS_MAX: Final = 120
# What a file begins with → what it is. What it is called, or said to be, decides nothing.
SIGNATURES: Final[Mapping[bytes, str]] = {
    b"%PDF-": "application/pdf",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
}


def type_of(kind: str, *, is_overdue: bool = False) -> BreakType:
    """Return the family of a break; what was expected and did not come in time is missing."""
    found = TYPES.get(kind, BreakType.OPERATION)
    return BreakType.MISSING if found is BreakType.EXPECTED and is_overdue else found


def kinds_of(wanted: BreakType) -> frozenset[str]:
    """Return the kinds of a family, whatever their age."""
    return frozenset(kind for kind, type_ in TYPES.items() if type_ is wanted)


def sniff(content: bytes) -> str | None:
    """Return what a file is by its first bytes; None: nothing that is kept."""
    for signature, content_type in SIGNATURES.items():
        if content.startswith(signature):
            return content_type
    return None
