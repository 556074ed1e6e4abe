"""Errors of jobs."""

from uuid import UUID

from core.errors import HubError, Kind


class JobNotFound(HubError):
    """No such job in this organisation."""

    kind, code, title = Kind.NOT_FOUND, "job_not_found", "Job not found"

    def __init__(self, job_id: UUID) -> None:
        super().__init__(f"This organisation has no job {job_id}; finished ones go after 90 days.")


class JobTaken(HubError):
    """A job's id or key names another job, of another kind or with other arguments."""

    kind, code, title = Kind.CONFLICT, "job_taken", "The id names another job"

    def __init__(self) -> None:
        super().__init__("This id or key belongs to a job that was requested in another way.")


class LeaseLost(Exception):
    """The attempt's lease has ended: another worker may run the job, so this one must stop."""
