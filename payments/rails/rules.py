"""Retries of a request, and the states between its steps. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from payments.bills.rules import UNPAID, RailStatus

ORDERS_MAX: Final = 8  # numbers of one bill at its provider
# Longer than all calls of one attempt together: until then nobody else takes it over.
LEASE: Final = timedelta(seconds=20)
ATTEMPT_TIMEOUT_S: Final = 15.0
CHECK_TIMEOUT_S: Final = 2.0  # where a person waits for the poll as well, five seconds in all
RETRY_FIRST: Final = timedelta(seconds=2)
RETRY_MAX: Final = timedelta(minutes=5)


@dataclass(frozen=True, kw_only=True, slots=True)
class RailAttempt:
    """A request that this process has taken, with the facts of its bill."""

    org_id: UUID
    bill_id: UUID
    payee_id: UUID
    rail: str
    endpoint_id: UUID
    order_id: str
    orders: int
    status: str
    attempts: int  # at the last number that a person requested; this one counted
    reference: str
    public_token: str
    amount_vnd: int
    bill_status: str
    monitor_until: datetime
    created_at: datetime

    @property
    def is_wanted(self) -> bool:
        """Whether the bill is still to be paid."""
        return self.bill_status in UNPAID

    @property
    def is_first(self) -> bool:
        """Whether nobody can have called about this order number yet."""
        return self.status == RailStatus.PENDING and self.attempts == 1


def wait_after(attempts: int) -> timedelta:
    """Return how long a request rests after so many attempts."""
    return min(RETRY_FIRST * (1 << min(attempts, 10)), RETRY_MAX)
