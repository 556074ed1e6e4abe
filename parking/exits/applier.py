"""Applying what devices that were offline reported: a device's movements in its own order.

Each is applied in a savepoint, so that one that cannot be applied leaves the others standing.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import Database, has_timed_out, is_database_away
from core.errors import Busy, HubError
from core.tenancy import open_org_transaction
from identity.devices.rules import correct_time
from parking.exits import queries_movements
from parking.exits.movements import Applied, MovementFacts, apply_movement, open_break

log = structlog.get_logger()

APPLIED_AT_ONCE_MAX: Final = 100  # movements of one device in one transaction


async def apply_all_waiting(
    database: Database, org_id: UUID, device_id: UUID, *, read_clock: Callable[[], datetime]
) -> int:
    """Apply all that waits of one device, a bounded number in a transaction; return how many."""
    applied, count = 0, APPLIED_AT_ONCE_MAX
    while count == APPLIED_AT_ONCE_MAX:
        async with open_org_transaction(database, org_id) as session:
            count = await apply_waiting(session, org_id, device_id, now=read_clock())
        applied += count
    return applied


async def apply_waiting(
    session: AsyncSession,
    org_id: UUID,
    device_id: UUID,
    *,
    limit: int = APPLIED_AT_ONCE_MAX,
    now: datetime,
) -> int:
    """Apply what waits of one device; return how many movements."""
    rows = await queries_movements.lock_waiting(session, org_id, device_id, limit=limit)
    for id_, lot_id, kind, body, device_at, offset_ms, received_at, received_from in rows:
        movement = MovementFacts(
            id=id_,
            device_id=device_id,
            lot_id=lot_id,
            kind=kind,
            data=body.get("data") or {},
            happened_at=min(correct_time(device_at, offset_ms), received_at),
            received_from=received_from,
        )
        try:
            async with session.begin_nested():
                await session.connection()  # the savepoint is made now: `run` would not ask for it
                verdict = await apply_movement(session, org_id, movement, now=now)
        except (HubError, DBAPIError) as error:
            if isinstance(error, Busy) or is_database_away(error) or has_timed_out(error):
                raise  # nobody's fault: all of them come again
            log.warning("movement.refused", movement=str(id_), error=repr(error))
            verdict = Applied.REFUSED
            await open_break(session, org_id, movement, verdict, now=now)
        await queries_movements.mark_applied(
            session, org_id, device_id, id_, verdict.value, now=now
        )
    return len(rows)
