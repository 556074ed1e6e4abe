"""Jobs of complaints: what people wrote about themselves is erased after its retention."""

from datetime import datetime, timedelta
from functools import partial
from typing import Final

from city.complaints.queries import erase_personal
from core.jobs.periodic import JobDatabases, PeriodicJob

ERASE_EVERY_S: Final = 3_600.0
ERASED_MAX: Final = 1_000  # in one transaction; the rest waits for the next time
KEPT_FOR: Final = timedelta(days=365)  # after its outcome: a dispute may follow


def list_jobs(databases: JobDatabases) -> tuple[PeriodicJob, ...]:
    """List what the worker runs for complaints."""
    return (PeriodicJob("erase_complaints", ERASE_EVERY_S, partial(erase_complaints, databases)),)


async def erase_complaints(databases: JobDatabases, *, now: datetime) -> int:
    """Erase words and contacts a year after the outcome; return of how many complaints."""
    async with databases.worker.begin() as session:
        return await erase_personal(session, before=now - KEPT_FOR, limit=ERASED_MAX)
