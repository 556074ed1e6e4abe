"""Jobs of photos: erasing those past their retention, and files that a crash left."""

from datetime import datetime
from functools import partial
from typing import Final

from core.jobs.periodic import JobDatabases, PeriodicJob
from identity.organisations.queries import list_organisations
from parking.photos.service import Photos

ERASE_EVERY_S: Final = 600.0
STRAYS_EVERY_S: Final = 6 * 3_600.0


def list_jobs(databases: JobDatabases, photos: Photos) -> tuple[PeriodicJob, ...]:
    """List what the worker runs for photos."""
    return (
        PeriodicJob("erase_photos", ERASE_EVERY_S, partial(erase_photos, databases, photos)),
        PeriodicJob("erase_strays", STRAYS_EVERY_S, partial(erase_strays, databases, photos)),
    )


async def erase_photos(databases: JobDatabases, photos: Photos, *, now: datetime) -> int:
    """Erase photos past their retention; return how many."""
    return await photos.erase_expired(databases.worker, now=now)


async def erase_strays(databases: JobDatabases, photos: Photos, *, now: datetime) -> int:
    """Erase files of photos that no row names; return how many."""
    async with databases.worker.begin() as session:
        org_ids = [org.id for org in await list_organisations(session)]
    return sum([await photos.erase_strays(org_id, now=now) for org_id in org_ids])
