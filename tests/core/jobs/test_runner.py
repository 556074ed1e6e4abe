"""Running: by one worker at a time, again after a failure, in turns, visibly, until stopped."""

import asyncio
import dataclasses
import time
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from core.db import Database
from core.errors import Busy, InvalidRequest
from core.jobs import attempts, rules, runner
from core.jobs.attempts import Handler, JobAttempt
from core.jobs.errors import LeaseLost
from core.jobs.queries import Lease, lease_next
from core.jobs.runner import RunnerLimits
from core.tenancy import open_org_transaction
from tests.core.jobs.steps import (
    ORG,
    OTHER_ORG,
    QUICK,
    cancel,
    count_effects,
    ended,
    queued,
    running,
    see,
    see_when,
    write_effect,
)

pytestmark = pytest.mark.anyio

SHORT = RunnerLimits(lease_for=timedelta(seconds=0.6), poll_every=timedelta(seconds=0.05))


@pytest.fixture
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "PAUSE_MIN", timedelta(milliseconds=10))


def writing(database: Database) -> Handler:
    """A handler with one effect, in one transaction with the job's end."""

    async def write(attempt: JobAttempt) -> None:
        async with open_org_transaction(database, attempt.org_id) as session:
            await attempt.complete(session)
            await write_effect(session, attempt.org_id, attempt.id)

    return write


@pytest.mark.slow
async def test_two_workers_never_run_one_job_at_once(
    app_database: Database, worker_database: Database
) -> None:
    jobs = [await queued(app_database) for _ in range(40)]
    async with (
        running(worker_database, {"write": writing(app_database)}, name="one"),
        running(worker_database, {"write": writing(app_database)}, name="two"),
    ):
        for job_id in jobs:
            assert (await ended(app_database, job_id)).attempts == 1

    for job_id in jobs:
        assert await count_effects(app_database, job_id) == 1


async def test_of_those_who_take_one_job_at_one_instant_one_gets_it(
    app_database: Database, worker_database: Database
) -> None:
    """A barrier inside each transaction: without the locks several get it."""
    for _ in range(10):
        job_id = await queued(app_database)
        barrier = asyncio.Barrier(5)

        async def take(token: UUID, barrier: asyncio.Barrier = barrier) -> Lease | None:
            async with worker_database.begin() as session:
                await session.execute(text("SELECT 1"))
                await barrier.wait()
                lease = await lease_next(
                    session,
                    ORG,
                    kinds=["write"],
                    token=token,
                    leased_by="worker",
                    lease_for=timedelta(minutes=1),
                )
                await asyncio.sleep(0.05)  # the others look while it is locked
                return lease

        taken = await asyncio.gather(*(take(UUID(int=number)) for number in range(5)))

        assert [one.id for one in taken if one is not None] == [job_id]


@pytest.mark.slow
async def test_a_worker_that_is_alive_keeps_its_job_longer_than_its_lease(
    app_database: Database, worker_database: Database
) -> None:
    begun = 0

    async def write(_attempt: JobAttempt) -> None:
        nonlocal begun
        begun += 1
        await asyncio.sleep(5)

    job_id = await queued(app_database)
    async with (
        running(worker_database, {"write": write}, limits=QUICK),
        running(worker_database, {"write": write}, limits=QUICK),
    ):
        assert (await ended(app_database, job_id)).status == "done"

    assert begun == 1


async def test_a_lease_that_nobody_renews_ends_and_its_late_holder_commits_nothing(
    app_database: Database, worker_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a worker that stood still for longer than its lease and wakes in the middle of a job."""
    taken = asyncio.Event()
    late: list[BaseException] = []

    async def sleepy(attempt: JobAttempt) -> None:
        taken.set()
        await ended(app_database, attempt.id)  # another worker ends it
        try:
            async with open_org_transaction(app_database, attempt.org_id) as session:
                await write_effect(session, attempt.org_id, attempt.id)
                await attempt.hold(session)
        except LeaseLost as error:
            late.append(error)
            raise

    async def never_renew(*_args: object, **_facts: object) -> None:
        await asyncio.sleep(60)

    job_id = await queued(app_database)
    with monkeypatch.context() as patch:
        patch.setattr(runner.JobRunner, "_renew", never_renew)
        one_slot = dataclasses.replace(SHORT, slots=1)  # it takes nothing while it sleeps
        async with running(worker_database, {"write": sleepy}, name="sleepy", limits=one_slot):
            await taken.wait()
            handlers = {"write": writing(app_database)}
            patient = dataclasses.replace(SHORT, lease_for=timedelta(minutes=1))
            async with running(worker_database, handlers, name="awake", limits=patient):
                assert (await ended(app_database, job_id)).attempts == 2
            await asyncio.sleep(0.3)

    assert len(late) == 1
    assert await count_effects(app_database, job_id) == 1
    assert (await see(app_database, job_id)).status == "done"


async def test_a_job_is_not_taken_over_in_the_middle_of_a_step_that_holds_it(
    app_database: Database, worker_database: Database
) -> None:
    job_id = await queued(app_database)
    token = UUID(int=1)
    async with worker_database.begin() as session:
        lease = await lease_next(
            session, ORG, kinds=["write"], token=token, leased_by="slow", lease_for=timedelta()
        )
    assert lease is not None
    slow = JobAttempt(worker_database, lease, token)
    async with open_org_transaction(app_database, ORG) as session:
        await slow.hold(session)
        async with running(worker_database, {"write": writing(app_database)}):
            await asyncio.sleep(0.5)
            assert (await see(app_database, job_id)).attempts == 1
        await write_effect(session, ORG, job_id)
        await slow.complete(session)

    assert (await see(app_database, job_id)).status == "done"
    assert await count_effects(app_database, job_id) == 1


@pytest.mark.usefixtures("_no_pauses")
async def test_a_poisonous_job_ends_as_failed_and_the_others_go_on(
    app_database: Database, worker_database: Database
) -> None:
    async def poison(_attempt: JobAttempt) -> None:
        raise ValueError("a payer's name")

    bad = await queued(app_database, "poison", attempts_max=3)
    good = [await queued(app_database) for _ in range(5)]
    handlers = {"poison": poison, "write": writing(app_database)}
    async with running(worker_database, handlers):
        failed = await ended(app_database, bad)
        for job_id in good:
            assert (await ended(app_database, job_id)).status == "done"

    assert (failed.status, failed.attempts) == ("failed", 3)
    assert (failed.error_code, failed.error_detail) == ("internal_error", "ValueError")


@pytest.mark.parametrize(
    ("error", "attempts_made"), [(InvalidRequest("row 3 has no amount"), 1), (Busy("later"), 3)]
)
@pytest.mark.usefixtures("_no_pauses")
async def test_what_is_refused_is_not_tried_again_and_what_is_busy_is(
    app_database: Database, worker_database: Database, error: Exception, attempts_made: int
) -> None:
    async def refuse(_attempt: JobAttempt) -> None:
        raise error

    job_id = await queued(app_database, attempts_max=3)
    async with running(worker_database, {"write": refuse}):
        failed = await ended(app_database, job_id)

    assert (failed.status, failed.attempts) == ("failed", attempts_made)
    assert failed.error_detail == str(error)


async def test_a_failed_attempt_rests_before_the_next(
    app_database: Database, worker_database: Database
) -> None:
    async def fail(_attempt: JobAttempt) -> None:
        raise ValueError

    job_id = await queued(app_database)
    async with running(worker_database, {"write": fail}):
        job = await see_when(app_database, job_id, lambda job: job.error_code is not None)
        await asyncio.sleep(0.3)

    job = await see(app_database, job_id)
    assert (job.status, job.attempts) == ("queued", 1)
    assert job.started_at is not None
    assert timedelta(seconds=9) < job.due_at - job.started_at < timedelta(seconds=20)


async def test_a_job_whose_workers_all_die_ends_as_failed(
    app_database: Database, worker_database: Database
) -> None:
    job_id = await queued(app_database, attempts_max=1)
    async with worker_database.begin() as session:
        await lease_next(
            session,
            ORG,
            kinds=["write"],
            token=UUID(int=1),
            leased_by="dead",
            lease_for=timedelta(),
        )
    async with running(worker_database, {"write": writing(app_database)}):
        job = await ended(app_database, job_id)

    assert (job.status, job.error_code) == ("failed", "worker_died")
    assert await count_effects(app_database, job_id) == 0


async def test_progress_is_seen_by_others_while_the_job_runs(
    app_database: Database, worker_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "PROGRESS_EVERY_S", 0.0)
    go_on = asyncio.Event()

    async def write(attempt: JobAttempt) -> None:
        async with open_org_transaction(app_database, attempt.org_id) as session:
            await write_effect(session, attempt.org_id, attempt.id)
            for row in range(1, 4):
                await attempt.report_progress(row, 10, f"row {row}")
            await go_on.wait()  # its own transaction is still open

    job_id = await queued(app_database)
    async with running(worker_database, {"write": write}):
        job = await see_when(app_database, job_id, lambda job: job.progress_done == 3)
        assert (job.status, job.progress_total, job.progress_note) == ("running", 10, "row 3")
        assert await count_effects(app_database, job_id) == 0
        go_on.set()
        await ended(app_database, job_id)


async def test_progress_of_a_lost_lease_is_refused(
    app_database: Database, worker_database: Database
) -> None:
    await queued(app_database)
    lease = None
    for number in (1, 2):
        async with worker_database.begin() as session:
            lease = lease or await lease_next(
                session,
                ORG,
                kinds=["write"],
                token=UUID(int=number),
                leased_by="x",
                lease_for=timedelta(),
            )
    assert lease is not None
    with pytest.raises(LeaseLost):
        await JobAttempt(worker_database, lease, UUID(int=2)).report_progress(1)
    await JobAttempt(worker_database, lease, UUID(int=1)).report_progress(1)


async def test_a_running_job_is_cancelled_and_what_it_has_not_committed_is_taken_back(
    app_database: Database, worker_database: Database
) -> None:
    begun = asyncio.Event()

    async def write(attempt: JobAttempt) -> None:
        async with open_org_transaction(app_database, attempt.org_id) as session:
            await write_effect(session, attempt.org_id, attempt.id)
            begun.set()
            await asyncio.sleep(60)

    job_id = await queued(app_database)
    async with running(worker_database, {"write": write}):
        await begun.wait()
        assert await cancel(app_database, job_id) == "running"
        assert (await ended(app_database, job_id)).status == "cancelled"

    assert await count_effects(app_database, job_id) == 0
    assert await count_effects(app_database, job_id, word="job.cancelled") == 1


@pytest.mark.slow
async def test_a_worker_that_stops_gives_back_what_it_cannot_end(
    app_database: Database, worker_database: Database
) -> None:
    begun = asyncio.Event()

    async def endless(_attempt: JobAttempt) -> None:
        begun.set()
        await asyncio.sleep(60)

    job_id = await queued(app_database, attempts_max=1)
    async with running(worker_database, {"write": endless}):
        await begun.wait()
    job = await see(app_database, job_id)
    assert (job.status, job.attempts) == ("queued", 0)  # that was not the job's fault

    async with running(worker_database, {"write": writing(app_database)}):
        assert (await ended(app_database, job_id)).status == "done"


async def test_a_worker_that_stops_lets_what_is_nearly_done_end(
    app_database: Database, worker_database: Database
) -> None:
    begun = asyncio.Event()

    async def brief(_attempt: JobAttempt) -> None:
        begun.set()
        await asyncio.sleep(0.4)

    job_id = await queued(app_database)
    async with running(worker_database, {"write": brief}):
        await begun.wait()

    assert (await see(app_database, job_id)).status == "done"


async def test_many_jobs_of_one_organisation_do_not_hold_up_anothers_one(
    app_database: Database, worker_database: Database
) -> None:
    order: list[UUID] = []

    async def note(attempt: JobAttempt) -> None:
        order.append(attempt.org_id)
        await asyncio.sleep(0.01)

    many = [await queued(app_database) for _ in range(30)]
    one = await queued(app_database, org_id=OTHER_ORG)
    limits = RunnerLimits(slots=1, poll_every=QUICK.poll_every)
    async with running(worker_database, {"write": note}, limits=limits):
        await ended(app_database, one, org_id=OTHER_ORG)
        await ended(app_database, many[-1])

    assert order.index(OTHER_ORG) <= 2


@pytest.mark.slow
async def test_long_jobs_of_one_organisation_leave_a_slot_to_others(
    app_database: Database, worker_database: Database
) -> None:
    begun = 0
    is_full = asyncio.Event()

    async def endless(_attempt: JobAttempt) -> None:
        nonlocal begun
        begun += 1
        if begun == QUICK.slots - 1:
            is_full.set()
        await asyncio.sleep(60)

    for _ in range(10):
        await queued(app_database, "endless")
    handlers = {"endless": endless, "write": writing(app_database)}
    async with running(worker_database, handlers) as runner_:
        await is_full.wait()
        one = await queued(app_database, org_id=OTHER_ORG)
        runner_.wake()
        assert (await ended(app_database, one, org_id=OTHER_ORG)).status == "done"
        assert begun == QUICK.slots - 1


async def test_a_kind_that_this_worker_does_not_know_is_left_to_another(
    app_database: Database, worker_database: Database
) -> None:
    newer, known = await queued(app_database, "newer"), await queued(app_database)
    async with running(worker_database, {"write": writing(app_database)}):
        await ended(app_database, known)

    assert (await see(app_database, newer)).attempts == 0


@pytest.mark.slow
async def test_a_worker_that_cannot_renew_its_lease_stops_before_another_may_take_the_job(
    app_database: Database, worker_database: Database, owner_database: Database
) -> None:
    """As when its line to the database is cut: what it does then, would be lost."""
    lasted_s: list[float] = []
    begun, stopped = asyncio.Event(), asyncio.Event()

    async def write(attempt: JobAttempt) -> None:
        if attempt.number > 1:
            return
        start_s = time.monotonic()
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            lasted_s.append(time.monotonic() - start_s)
            stopped.set()

    job_id = await queued(app_database)
    async with running(worker_database, {"write": write}):
        await begun.wait()
        async with owner_database.begin() as session:
            await session.execute(text("REVOKE UPDATE (due_at) ON jobs FROM phopay_worker"))
        await stopped.wait()
        async with owner_database.begin() as session:
            await session.execute(text("GRANT UPDATE (due_at) ON jobs TO phopay_worker"))
        job = await ended(app_database, job_id)

    assert lasted_s[0] < QUICK.lease_for.total_seconds()
    assert (job.status, job.attempts) == ("done", 2)


@pytest.mark.parametrize("turns", range(4))
async def test_a_runner_that_is_cancelled_in_the_moment_it_is_woken_ends(
    worker_database: Database, turns: int
) -> None:
    """`asyncio.wait_for` lost such a cancellation, and the runner went on for ever."""
    idle = RunnerLimits(poll_every=timedelta(seconds=60))
    one = runner.JobRunner(worker_database, {}, name="one", limits=idle)
    running_one = asyncio.create_task(one.run(asyncio.Event()))
    await asyncio.sleep(0.2)  # it has looked, and waits

    one.wake()
    for _ in range(turns):
        await asyncio.sleep(0)
    running_one.cancel()

    await asyncio.wait({running_one}, timeout=5)
    has_ended = running_one.done()
    running_one.cancel()
    assert has_ended
