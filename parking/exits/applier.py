"""Applying what devices that were offline reported: a device's movements in its own order.

Each has a transaction of its own, so that locks are taken in their order (docs/adr/0013), a lot's
occupancy is held for one vehicle, and one that cannot be applied leaves the others standing.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
import structlog
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import Database, has_lost_a_race, has_timed_out, is_database_away
from core.errors import Busy, HubError
from core.tenancy import open_org_transaction
from identity.devices.rules import correct_time
from parking.exits import queries_movements
from parking.exits.movement_types import Applied, MovementFacts
from parking.exits.movements import apply_movement, open_break
from parking.sessions.rules import EntryRequest, MovementKind, Verdict

log = structlog.get_logger()

BillOpened = Callable[[UUID, str], Awaitable[object]]

APPLIED_AT_ONCE_MAX: Final = 1_000  # movements of one device in one round
TRIES_MAX: Final = 3  # of an entry: its credential was taken while it was decided


async def apply_device(
    database: Database,
    org_id: UUID,
    device_id: UUID,
    *,
    now: datetime,
    bill_opened: BillOpened | None = None,
) -> int:
    """Apply what waits of one device; return how many movements.

    What fails for no fault of its own, or ours, comes again later, and what follows it waits.

    Args:
        bill_opened: called with (organisation, reference) once a bill is committed that the device
            made without network; its money may wait.
    """
    applied = 0
    try:
        while applied < APPLIED_AT_ONCE_MAX:
            async with open_org_transaction(database, org_id) as session:
                movement = await _apply_next(session, org_id, device_id, now=now)
            if movement is None:
                break
            applied += 1
            if movement.kind == MovementKind.BILL and bill_opened is not None:
                await _tell(bill_opened, org_id, movement)
    except Exception as error:  # one device does not hold up the others
        log.error("movements.not_applied", device=str(device_id), error=repr(error))
        if not is_database_away(error):
            await _put_off(database, org_id, device_id, now=now)
    return applied


async def _apply_next(
    session: AsyncSession, org_id: UUID, device_id: UUID, *, now: datetime
) -> MovementFacts | None:
    row = await queries_movements.lock_next(session, org_id, device_id)
    if row is None:
        return None
    id_, lot_id, kind, body, device_at, offset_ms, received_at, received_from, request, tries = row
    movement = MovementFacts(
        id=id_,
        device_id=device_id,
        lot_id=lot_id,
        kind=kind,
        data=body.get("data") or {},
        happened_at=min(correct_time(device_at, offset_ms), received_at),
        received_from=received_from,
        entry=None if request is None else msgspec.json.decode(request, type=EntryRequest),
    )
    try:
        async with session.begin_nested():
            await session.connection()  # the savepoint is made now: `run` would not ask for it
            verdict: Applied | Verdict = await apply_movement(session, org_id, movement, now=now)
    except (HubError, DBAPIError) as error:
        is_taken = movement.entry is not None and isinstance(error, IntegrityError)
        if _is_nobodys_fault(error) or (is_taken and tries < TRIES_MAX):
            raise
        log.warning("movement.refused", movement=str(id_), error=repr(error))
        verdict = Applied.REFUSED
        await open_break(session, org_id, movement, verdict, now=now)
    await queries_movements.mark_applied(session, org_id, device_id, id_, verdict.value, now=now)
    return movement


async def _tell(bill_opened: BillOpened, org_id: UUID, movement: MovementFacts) -> None:
    reference = movement.data.get("reference")
    if not isinstance(reference, str):
        return
    try:
        await bill_opened(org_id, reference)
    except Exception as error:  # the worker matches it; the device's next movement waits for nobody
        log.error("bill.not_told", device=str(movement.device_id), error=repr(error))


def _is_nobodys_fault(error: Exception) -> bool:
    return (
        isinstance(error, Busy)
        or is_database_away(error)
        or has_timed_out(error)
        or has_lost_a_race(error)
    )


async def _put_off(database: Database, org_id: UUID, device_id: UUID, *, now: datetime) -> None:
    try:
        async with open_org_transaction(database, org_id) as session:
            await queries_movements.put_off(session, org_id, device_id, now=now)
    except Exception as error:  # it comes again at once, then
        log.error("movements.not_put_off", device=str(device_id), error=repr(error))
