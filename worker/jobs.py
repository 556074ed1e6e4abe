"""The list of jobs that the worker runs by the clock: each package offers its own in its jobs.py.

Here are only those that no package can offer: this process's clock, and rows past their retention.
"""

from datetime import datetime, timedelta
from functools import partial
from typing import Final

from city.complaints import jobs as complaint_jobs
from core.db import measure_shared_clock
from core.jobs.periodic import JobDatabases, PeriodicJob
from identity.people import jobs as people_jobs
from parking.exits import jobs as exit_jobs
from parking.passes import jobs as pass_jobs
from parking.photos import jobs as photo_jobs
from parking.photos.service import Photos
from parking.plate_reading.reader import PlateReader
from parking.sessions import jobs as session_jobs
from parking.tax_exports.rules import KEPT_FOR
from payments.bills import jobs as bill_jobs
from payments.credits import jobs as credit_jobs
from payments.credits.processor import NoticeProcessor
from payments.invariants import jobs as invariant_jobs
from payments.outages import jobs as outage_jobs
from payments.polling import jobs as polling_jobs
from payments.polling.scheduled import ScheduledPoller
from payments.rails import jobs as rail_jobs
from payments.rails.service import RailService
from payments.rails.toll import jobs as toll_jobs
from payments.rails.toll.service import TollService
from payments.reconciliation import jobs as reconciliation_jobs
from payments.refunds import jobs as refund_jobs
from payments.webhooks.rules import KEPT_DAYS
from registry import Registry
from worker.metrics import MEASURE_EVERY_S, measure
from worker.queries import delete_before

CLOCK_EVERY_S: Final = 5.0
RETENTION_EVERY_S: Final = 600.0
DELETE_MAX: Final = 5_000  # rows of one table in one transaction
DELETE_ROUNDS_MAX: Final = 50  # transactions for one table in one go

# How long rows are kept that are not evidence. Notices, credits, matches, transfers and audit rows
# are kept for ever.
RETENTION: Final = {
    "idempotency_keys": ("created_at", timedelta(days=7)),
    "events": ("recorded_at", timedelta(days=30)),
    "rejections": ("received_at", timedelta(days=30)),
    "sign_ins": ("expires_at", timedelta(days=30)),
    "invariant_runs": ("started_at", timedelta(days=14)),
    "webhook_attempts": ("started_at", timedelta(days=KEPT_DAYS)),
    "webhook_deliveries": ("created_at", timedelta(days=KEPT_DAYS)),
    "outages": ("until_at", timedelta(days=90)),
    "poll_windows": ("finished_at", timedelta(days=90)),  # NULL while it is read
    "outage_reports": ("recorded_at", timedelta(days=90)),
    "tax_export_parts": ("made_at", KEPT_FOR),
    "jobs": ("finished_at", timedelta(days=90)),  # NULL while it waits or runs: never deleted
}


def list_jobs(
    databases: JobDatabases,
    registry: Registry,
    *,
    processor: NoticeProcessor,
    rails: RailService,
    tolls: TollService,
    poller: ScheduledPoller,
    photos: Photos,
    reader: PlateReader | None = None,
) -> tuple[PeriodicJob, ...]:
    """List all jobs by the clock.

    Args:
        reader: reads plates from photos; None: a person types them all.
    """
    return (
        PeriodicJob("set_clock", CLOCK_EVERY_S, partial(set_clock, databases)),
        *credit_jobs.list_jobs(databases, processor),
        *bill_jobs.list_jobs(databases, registry.bill_owners),
        *rail_jobs.list_jobs(databases, rails),
        *toll_jobs.list_jobs(databases, tolls),
        *polling_jobs.list_jobs(databases, poller),
        *outage_jobs.list_jobs(databases, poll_every_s=poller.every_s),
        *refund_jobs.list_jobs(databases),
        *reconciliation_jobs.list_jobs(databases),
        *people_jobs.list_jobs(databases, registry.hooks),
        *photo_jobs.list_jobs(databases, photos),
        *complaint_jobs.list_jobs(databases),
        *pass_jobs.list_jobs(databases),
        *invariant_jobs.list_jobs(databases),
        *exit_jobs.list_jobs(databases),
        *session_jobs.list_jobs(databases, photos, reader),
        PeriodicJob("measure", MEASURE_EVERY_S, partial(measure, databases)),
        PeriodicJob("purge_expired", RETENTION_EVERY_S, partial(purge_expired, databases)),
    )


async def set_clock(databases: JobDatabases, *, now: datetime) -> int:
    """Measure this process's clock against the database's: events carry its time."""
    await measure_shared_clock(databases.worker)
    return 0


async def purge_expired(databases: JobDatabases, *, now: datetime) -> int:
    """Delete rows past their retention, a bounded number in a transaction; return how many."""
    deleted = 0
    for table, (column, kept_for) in RETENTION.items():
        for _ in range(DELETE_ROUNDS_MAX):  # the rest waits for the next time
            async with databases.worker.begin() as session:
                count = await delete_before(
                    session, table, column, before=now - kept_for, limit=DELETE_MAX
                )
            deleted += count
            if count < DELETE_MAX:
                break
    return deleted
