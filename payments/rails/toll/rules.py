"""States of a charge to a toll account, and what of its money a bill keeps. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from payments.bills.rules import SETTLEABLE, BillState

TOLL: Final = "toll"  # the rail's name in payments
# The attendant sees another way to pay within three seconds, whatever the operator does.
ANSWERED_WITHIN_S: Final = 2.3
CALL_TIMEOUT_S: Final = 2.0
# The operator carries no request out later than this: the driver has paid otherwise by then.
CHARGED_WITHIN: Final = timedelta(seconds=15)
# And a minute later what it does not know has never arrived, also where clocks differ.
ARRIVES_WITHIN: Final = CHARGED_WITHIN + timedelta(seconds=60)
LEASE: Final = timedelta(seconds=10)  # longer than one call and the writing of its result
ASKED_IN_VAIN: Final = 20  # times, in about an hour; then a person is told


class TollStatus(StrEnum):
    """How far a charge has come."""

    PENDING = "pending"  # written down and sent, or the operator is at it
    UNKNOWN = "unknown"  # no answer that says for certain: it is looked up, never sent again
    CHARGED = "charged"  # the operator has taken the money
    DECLINED = "declined"  # for certain: nothing was taken


UNRESOLVED: Final = frozenset({TollStatus.PENDING, TollStatus.UNKNOWN})


class RefundStatus(StrEnum):
    """How far the refund of what a bill did not keep has come."""

    PENDING = "pending"  # a person has asked for it; the operator has not confirmed it yet
    REFUNDED = "refunded"
    REFUSED = "refused"


class TollProblem(StrEnum):
    """Why nothing was charged; screens have words for each."""

    NOT_ENOUGH_MONEY = "not_enough_money"
    ACCOUNT_LOCKED = "account_locked"
    ACCOUNT_UNKNOWN = "account_unknown"
    KEYS_REFUSED = "keys_refused"
    NOT_ARRIVED = "not_arrived"  # the operator never got the request
    REFUSED = "refused"


class ContractTest(StrEnum):
    """What an operator says when it is asked about a charge that never was."""

    WORKS = "works"  # it answered, and signed the answer with the contract's key
    KEYS_REFUSED = "keys_refused"
    NO_ANSWER = "no_answer"  # none that is signed
    KEY_NOT_READABLE = "key_not_readable"  # sealed with another key of the hub's


class AccountKind(StrEnum):
    """How the driver's account is named."""

    PLATE = "plate"
    TAG = "tag"


@dataclass(frozen=True, kw_only=True, slots=True)
class NewToll:
    """A charge that is to be tried. The account's whole name is sent once and not stored."""

    id: UUID  # made by the client; the operator knows it by this
    bill_id: UUID
    owner_id: UUID
    account_kind: AccountKind
    account_label: str  # masked
    amount_vnd: int


@dataclass(frozen=True, kw_only=True, slots=True)
class TollFacts:
    """A charge to a toll account as it stands."""

    org_id: UUID
    id: UUID
    contract_id: UUID
    bill_id: UUID
    owner_id: UUID
    account_kind: str
    account_label: str
    amount_vnd: int
    kept_vnd: int  # what the bill took of it
    refunded_vnd: int
    status: str
    problem: str | None
    charge_id: str | None
    refund_status: str | None
    attempts: int
    created_at: datetime
    charged_at: datetime | None

    @property
    def is_resolved(self) -> bool:
        """Whether it is certain what became of it."""
        return self.status not in UNRESOLVED

    @property
    def left_vnd(self) -> int:
        """What was charged and is neither kept nor refunded."""
        charged_vnd = self.amount_vnd if self.status == TollStatus.CHARGED else 0
        return charged_vnd - self.kept_vnd - self.refunded_vnd


def keep_vnd(bill: BillState, charged_vnd: int) -> int:
    """Return how much of a charge its bill takes; nothing once it was paid or cancelled."""
    if bill.status not in SETTLEABLE:
        return 0
    assert bill.amount_vnd is not None
    return min(charged_vnd, bill.amount_vnd - bill.paid_vnd)
