"""Queueing: in the caller's own transaction, once for one id or key, and bounded."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text

from core.clock import read_clock
from core.db import Database
from core.errors import Busy
from core.ids import new_id
from core.jobs import queries, rules
from core.jobs.attempts import JobAttempt
from core.jobs.errors import JobNotFound, JobTaken
from core.jobs.service import queue_job
from core.jobs.views import list_jobs
from core.tenancy import open_org_transaction
from tests.core.jobs.steps import ORG, OTHER_ORG, cancel, ended, queued, running, see

pytestmark = pytest.mark.anyio


async def count_jobs(database: Database) -> int:
    async with open_org_transaction(database, ORG) as session:
        return int(await session.scalar(text("SELECT count(*) FROM jobs")) or 0)


async def test_a_job_exists_only_if_its_transaction_commits(app_database: Database) -> None:
    async with open_org_transaction(app_database, ORG) as session:
        await queue_job(session, ORG, "write", {})
        await session.rollback()

    assert await count_jobs(app_database) == 0


async def test_a_client_made_id_queues_once(app_database: Database) -> None:
    job_id = new_id()

    assert await queued(app_database, arguments={"page": 1}, job_id=job_id) == job_id
    assert await queued(app_database, arguments={"page": 1}, job_id=job_id) == job_id

    assert await count_jobs(app_database) == 1


@pytest.mark.parametrize(
    ("kind", "arguments", "key"),
    [("read", {"page": 1}, "k"), ("write", {"page": 2}, "k"), ("write", {"page": 1}, "other")],
)
async def test_an_id_that_names_another_job_is_refused(
    app_database: Database, kind: str, arguments: dict[str, int], key: str
) -> None:
    job_id = await queued(app_database, "write", {"page": 1}, key="k")

    with pytest.raises(JobTaken):
        await queued(app_database, kind, arguments, job_id=job_id, key=key)


async def test_a_key_names_one_job_while_it_has_not_begun(
    app_database: Database, worker_database: Database
) -> None:
    first = await queued(app_database, key="statement 7")
    assert await queued(app_database, key="statement 7") == first
    assert await queued(app_database, "read", key="statement 7") != first
    with pytest.raises(JobTaken):
        await queued(app_database, arguments={"page": 2}, key="statement 7")

    begun, go_on = asyncio.Event(), asyncio.Event()

    async def write(_attempt: JobAttempt) -> None:
        begun.set()
        await go_on.wait()

    async with running(worker_database, {"write": write}):
        await begun.wait()
        # The first may have read too early, so it is not the job of the key any more.
        later = read_clock() + timedelta(hours=1)
        second = await queued(app_database, key="statement 7", run_at=later)
        assert second != first
        assert await queued(app_database, key="statement 7") == second
        go_on.set()


async def test_of_many_who_queue_one_key_at_once_all_get_one_job(app_database: Database) -> None:
    barrier = asyncio.Barrier(6)

    async def queue_at_once() -> object:
        async with open_org_transaction(app_database, ORG) as session:
            await session.execute(text("SELECT 1"))
            await barrier.wait()
            return await queue_job(session, ORG, "write", {}, key="one matter")

    for _ in range(5):
        ids = await asyncio.gather(*(queue_at_once() for _ in range(6)))
        assert len(set(ids)) == 1

    assert await count_jobs(app_database) == 1


async def test_a_job_does_not_begin_before_who_relied_on_its_key_has_committed(
    app_database: Database, worker_database: Database
) -> None:
    """Else the job would read what was before, and nobody would run it again."""
    seen: list[bool] = []

    async def write(_attempt: JobAttempt) -> None:
        seen.append(is_committed)

    is_committed = False
    job_id = await queued(app_database, key="one matter")
    async with open_org_transaction(app_database, ORG) as session:
        assert await queue_job(session, ORG, "write", {}, key="one matter") == job_id
        async with running(worker_database, {"write": write}):
            await asyncio.sleep(0.5)
            assert (await see(app_database, job_id)).status == "queued"
    is_committed = True
    async with running(worker_database, {"write": write}):
        await ended(app_database, job_id)
    assert seen == [True]


async def test_a_job_waits_for_its_time(app_database: Database, worker_database: Database) -> None:
    async def write(_attempt: JobAttempt) -> None:
        pass

    await queued(app_database, "newer")  # no worker takes it, so the organisation has work due
    later = await queued(app_database, run_at=read_clock() + timedelta(hours=1))
    now = await queued(app_database)
    async with running(worker_database, {"write": write}):
        await ended(app_database, now)
        await asyncio.sleep(0.3)

    assert (await see(app_database, later)).status == "queued"


async def test_an_organisation_can_queue_so_many_jobs_and_others_are_not_touched_by_it(
    app_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "WAITING_MAX", 3)
    for number in range(3):
        await queued(app_database, arguments={"page": number})

    with pytest.raises(Busy):
        await queued(app_database, arguments={"page": 3})
    assert await queued(app_database, org_id=OTHER_ORG)


async def test_nobody_sees_or_cancels_another_organisations_job(app_database: Database) -> None:
    job_id = await queued(app_database)

    with pytest.raises(JobNotFound):
        await see(app_database, job_id, org_id=OTHER_ORG)
    with pytest.raises(JobNotFound):
        await cancel(app_database, job_id, org_id=OTHER_ORG)
    async with open_org_transaction(app_database, OTHER_ORG) as session:
        assert await list_jobs(session, OTHER_ORG, limit=10) == []
        assert await list_jobs(session, ORG, limit=10) == []  # the border holds by itself


async def test_a_job_that_waits_is_cancelled_at_once_and_one_that_has_ended_stays(
    app_database: Database, worker_database: Database
) -> None:
    async def write(_attempt: JobAttempt) -> None:
        pass

    waiting, done = await queued(app_database), await queued(app_database)
    assert await cancel(app_database, waiting) == "cancelled"
    async with running(worker_database, {"write": write}):
        await ended(app_database, done)

    assert await cancel(app_database, done) == "done"
    assert (await see(app_database, waiting)).status == "cancelled"
    assert (await see(app_database, waiting)).attempts == 0


async def test_arguments_are_small(app_database: Database) -> None:
    size = rules.ARGUMENTS_BYTES_MAX
    with pytest.raises(AssertionError):
        await queued(app_database, arguments={"rows": "x" * size})
