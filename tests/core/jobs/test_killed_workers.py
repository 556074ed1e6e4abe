"""F15 for jobs: a worker is killed in the middle of a job; another one finishes it, once."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.db import Database
from tests.core.jobs.steps import count_effects, ended, queued, see, see_when
from tests.world.databases import FreshDatabase

pytestmark = [pytest.mark.anyio, pytest.mark.faults]

ROOT = Path(__file__).parents[3]
Worker = "subprocess.Popen[bytes]"


@pytest.fixture
def start_worker(fresh_database: FreshDatabase) -> Iterator[Callable[[], Worker]]:
    """Start real workers; those that still run are killed at the end."""
    started: list[Worker] = []

    def start() -> Worker:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.core.jobs.job_worker"],
            env={**os.environ, **fresh_database.environment, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            cwd=ROOT,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait(20)


async def test_another_worker_finishes_the_job_of_a_killed_one_with_one_effect(
    app_database: Database, start_worker: Callable[[], Worker]
) -> None:
    job_id = await queued(app_database, "write_slowly")
    dying = start_worker()
    job = await see_when(app_database, job_id, lambda job: (job.progress_done or 0) >= 1)
    assert (job.status, job.progress_total) == ("running", 20)
    dying.send_signal(signal.SIGKILL)
    assert dying.wait(20) == -signal.SIGKILL
    assert (await see(app_database, job_id)).status == "running"
    assert await count_effects(app_database, job_id) == 0

    start_worker()
    job = await ended(app_database, job_id)

    assert (job.status, job.attempts, job.progress_done) == ("done", 2, 20)
    assert await count_effects(app_database, job_id) == 1


async def test_a_worker_that_is_frozen_longer_than_its_lease_doubles_nothing(
    app_database: Database, start_worker: Callable[[], Worker]
) -> None:
    """A frozen worker holds its transaction open: nobody takes over before PostgreSQL ends that."""
    job_id = await queued(app_database, "write_slowly")
    frozen = start_worker()
    await see_when(app_database, job_id, lambda job: (job.progress_done or 0) >= 1)
    frozen.send_signal(signal.SIGSTOP)
    start_worker()
    await ended(app_database, await queued(app_database, "write_slowly"))  # the other one runs
    await asyncio.sleep(2.5)  # the lease has ended, and the other worker looked for work since
    frozen.send_signal(signal.SIGCONT)

    assert (await ended(app_database, job_id)).status == "done"
    frozen.terminate()
    assert await asyncio.to_thread(frozen.wait, 20) == 0  # what it had begun has ended
    assert await count_effects(app_database, job_id) == 1


async def test_a_worker_that_is_told_to_stop_ends_what_it_can_end_in_time(
    app_database: Database, start_worker: Callable[[], Worker]
) -> None:
    job_id = await queued(app_database, "write_slowly")
    stopping = start_worker()
    await see_when(app_database, job_id, lambda job: job.status == "running")
    stopping.terminate()

    assert stopping.wait(20) == 0
    assert (await see(app_database, job_id)).status == "done"
    assert await count_effects(app_database, job_id) == 1
