"""Jobs of photos: erasing those past their retention, files that a crash left, and old uses."""

from datetime import datetime, timedelta
from functools import partial
from typing import Final

from core.jobs.periodic import JobDatabases, PeriodicJob
from identity.organisations.queries import list_organisations
from parking.photos import queries
from parking.photos.service import Photos

ERASE_EVERY_S: Final = 600.0
STRAYS_EVERY_S: Final = 6 * 3_600.0
USES_EVERY_S: Final = 3_600.0
USES_KEPT_FOR: Final = timedelta(days=365)
USES_MAX: Final = 10_000  # forgotten in one transaction


def list_jobs(databases: JobDatabases, photos: Photos) -> tuple[PeriodicJob, ...]:
    """List what the worker runs for photos."""
    return (
        PeriodicJob("erase_photos", ERASE_EVERY_S, partial(erase_photos, databases, photos)),
        PeriodicJob("erase_strays", STRAYS_EVERY_S, partial(erase_strays, databases, photos)),
        PeriodicJob("forget_uses", USES_EVERY_S, partial(forget_uses, databases)),
    )


async def erase_photos(databases: JobDatabases, photos: Photos, *, now: datetime) -> int:
    """Erase photos past their retention; return how many."""
    return await photos.erase_expired(databases.worker, now=now)


async def erase_strays(databases: JobDatabases, photos: Photos, *, now: datetime) -> int:
    """Erase files of photos that no row names; return how many."""
    async with databases.worker.begin() as session:
        org_ids = [org.id for org in await list_organisations(session)]
    return sum([await photos.erase_strays(org_id, now=now) for org_id in org_ids])


async def forget_uses(databases: JobDatabases, *, now: datetime) -> int:
    """Forget the acts of more than a year ago whose pictures are erased; return how many."""
    forgotten = 0
    while True:
        async with databases.worker.begin() as session:
            count = await queries.delete_old_uses(
                session, before=now - USES_KEPT_FOR, limit=USES_MAX
            )
        forgotten += count
        if count < USES_MAX:
            return forgotten
