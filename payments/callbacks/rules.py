"""Outcomes of notices, and the retry policy of those that are not handled yet. Pure."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

# A notice for an account that is not known yet is retried as soon as an account is added to its
# endpoint. By the clock only in case that was missed: after 1, 8 and 64 minutes, then 6 hours.
ACCOUNT_WAIT_START: Final = timedelta(minutes=1)
ACCOUNT_WAIT_FACTOR: Final = 8
ACCOUNT_WAIT_MAX: Final = timedelta(hours=6)
# A failure may be a defect that a restart or a release ends: 5 s, doubled up to 10 minutes.
FAILURE_WAIT_START: Final = timedelta(seconds=5)
FAILURE_WAIT_MAX: Final = timedelta(minutes=10)
# Somebody else's lock is gone in seconds: 2 s, doubled up to a minute.
LOCK_WAIT_START: Final = timedelta(seconds=2)
LOCK_WAIT_MAX: Final = timedelta(minutes=1)
# An old notice is retried seldom: a failing one makes its whole batch run again one by one.
OLD_AFTER: Final = timedelta(days=3)
OLD_FAILURE_WAIT: Final = timedelta(days=1)
NEVER: Final = datetime(9999, 1, 1, tzinfo=UTC)  # until an account is added to its endpoint
STUCK_AFTER: Final = 5  # failed attempts, then a break is opened

_DOUBLINGS_MAX: Final = 10  # beyond every maximum above; keeps the powers small


class NoticeOutcome(StrEnum):
    """What a notice was found to be: shown in the notice log, given out by the API.

    The first ones are the verdicts on its credit (payments.credits.rules.Verdict), which stands
    above this package; a test holds the two together.
    """

    SETTLE = "settle"
    PART = "part"
    OVER = "over"
    CLOSED_BILL = "closed_bill"
    COUNTER_SALE = "counter_sale"
    UNASSIGNED = "unassigned"
    WRONG_ACCOUNT = "wrong_account"
    SEVERAL_BILLS = "several_bills"
    NO_BILL = "no_bill"
    AWAITING_SYNC = "awaiting_sync"
    ACCOUNT_TEST = "account_test"
    NOT_TAKINGS = "not_takings"
    SAME_MONEY = "same_money"  # known from another provider
    SPLIT = "split"  # a person has spread it over several bills

    OUTGOING = "outgoing"  # money out: recorded, and matched with nothing
    REPEAT = "repeat"  # known, with the same facts
    CONTRADICTED = "contradicted"  # known, with other facts
    TEST = "test"  # the provider's own test message
    EMPTY = "empty"  # no transaction in it
    UNREADABLE = "unreadable"
    SIMULATED_REFUSED = "simulated_refused"  # sandbox money for a live organisation
    WAITS_FOR_ACCOUNT = "waits_for_account"
    FAILED = "failed"  # processing raised an error

    @property
    def is_good(self) -> bool:
        """Whether nobody needs to look at it."""
        return self in GOOD


GOOD: Final = frozenset(
    {
        NoticeOutcome.SETTLE,
        NoticeOutcome.PART,  # the bill shows what is missing while the payer is there
        NoticeOutcome.COUNTER_SALE,
        NoticeOutcome.ACCOUNT_TEST,
        NoticeOutcome.NOT_TAKINGS,
        NoticeOutcome.SAME_MONEY,
        NoticeOutcome.SPLIT,
        NoticeOutcome.OUTGOING,
        NoticeOutcome.REPEAT,
        NoticeOutcome.TEST,
        NoticeOutcome.EMPTY,
    }
)


class Setback(StrEnum):
    """Why a notice is not handled yet."""

    ACCOUNT_UNKNOWN = "account_unknown"  # its endpoint does not list the account, or not yet
    FAILED = "failed"  # processing it raised an error
    LOCKED = "locked"  # another transaction held what it needs


def next_attempt(
    setback: Setback, *, attempts: int, received_at: datetime, now: datetime
) -> datetime:
    """Return when to process a notice again.

    Args:
        setback: why this attempt did not handle it.
        attempts: before this one.
        received_at: when it came.
    """
    is_old = now - received_at > OLD_AFTER
    doubled: int = 2 ** min(attempts, _DOUBLINGS_MAX)
    if setback is Setback.LOCKED:
        return now + min(LOCK_WAIT_START * doubled, LOCK_WAIT_MAX)
    if setback is Setback.FAILED:
        failed_wait = min(FAILURE_WAIT_START * doubled, FAILURE_WAIT_MAX)
        return now + (OLD_FAILURE_WAIT if is_old else failed_wait)
    if is_old:
        return NEVER
    multiplied: int = ACCOUNT_WAIT_FACTOR ** min(attempts, _DOUBLINGS_MAX)
    return now + min(ACCOUNT_WAIT_START * multiplied, ACCOUNT_WAIT_MAX)


def is_newly_stuck(outcome_before: str | None, *, attempts: int) -> bool:
    """Decide whether a failed notice is to be reported now: once, as it may be closed since.

    Args:
        outcome_before: of the attempt before this one.
        attempts: before this one.
    """
    failures = attempts + 1
    if failures < STUCK_AFTER:
        return False
    return failures == STUCK_AFTER or outcome_before != NoticeOutcome.FAILED
