"""Use cases of jobs: queueing one in the caller's own transaction, and cancelling one."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.errors import Busy
from core.ids import new_id
from core.jobs import queries
from core.jobs.errors import JobTaken
from core.jobs.rules import (
    ARGUMENTS_BYTES_MAX,
    ATTEMPTS_LIMIT,
    ATTEMPTS_MAX,
    KEY_CHARS_MAX,
    KIND_CHARS_MAX,
    WAITING_MAX,
    JobStatus,
)
from core.jobs.views import get_job

TRIES_MAX: Final = 3  # each time the job of the key had begun just before


async def queue_job(
    session: AsyncSession,
    org_id: UUID,
    kind: str,
    arguments: Mapping[str, Any],
    *,
    job_id: UUID | None = None,
    key: str | None = None,
    run_at: datetime | None = None,
    attempts_max: int = ATTEMPTS_MAX,
) -> UUID:
    """Queue a job in the running transaction: it exists if, and only if, that commits.

    Args:
        kind: names the handler, such as "statements.import".
        arguments: JSON values, ids rather than facts: every worker and the audit of a database can
            read them, so no secret and nothing personal. What the handler needs it reads itself.
        job_id: a client-made id; the same again is the same job, as long as its row is kept.
        key: names the matter. While its job has not begun, the same key of this organisation and
            kind is that job. A job that has begun is not counted: it may have read too early.
        run_at: not before this; at once if None.
        attempts_max: attempts before it ends as failed.

    Returns:
        The id of the job, new or found.

    Raises:
        JobTaken: the id or the key belongs to a job of other facts.
        Busy: too many jobs of this organisation wait.
    """
    written = json.dumps(arguments, ensure_ascii=False, sort_keys=True)
    assert 0 < len(kind) <= KIND_CHARS_MAX, kind
    assert key is None or 0 < len(key) <= KEY_CHARS_MAX, key
    assert 1 <= attempts_max <= ATTEMPTS_LIMIT, attempts_max
    assert len(written.encode()) <= ARGUMENTS_BYTES_MAX, "keep the matter in a table of its own"
    own_id = job_id or new_id()
    for _ in range(TRIES_MAX):
        if await queries.insert_job_once(
            session,
            org_id,
            own_id,
            kind=kind,
            key=key,
            arguments=written,
            attempts_max=attempts_max,
            run_at=run_at,
        ):
            return own_id
        is_same = await queries.find_is_same(
            session, org_id, own_id, kind=kind, key=key, arguments=written
        )
        if is_same is None and key is not None:
            found = await queries.lock_by_key(
                session, org_id, kind=kind, key=key, arguments=written
            )
            if found is not None:
                own_id, is_same = found
        if is_same:
            return own_id
        if is_same is not None:
            raise JobTaken
    raise Busy(f"{WAITING_MAX:,} jobs wait in this organisation. Try again later.")


async def cancel_job(
    session: AsyncSession,
    org_id: UUID,
    job_id: UUID,
    *,
    actor: Actor,
    reason: str | None = None,
    now: datetime,
) -> JobStatus:
    """Cancel a job: one that waits at once, one that runs within a third of its lease.

    What a running one has committed stays. A job that has ended stays as it is.

    Returns:
        The status afterwards; `running` means that its worker is to stop.

    Raises:
        JobNotFound
    """
    cancelled = await queries.request_cancel(session, org_id, job_id)
    if cancelled is None:
        return JobStatus((await get_job(session, org_id, job_id)).status)
    kind, status = cancelled
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="job.cancelled",
        object_kind="job",
        object_id=job_id,
        after={"kind": kind, "status": status.value},
        reason=reason,
        now=now,
    )
    return status
