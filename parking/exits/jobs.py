"""Jobs of the way out: movements of devices that were offline, and exits that nobody confirmed."""

from datetime import datetime, timedelta
from functools import partial
from typing import Final

from core.jobs.periodic import JobDatabases, PeriodicJob
from core.tenancy import open_org_transaction
from parking.exits.applier import apply_device
from parking.exits.queries_movements import (
    find_devices,
    find_unconfirmed,
    owe_unconfirmed_exits,
)

MOVEMENTS_EVERY_S: Final = 2.0
ARREARS_EVERY_S: Final = 600.0
CONFIRMED_WITHIN: Final = timedelta(hours=24)  # what no bank has confirmed by then is owed
ARREARS_MAX: Final = 1_000  # stays of one organisation in one transaction
DEVICES_MAX: Final = 200  # in one round


def list_jobs(databases: JobDatabases) -> tuple[PeriodicJob, ...]:
    """List what the worker runs for the way out."""
    return (
        PeriodicJob("apply_movements", MOVEMENTS_EVERY_S, partial(apply_movements, databases)),
        PeriodicJob("owe_unconfirmed", ARREARS_EVERY_S, partial(owe_unconfirmed, databases)),
    )


async def apply_movements(databases: JobDatabases, *, now: datetime) -> int:
    """Apply the exits and collections that wait, each device by itself; return how many."""
    async with databases.worker.begin() as session:
        devices = await find_devices(session, limit=DEVICES_MAX, now=now)
    applied = 0
    for org_id, device_id in devices:
        applied += await apply_device(databases.app, org_id, device_id, now=now)
    return applied


async def owe_unconfirmed(databases: JobDatabases, *, now: datetime) -> int:
    """Let vehicles that left on a transfer nobody confirmed in 24 hours owe it; return how many."""
    before = now - CONFIRMED_WITHIN
    async with databases.worker.begin() as session:
        org_ids = await find_unconfirmed(session, before=before)
    owed = 0
    for org_id in org_ids:
        count = ARREARS_MAX
        while count == ARREARS_MAX:
            async with open_org_transaction(databases.app, org_id) as session:
                count = await owe_unconfirmed_exits(
                    session, org_id, before=before, limit=ARREARS_MAX
                )
            owed += count
    return owed
