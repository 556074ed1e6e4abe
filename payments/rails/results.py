"""Results of one attempt at a request, and the event that reports them. Pure."""

from dataclasses import dataclass

from payments.bills.rules import RailStatus
from payments.outbox.rules import EventKind, NewEvent
from payments.rails.protocol import OpenedOrder, RailProblem
from payments.rails.rules import ORDERS_MAX, RailAttempt


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What one attempt came to."""

    status: RailStatus
    problem: RailProblem | None = None
    opened: OpenedOrder | None = None
    next_number: bool = False  # request anew under the bill's next order number


def result_without_channel(attempt: RailAttempt) -> Result:
    """Return what comes of a request whose endpoint was revoked, or has no keys any more."""
    problem = RailProblem.NO_CONNECTION
    if attempt.is_first and attempt.is_wanted:
        return Result(status=RailStatus.FAILED, problem=problem)
    return Result(status=RailStatus(attempt.status), problem=problem)


def result_of_lost_code(attempt: RailAttempt) -> Result:
    """Return what comes of an order whose code nobody has: the next number, while there is one."""
    if attempt.orders >= ORDERS_MAX:
        return Result(status=RailStatus.FAILED, problem=RailProblem.ORDER_REFUSED)
    return Result(status=RailStatus.PENDING, next_number=True)


def to_event(attempt: RailAttempt, result: Result) -> NewEvent:
    """Report that a bill's code has changed."""
    return NewEvent(
        kind=EventKind.BILL_CODE_CHANGED,
        payee_id=attempt.payee_id,
        bill_id=attempt.bill_id,
        data={"reference": attempt.reference, "rail_status": result.status.value},
    )
