"""Steps of a refund: which follows which, what each does to the money, and whom it takes. Pure."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Final
from uuid import UUID

from payments.bills.rules import BillStatus
from payments.payees.rules import HeldBy

WORDS_MAX: Final = 500
REFERENCE_CHARS_MAX: Final = 60
# A transfer within Việt Nam arrives in minutes; after a long weekend nobody hopes any more.
UNKNOWN_AFTER: Final = timedelta(days=3)
CODE_CHARS: Final = 12  # of the id's end
_MEMO_CODE: Final = re.compile(rf"HOANTIEN([0-9A-F]{{{CODE_CHARS}}})")
_NOT_PLAIN: Final = re.compile(r"[^A-Z0-9]+")


class RefundStatus(StrEnum):
    """How far a refund has come."""

    REQUESTED = "requested"
    APPROVED = "approved"
    INSTRUCTED = "instructed"  # the bank has been told; its money is on its way
    UNKNOWN = "unknown"  # told, and nobody can say what became of it
    RETURNED = "returned"  # the payer has it
    NOT_DONE = "not_done"  # the bank did not do it, or sent the money back
    REJECTED = "rejected"
    CANCELLED = "cancelled"


class Step(StrEnum):
    """What a person does to a refund."""

    APPROVE = "approve"
    REJECT = "reject"
    CANCEL = "cancel"  # who requested it takes it back, or the payee declines it
    INSTRUCT = "instruct"
    DOUBT = "doubt"
    CONFIRM = "confirm"
    FAIL = "fail"


class Way(StrEnum):
    """How the money goes back."""

    TRANSFER = "transfer"
    CASH = "cash"  # by hand: it was paid in cash


class DestinationKind(StrEnum):
    """How the account that money goes back to became known."""

    PAYER = "payer"  # the bank reported that it paid
    ENTERED = "entered"  # somebody typed it: not proven


S = RefundStatus
# What holds its money against a second refund, and what has posted.
LIVE: Final = frozenset({S.REQUESTED, S.APPROVED, S.INSTRUCTED, S.UNKNOWN, S.RETURNED})
POSTED: Final = frozenset({S.INSTRUCTED, S.UNKNOWN, S.RETURNED})
OPEN: Final = LIVE - {S.RETURNED}  # somebody has to do something

LEADS_TO: Final[dict[Step, RefundStatus]] = {
    Step.APPROVE: S.APPROVED,
    Step.REJECT: S.REJECTED,
    Step.CANCEL: S.CANCELLED,
    Step.INSTRUCT: S.INSTRUCTED,
    Step.DOUBT: S.UNKNOWN,
    Step.CONFIRM: S.RETURNED,
    Step.FAIL: S.NOT_DONE,
}
# From which status which steps lead on. A bank may send a transfer back days after it was made.
_BY_THE_ORGANISATION: Final = {
    S.REQUESTED: frozenset({Step.APPROVE, Step.REJECT, Step.CANCEL}),
    S.APPROVED: frozenset({Step.INSTRUCT, Step.REJECT, Step.CANCEL}),
    S.INSTRUCTED: frozenset({Step.CONFIRM, Step.FAIL, Step.DOUBT}),
    S.UNKNOWN: frozenset({Step.CONFIRM, Step.FAIL}),
    S.RETURNED: frozenset({Step.FAIL}),
}
_CASH_OF_THE_ORGANISATION: Final = {
    S.REQUESTED: frozenset({Step.APPROVE, Step.REJECT, Step.CANCEL}),
    S.APPROVED: frozenset({Step.CONFIRM, Step.REJECT, Step.CANCEL}),
}
_BY_THE_PAYEE: Final = {
    S.REQUESTED: frozenset({Step.CONFIRM, Step.CANCEL}),
    S.RETURNED: frozenset({Step.FAIL}),
}
_CASH_OF_THE_PAYEE: Final = {S.REQUESTED: frozenset({Step.CONFIRM, Step.CANCEL})}
TRANSITIONS: Final = {
    (HeldBy.ORGANISATION, Way.TRANSFER): _BY_THE_ORGANISATION,
    (HeldBy.ORGANISATION, Way.CASH): _CASH_OF_THE_ORGANISATION,
    (HeldBy.PAYEE, Way.TRANSFER): _BY_THE_PAYEE,
    (HeldBy.PAYEE, Way.CASH): _CASH_OF_THE_PAYEE,
}
# Of a bill that is still owed the rest, the payment is taken back or the bill cancelled first.
REFUNDABLE: Final = frozenset(
    {BillStatus.PAID, BillStatus.OVER_PAID, BillStatus.PART_REFUNDED, BillStatus.CANCELLED}
)


@dataclass(frozen=True, kw_only=True, slots=True)
class StepEffect:
    """What a step does."""

    status: RefundStatus
    posts: bool  # the money leaves takings or unapplied cash
    reverses: bool  # … and comes back to it
    frees: bool  # the payment may be refunded again
    is_end: bool  # whether the bill counts it as given back changes


def list_steps(status: RefundStatus, *, held_by: HeldBy, way: Way) -> frozenset[Step]:
    """List what may be done to a refund as it stands."""
    return TRANSITIONS[held_by, way].get(status, frozenset())


def decide_step(
    status: RefundStatus, step: Step, *, held_by: HeldBy, way: Way
) -> StepEffect | None:
    """Decide what a step does, or None: it does not follow."""
    if step not in list_steps(status, held_by=held_by, way=way):
        return None
    after = LEADS_TO[step]
    return StepEffect(
        status=after,
        posts=after in POSTED and status not in POSTED,
        reverses=status in POSTED and after not in POSTED,
        frees=status in LIVE and after not in LIVE,
        is_end=(status is S.RETURNED) != (after is S.RETURNED),
    )


def status_given_back(
    status: str, *, paid_vnd: int, received_vnd: int, returned_vnd: int
) -> BillStatus:
    """Return a bill's status once so many đồng of its payments were given back.

    A cancelled bill stays so, and one that is owed again by a correction, too.
    """
    before = BillStatus(status)
    if before not in REFUNDABLE - {BillStatus.CANCELLED} | {BillStatus.REFUNDED}:
        return before
    assert 0 <= returned_vnd <= paid_vnd
    if returned_vnd == 0:
        return BillStatus.OVER_PAID if received_vnd > paid_vnd else BillStatus.PAID
    return BillStatus.REFUNDED if returned_vnd == paid_vnd else BillStatus.PART_REFUNDED


def may_approve(by: UUID | None, *, involved: Collection[UUID | None]) -> bool:
    """Whether somebody is a second person: not among who requested or prepared the refund."""
    return by is not None and by not in involved


def hash_destination(bank: str | None, account: str | None, name: str | None) -> str:
    """Return what an approver sends back of the account that they saw: 64 hexadecimal digits."""
    return sha256(repr((bank, account, name)).encode()).hexdigest()


def is_same_name(name: str, again: str) -> bool:
    """Whether a holder's name was typed twice alike; case and spaces are not looked at."""
    return " ".join(name.casefold().split()) == " ".join(again.casefold().split())


def write_memo(refund_id: UUID) -> str:
    """Write the memo of a transfer back: it names its refund on the statement."""
    return f"HOAN TIEN {code_of(refund_id)}"


def code_of(refund_id: UUID) -> str:
    """Return the characters that name a refund in a memo."""
    return refund_id.hex[-CODE_CHARS:].upper()


def find_codes(memo: str) -> list[str]:
    """Find the codes of refunds in a memo, whatever a bank did to case, spaces and signs."""
    return _MEMO_CODE.findall(_NOT_PLAIN.sub("", memo.upper()))
