"""SQL of notices, as they are stored, locked and finished, and of refused messages."""

from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import first_id_at
from core.sql import InsertMany, insert_many, run, send
from payments.callbacks.rules import NoticeOutcome
from payments.callbacks.types import (
    DueNotice,
    NewNotice,
    NewRejection,
    NoticeResult,
    PulledNotice,
)

INSERT_NOTICES = InsertMany(
    "notices",
    {
        "id": "uuid",
        "endpoint_id": "uuid",
        "provider": "text",
        "source": "text",
        "body": "bytea",
        "headers": "jsonb",
        "skew_s": "int",
        "received_at": "timestamptz",
    },
    copied={"next_attempt_at": "received_at"},
)

# New money first, by an index of its own: what waits for something must not hold it up. Nothing
# is joined to what is locked, so a notice that changed meanwhile is checked by its own columns.
LOCK_DUE_NOTICES = text("""
    WITH fresh AS (
        SELECT id, endpoint_id, provider, body, received_at, attempts, outcome FROM notices
        WHERE org_id = :org_id AND handled_at IS NULL AND attempts = 0
        ORDER BY id LIMIT :limit
        FOR NO KEY UPDATE SKIP LOCKED),
    tried AS (
        SELECT id, endpoint_id, provider, body, received_at, attempts, outcome FROM notices
        WHERE org_id = :org_id AND handled_at IS NULL AND attempts > 0 AND next_attempt_at <= :now
        ORDER BY next_attempt_at, id LIMIT :limit - (SELECT count(*) FROM fresh)
        FOR NO KEY UPDATE SKIP LOCKED)
    SELECT * FROM fresh UNION ALL SELECT * FROM tried
""")

# Only the end of that index: the entries of settled notices lie before it, and no vacuum removes
# them while an older snapshot is open (pg_dump). Reading them all for each payment takes its time.
LOCK_FRESH_NOTICES = text("""
    SELECT id, endpoint_id, provider, body, received_at, attempts, outcome FROM notices
    WHERE org_id = :org_id AND handled_at IS NULL AND attempts = 0 AND id >= :since
    ORDER BY id LIMIT :limit
    FOR NO KEY UPDATE SKIP LOCKED
""")

LOCK_DUE_NOTICE = text("""
    SELECT id, endpoint_id, provider, body, received_at, attempts, outcome FROM notices
    WHERE org_id = :org_id AND id = :id AND handled_at IS NULL
    FOR NO KEY UPDATE SKIP LOCKED
""")

LOCK_NOTICES = text("""
    SELECT id, endpoint_id, provider, body, received_at, attempts, outcome FROM notices
    WHERE org_id = :org_id AND id = ANY(CAST(:ids AS uuid[])) AND handled_at IS NULL
    ORDER BY id
    FOR NO KEY UPDATE SKIP LOCKED
""")

FIND_PULLED = text("""
    SELECT id, body, handled_at IS NULL AND attempts = 0 FROM notices
    WHERE org_id = :org_id AND endpoint_id = :endpoint_id AND id >= :first_id
    AND source = 'pulled' AND body = ANY(CAST(:bodies AS bytea[]))
""")

LIMIT_LOCK_WAIT = text("SELECT set_config('lock_timeout', :lock_timeout, true)")

FINISH_NOTICES = text("""
    UPDATE notices n
    SET handled_at = t.handled_at, outcome = t.outcome, attempts = n.attempts + 1,
        next_attempt_at = coalesce(t.next_attempt_at, n.next_attempt_at)
    FROM unnest(
        CAST(:ids AS uuid[]), CAST(:outcomes AS text[]), CAST(:handled_ats AS timestamptz[]),
        CAST(:next_attempt_ats AS timestamptz[]))
        AS t (id, outcome, handled_at, next_attempt_at)
    WHERE n.org_id = :org_id AND n.id = t.id
""")

WAKE_NOTICES = text("""
    UPDATE notices SET next_attempt_at = :now
    WHERE org_id = :org_id AND endpoint_id = :endpoint_id AND handled_at IS NULL AND attempts > 0
""")

FIND_BACKLOG = text("""
    SELECT org_id FROM notices WHERE handled_at IS NULL AND attempts = 0
    UNION
    SELECT org_id FROM notices
    WHERE handled_at IS NULL AND attempts > 0 AND next_attempt_at <= :now
    LIMIT 1000
""")

INSERT_REJECTION = text("""
    INSERT INTO rejections (
        org_id, id, endpoint_id, refusal, detail, skew_s, body_start, received_at)
    SELECT :org_id, :id, :endpoint_id, :refusal, :detail, :skew_s, :body_start, :received_at
    WHERE (SELECT count(*) FROM (
               SELECT FROM rejections
               WHERE org_id = :org_id AND endpoint_id = :endpoint_id AND id >= :first_id
               LIMIT :kept_max) AS kept
          ) < :kept_max
""")

LIST_NOTICES = text("""
    SELECT * FROM (
        (SELECT id, true AS is_accepted, source, outcome, NULL AS refusal, NULL AS detail, skew_s,
                received_at, handled_at, attempts, length(body) AS body_bytes
         FROM notices
         WHERE org_id = :org_id AND endpoint_id = :endpoint_id
           AND (CAST(:before_id AS uuid) IS NULL OR id < :before_id)
         ORDER BY id DESC LIMIT :limit)
        UNION ALL
        (SELECT id, false, 'callback', NULL, refusal, detail, skew_s,
                received_at, NULL, 0, length(body_start)
         FROM rejections
         WHERE org_id = :org_id AND endpoint_id = :endpoint_id
           AND (CAST(:before_id AS uuid) IS NULL OR id < :before_id)
         ORDER BY id DESC LIMIT :limit)) AS messages
    ORDER BY id DESC LIMIT :limit
""")

FIND_BODY = text("""
    SELECT body FROM notices WHERE org_id = :org_id AND endpoint_id = :endpoint_id AND id = :id
    UNION ALL
    SELECT body_start FROM rejections
    WHERE org_id = :org_id AND endpoint_id = :endpoint_id AND id = :id
""")

# All endpoints of a page in one query. What waits is counted in the words of its two partial
# indexes, and up to a limit: otherwise every notice that the endpoint ever had is read.
COUNT_NOTICES = text("""
    SELECT e.id,
        (SELECT count(*) FROM notices
         WHERE org_id = :org_id AND endpoint_id = e.id AND id >= :first_id),
        (SELECT count(*) FROM rejections
         WHERE org_id = :org_id AND endpoint_id = e.id AND id >= :first_id),
        (SELECT count(*) FROM (
             (SELECT FROM notices
              WHERE org_id = :org_id AND endpoint_id = e.id
                AND handled_at IS NULL AND attempts = 0 LIMIT 1000)
             UNION ALL
             (SELECT FROM notices
              WHERE org_id = :org_id AND endpoint_id = e.id
                AND handled_at IS NULL AND attempts > 0 LIMIT 1000)) AS waiting),
        (SELECT max(skew_s) FROM notices
         WHERE org_id = :org_id AND endpoint_id = e.id AND id >= :first_id)
    FROM unnest(CAST(:endpoint_ids AS uuid[])) AS e (id)
""")

LIST_PAYEES_OF_CREDITS = text("""
    SELECT DISTINCT c.id, p.id, p.name, p.place
    FROM bank_transactions c
    JOIN payee_accounts l ON l.org_id = c.org_id
     AND l.receiving_account_id = c.receiving_account_id AND l.approved_at IS NOT NULL
    JOIN payees p ON p.org_id = l.org_id AND p.id = l.payee_id
    WHERE c.org_id = :org_id AND c.id = ANY(CAST(:ids AS uuid[]))
    ORDER BY p.place, p.name, p.id LIMIT 5000
""")

LIST_WAITING = text("""
    SELECT endpoint_id, provider, body FROM notices
    WHERE org_id = :org_id AND endpoint_id = ANY(CAST(:endpoint_ids AS uuid[]))
      AND handled_at IS NULL AND attempts > 0 AND outcome = :outcome
    LIMIT :limit
""")


async def insert_notices(session: AsyncSession, org_id: UUID, notices: Sequence[NewNotice]) -> None:
    """Store messages as they came."""
    rows = [
        (
            n.id,
            n.endpoint_id,
            n.provider,
            n.source,
            n.body,
            to_json(n.headers),
            n.skew_s,
            n.received_at,
        )
        for n in notices
    ]
    await insert_many(session, INSERT_NOTICES, rows, org_id=org_id)


async def lock_due_notices(
    session: AsyncSession, org_id: UUID, *, limit: int, now: datetime, since: UUID | None = None
) -> list[DueNotice]:
    """Lock unhandled notices that no other process has locked: new ones first, oldest first.

    Args:
        since: only new ones, from this id on; None: all that is due.
    """
    values = {"org_id": org_id, "limit": limit}
    if since is None:
        rows = await run(session, LOCK_DUE_NOTICES, {**values, "now": now})
    else:
        rows = await run(session, LOCK_FRESH_NOTICES, {**values, "since": since})
    return [_due(row) for row in rows]


async def lock_due_notice(session: AsyncSession, org_id: UUID, notice_id: UUID) -> list[DueNotice]:
    """Lock one unhandled notice; empty if it is handled or another process has it."""
    values = {"org_id": org_id, "id": notice_id}
    return [_due(row) for row in await run(session, LOCK_DUE_NOTICE, values)]


async def lock_notices(
    session: AsyncSession, org_id: UUID, notice_ids: Sequence[UUID]
) -> list[DueNotice]:
    """Lock those of these notices that are unhandled and not locked by another process."""
    values = {"org_id": org_id, "ids": list(notice_ids)}
    return [_due(row) for row in await run(session, LOCK_NOTICES, values)]


async def find_pulled(
    session: AsyncSession,
    org_id: UUID,
    endpoint_id: UUID,
    bodies: Sequence[bytes],
    *,
    since: datetime,
) -> list[PulledNotice]:
    """Find which of these bodies were stored by polls of an endpoint since then."""
    values = {
        "org_id": org_id,
        "endpoint_id": endpoint_id,
        "first_id": first_id_at(since),
        "bodies": list(bodies),
    }
    return [PulledNotice(*row) for row in await session.execute(FIND_PULLED, values)]


async def limit_lock_wait(session: AsyncSession, lock_wait_ms: int) -> None:
    """Cap how long this transaction waits for a lock."""
    await session.execute(LIMIT_LOCK_WAIT, {"lock_timeout": f"{lock_wait_ms}ms"})


async def finish_notices(
    session: AsyncSession, org_id: UUID, results: Sequence[NoticeResult]
) -> None:
    """Write what the attempts at notices came to."""
    await send(
        session,
        FINISH_NOTICES,
        {
            "org_id": org_id,
            "ids": [r.notice_id for r in results],
            "outcomes": [r.outcome for r in results],
            "handled_ats": [r.handled_at for r in results],
            "next_attempt_ats": [r.next_attempt_at for r in results],
        },
    )


async def wake_notices(
    session: AsyncSession, org_id: UUID, endpoint_id: UUID, *, now: datetime
) -> None:
    """Make the waiting notices of an endpoint due at once: its accounts have changed."""
    values = {"org_id": org_id, "endpoint_id": endpoint_id, "now": now}
    await session.execute(WAKE_NOTICES, values)


async def find_backlog(session: AsyncSession, *, now: datetime) -> list[UUID]:
    """Find organisations with notices to process (worker role: all organisations)."""
    return list((await session.execute(FIND_BACKLOG, {"now": now})).scalars())


async def insert_rejection(
    session: AsyncSession,
    org_id: UUID,
    rejection: NewRejection,
    *,
    since: datetime,
    kept_max: int,
) -> None:
    """Keep a refused message, unless this endpoint has enough of them since then."""
    values = {"org_id": org_id, "kept_max": kept_max, **asdict(rejection)}
    values["first_id"] = first_id_at(since)  # ids are in the order of time, and have an index
    await session.execute(INSERT_REJECTION, values)


def to_json(value: Any) -> str:
    """Write JSON for a jsonb parameter inside an array."""
    return msgspec.json.encode(value).decode()


def _due(row: Sequence[Any]) -> DueNotice:
    due = DueNotice(*row)
    return due if due.outcome is None else due._replace(outcome=NoticeOutcome(due.outcome))


async def list_waiting(
    session: AsyncSession,
    org_id: UUID,
    endpoint_ids: Collection[UUID],
    *,
    outcome: NoticeOutcome,
    limit: int,
) -> list[tuple[UUID, str, bytes]]:
    """List what waits at these endpoints with this outcome: (endpoint, provider, body)."""
    values = {
        "org_id": org_id,
        "endpoint_ids": list(endpoint_ids),
        "outcome": outcome.value,
        "limit": limit,
    }
    return [(row[0], row[1], row[2]) for row in await session.execute(LIST_WAITING, values)]
