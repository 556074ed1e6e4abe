"""A worker of its own process that drafts statements, with short leases and a pause in each part.

Run as `python -m tests.payments.settlements.draft_worker MILLISECONDS LEASE_SECONDS`.
"""

import asyncio
import sys
from dataclasses import replace
from datetime import timedelta
from typing import Any

from core.jobs import runner
from payments.settlements import jobs
from payments.settlements.rules import DRAFT
from registry import REGISTRY
from worker import app


def main(pause_ms: int, lease_s: int) -> None:
    """Run the worker until it is killed."""
    real = jobs.queries.set_reached

    async def set_reached(*args: Any, **facts: Any) -> None:
        await real(*args, **facts)
        await asyncio.sleep(pause_ms / 1_000)

    jobs.queries.set_reached = set_reached
    whole = runner.RunnerLimits
    short = {"lease_for": timedelta(seconds=lease_s), "poll_every": timedelta(seconds=0.1)}
    runner.RunnerLimits = lambda: whole(**short)  # type: ignore[assignment,misc]
    app.main(registry=replace(REGISTRY, job_handlers={DRAFT: jobs.make_drafter}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
