"""Requests and answers about webhook endpoints and their deliveries."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final
from uuid import UUID

from pydantic import Field, StringConstraints

from api.http.fields import Body, Instant, Line, Read
from payments.webhooks.rules import (
    CHOICES,
    CHOICES_MAX,
    REPLAY_DAYS_MAX,
    URL_CHARS_MAX,
    DeliveryStatus,
    EndpointStatus,
    Failure,
    StopReason,
)

EventChoice = StrEnum("EventChoice", {one: one for one in CHOICES})  # type: ignore[misc]

Url = Annotated[
    str,
    StringConstraints(strip_whitespace=True),
    Field(
        min_length=1,
        max_length=URL_CHARS_MAX,
        examples=["https://erp.example.vn/phopay"],
        description="https on port 443 at a public host, without user and password.",
    ),
]
Events = Annotated[
    list[EventChoice],
    Field(
        min_length=1,
        max_length=CHOICES_MAX,
        examples=[["bill.*", "parking_session.left"]],
        description="Event types and groups; `day.*` has no events yet.",
    ),
]
Description = Annotated[Line, Field(max_length=120)]
SHOWN_ONCE: Final = "`whsec_…`, shown once: null when the request is repeated."


class WebhookEndpointCreate(Body):
    """An address to be sent events to."""

    url: Url
    events: Events
    description: Description = ""


class WebhookEndpointChange(Body):
    """What is to be changed; what is left out or null stays as it is."""

    url: Url | None = None
    events: Events | None = None
    description: Description | None = None
    is_enabled: bool | None = Field(
        default=None,
        description="false: nothing is sent. true: what happens from now on is sent, and what"
        " waited; replay a time for what happened meanwhile.",
    )


class WebhookEndpointRead(Read):
    """A webhook endpoint."""

    id: UUID
    url: str
    description: str
    events: list[str]
    status: EndpointStatus
    stop_reason: StopReason | None
    stopped_at: datetime | None
    failing_since: datetime | None = Field(description="Nothing has succeeded since then.")
    old_secret_until: datetime | None = Field(description="Until then older secrets sign as well.")
    created_at: datetime


class WebhookEndpointMade(WebhookEndpointRead):
    """A new endpoint, with its secret."""

    secret: str | None = Field(description=SHOWN_ONCE)


class WebhookEndpointsRead(Read):
    """A page of webhook endpoints."""

    endpoints: list[WebhookEndpointRead]
    next_cursor: str | None


class WebhookSecretRead(Read):
    """The secret after a rotation."""

    secret: str | None = Field(description=SHOWN_ONCE)


class WebhookTestMade(Read):
    """A test event that is on its way."""

    event_id: UUID


class WebhookDeliveryRead(Read):
    """One event on its way to one endpoint."""

    id: UUID = Field(description="The event's id: the same in `webhook-id` at each attempt.")
    type: str
    status: DeliveryStatus
    attempts: int
    last_status: int | None = Field(description="Of the last answer; null: there was none.")
    last_failure: Failure | None
    next_attempt_at: datetime | None
    created_at: datetime
    ended_at: datetime | None


class WebhookDeliveriesRead(Read):
    """A page of deliveries, the newest event first."""

    deliveries: list[WebhookDeliveryRead]
    next_cursor: str | None


class WebhookAttemptRead(Read):
    """One request, and what answered it."""

    number: int
    started_at: datetime
    took_ms: int
    status: int | None
    failure: Failure | None
    answer: str = Field(description="The first 4 KiB of the answer's body, as text.")


class WebhookDeliveryDetail(WebhookDeliveryRead):
    """A delivery with its attempts, the last hundred, newest first."""

    tries: list[WebhookAttemptRead]


class WebhookReplayCreate(Body):
    """A time whose events are sent again."""

    since: Instant
    until: Instant = Field(description=f"At most {REPLAY_DAYS_MAX} days after `since`.")
    only_failed: bool = Field(
        default=True, description="Leave out what was delivered and what is still being tried."
    )


class WebhookReplayMade(Read):
    """How many deliveries are due now; null when the request is repeated."""

    count: int | None
