"""SQL of webhook endpoints and of the log of deliveries: one organisation's, as the hub sees it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import Select, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from payments.webhooks.errors import DeliveryNotFound, WebhookEndpointNotFound
from payments.webhooks.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from payments.webhooks.rules import DeliveryStatus

ATTEMPTS_SHOWN_MAX: Final = 100

# What is under way is left alone: its lease is ours to lose, not to break.
REPLAY_ONE = text("""
    UPDATE webhook_deliveries SET status = 'pending', failures = 0, due_at = now(),
        lease_token = NULL, ended_at = NULL
    WHERE org_id = :org_id AND endpoint_id = :endpoint_id AND event_id = :event_id
      AND (lease_token IS NULL OR due_at <= now())
    RETURNING event_id
""")

# What happened while it was disabled has no delivery. Each delivery is looked up
# by its key: a join may be planned as a pass over all of the endpoint's for each event.
_TO_REPLAY: Final = """
    SELECT e.id, e.kind FROM events e
    WHERE e.org_id = :org_id AND e.id >= :floor AND e.id < :ceiling
      AND e.kind = ANY(CAST(:kinds AS text[]))
      AND (NOT CAST(:only_failed AS bool) OR COALESCE((
          SELECT d.status FROM webhook_deliveries d
          WHERE d.org_id = e.org_id AND d.endpoint_id = :endpoint_id AND d.event_id = e.id
      ), 'failed') = 'failed')
"""

COUNT_TO_REPLAY = text(f"SELECT count(*) FROM ({_TO_REPLAY} LIMIT :limit) found")  # noqa: S608

REPLAY_RANGE = text(f"""
    WITH wanted AS ({_TO_REPLAY})
    INSERT INTO webhook_deliveries (
        org_id, endpoint_id, event_id, event_kind, status, attempts, failures, due_at, created_at)
    SELECT :org_id, :endpoint_id, id, kind, 'pending', 0, 0, now(), now() FROM wanted
    ON CONFLICT (org_id, endpoint_id, event_id) DO UPDATE
        SET status = 'pending', failures = 0, due_at = now(), lease_token = NULL, ended_at = NULL
        WHERE webhook_deliveries.lease_token IS NULL OR webhook_deliveries.due_at <= now()
    RETURNING event_id
""")  # noqa: S608

INSERT_DELIVERY = text("""
    INSERT INTO webhook_deliveries (
        org_id, endpoint_id, event_id, event_kind, status, attempts, failures, due_at, created_at)
    VALUES (:org_id, :endpoint_id, :event_id, :kind, 'pending', 0, 0, now(), now())
""")


@dataclass(frozen=True, kw_only=True, slots=True)
class EventRange:
    """Events of a time, from one id up to below another."""

    floor: UUID
    ceiling: UUID
    kinds: Sequence[str]


async def get_endpoint(
    session: AsyncSession,
    org_id: UUID,
    endpoint_id: UUID,
    *,
    is_to_change: bool = False,
    is_to_stay: bool = False,
) -> WebhookEndpoint:
    """Return an endpoint that was not deleted.

    Args:
        is_to_change: locks it.
        is_to_stay: locks its row against removal alone: workers go on writing how it does.

    Raises:
        WebhookEndpointNotFound
    """
    query = select(WebhookEndpoint).where(
        WebhookEndpoint.org_id == org_id,
        WebhookEndpoint.id == endpoint_id,
        WebhookEndpoint.deleted_at.is_(None),
    )
    if is_to_stay:
        query = query.with_for_update(read=True, key_share=True)
    if is_to_change:
        query = query.with_for_update(key_share=True).execution_options(populate_existing=True)
    found = (await session.scalars(query)).first()
    if found is None:
        raise WebhookEndpointNotFound(endpoint_id)
    return found


async def list_endpoints(
    session: AsyncSession, org_id: UUID, *, before_id: UUID | None = None, limit: int
) -> Sequence[WebhookEndpoint]:
    """List an organisation's endpoints, newest first."""
    query = select(WebhookEndpoint).where(
        WebhookEndpoint.org_id == org_id, WebhookEndpoint.deleted_at.is_(None)
    )
    if before_id is not None:
        query = query.where(WebhookEndpoint.id < before_id)
    return (await session.scalars(query.order_by(WebhookEndpoint.id.desc()).limit(limit))).all()


async def count_endpoints(session: AsyncSession, org_id: UUID) -> int:
    """Count the endpoints of an organisation."""
    query = select(func.count()).where(
        WebhookEndpoint.org_id == org_id, WebhookEndpoint.deleted_at.is_(None)
    )
    return (await session.scalars(query)).one()


async def lock_new_endpoints(session: AsyncSession, org_id: UUID) -> None:
    """Let one transaction at a time add endpoints to an organisation: they are counted."""
    await session.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"),
        {"name": f"webhook_endpoints/{org_id}"},
    )


async def list_deliveries(
    session: AsyncSession,
    org_id: UUID,
    endpoint_id: UUID,
    *,
    status: DeliveryStatus | None = None,
    before_id: UUID | None = None,
    limit: int,
) -> Sequence[WebhookDelivery]:
    """List an endpoint's deliveries, the newest event first."""
    query = select_deliveries(org_id, endpoint_id, status=status, before_id=before_id)
    return (await session.scalars(query.limit(limit))).all()


def select_deliveries(
    org_id: UUID, endpoint_id: UUID, *, status: DeliveryStatus | None, before_id: UUID | None
) -> Select[WebhookDelivery]:
    """Write the statement of a list of deliveries."""
    query = select(WebhookDelivery).where(
        WebhookDelivery.org_id == org_id, WebhookDelivery.endpoint_id == endpoint_id
    )
    if status is not None:
        query = query.where(WebhookDelivery.status == status.value)
    if before_id is not None:
        query = query.where(WebhookDelivery.event_id < before_id)
    return query.order_by(WebhookDelivery.event_id.desc())


async def get_delivery(
    session: AsyncSession, org_id: UUID, endpoint_id: UUID, event_id: UUID
) -> WebhookDelivery:
    """Return one delivery.

    Raises:
        DeliveryNotFound
    """
    query = select(WebhookDelivery).where(
        WebhookDelivery.org_id == org_id,
        WebhookDelivery.endpoint_id == endpoint_id,
        WebhookDelivery.event_id == event_id,
    )
    found = (await session.scalars(query)).first()
    if found is None:
        raise DeliveryNotFound(event_id)
    return found


async def list_attempts(
    session: AsyncSession, org_id: UUID, endpoint_id: UUID, event_id: UUID
) -> Sequence[WebhookAttempt]:
    """List the attempts of a delivery, the last ones, newest first."""
    query = select(WebhookAttempt).where(
        WebhookAttempt.org_id == org_id,
        WebhookAttempt.endpoint_id == endpoint_id,
        WebhookAttempt.event_id == event_id,
    )
    query = query.order_by(WebhookAttempt.number.desc()).limit(ATTEMPTS_SHOWN_MAX)
    return (await session.scalars(query)).all()


async def insert_delivery(
    session: AsyncSession, org_id: UUID, endpoint_id: UUID, event_id: UUID, *, kind: str
) -> None:
    """Make one event due at one endpoint."""
    values = {"org_id": org_id, "endpoint_id": endpoint_id, "event_id": event_id, "kind": kind}
    await session.execute(INSERT_DELIVERY, values)


async def replay_one(
    session: AsyncSession, org_id: UUID, endpoint_id: UUID, event_id: UUID
) -> bool:
    """Make a delivery due now; False if it is under way at this moment."""
    values = {"org_id": org_id, "endpoint_id": endpoint_id, "event_id": event_id}
    return await session.scalar(REPLAY_ONE, values) is not None


async def count_to_replay(
    session: AsyncSession,
    org_id: UUID,
    endpoint_id: UUID,
    range_: EventRange,
    *,
    only_failed: bool,
    limit: int,
) -> int:
    """Count the events of a time that a replay would make due, up to the limit."""
    values = _values(org_id, range_, endpoint_id=endpoint_id, only_failed=only_failed, limit=limit)
    return int(await session.scalar(COUNT_TO_REPLAY, values) or 0)


async def replay_range(
    session: AsyncSession,
    org_id: UUID,
    endpoint_id: UUID,
    range_: EventRange,
    *,
    only_failed: bool,
) -> int:
    """Make the events of a time due at an endpoint; return how many are."""
    values = _values(org_id, range_, endpoint_id=endpoint_id, only_failed=only_failed)
    return len((await session.execute(REPLAY_RANGE, values)).all())


def _values(org_id: UUID, range_: EventRange, **more: object) -> dict[str, object]:
    return {
        "org_id": org_id,
        "floor": range_.floor,
        "ceiling": range_.ceiling,
        "kinds": list(range_.kinds),
        **more,
    }
