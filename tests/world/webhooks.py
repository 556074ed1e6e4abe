"""Webhook endpoints, events for them, and one worker's relay and sender without its loops."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from core.clock import read_clock
from core.db import Database
from core.ids import new_id
from core.sealing import Sealer
from core.tenancy import open_org_transaction
from payments.outbox import service as outbox
from payments.outbox.rules import EventKind, NewEvent
from payments.webhooks import service
from payments.webhooks.client import WebhookClient
from payments.webhooks.relay import Relay
from payments.webhooks.sender import SenderLimits, WebhookSender
from payments.webhooks.types import EndpointRequest
from tests.world.constants import MANAGER


@dataclass(frozen=True, kw_only=True)
class MadeEndpoint:
    """An endpoint and its secret."""

    org_id: UUID
    id: UUID
    secret: str
    made_at: datetime


async def a_webhook_endpoint(
    database: Database,
    org_id: UUID,
    url: str,
    sealer: Sealer,
    *,
    events: Sequence[str] = ("bill.*", "payment.*", "parking_session.*"),
) -> MadeEndpoint:
    """Make an endpoint at any address: of loopback too, as an operator allows it."""
    endpoint_id, now = new_id(), read_clock()
    origin = "/".join(url.split("/")[:3])
    async with open_org_transaction(database, org_id) as session:
        _, secret = await service.create_endpoint(
            session,
            org_id,
            EndpointRequest(url=url, events=tuple(events)),
            allowed_origins=[origin],
            sealer=sealer,
            actor=MANAGER,
            id_=endpoint_id,
            now=now,
        )
    return MadeEndpoint(org_id=org_id, id=endpoint_id, secret=secret, made_at=now)


def an_event(kind: EventKind = EventKind.BILL_PAID, **data: Any) -> NewEvent:
    return NewEvent(kind=kind, data=data)


async def events_happen(
    database: Database, org_id: UUID, count: int = 1, *, kind: EventKind = EventKind.BILL_PAID
) -> None:
    """Write events as a payment does, in one transaction."""
    events = [an_event(kind, amount_vnd=20_000 + n) for n in range(count)]
    async with open_org_transaction(database, org_id) as session:
        await outbox.record(session, org_id, events, now=read_clock())


@dataclass(kw_only=True)
class OneWorker:
    """What a worker does for webhooks, a step at a time."""

    relay: Relay
    sender: WebhookSender

    async def work(self) -> int:
        """Relay what is there, and send what is due until nothing is; return how much was sent."""
        await self.relay.run_once()
        sent = 0
        while started := await self.sender.take_and_start():
            await self.sender.finish()
            sent += started
        return sent


@asynccontextmanager
async def one_worker(
    worker_database: Database,
    app_database: Database,
    sealer: Sealer,
    *origins: str,
    timeout_s: float = 3.0,
    limits: SenderLimits | None = None,
) -> AsyncIterator[OneWorker]:
    """Open what a worker has. No margin: the processes of a test have one clock."""
    async with worker_database.begin() as session:
        codes = (await session.scalars(text("SELECT code FROM organisations"))).all()
    allowed = [f"{code}={origin}" for code in codes for origin in origins]
    client = WebhookClient(allowed, timeout_s=timeout_s)
    sender = WebhookSender(
        worker_database, app_database, client, sealer, read_clock=read_clock, limits=limits
    )
    try:
        yield OneWorker(
            relay=Relay(worker_database, margin=timedelta(0), full_every=timedelta(0)),
            sender=sender,
        )
    finally:
        await sender.finish()
        client.close()


async def read_deliveries(database: Database, endpoint: MadeEndpoint) -> list[tuple[Any, ...]]:
    """Read (event, status, attempts, HTTP status, failure) in the order of events."""
    query = text(
        "SELECT event_id, status, attempts, last_status, last_failure FROM webhook_deliveries"
        " WHERE org_id = :org_id AND endpoint_id = :id ORDER BY event_id"
    )
    async with open_org_transaction(database, endpoint.org_id) as session:
        values = {"org_id": endpoint.org_id, "id": endpoint.id}
        return [tuple(row) for row in await session.execute(query, values)]


async def make_due(database: Database, endpoint: MadeEndpoint) -> None:
    """Let the pauses of an endpoint's deliveries be over."""
    query = text(
        "UPDATE webhook_deliveries SET due_at = now() WHERE endpoint_id = :id"
        " AND status = 'pending'"
    )
    async with open_org_transaction(database, endpoint.org_id) as session:
        await session.execute(query, {"id": endpoint.id})
