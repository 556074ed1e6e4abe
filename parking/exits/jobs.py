"""Jobs of the way out: movements of phones, exits that nobody confirmed, stays that do not end."""

from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog

from core.jobs.periodic import JobDatabases, PeriodicJob
from core.tenancy import open_org_transaction
from parking.exits.applier import apply_device
from parking.exits.queries import lock_sessions
from parking.exits.queries_movements import (
    find_devices,
    find_unconfirmed,
    owe_unconfirmed_exits,
)
from parking.exits.queries_reviewing import find_stale, put_under_review

log = structlog.get_logger()

MOVEMENTS_EVERY_S: Final = 2.0
ARREARS_EVERY_S: Final = 600.0
CONFIRMED_WITHIN: Final = timedelta(hours=24)  # what no bank has confirmed by then is owed
ARREARS_MAX: Final = 1_000  # stays of one organisation in one transaction
STALE_EVERY_S: Final = 600.0
STALE_MAX: Final = 1_000  # stays in one round
DEVICES_MAX: Final = 200  # in one round


def list_jobs(databases: JobDatabases) -> tuple[PeriodicJob, ...]:
    """List what the worker runs for the way out."""
    return (
        PeriodicJob("apply_movements", MOVEMENTS_EVERY_S, partial(apply_movements, databases)),
        PeriodicJob("owe_unconfirmed", ARREARS_EVERY_S, partial(owe_unconfirmed, databases)),
        PeriodicJob("review_stale", STALE_EVERY_S, partial(review_stale, databases)),
    )


async def apply_movements(databases: JobDatabases, *, now: datetime) -> int:
    """Apply what no hub applied when it was stored, each device by itself; return how many."""
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


async def review_stale(databases: JobDatabases, *, now: datetime) -> int:
    """Put stays under review that are inside for longer than their lots allow; return how many."""
    async with databases.worker.begin() as session:
        stale = await find_stale(session, limit=STALE_MAX, now=now)
    moved = 0
    for org_id, session_ids in stale.items():
        async with open_org_transaction(databases.app, org_id) as session:
            await lock_sessions(session, org_id, session_ids)
            found = await put_under_review(session, org_id, session_ids, now=now)
        moved += len(found)
        log.info("stays.put_under_review", org=str(org_id), count=len(found))
    return moved
