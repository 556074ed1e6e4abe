"""Rows of outgoing webhooks, as they travel between use cases and SQL."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from payments.webhooks.rules import Answer, DeliveryStatus


@dataclass(frozen=True, kw_only=True, slots=True)
class EndpointRequest:
    """A webhook endpoint to be made."""

    url: str
    events: tuple[str, ...]
    description: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class RelayTarget:
    """One endpoint, as the relay sees it."""

    org_id: UUID
    endpoint_id: UUID
    events: tuple[str, ...]
    relayed_to: UUID  # below it every event has its delivery


@dataclass(frozen=True, kw_only=True, slots=True)
class SentEvent:
    """The event that a delivery reports; `data` is JSON as the outbox has it."""

    id: UUID
    kind: str
    bill_id: UUID | None
    payee_id: UUID | None
    data: str
    recorded_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class DueEndpoint:
    """One endpoint that has something to be sent now."""

    org_id: UUID
    endpoint_id: UUID
    is_failing: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class TakenDelivery:
    """A delivery under lease, with what one attempt needs."""

    org_id: UUID
    org_code: str
    endpoint_id: UUID
    event_id: UUID
    token: UUID
    attempt: int  # this one, of all
    failures: int  # before this one, since it was made or replayed
    url: str
    sealed_secrets: bytes = field(repr=False)
    old_secret_until: datetime | None
    event: SentEvent | None  # None: it was erased


@dataclass(frozen=True, kw_only=True, slots=True)
class EndedAttempt:
    """One attempt, as it is recorded."""

    delivery: TakenDelivery
    answer: Answer
    status: DeliveryStatus
    due_in: timedelta
    started_at: datetime
    pause: timedelta | None  # that the receiver asks for


@dataclass(frozen=True, kw_only=True, slots=True)
class FailingEndpoint:
    """An endpoint whose last attempt failed."""

    org_id: UUID
    endpoint_id: UUID
    url: str
    failing_since: datetime
    failures: int
