"""Webhook endpoints: where events are sent to, and what became of each."""

from hashlib import sha256
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Query, Response

from api.http.deps import Now, TheSealer, TheSettings, Tx, requires
from api.http.errors import may_answer
from api.http.idempotency import REPLAYED, IdempotencyKey, hash_body, mark_replayed, take_key
from api.http.middleware import no_store
from api.http.paging import Cursor, Limit, next_cursor, read_cursor
from api.v1.webhook_endpoints.schemas import (
    WebhookAttemptRead,
    WebhookDeliveriesRead,
    WebhookDeliveryDetail,
    WebhookDeliveryRead,
    WebhookEndpointChange,
    WebhookEndpointCreate,
    WebhookEndpointMade,
    WebhookEndpointRead,
    WebhookEndpointsRead,
    WebhookReplayCreate,
    WebhookReplayMade,
    WebhookSecretRead,
    WebhookTestMade,
)
from core.idempotency import IdempotencyKeyReused
from core.ids import new_id
from core.paging import BadCursor
from core.shared_clock import new_event_id
from identity.people.callers import Caller
from identity.people.rules import Permission
from payments.webhooks import queries, replays, service
from payments.webhooks.addresses import list_origins
from payments.webhooks.errors import (
    BadWebhookUrl,
    DeliveryNotFound,
    ReplayTooLarge,
    WebhookEndpointDisabled,
    WebhookEndpointNotFound,
    WebhookEndpointsFull,
)
from payments.webhooks.rules import DeliveryStatus
from payments.webhooks.types import EndpointRequest
from payments.webhooks.views import describe_delivery

router = APIRouter(prefix="/v1/webhook-endpoints", tags=["webhooks"])

Reader = Annotated[Caller, requires(Permission.WEBHOOK_ENDPOINTS_READ)]
Manager = Annotated[Caller, requires(Permission.WEBHOOK_ENDPOINTS_MANAGE)]
CREATE: Final = "POST /v1/webhook-endpoints"
ROTATE: Final = "POST /v1/webhook-endpoints/{endpoint_id}/rotate"
TEST: Final = "POST /v1/webhook-endpoints/{endpoint_id}/test"
REPLAY: Final = "POST /v1/webhook-endpoints/{endpoint_id}/replays"


@router.post(
    "",
    status_code=201,
    responses={
        **may_answer(
            BadWebhookUrl, WebhookEndpointNotFound, WebhookEndpointsFull, IdempotencyKeyReused
        ),
        201: REPLAYED,
    },
)
async def create_endpoint(
    body: WebhookEndpointCreate,
    response: Response,
    caller: Manager,
    tx: Tx,
    sealer: TheSealer,
    settings: TheSettings,
    now: Now,
    idempotency_key: IdempotencyKey = None,
) -> WebhookEndpointMade:
    """Make an endpoint. Its secret is in this answer and nowhere else, ever."""
    no_store(response)
    endpoint_id = new_id()
    asked = (caller.org_id, CREATE, idempotency_key, hash_body(body))
    if (first := await take_key(tx, *asked, makes=endpoint_id, now=now)) is not None:
        mark_replayed(response)
        known = await queries.get_endpoint(tx, caller.org_id, first)
        read = WebhookEndpointRead.model_validate(known)
        return WebhookEndpointMade(**read.model_dump(), secret=None)
    made, secret = await service.create_endpoint(
        tx,
        caller.org_id,
        EndpointRequest(
            url=body.url,
            events=tuple(one.value for one in body.events),
            description=body.description,
        ),
        allowed_origins=list_origins(settings.webhook_origins, caller.org_code),
        sealer=sealer,
        actor=caller.actor,
        id_=endpoint_id,
        now=now,
    )
    read = WebhookEndpointRead.model_validate(made)
    return WebhookEndpointMade(**read.model_dump(), secret=secret)


@router.get("", responses=may_answer(BadCursor))
async def list_endpoints(
    caller: Reader, tx: Tx, cursor: Cursor = None, limit: Limit = 50
) -> WebhookEndpointsRead:
    """List the endpoints, disabled ones too, newest first."""
    found = await queries.list_endpoints(
        tx, caller.org_id, before_id=read_cursor(cursor), limit=limit + 1
    )
    return WebhookEndpointsRead(
        endpoints=[WebhookEndpointRead.model_validate(one) for one in found[:limit]],
        next_cursor=next_cursor(found, limit),
    )


@router.get("/{endpoint_id}", responses=may_answer(WebhookEndpointNotFound))
async def show_endpoint(endpoint_id: UUID, caller: Reader, tx: Tx) -> WebhookEndpointRead:
    """Show an endpoint."""
    found = await queries.get_endpoint(tx, caller.org_id, endpoint_id)
    return WebhookEndpointRead.model_validate(found)


@router.patch("/{endpoint_id}", responses=may_answer(WebhookEndpointNotFound, BadWebhookUrl))
async def change_endpoint(
    endpoint_id: UUID,
    body: WebhookEndpointChange,
    caller: Manager,
    tx: Tx,
    settings: TheSettings,
    now: Now,
) -> WebhookEndpointRead:
    """Change an endpoint's address or events, disable it, or enable it again."""
    changed = await service.change_endpoint(
        tx,
        caller.org_id,
        endpoint_id,
        service.EndpointChanges(
            url=body.url,
            events=None if body.events is None else tuple(one.value for one in body.events),
            description=body.description,
            is_enabled=body.is_enabled,
        ),
        allowed_origins=list_origins(settings.webhook_origins, caller.org_code),
        actor=caller.actor,
        now=now,
    )
    return WebhookEndpointRead.model_validate(changed)


@router.delete("/{endpoint_id}", status_code=204, responses=may_answer(WebhookEndpointNotFound))
async def delete_endpoint(endpoint_id: UUID, caller: Manager, tx: Tx, now: Now) -> None:
    """Delete an endpoint: nothing more is sent there, and its log is no longer shown."""
    await service.delete_endpoint(tx, caller.org_id, endpoint_id, actor=caller.actor, now=now)


@router.post(
    "/{endpoint_id}/rotate",
    status_code=201,
    responses={
        **may_answer(WebhookEndpointNotFound, IdempotencyKeyReused),
        201: REPLAYED,
    },
)
async def rotate_secret(
    endpoint_id: UUID,
    response: Response,
    caller: Manager,
    tx: Tx,
    sealer: TheSealer,
    now: Now,
    idempotency_key: IdempotencyKey = None,
) -> WebhookSecretRead:
    """Give an endpoint a new secret; for 24 hours those that sign now go on signing."""
    no_store(response)
    asked = (caller.org_id, ROTATE, idempotency_key, sha256(endpoint_id.bytes).digest())
    if await take_key(tx, *asked, makes=endpoint_id, now=now) is not None:
        mark_replayed(response)
        return WebhookSecretRead(secret=None)
    secret = await service.rotate_secret(
        tx, caller.org_id, endpoint_id, sealer=sealer, actor=caller.actor, now=now
    )
    return WebhookSecretRead(secret=secret)


@router.post(
    "/{endpoint_id}/test",
    status_code=201,
    responses={
        **may_answer(WebhookEndpointNotFound, WebhookEndpointDisabled, IdempotencyKeyReused),
        201: REPLAYED,
    },
)
async def send_test(
    endpoint_id: UUID,
    response: Response,
    caller: Manager,
    tx: Tx,
    now: Now,
    idempotency_key: IdempotencyKey = None,
) -> WebhookTestMade:
    """Send the event `webhook.test` to this endpoint, whatever it has chosen."""
    event_id = new_event_id()
    asked = (caller.org_id, TEST, idempotency_key, sha256(endpoint_id.bytes).digest())
    if (first := await take_key(tx, *asked, makes=event_id, now=now)) is not None:
        mark_replayed(response)
        return WebhookTestMade(event_id=first)
    await replays.send_test(tx, caller.org_id, endpoint_id, event_id, actor=caller.actor, now=now)
    return WebhookTestMade(event_id=event_id)


@router.get("/{endpoint_id}/deliveries", responses=may_answer(WebhookEndpointNotFound, BadCursor))
async def list_deliveries(
    endpoint_id: UUID,
    caller: Reader,
    tx: Tx,
    status: Annotated[DeliveryStatus | None, Query(description="Only these.")] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> WebhookDeliveriesRead:
    """List an endpoint's deliveries of the last 30 days, the newest event first."""
    await queries.get_endpoint(tx, caller.org_id, endpoint_id)
    found = await queries.list_deliveries(
        tx,
        caller.org_id,
        endpoint_id,
        status=status,
        before_id=read_cursor(cursor),
        limit=limit + 1,
    )
    shown = [describe_delivery(one) for one in found]
    return WebhookDeliveriesRead(
        deliveries=[WebhookDeliveryRead.model_validate(one) for one in shown[:limit]],
        next_cursor=next_cursor(shown, limit),
    )


@router.get(
    "/{endpoint_id}/deliveries/{event_id}",
    responses=may_answer(WebhookEndpointNotFound, DeliveryNotFound),
)
async def show_delivery(
    endpoint_id: UUID, event_id: UUID, response: Response, caller: Reader, tx: Tx
) -> WebhookDeliveryDetail:
    """Show a delivery with its attempts: statuses, times, and what the receiver answered."""
    no_store(response)
    await queries.get_endpoint(tx, caller.org_id, endpoint_id)
    found = await queries.get_delivery(tx, caller.org_id, endpoint_id, event_id)
    attempts = await queries.list_attempts(tx, caller.org_id, endpoint_id, event_id)
    read = WebhookDeliveryRead.model_validate(describe_delivery(found))
    tries = [WebhookAttemptRead.model_validate(one) for one in attempts]
    return WebhookDeliveryDetail(**read.model_dump(), tries=tries)


@router.post(
    "/{endpoint_id}/deliveries/{event_id}/replay",
    responses=may_answer(WebhookEndpointNotFound, WebhookEndpointDisabled, DeliveryNotFound),
)
async def replay_delivery(
    endpoint_id: UUID, event_id: UUID, caller: Manager, tx: Tx, now: Now
) -> WebhookDeliveryRead:
    """Send a delivery again now, with the same id and body."""
    found = await replays.replay_delivery(
        tx, caller.org_id, endpoint_id, event_id, actor=caller.actor, now=now
    )
    return WebhookDeliveryRead.model_validate(describe_delivery(found))


@router.post(
    "/{endpoint_id}/replays",
    status_code=201,
    responses={
        **may_answer(
            WebhookEndpointNotFound, WebhookEndpointDisabled, ReplayTooLarge, IdempotencyKeyReused
        ),
        201: REPLAYED,
    },
)
async def replay_range(
    endpoint_id: UUID,
    body: WebhookReplayCreate,
    response: Response,
    caller: Manager,
    tx: Tx,
    now: Now,
    idempotency_key: IdempotencyKey = None,
) -> WebhookReplayMade:
    """Send the events of a time again, also those of while the endpoint was disabled."""
    asked = (caller.org_id, REPLAY, idempotency_key, hash_body(body, endpoint_id))
    if await take_key(tx, *asked, makes=endpoint_id, now=now) is not None:
        mark_replayed(response)
        return WebhookReplayMade(count=None)
    count = await replays.replay_range(
        tx,
        caller.org_id,
        endpoint_id,
        since=body.since,
        until=body.until,
        only_failed=body.only_failed,
        actor=caller.actor,
        now=now,
    )
    return WebhookReplayMade(count=count)
