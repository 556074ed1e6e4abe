"""A real worker process whose registry has one more kind, for tests that kill it.

Nothing of this is in the product: the worker is started with a registry of the test's own.
Run as `python -m tests.core.jobs.job_worker`.
"""

import asyncio
from dataclasses import replace
from datetime import timedelta

from core.db import Database
from core.jobs import runner
from core.jobs.attempts import Handler, JobAttempt
from core.tenancy import open_org_transaction
from registry import REGISTRY
from tests.core.jobs.steps import write_effect
from worker import app

STEPS = 20
STEP_S = 0.1


def make_handler(database: Database) -> Handler:
    """Make a handler that takes two seconds, reports each step, and has one effect at its end."""

    async def write_slowly(attempt: JobAttempt) -> None:
        async with open_org_transaction(database, attempt.org_id) as session:
            await attempt.hold(session)
            await write_effect(session, attempt.org_id, attempt.id)
            for step in range(1, STEPS + 1):
                await attempt.report_progress(step, STEPS, "writing")
                await asyncio.sleep(STEP_S)
            await attempt.complete(session)

    return write_slowly


def main() -> None:
    """Run the worker with short leases, so that a test need not wait for half a minute."""
    whole = runner.RunnerLimits
    short = {"lease_for": timedelta(seconds=2), "poll_every": timedelta(seconds=0.1)}
    runner.RunnerLimits = lambda: whole(**short)  # type: ignore[assignment,misc]
    app.main(registry=replace(REGISTRY, job_handlers={"write_slowly": make_handler}))


if __name__ == "__main__":
    main()
