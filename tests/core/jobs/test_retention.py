"""Retention: finished jobs go after 90 days, unfinished ones never."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from core.clock import read_clock
from core.db import Database
from core.jobs.attempts import JobAttempt
from core.jobs.errors import JobNotFound
from core.jobs.periodic import JobDatabases
from tests.core.jobs.steps import ended, queued, running, see
from worker.jobs import purge_expired

pytestmark = pytest.mark.anyio


async def test_finished_jobs_go_after_ninety_days_and_unfinished_ones_never(
    app_database: Database, worker_database: Database, owner_database: Database
) -> None:
    async def write(_attempt: JobAttempt) -> None:
        pass

    finished, waiting = await queued(app_database), await queued(app_database, "newer")
    async with running(worker_database, {"write": write}):
        await ended(app_database, finished)
    async with owner_database.begin() as session:
        await session.execute(text("UPDATE jobs SET queued_at = now() - interval '1 year'"))
    databases = JobDatabases(app=app_database, worker=worker_database)

    await purge_expired(databases, now=read_clock() + timedelta(days=89))
    assert (await see(app_database, finished)).status == "done"
    await purge_expired(databases, now=read_clock() + timedelta(days=91))

    with pytest.raises(JobNotFound):
        await see(app_database, finished)
    assert (await see(app_database, waiting)).status == "queued"
