"""F15 for settlements: workers are killed -9 while they draft; each posting is counted once."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from core.db import Database
from ops.postgres.supervisor import Cluster
from payments.settlements.rules import LINES
from payments.settlements.types import SettlementFacts
from tests.core.jobs.steps import see_when
from tests.world.databases import FreshDatabase
from tests.world.grown_books import grow_books
from tests.world.settlements import (
    DAY,
    ONE_DAY,
    close_through,
    find_settlement_faults,
    lines_of,
    order,
    statements_of,
)
from tests.world.stalls import PayableStall

pytestmark = [pytest.mark.anyio, pytest.mark.faults]

ROOT = Path(__file__).parents[3]
Worker = "subprocess.Popen[bytes]"
PROGRAM = "tests.payments.settlements.draft_worker"
A_MILLION = 1_000_000


@pytest.fixture
def start_worker(fresh_database: FreshDatabase) -> Iterator[Callable[[int, int], Worker]]:
    """Start real workers; those that still run are killed at the end."""
    started: list[Worker] = []

    def start(pause_ms: int, lease_s: int) -> Worker:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.payments.settlements.draft_worker",
                *map(str, (pause_ms, lease_s)),
            ],
            env={
                **os.environ,
                **fresh_database.environment,
                "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
            },
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


async def wait_for(
    database: Database, stall: PayableStall, is_so: Callable[[SettlementFacts], bool]
) -> SettlementFacts:
    """Wait until the stall's statement looks as it should."""
    end = time.monotonic() + 60
    while True:
        found = await statements_of(database, stall)
        if found and is_so(found[0]):
            return found[0]
        assert time.monotonic() < end, found
        await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("count", "kills", "pause_ms", "lease_s"),
    [
        pytest.param(13_000, 1, 300, 2, marks=pytest.mark.slow),
        pytest.param(A_MILLION, 2, 20, 10, marks=[pytest.mark.drill, pytest.mark.timeout(900)]),
    ],
)
async def test_killed_workers_are_gone_on_with_and_no_posting_is_counted_twice(
    cluster: Cluster,
    app_database: Database,
    stall: PayableStall,
    fresh_database: FreshDatabase,
    start_worker: Callable[[int, int], Worker],
    count: int,
    kills: int,
    pause_ms: int,
    lease_s: int,
) -> None:
    grow_books(cluster.dsn(dbname=fresh_database.name), stall, count)
    first_day = DAY - timedelta(days=count // 86_400 + 1)
    days = [first_day + n * ONE_DAY for n in range((DAY - first_day).days + 1)]
    await close_through(app_database, stall, *days)
    began = time.monotonic()
    run = await order(app_database, stall, first_day=first_day)
    assert run.job_id is not None
    counted = 0
    for _ in range(kills):  # each in the middle of its work
        dying = start_worker(pause_ms, lease_s)
        seen = await wait_for(
            app_database,
            stall,
            lambda one, least=counted: one.postings > least,  # type: ignore[misc]
        )
        dying.send_signal(signal.SIGKILL)
        assert dying.wait(20) == -signal.SIGKILL
        assert not seen.is_ready
        counted = seen.postings
    for _ in range(2):  # two at once
        start_worker(0, lease_s)
    job = await see_when(
        app_database,
        run.job_id,
        lambda job: job.finished_at is not None,
        org_id=stall.org.id,
        within_s=600,
    )
    took_s = time.monotonic() - began

    assert (job.status, job.attempts > kills) == ("done", True), job  # more: a lease ran out
    (found,) = await statements_of(app_database, stall)
    print(f"{count:,} postings drafted in {took_s:.1f} s, kills and their leases included")
    assert found.postings == count
    assert found.gross_vnd == sum(1_000 + n % 9_000 for n in range(1, count + 1))
    lines = await lines_of(app_database, stall, found)
    assert set(lines) == {"vietqr", "counter_sale"} <= set(LINES)
    assert lines["counter_sale"].postings == count // 10
    began = time.monotonic()
    assert find_settlement_faults(fresh_database) == []
    print(f"all checks together took {time.monotonic() - began:.1f} s")
