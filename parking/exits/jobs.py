"""Jobs of the way out: what devices that were offline reported is applied."""

from datetime import datetime
from functools import partial
from typing import Final

import structlog

from core.jobs.periodic import JobDatabases, PeriodicJob
from core.tenancy import open_org_transaction
from parking.exits.applier import APPLIED_AT_ONCE_MAX, apply_waiting
from parking.exits.queries_movements import find_devices

log = structlog.get_logger()

MOVEMENTS_EVERY_S: Final = 2.0
DEVICES_MAX: Final = 200  # in one round


def list_jobs(databases: JobDatabases) -> tuple[PeriodicJob, ...]:
    """List what the worker runs for the way out."""
    return (PeriodicJob("apply_movements", MOVEMENTS_EVERY_S, partial(apply_movements, databases)),)


async def apply_movements(databases: JobDatabases, *, now: datetime) -> int:
    """Apply the exits and collections that wait, each device by itself; return how many."""
    async with databases.worker.begin() as session:
        devices = await find_devices(session, limit=DEVICES_MAX)
    applied = 0
    for org_id, device_id in devices:
        try:
            count = APPLIED_AT_ONCE_MAX
            while count == APPLIED_AT_ONCE_MAX:
                async with open_org_transaction(databases.app, org_id) as session:
                    count = await apply_waiting(session, org_id, device_id, now=now)
                applied += count
        except Exception as error:  # one device does not hold up the others
            log.error("movements.not_applied", device=str(device_id), error=repr(error))
    return applied
