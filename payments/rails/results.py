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
    is_checked: bool = False  # the order is open there: nothing to do until its bill changes


def result_without_channel(attempt: RailAttempt) -> Result:
    """Return what comes of a request whose endpoint was revoked, or has no keys any more."""
    problem = RailProblem.NO_CONNECTION
    # Where nothing is open there, for certain, a person may request it by another connection.
    if attempt.status == RailStatus.REOPENED or (attempt.is_first and attempt.is_wanted):
        return Result(status=RailStatus.FAILED, problem=problem)
    return Result(status=RailStatus(attempt.status), problem=problem)


def result_without_answer(attempt: RailAttempt, problem: RailProblem | None = None) -> Result:
    """Return what comes of an attempt that the provider left without a certain answer."""
    status = RailStatus.UNKNOWN
    if attempt.status in (RailStatus.OPEN, RailStatus.REOPENED):  # as it stood before
        status = RailStatus(attempt.status)
    return Result(status=status, problem=problem)


def result_of_lost_code(attempt: RailAttempt) -> Result:
    """Return what comes of a code that nobody has, or that is over: the next number, if any."""
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
