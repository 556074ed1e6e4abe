"""The job of people: lost permissions that a dead hub process left."""

from functools import partial
from typing import Final

from core.jobs.periodic import JobDatabases, PeriodicJob
from identity.people.hooks import Hooks
from identity.people.losses import finish_losses

LOSSES_EVERY_S: Final = 5.0


def list_jobs(databases: JobDatabases, hooks: Hooks) -> tuple[PeriodicJob, ...]:
    """List what the worker runs for people."""
    return (
        PeriodicJob(
            "finish_losses",
            LOSSES_EVERY_S,
            partial(finish_losses, databases.app, databases.worker, hooks),
        ),
    )
