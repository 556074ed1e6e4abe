"""Test events, and events that are sent again: one, or those of a time."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.errors import InvalidRequest
from core.ids import first_id_at
from payments.outbox import service as outbox
from payments.outbox.rules import EventKind, NewEvent
from payments.webhooks import queries
from payments.webhooks.errors import ReplayTooLarge, WebhookEndpointDisabled
from payments.webhooks.models import WebhookDelivery, WebhookEndpoint
from payments.webhooks.rules import (
    KEPT_DAYS,
    REPLAY_DAYS_MAX,
    REPLAYS_MAX,
    EndpointStatus,
    list_kinds,
)

TEST_MESSAGE: Final = "PhoPay"


async def send_test(
    session: AsyncSession,
    org_id: UUID,
    endpoint_id: UUID,
    event_id: UUID,
    *,
    actor: Actor,
    now: datetime,
) -> None:
    """Make a test event due at one endpoint.

    Args:
        event_id: of `new_event_id`.

    Raises:
        WebhookEndpointNotFound, WebhookEndpointDisabled
    """
    await _get_enabled(session, org_id, endpoint_id)
    event = NewEvent(kind=EventKind.WEBHOOK_TEST, data={"message": TEST_MESSAGE})
    await outbox.record_one(session, org_id, event_id, event, now=now)
    await queries.insert_delivery(session, org_id, endpoint_id, event_id, kind=event.kind.value)
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="webhook_endpoint.tested",
        object_kind="webhook_endpoint",
        object_id=endpoint_id,
        now=now,
    )


async def replay_delivery(
    session: AsyncSession,
    org_id: UUID,
    endpoint_id: UUID,
    event_id: UUID,
    *,
    actor: Actor,
    now: datetime,
) -> WebhookDelivery:
    """Send a delivery again, with the same id; one that is under way at this moment is left.

    Raises:
        WebhookEndpointNotFound, WebhookEndpointDisabled, DeliveryNotFound
    """
    await _get_enabled(session, org_id, endpoint_id)
    await queries.get_delivery(session, org_id, endpoint_id, event_id)
    if await queries.replay_one(session, org_id, endpoint_id, event_id):
        record_change(
            session,
            org_id=org_id,
            actor=actor,
            action="webhook_endpoint.replayed",
            object_kind="webhook_endpoint",
            object_id=endpoint_id,
            after={"event_id": str(event_id), "count": 1},
            now=now,
        )
    session.expire_all()
    return await queries.get_delivery(session, org_id, endpoint_id, event_id)


async def replay_range(
    session: AsyncSession,
    org_id: UUID,
    endpoint_id: UUID,
    *,
    since: datetime,
    until: datetime,
    only_failed: bool,
    actor: Actor,
    now: datetime,
) -> int:
    """Send the events of a time again, also those of while the endpoint was disabled.

    Args:
        only_failed: leave out what was delivered, and what is still being tried.

    Returns how many are due now.

    Raises:
        WebhookEndpointNotFound, WebhookEndpointDisabled, ReplayTooLarge
        InvalidRequest: the time is too long, too long ago, or ends before it begins.
    """
    endpoint = await _get_enabled(session, org_id, endpoint_id)
    _check_range(since, until, now)
    range_ = queries.EventRange(
        floor=first_id_at(since), ceiling=first_id_at(until), kinds=list_kinds(endpoint.events)
    )
    found = await queries.count_to_replay(
        session, org_id, endpoint_id, range_, only_failed=only_failed, limit=REPLAYS_MAX + 1
    )
    if found > REPLAYS_MAX:
        raise ReplayTooLarge
    count = await queries.replay_range(
        session, org_id, endpoint_id, range_, only_failed=only_failed
    )
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="webhook_endpoint.replayed",
        object_kind="webhook_endpoint",
        object_id=endpoint_id,
        after={
            "since": since.isoformat(),
            "until": until.isoformat(),
            "only_failed": only_failed,
            "count": count,
        },
        now=now,
    )
    return count


async def _get_enabled(session: AsyncSession, org_id: UUID, endpoint_id: UUID) -> WebhookEndpoint:
    endpoint = await queries.get_endpoint(session, org_id, endpoint_id, is_to_stay=True)
    if endpoint.status != EndpointStatus.ENABLED:
        raise WebhookEndpointDisabled
    return endpoint


def _check_range(since: datetime, until: datetime, now: datetime) -> None:
    is_long = until - since > timedelta(days=REPLAY_DAYS_MAX)
    is_old = since < now - timedelta(days=KEPT_DAYS)
    if since >= until or is_long or is_old:
        raise InvalidRequest(
            f"A replay covers at most {REPLAY_DAYS_MAX} days, of the last {KEPT_DAYS}; it begins"
            " before it ends."
        )
