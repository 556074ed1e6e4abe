"""All SQL of the outbox."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.shared_clock import new_event_id
from core.sql import InsertMany, insert_many, send
from payments.outbox.rules import NewEvent
from payments.outbox.wake_ups import CHANNEL, EventFacts, write_wake_up

# One statement: the rows, and one wake-up for all of them.
INSERT_EVENTS = text("""
    WITH written AS (
        INSERT INTO events (
            org_id, id, kind, payee_id, receiving_account_id, bill_id, data, recorded_at)
        SELECT :org_id, t.*, :now
        FROM unnest(
            CAST(:ids AS uuid[]), CAST(:kinds AS text[]), CAST(:payee_ids AS uuid[]),
            CAST(:account_ids AS uuid[]), CAST(:bill_ids AS uuid[]), CAST(:data AS jsonb[])) AS t)
    SELECT pg_notify(:channel, :payload)
""")

# For the gates of a city at its peak: no wake-up, since NOTIFY takes one lock at every commit.
INSERT_QUIETLY = InsertMany(
    "events",
    {"id": "uuid", "kind": "text", "payee_id": "uuid", "data": "jsonb"},
    shared=("org_id", "recorded_at"),
)

# Of events that are committed already: each says only that there are some.
SEND_WAKE_UPS = text("SELECT pg_notify(:channel, t) FROM unnest(CAST(:payloads AS text[])) AS t")

LIST_EVENTS = text("""
    SELECT id, kind, payee_id, receiving_account_id, bill_id, data::text, recorded_at
    FROM events
    WHERE org_id = :org_id AND id > :floor AND id <> ALL(CAST(:seen AS uuid[]))
      AND (:every OR payee_id = ANY(CAST(:payee_ids AS uuid[]))
           OR bill_id = ANY(CAST(:bill_ids AS uuid[]))
           OR (payee_id IS NULL AND receiving_account_id = ANY(CAST(:account_ids AS uuid[])))
           OR (payee_id IS NULL AND data ->> 'lot_id' = ANY(CAST(:lot_ids AS text[]))))
    ORDER BY id LIMIT :limit
""")

LIST_EVENT_IDS = text("""
    SELECT id FROM events WHERE org_id = :org_id AND id > :floor AND id < :before
""")


async def insert_events(
    session: AsyncSession, org_id: UUID, events: Sequence[NewEvent], *, now: datetime
) -> None:
    """Write events and wake the screens when, and only if, the transaction commits."""
    rows = [
        EventFacts(
            id=new_event_id(),
            kind=event.kind.value,
            payee_id=event.payee_id,
            account_id=event.receiving_account_id,
            bill_id=event.bill_id,
            data=msgspec.json.encode(event.data).decode(),
            recorded_at=now,
        )
        for event in events
    ]
    await send(
        session,
        INSERT_EVENTS,
        {
            "org_id": org_id,
            "ids": [row.id for row in rows],
            "kinds": [row.kind for row in rows],
            "payee_ids": [row.payee_id for row in rows],
            "account_ids": [row.account_id for row in rows],
            "bill_ids": [row.bill_id for row in rows],
            "data": [row.data for row in rows],
            "now": now,
            "channel": CHANNEL,
            "payload": write_wake_up(org_id, rows),
        },
    )


async def send_wake_ups(session: AsyncSession, org_ids: Sequence[UUID]) -> None:
    """Wake the screens of organisations for what is committed already."""
    payloads = [write_wake_up(org_id, []) for org_id in org_ids]
    await session.execute(SEND_WAKE_UPS, {"channel": CHANNEL, "payloads": payloads})


async def insert_quietly(
    session: AsyncSession, org_id: UUID, events: Sequence[NewEvent], *, now: datetime
) -> None:
    """Write events that wake nobody; screens find them at their next look."""
    rows = [
        (new_event_id(), event.kind.value, event.payee_id, msgspec.json.encode(event.data).decode())
        for event in events
    ]
    await insert_many(session, INSERT_QUIETLY, rows, org_id=org_id, recorded_at=now)


async def insert_one(
    session: AsyncSession, org_id: UUID, event_id: UUID, event: NewEvent, *, now: datetime
) -> None:
    """Write one event that wakes nobody, under an id of `new_event_id`."""
    data = msgspec.json.encode(event.data).decode()
    row = (event_id, event.kind.value, event.payee_id, data)
    await insert_many(session, INSERT_QUIETLY, [row], org_id=org_id, recorded_at=now)
