"""Event types, states, the retry schedule, and when an endpoint is stopped. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from payments.outbox.rules import EventKind

K = EventKind
# Outbox kind → public event type. Screens may rename theirs; these names are a contract.
EVENT_TYPES: Final[Mapping[EventKind, str]] = MappingProxyType(
    {
        K.BILL_PAID: "bill.paid",
        K.BILL_PART_PAID: "bill.part_paid",
        K.BILL_OVER_PAID: "bill.over_paid",
        K.BILL_CREDITED_AGAIN: "bill.credited_again",
        K.BILL_CANCELLED: "bill.cancelled",
        K.BILL_CASH_TAKEN_BACK: "bill.cash_taken_back",
        K.BILL_PAYMENT_TAKEN_BACK: "bill.payment_taken_back",
        K.BILL_WRITTEN_OFF: "bill.written_off",
        K.COUNTER_SALE: "payment.received",
        K.CREDIT_UNASSIGNED: "payment.unassigned",
        K.CREDIT_UNEXPLAINED: "payment.unexplained",
        K.CREDIT_CORRECTED: "payment.corrected",
        K.REFUND_CHANGED: "refund.changed",
        K.DAY_CLOSED: "day.closed",
        K.SETTLEMENT_SENT: "settlement.sent",
        K.PARKING_ENTERED: "parking_session.entered",
        K.PARKING_SESSION_PAID: "parking_session.paid",
        K.PARKING_LEFT: "parking_session.left",
        K.PARKING_PLATE_DIFFERED: "parking_session.plate_differed",
    }
)
TEST_EVENT: Final = "webhook.test"
# Screens alone need these: pictures of codes, alarms at a gate, how an account is set up.
NOT_SENT: Final = frozenset(
    {
        K.BILL_CODE_CHANGED,
        K.PARKING_DEPOSIT_PAID,
        K.PARKING_WATCHED,
        K.PARKING_OVER_LICENCE,
        K.PARKING_PASS_PAID,
        K.PARKING_PASS_OWED_AGAIN,
        K.PARKING_PASS_ENDING,
        K.ACCOUNT_TESTED,
        K.ACCOUNT_CHANGED,
        K.WEBHOOK_TEST,  # goes to the one endpoint that asked for it
    }
)
GROUPS: Final = ("bill.*", "payment.*", "refund.*", "settlement.*", "day.*", "parking_session.*")
CHOICES: Final = (*GROUPS, *EVENT_TYPES.values())
CHOICES_MAX: Final = 40

ENDPOINTS_MAX: Final = 20  # of one organisation, without deleted ones
URL_CHARS_MAX: Final = 500
BODY_BYTES_MAX: Final = 65_536
ANSWER_BYTES_MAX: Final = 4_096  # of an answer, kept for whoever looks for a fault
OLD_SECRET_FOR: Final = timedelta(hours=24)  # after a rotation both sign
SECRETS_MAX: Final = 3  # that sign at once, when it is rotated again within that time
REPLAY_DAYS_MAX: Final = 7
REPLAYS_MAX: Final = 10_000  # deliveries in one go
KEPT_DAYS: Final = 30  # deliveries and attempts; the events that they report live as long

# Pauses after each failed attempt: the example schedule of Standard Webhooks, three days in all.
# Source: standard-webhooks/spec, "Deliverability and reliability".
PAUSES: Final = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
JITTER_PERCENT: Final = 10  # longer at most, so that what failed together does not come together
RETRY_AFTER_MAX: Final = timedelta(hours=24)
# While a receiver wants a pause, none of its other deliveries is sent either.
ENDPOINT_PAUSE_MAX: Final = timedelta(hours=1)
STOPPED_AFTER: Final = timedelta(days=5)
STOPPED_AFTER_FAILURES: Final = 10

GONE: Final = 410
ASKS_FOR_A_PAUSE: Final = frozenset({429, 503})


class EndpointStatus(StrEnum):
    """Whether an endpoint is sent to."""

    ENABLED = "enabled"
    DISABLED = "disabled"  # by a person, or because it failed for days
    GONE = "gone"  # it answered 410


class DeliveryStatus(StrEnum):
    """What has become of one event on its way to one endpoint."""

    PENDING = "pending"  # due, under way, or waiting for its next attempt
    DELIVERED = "delivered"  # answered with 2xx
    FAILED = "failed"  # all attempts are used up; it can be replayed


class StopReason(StrEnum):
    """Why an endpoint is not enabled."""

    BY_PERSON = "by_person"
    GONE = "gone"
    FAILING = "failing"


class Failure(StrEnum):
    """Why an attempt failed; what came back as an answer has its status beside it."""

    STATUS = "status"  # an answer, but not 2xx
    REDIRECT = "redirect"  # 3xx: never followed
    NAME_NOT_FOUND = "name_not_found"
    ADDRESS_REFUSED = "address_refused"  # its name leads into a network that is not public
    NOT_CONNECTED = "not_connected"
    TLS_FAILED = "tls_failed"
    TIMED_OUT = "timed_out"
    ANSWER_UNREADABLE = "answer_unreadable"
    EVENT_ERASED = "event_erased"  # the event had its time before it could be sent
    BODY_TOO_LARGE = "body_too_large"
    SECRET_NOT_READABLE = "secret_not_readable"  # noqa: S105 (no password)
    INTERNAL = "internal"  # the hub could not do it; the log says why
    OTHER = "other"  # what another release wrote

    @classmethod
    def _missing_(cls, value: object) -> "Failure":
        """Read what a later release wrote before it was taken back."""
        return cls.OTHER


# Another attempt would fail the same way.
IS_FINAL: Final = frozenset({Failure.EVENT_ERASED, Failure.BODY_TOO_LARGE})
# The receiver was not even asked: these say nothing about it.
IS_OURS: Final = IS_FINAL | {Failure.SECRET_NOT_READABLE, Failure.INTERNAL}


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What one attempt came to."""

    status: int | None = None  # of HTTP; None: no answer
    failure: Failure | None = None
    retry_after: str | None = None  # the header, as it came
    took_ms: int = 0
    body: bytes = b""  # its first bytes

    @property
    def is_good(self) -> bool:
        """Whether the receiver has it."""
        return self.failure is None

    @property
    def is_ours(self) -> bool:
        """Whether it failed before the receiver was asked."""
        return self.failure in IS_OURS


def list_kinds(chosen: Collection[str]) -> list[str]:
    """Return the kinds of the outbox that an endpoint with these choices is sent."""
    groups = {one.removesuffix("*") for one in chosen if one.endswith(".*")}
    return [
        kind.value
        for kind, name in EVENT_TYPES.items()
        if name in chosen or f"{name.partition('.')[0]}." in groups
    ]


def find_type(kind: str) -> str | None:
    """Return the public type of an outbox kind; None: this release sends no such events.

    After a release was taken back there may be kinds that only the later one knows.
    """
    if kind == K.WEBHOOK_TEST:
        return TEST_EVENT
    return next((name for known, name in EVENT_TYPES.items() if known.value == kind), None)


def classify(status: int) -> Failure | None:
    """Say what an answer's status means; None is good. Redirects are never followed."""
    if 200 <= status < 300:
        return None
    return Failure.REDIRECT if 300 <= status < 400 else Failure.STATUS


def next_pause(
    failures: int, answer: Answer, *, jitter_percent: int, now: datetime
) -> timedelta | None:
    """Return after how long a delivery that failed so often, this time too, is tried again.

    None: never.

    Args:
        jitter_percent: 0 to JITTER_PERCENT, drawn by the caller.
    """
    if answer.failure in IS_FINAL or answer.status == GONE or failures > len(PAUSES):
        return None
    pause = PAUSES[failures - 1]
    pause += pause * jitter_percent // 100
    wanted = read_retry_after(answer, now=now)
    return max(pause, wanted or pause)


def read_retry_after(answer: Answer, *, now: datetime) -> timedelta | None:
    """Return the pause that a 429 or 503 asks for, a day at most; None if it asks for none.

    Source: RFC 9110 §10.2.3: seconds, or a date.
    """
    text = (answer.retry_after or "").strip()
    if answer.status not in ASKS_FOR_A_PAUSE or not text:
        return None
    if text.isascii() and text.isdecimal():
        pause = timedelta(seconds=min(int(text[:9]), int(RETRY_AFTER_MAX.total_seconds())))
    else:
        try:
            at = parsedate_to_datetime(text)
        except (ValueError, OverflowError):
            return None
        pause = (at if at.tzinfo else at.replace(tzinfo=UTC)) - now
    return min(max(pause, timedelta(0)), RETRY_AFTER_MAX)


def must_stop(failing_since: datetime, failures: int, *, now: datetime) -> bool:
    """Whether an endpoint that has only failed since then is stopped."""
    return now - failing_since >= STOPPED_AFTER and failures >= STOPPED_AFTER_FAILURES
