"""The job of stays: reading plates from photos, where the worker was started with a reader."""

from datetime import datetime
from functools import partial
from typing import Final

from core.jobs.periodic import JobDatabases, PeriodicJob
from parking.photos.service import Photos
from parking.sessions.readings import Reader, read_waiting

READ_EVERY_S: Final = 2.0


def list_jobs(
    databases: JobDatabases, photos: Photos, reader: Reader | None
) -> tuple[PeriodicJob, ...]:
    """List what the worker runs for stays.

    By the clock, and not a queued job for each photo: without a reader nothing would take them
    from the queue, and a full queue would refuse photos at the gate.
    """
    if reader is None:
        return ()
    read = partial(read_plates, databases, photos, reader)
    return (PeriodicJob("read_plates", READ_EVERY_S, read),)


async def read_plates(
    databases: JobDatabases, photos: Photos, reader: Reader, *, now: datetime
) -> int:
    """Read the photos of new entries; return how many."""
    return await read_waiting(databases.app, databases.worker, photos, reader, now=now)
