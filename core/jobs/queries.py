"""SQL of jobs.

Leases are measured by the database's clock alone. Who takes a job locks it FOR UPDATE and skips
what is locked. A transaction that must not be overtaken holds FOR KEY SHARE, which lets the lease
be renewed meanwhile.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.jobs.rules import WAITING_MAX, DueOrg, JobStatus

INSERT_JOB = text("""
    INSERT INTO jobs (
        org_id, id, kind, key, arguments, status, attempts, attempts_max, due_at, queued_at)
    SELECT CAST(:org_id AS uuid), CAST(:id AS uuid), CAST(:kind AS text), CAST(:key AS text),
           CAST(:arguments AS jsonb), 'queued', 0, CAST(:attempts_max AS smallint),
           COALESCE(CAST(:run_at AS timestamptz), now()), now()
    WHERE (
        SELECT count(*) FROM (
            SELECT 1 FROM jobs WHERE org_id = CAST(:org_id AS uuid) AND finished_at IS NULL
            LIMIT CAST(:waiting_max AS int)) waiting
    ) < CAST(:waiting_max AS int)
    ON CONFLICT DO NOTHING
    RETURNING id
""")

FIND_BY_ID = text("""
    SELECT kind = :kind AND key IS NOT DISTINCT FROM CAST(:key AS text)
       AND arguments = CAST(:arguments AS jsonb)
    FROM jobs WHERE org_id = :org_id AND id = :id
""")

# Held until the caller commits: a worker that took the job before would not see what changed.
LOCK_BY_KEY = text("""
    SELECT id, arguments = CAST(:arguments AS jsonb)
    FROM jobs
    WHERE org_id = :org_id AND kind = :kind AND key = :key
      AND started_at IS NULL AND finished_at IS NULL
    FOR KEY SHARE
""")

# One step of the index for each organisation, however many jobs each of them has.
LIST_DUE_ORGS = text("""
    WITH RECURSIVE first AS (
        (SELECT org_id, due_at FROM jobs WHERE finished_at IS NULL
         ORDER BY org_id, due_at LIMIT 1)
        UNION ALL
        SELECT later.org_id, later.due_at FROM first, LATERAL (
            SELECT org_id, due_at FROM jobs
            WHERE finished_at IS NULL AND org_id > first.org_id
            ORDER BY org_id, due_at LIMIT 1) later
    )
    SELECT org_id, due_at, (
        SELECT count(*) FROM jobs running
        WHERE running.org_id = first.org_id AND running.status = 'running'
          AND running.due_at > now())
    FROM first WHERE due_at <= now()
""")

LEASE_JOB = text("""
    WITH next AS MATERIALIZED (
        SELECT id FROM jobs
        WHERE org_id = :org_id AND finished_at IS NULL AND due_at <= now()
          AND kind = ANY(CAST(:kinds AS text[]))
          AND attempts < attempts_max AND cancel_requested_at IS NULL
        ORDER BY due_at, id LIMIT 1
        FOR UPDATE SKIP LOCKED
    )
    UPDATE jobs SET status = 'running', attempts = attempts + 1, lease_token = :token,
        leased_by = :leased_by, due_at = now() + :lease_for,
        started_at = COALESCE(started_at, now())
    FROM next WHERE jobs.org_id = :org_id AND jobs.id = next.id
    RETURNING jobs.org_id, jobs.id, jobs.kind, jobs.arguments, jobs.attempts, jobs.attempts_max
""")

# A job that takes its worker down with it would otherwise be tried for ever.
END_ABANDONED = text("""
    WITH abandoned AS MATERIALIZED (
        SELECT org_id, id FROM jobs
        WHERE status = 'running' AND due_at <= now()
          AND (attempts >= attempts_max OR cancel_requested_at IS NOT NULL)
        LIMIT 100
        FOR UPDATE SKIP LOCKED
    )
    UPDATE jobs SET finished_at = now(),
        status = CASE WHEN cancel_requested_at IS NULL THEN 'failed' ELSE 'cancelled' END,
        error_code = CASE WHEN cancel_requested_at IS NULL THEN 'worker_died' ELSE error_code END,
        error_detail = CASE WHEN cancel_requested_at IS NULL
            THEN 'Every worker that ran it ended or went silent.' ELSE error_detail END
    FROM abandoned WHERE jobs.org_id = abandoned.org_id AND jobs.id = abandoned.id
    RETURNING jobs.org_id, jobs.id, jobs.kind, jobs.status
""")

RENEW_LEASE = text("""
    UPDATE jobs SET due_at = now() + :lease_for
    WHERE org_id = :org_id AND id = :id AND lease_token = :token AND status = 'running'
    RETURNING cancel_requested_at IS NOT NULL
""")

HOLD_LEASE = text("""
    SELECT 1 FROM jobs
    WHERE org_id = :org_id AND id = :id AND lease_token = :token AND status = 'running'
    FOR KEY SHARE
""")

# For the application's role as well, inside a handler's own transaction.
COMPLETE_JOB = text("""
    UPDATE jobs SET status = 'done', finished_at = now()
    WHERE org_id = :org_id AND id = :id AND lease_token = :token AND status = 'running'
    RETURNING id
""")

FINISH_JOB = text("""
    UPDATE jobs SET status = :status, finished_at = now(), error_code = :error_code,
        error_detail = :error_detail
    WHERE org_id = :org_id AND id = :id AND lease_token = :token AND status = 'running'
    RETURNING id
""")

PUT_BACK = text("""
    UPDATE jobs SET lease_token = NULL, leased_by = NULL, due_at = now() + :pause,
        attempts = attempts - :uncounted,
        status = CASE WHEN cancel_requested_at IS NULL THEN 'queued' ELSE 'cancelled' END,
        finished_at = CASE WHEN cancel_requested_at IS NULL THEN NULL ELSE now() END,
        error_code = COALESCE(:error_code, error_code),
        error_detail = COALESCE(:error_detail, error_detail)
    WHERE org_id = :org_id AND id = :id AND lease_token = :token AND status = 'running'
    RETURNING id
""")

WRITE_PROGRESS = text("""
    UPDATE jobs SET progress_done = :done, progress_total = :total, progress_note = :note,
        progress_at = now()
    WHERE org_id = :org_id AND id = :id AND lease_token = :token AND status = 'running'
    RETURNING id
""")

CANCEL_JOB = text("""
    UPDATE jobs SET cancel_requested_at = now(),
        finished_at = CASE WHEN status = 'queued' THEN now() END,
        status = CASE WHEN status = 'queued' THEN 'cancelled' ELSE status END
    WHERE org_id = :org_id AND id = :id AND finished_at IS NULL AND cancel_requested_at IS NULL
    RETURNING kind, status
""")


class Lease(NamedTuple):
    """A job that a worker has taken, for one attempt."""

    org_id: UUID
    id: UUID
    kind: str
    arguments: dict[str, Any]
    attempts: int  # this one too
    attempts_max: int


class EndedJob(NamedTuple):
    """A job that nobody runs any more."""

    org_id: UUID
    id: UUID
    kind: str
    status: str


async def insert_job_once(
    session: AsyncSession,
    org_id: UUID,
    job_id: UUID,
    *,
    kind: str,
    key: str | None,
    arguments: str,
    attempts_max: int,
    run_at: datetime | None,
) -> bool:
    """Insert a job; False if its id or key is taken, or too many wait in this organisation."""
    values = {
        "org_id": org_id,
        "id": job_id,
        "kind": kind,
        "key": key,
        "arguments": arguments,
        "attempts_max": attempts_max,
        "run_at": run_at,
        "waiting_max": WAITING_MAX,
    }
    return await session.scalar(INSERT_JOB, values) is not None


async def find_is_same(
    session: AsyncSession, org_id: UUID, job_id: UUID, *, kind: str, key: str | None, arguments: str
) -> bool | None:
    """Tell whether the job with this id asks for the same; None if there is no such job."""
    values = {"org_id": org_id, "id": job_id, "kind": kind, "key": key, "arguments": arguments}
    row = (await session.execute(FIND_BY_ID, values)).first()
    return None if row is None else bool(row[0])


async def lock_by_key(
    session: AsyncSession, org_id: UUID, *, kind: str, key: str, arguments: str
) -> tuple[UUID, bool] | None:
    """Keep the job of a key from beginning before this transaction ends.

    Returns its id, and whether it asks for the same.
    """
    values = {"org_id": org_id, "kind": kind, "key": key, "arguments": arguments}
    row = (await session.execute(LOCK_BY_KEY, values)).first()
    return None if row is None else (row[0], row[1])


async def list_due_orgs(session: AsyncSession) -> list[DueOrg]:
    """List the organisations whose oldest unfinished job may be taken now."""
    rows = await session.execute(LIST_DUE_ORGS)
    return [DueOrg(org_id=row[0], due_at=row[1], running=row[2]) for row in rows]


async def lease_next(
    session: AsyncSession,
    org_id: UUID,
    *,
    kinds: Collection[str],
    token: UUID,
    leased_by: str,
    lease_for: timedelta,
) -> Lease | None:
    """Take the job of these kinds that has been due longest; None if others have them all."""
    values = {
        "org_id": org_id,
        "kinds": list(kinds),
        "token": token,
        "leased_by": leased_by,
        "lease_for": lease_for,
    }
    row = (await session.execute(LEASE_JOB, values)).first()
    return None if row is None else Lease(*row)


async def end_abandoned(session: AsyncSession) -> Sequence[EndedJob]:
    """End what has no attempt left, or was cancelled, and whose worker died."""
    return [EndedJob(*row) for row in await session.execute(END_ABANDONED)]


async def renew_lease(
    session: AsyncSession, lease: Lease, token: UUID, *, lease_for: timedelta
) -> bool | None:
    """Renew a lease: True if somebody requested to cancel the job, None if the lease is lost."""
    values = {**_of(lease, token), "lease_for": lease_for}
    row = (await session.execute(RENEW_LEASE, values)).first()
    return None if row is None else bool(row[0])


async def hold_lease(session: AsyncSession, lease: Lease, token: UUID) -> bool:
    """Keep others from taking the job before this transaction ends; False if they have."""
    return await session.scalar(HOLD_LEASE, _of(lease, token)) is not None


async def complete_job(session: AsyncSession, lease: Lease, token: UUID) -> bool:
    """Mark a job as done; False if its lease is lost."""
    return await session.scalar(COMPLETE_JOB, _of(lease, token)) is not None


async def finish_job(
    session: AsyncSession,
    lease: Lease,
    token: UUID,
    *,
    status: JobStatus,
    error: tuple[str, str] | None,
) -> bool:
    """End a job; False if it has ended, or its lease is lost."""
    code, detail = error or (None, None)
    values = {**_of(lease, token), "status": status, "error_code": code, "error_detail": detail}
    return await session.scalar(FINISH_JOB, values) is not None


async def put_back(
    session: AsyncSession,
    lease: Lease,
    token: UUID,
    *,
    pause: timedelta,
    is_counted: bool,
    error: tuple[str, str] | None,
) -> bool:
    """Queue a job again after a pause; False if it has ended, or its lease is lost."""
    code, detail = error or (None, None)
    values = {
        **_of(lease, token),
        "pause": pause,
        "uncounted": 0 if is_counted else 1,
        "error_code": code,
        "error_detail": detail,
    }
    return await session.scalar(PUT_BACK, values) is not None


async def write_progress(
    session: AsyncSession, lease: Lease, token: UUID, *, done: int, total: int | None, note: str
) -> bool:
    """Write how far an attempt has come; False if its lease is lost."""
    values = {**_of(lease, token), "done": done, "total": total, "note": note}
    return await session.scalar(WRITE_PROGRESS, values) is not None


async def request_cancel(
    session: AsyncSession, org_id: UUID, job_id: UUID
) -> tuple[str, JobStatus] | None:
    """Cancel a job that waits, or ask the worker that runs it to stop; None if that was done."""
    row = (await session.execute(CANCEL_JOB, {"org_id": org_id, "id": job_id})).first()
    return None if row is None else (row[0], JobStatus(row[1]))


def _of(lease: Lease, token: UUID) -> dict[str, Any]:
    return {"org_id": lease.org_id, "id": lease.id, "token": token}
