"""Read model of events: those that an open page wants, and those it has not received yet."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import first_id_at
from core.sql import run
from payments.outbox import queries
from payments.outbox.wake_ups import EventFacts

READ_MAX: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Interest:
    """What one page wants to receive of its organisation; nothing named means everything.

    A payee's page also receives, by `account_id`, of credits on a shared account that nobody was
    given yet. A gate's receives, by `lot_id`, what happens at its lot and is no payee's.
    """

    payee_id: UUID | None = None
    account_id: UUID | None = None
    bill_id: UUID | None = None
    lot_id: UUID | None = None

    @property
    def is_everything(self) -> bool:
        """Whether all events of the organisation are wanted."""
        named = (self.payee_id, self.account_id, self.bill_id, self.lot_id)
        return all(one is None for one in named)

    def covers(self, event: EventFacts) -> bool:
        """Whether this page is to receive an event."""
        if self.is_everything:
            return True
        if self.bill_id is not None and event.bill_id == self.bill_id:
            return True
        if event.payee_id is None:
            # In the text: thousands are looked at, and who shapes them reads the few.
            if self.lot_id is not None and str(self.lot_id) in event.data:
                return True
            return self.account_id is not None and event.account_id == self.account_id
        return event.payee_id == self.payee_id


async def list_event_ids(
    session: AsyncSession, org_id: UUID, *, since: datetime, before: UUID
) -> set[UUID]:
    """List the ids of an organisation's events of some seconds, whoever wants them."""
    values = {"org_id": org_id, "floor": first_id_at(since), "before": before}
    return {row[0] for row in await run(session, queries.LIST_EVENT_IDS, values)}


async def list_events(
    session: AsyncSession,
    org_id: UUID,
    interests: Sequence[Interest],
    *,
    since: datetime,
    seen: Sequence[UUID] = (),
    limit: int = READ_MAX,
) -> list[EventFacts]:
    """List what any of these pages wants and `seen` does not hold, oldest first, in one query."""
    rows = await run(
        session,
        queries.LIST_EVENTS,
        {
            "org_id": org_id,
            "floor": first_id_at(since),
            "seen": list(seen),
            "every": any(i.is_everything for i in interests),
            "payee_ids": [i.payee_id for i in interests if i.payee_id],
            "bill_ids": [i.bill_id for i in interests if i.bill_id],
            "account_ids": [i.account_id for i in interests if i.account_id],
            "lot_ids": [str(i.lot_id) for i in interests if i.lot_id],
            "limit": limit,
        },
    )
    return [
        EventFacts(
            id=row[0],
            kind=row[1],
            payee_id=row[2],
            account_id=row[3],
            bill_id=row[4],
            data=row[5],
            recorded_at=row[6],
        )
        for row in rows
    ]
