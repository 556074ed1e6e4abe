"""Handlers of jobs, by kind: each package of the domain offers its own here."""

from core.db import Database
from core.jobs.attempts import Handler


def job_handlers(_app_database: Database) -> dict[str, Handler]:
    """Return the handler of each kind; its transactions are the hub's, one organisation each.

    No package queues jobs yet. A worker without handlers runs none.
    """
    return {}
