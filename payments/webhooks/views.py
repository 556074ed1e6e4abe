"""Read models of webhook endpoints' logs, as programs and people see them."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from payments.webhooks.models import WebhookDelivery
from payments.webhooks.rules import DeliveryStatus, Failure, find_type


@dataclass(frozen=True, kw_only=True, slots=True)
class DeliveryFacts:
    """One event on its way to one endpoint."""

    id: UUID  # the event's, and the header webhook-id
    type: str
    status: DeliveryStatus
    attempts: int
    last_status: int | None  # of HTTP
    last_failure: Failure | None
    next_attempt_at: datetime | None
    created_at: datetime
    ended_at: datetime | None


def describe_delivery(one: WebhookDelivery) -> DeliveryFacts:
    """Return what is shown of a delivery."""
    status = DeliveryStatus(one.status)
    return DeliveryFacts(
        id=one.event_id,
        type=find_type(one.event_kind) or one.event_kind,
        status=status,
        attempts=one.attempts,
        last_status=one.last_status,
        last_failure=None if one.last_failure is None else Failure(one.last_failure),
        next_attempt_at=one.due_at if status is DeliveryStatus.PENDING else None,
        created_at=one.created_at,
        ended_at=one.ended_at,
    )
