"""All SQL of the outbox."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import send
from core.ids import new_id
from payments.outbox.rules import NewEvent

CHANNEL = "phopay_events"

# One statement: the rows, and one wake-up for the whole transaction. NOTIFY is only that, the table
# is the truth; PostgreSQL drops equal notifications of one transaction.
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


async def insert_events(
    session: AsyncSession, org_id: UUID, events: Sequence[NewEvent], *, now: datetime
) -> None:
    """Write events and wake the screens when, and only if, the transaction commits."""
    await send(
        session,
        INSERT_EVENTS,
        {
            "org_id": org_id,
            "ids": [new_id() for _ in events],
            "kinds": [event.kind.value for event in events],
            "payee_ids": [event.payee_id for event in events],
            "account_ids": [event.receiving_account_id for event in events],
            "bill_ids": [event.bill_id for event in events],
            "data": [msgspec.json.encode(event.data).decode() for event in events],
            "now": now,
            "channel": CHANNEL,
            "payload": str(org_id),
        },
    )
