"""Recording of events for others, in the transaction in which they happen."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from payments.outbox import queries
from payments.outbox.rules import NewEvent


async def record(
    session: AsyncSession, org_id: UUID, events: Sequence[NewEvent], *, now: datetime
) -> None:
    """Write events; they exist if and only if the transaction commits."""
    if events:
        await queries.insert_events(session, org_id, events, now=now)


async def record_quietly(
    session: AsyncSession, org_id: UUID, events: Sequence[NewEvent], *, now: datetime
) -> None:
    """Write events that wake nobody by themselves; see payments/outbox/waker.py."""
    if events:
        await queries.insert_quietly(session, org_id, events, now=now)


async def record_one(
    session: AsyncSession, org_id: UUID, event_id: UUID, event: NewEvent, *, now: datetime
) -> None:
    """Write one event whose id the caller has made, and that wakes nobody."""
    await queries.insert_one(session, org_id, event_id, event, now=now)
