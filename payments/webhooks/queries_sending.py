"""SQL of the relay and the senders (worker role: all organisations).

Leases are measured by the database's clock alone, as those of jobs (core/jobs/queries.py).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import new_id
from core.sql import run, run_each
from payments.webhooks.rules import ANSWER_BYTES_MAX
from payments.webhooks.types import (
    DueEndpoint,
    EndedAttempt,
    FailingEndpoint,
    RelayTarget,
    SentEvent,
    TakenDelivery,
)

RELAY_LOCK: Final = "phopay webhooks relay"
DUE_ENDPOINTS_MAX: Final = 500

# One relay at a time: two would read the same events, and only one could write their deliveries.
TRY_RELAY_LOCK = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:name, 0))")

# Every transaction that has begun to write has a number below the first, unless it has ended below
# the second: what is below both is committed, or never will be.
READ_SNAPSHOT = text("""
    SELECT clock_timestamp(), CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text),
           CAST(pg_snapshot_xmax(pg_current_snapshot()) AS text)
""")

LIST_TARGETS = text("""
    SELECT org_id, id, events, relayed_to FROM webhook_endpoints WHERE status = 'enabled'
    ORDER BY org_id, id
""")

# By the events' key from each endpoint's own floor; what has its delivery is passed over.
RELAY = text("""
    WITH found AS MATERIALIZED (
        SELECT w.org_id, w.endpoint_id, e.id, e.kind
        FROM unnest(CAST(:org_ids AS uuid[]), CAST(:endpoint_ids AS uuid[]),
                    CAST(:floors AS uuid[]), CAST(:kinds AS text[]))
            AS w (org_id, endpoint_id, floor, kinds)
        CROSS JOIN LATERAL (
            SELECT e.id, e.kind FROM events e
            WHERE e.org_id = w.org_id AND e.id > w.floor
              AND e.kind = ANY(string_to_array(w.kinds, ','))
              AND NOT EXISTS (
                  SELECT 1 FROM webhook_deliveries d
                  WHERE d.org_id = w.org_id AND d.endpoint_id = w.endpoint_id AND d.event_id = e.id)
            ORDER BY e.id LIMIT CAST(:limit AS int)) e
    ), made AS (
        INSERT INTO webhook_deliveries (
            org_id, endpoint_id, event_id, event_kind, status, attempts, failures, due_at,
            created_at)
        SELECT org_id, endpoint_id, id, kind, 'pending', 0, 0, now(), now() FROM found
        ON CONFLICT DO NOTHING)
    SELECT org_id, endpoint_id, count(*), (array_agg(id ORDER BY id DESC))[1]
    FROM found GROUP BY org_id, endpoint_id
""")

ADVANCE = text("""
    UPDATE webhook_endpoints w SET relayed_to = t.floor
    FROM unnest(CAST(:org_ids AS uuid[]), CAST(:endpoint_ids AS uuid[]), CAST(:floors AS uuid[]))
        AS t (org_id, endpoint_id, floor)
    WHERE w.org_id = t.org_id AND w.id = t.endpoint_id AND w.relayed_to < t.floor
""")

# One step of the index for each endpoint, however much it has waiting; whose turn it is, is drawn.
LIST_DUE = text("""
    SELECT w.org_id, w.id, w.failing_since IS NOT NULL
    FROM webhook_endpoints w
    WHERE w.status = 'enabled' AND (w.paused_until IS NULL OR w.paused_until <= now())
      AND EXISTS (
          SELECT 1 FROM webhook_deliveries d
          WHERE d.org_id = w.org_id AND d.endpoint_id = w.id AND d.status = 'pending'
            AND d.due_at <= now())
    ORDER BY random() LIMIT CAST(:limit AS int)
""")

TAKE_DUE = text("""
    WITH next AS MATERIALIZED (
        SELECT d.org_id, d.endpoint_id, d.event_id
        FROM unnest(CAST(:org_ids AS uuid[]), CAST(:endpoint_ids AS uuid[]),
                    CAST(:counts AS int[])) AS w (org_id, endpoint_id, count)
        CROSS JOIN LATERAL (
            SELECT d.org_id, d.endpoint_id, d.event_id FROM webhook_deliveries d
            WHERE d.org_id = w.org_id AND d.endpoint_id = w.endpoint_id
              AND d.status = 'pending' AND d.due_at <= now()
            ORDER BY d.due_at LIMIT w.count
            FOR UPDATE SKIP LOCKED) d
    ), taken AS (
        UPDATE webhook_deliveries d SET due_at = now() + CAST(:lease_for AS interval),
            lease_token = CAST(:token AS uuid), attempts = d.attempts + 1
        FROM next
        WHERE d.org_id = next.org_id AND d.endpoint_id = next.endpoint_id
          AND d.event_id = next.event_id
        RETURNING d.org_id, d.endpoint_id, d.event_id, d.attempts, d.failures)
    SELECT t.org_id, t.endpoint_id, t.event_id, t.attempts, t.failures, w.url, w.sealed_secrets,
           w.old_secret_until, e.kind, e.bill_id, e.payee_id, e.data::text, e.recorded_at, o.code
    FROM taken t
    JOIN webhook_endpoints w ON w.org_id = t.org_id AND w.id = t.endpoint_id
    JOIN organisations o ON o.id = t.org_id
    LEFT JOIN events e ON e.org_id = t.org_id AND e.id = t.event_id
""")

# Whoever lost the lease meanwhile writes its attempt, and nothing else.
END_ATTEMPTS = text("""
    UPDATE webhook_deliveries d SET status = t.status, due_at = now() + t.due_in,
        lease_token = NULL,
        failures = d.failures + CASE WHEN t.failure IS NULL THEN 0 ELSE 1 END,
        last_status = t.http_status, last_failure = t.failure,
        ended_at = CASE WHEN t.status = 'pending' THEN NULL ELSE now() END
    FROM unnest(CAST(:org_ids AS uuid[]), CAST(:endpoint_ids AS uuid[]),
                CAST(:event_ids AS uuid[]), CAST(:tokens AS uuid[]), CAST(:statuses AS text[]),
                CAST(:due_ins AS interval[]), CAST(:http_statuses AS smallint[]),
                CAST(:failures AS text[]))
        AS t (org_id, endpoint_id, event_id, token, status, due_in, http_status, failure)
    WHERE d.org_id = t.org_id AND d.endpoint_id = t.endpoint_id AND d.event_id = t.event_id
      AND d.lease_token = t.token
""")

INSERT_ATTEMPTS = text("""
    INSERT INTO webhook_attempts (
        org_id, id, endpoint_id, event_id, number, started_at, took_ms, status, failure, answer)
    SELECT * FROM unnest(
        CAST(:org_ids AS uuid[]), CAST(:ids AS uuid[]), CAST(:endpoint_ids AS uuid[]),
        CAST(:event_ids AS uuid[]), CAST(:numbers AS int[]), CAST(:started_ats AS timestamptz[]),
        CAST(:tooks_ms AS int[]), CAST(:http_statuses AS smallint[]), CAST(:failures AS text[]),
        CAST(:answers AS text[]))
""")

# Endpoints in the order of their key, here and below: two workers that write at once must not
# wait for each other in a circle.
LOCK_ENDPOINTS = text("""
    SELECT 1 FROM webhook_endpoints w
    JOIN unnest(CAST(:org_ids AS uuid[]), CAST(:endpoint_ids AS uuid[])) AS t (org_id, endpoint_id)
      ON w.org_id = t.org_id AND w.id = t.endpoint_id
    ORDER BY w.org_id, w.id FOR NO KEY UPDATE OF w
""")

# What an address answered says nothing about the one that has replaced it meanwhile.
NOTE_FAILURES = text("""
    UPDATE webhook_endpoints w SET failing_since = COALESCE(w.failing_since, now()),
        failures = w.failures + t.count,
        paused_until = GREATEST(w.paused_until, now() + t.pause)
    FROM unnest(CAST(:org_ids AS uuid[]), CAST(:endpoint_ids AS uuid[]), CAST(:urls AS text[]),
                CAST(:counts AS int[]), CAST(:pauses AS interval[]))
        AS t (org_id, endpoint_id, url, count, pause)
    WHERE w.org_id = t.org_id AND w.id = t.endpoint_id AND w.url = t.url AND w.status = 'enabled'
    RETURNING w.org_id, w.id, w.url, w.failing_since, w.failures
""")

# A pause stays: one success beside a 503 does not say that the receiver has room again.
NOTE_SUCCESSES = text("""
    UPDATE webhook_endpoints w SET failing_since = NULL, failures = 0
    FROM unnest(CAST(:org_ids AS uuid[]), CAST(:endpoint_ids AS uuid[]), CAST(:urls AS text[]))
        AS t (org_id, endpoint_id, url)
    WHERE w.org_id = t.org_id AND w.id = t.endpoint_id AND w.url = t.url
      AND w.failing_since IS NOT NULL
""")


async def try_relay_lock(session: AsyncSession) -> bool:
    """Keep other relays out until the transaction ends; False if one is at work."""
    return bool(await session.scalar(TRY_RELAY_LOCK, {"name": RELAY_LOCK}))


async def read_snapshot(session: AsyncSession) -> tuple[datetime, int, int]:
    """Return the time, the oldest transaction that still writes, and the next one's number."""
    row = (await session.execute(READ_SNAPSHOT)).one()
    return row[0], int(row[1]), int(row[2])


async def list_targets(session: AsyncSession) -> list[RelayTarget]:
    """List all enabled endpoints."""
    rows = await session.execute(LIST_TARGETS)
    return [
        RelayTarget(org_id=row[0], endpoint_id=row[1], events=tuple(row[2]), relayed_to=row[3])
        for row in rows
    ]


async def relay(
    session: AsyncSession, targets: Sequence[tuple[RelayTarget, Sequence[str]]], *, limit: int
) -> dict[tuple[UUID, UUID], tuple[int, UUID]]:
    """Make a delivery of each event above its endpoint's floor that has none, in id order.

    Args:
        targets: endpoints, each with the kinds of the outbox that it is sent.
        limit: for each endpoint.

    Returns:
        For each endpoint with any: how many were made, and the last one's event.
    """
    rows = await run(
        session,
        RELAY,
        {
            "org_ids": [one.org_id for one, _ in targets],
            "endpoint_ids": [one.endpoint_id for one, _ in targets],
            "floors": [one.relayed_to for one, _ in targets],
            "kinds": [",".join(kinds) for _, kinds in targets],
            "limit": limit,
        },
    )
    return {(row[0], row[1]): (row[2], row[3]) for row in rows}


async def advance(session: AsyncSession, floors: Sequence[tuple[RelayTarget, UUID]]) -> None:
    """Write up to where each endpoint's events have their deliveries."""
    keys = _keys([(one.org_id, one.endpoint_id) for one, _ in floors])
    values = keys | {"floors": [floor for _, floor in floors]}
    await run_each(session, (LOCK_ENDPOINTS, keys), (ADVANCE, values))


async def list_due(session: AsyncSession) -> list[DueEndpoint]:
    """List endpoints that have something to be sent now, in an order that is drawn."""
    rows = await run(session, LIST_DUE, {"limit": DUE_ENDPOINTS_MAX})
    return [DueEndpoint(org_id=row[0], endpoint_id=row[1], is_failing=row[2]) for row in rows]


async def take_due(
    session: AsyncSession,
    wanted: Sequence[tuple[DueEndpoint, int]],
    *,
    token: UUID,
    lease_for: timedelta,
) -> list[TakenDelivery]:
    """Take up to so many due deliveries of each endpoint under a lease."""
    rows = await run(
        session,
        TAKE_DUE,
        {
            "org_ids": [one.org_id for one, _ in wanted],
            "endpoint_ids": [one.endpoint_id for one, _ in wanted],
            "counts": [count for _, count in wanted],
            "token": token,
            "lease_for": lease_for,
        },
    )
    return [_read_taken(row, token) for row in rows]


async def record_attempts(
    session: AsyncSession, ended: Sequence[EndedAttempt]
) -> list[FailingEndpoint]:
    """Record attempts and what they made of their deliveries and endpoints.

    Returns the endpoints that failed, with how long they have only failed.
    """
    facts = {
        "org_ids": [one.delivery.org_id for one in ended],
        "endpoint_ids": [one.delivery.endpoint_id for one in ended],
        "event_ids": [one.delivery.event_id for one in ended],
        "http_statuses": [one.answer.status for one in ended],
        "failures": [one.answer.failure and one.answer.failure.value for one in ended],
    }
    ends = facts | {
        "tokens": [one.delivery.token for one in ended],
        "statuses": [one.status.value for one in ended],
        "due_ins": [f"{one.due_in.total_seconds()} s" for one in ended],
    }
    rows = facts | {
        "ids": [new_id() for _ in ended],
        "numbers": [one.delivery.attempt for one in ended],
        "started_ats": [one.started_at for one in ended],
        "tooks_ms": [one.answer.took_ms for one in ended],
        "answers": [_read_text(one.answer.body) for one in ended],
    }
    good, bad = _sort(ended)
    *_, failing, _ = await run_each(
        session,
        (LOCK_ENDPOINTS, _keys(sorted({one[:2] for one in (*good, *bad)}))),
        (END_ATTEMPTS, ends),
        (INSERT_ATTEMPTS, rows),
        (NOTE_FAILURES, _write_failures(bad)),
        (NOTE_SUCCESSES, _write_addresses(list(good))),
    )
    return [
        FailingEndpoint(
            org_id=row[0], endpoint_id=row[1], url=row[2], failing_since=row[3], failures=row[4]
        )
        for row in failing
        if (row[0], row[1], row[2]) not in good
    ]


Key = tuple[UUID, UUID]
Asked = tuple[UUID, UUID, str]  # an endpoint, and its address at that time


def _sort(ended: Sequence[EndedAttempt]) -> tuple[set[Asked], dict[Asked, list[EndedAttempt]]]:
    """Return where one attempt succeeded, and what failed at each address that was asked."""
    good: set[Asked] = set()
    bad: dict[Asked, list[EndedAttempt]] = {}
    for one in ended:
        key = (one.delivery.org_id, one.delivery.endpoint_id, one.delivery.url)
        if one.answer.is_good:
            good.add(key)
        elif not one.answer.is_ours:
            bad.setdefault(key, []).append(one)
    return good, bad


def _keys(keys: Sequence[Key] | set[Key]) -> dict[str, Any]:
    return {"org_ids": [key[0] for key in keys], "endpoint_ids": [key[1] for key in keys]}


def _write_addresses(asked: Sequence[Asked]) -> dict[str, Any]:
    return _keys([one[:2] for one in asked]) | {"urls": [one[2] for one in asked]}


def _write_failures(bad: dict[Asked, list[EndedAttempt]]) -> dict[str, Any]:
    pauses = [
        max((one.pause for one in of_one if one.pause), default=None) for of_one in bad.values()
    ]
    return _write_addresses(list(bad)) | {
        "counts": [len(of_one) for of_one in bad.values()],
        "pauses": [pause and f"{pause.total_seconds()} s" for pause in pauses],
    }


def _read_text(body: bytes) -> str:
    return body[:ANSWER_BYTES_MAX].decode("utf-8", errors="replace").replace("\0", "")


def _read_taken(row: tuple[Any, ...], token: UUID) -> TakenDelivery:
    event = None
    if row[8] is not None:
        event = SentEvent(
            id=row[2],
            kind=row[8],
            bill_id=row[9],
            payee_id=row[10],
            data=row[11],
            recorded_at=row[12],
        )
    return TakenDelivery(
        org_id=row[0],
        org_code=row[13],
        endpoint_id=row[1],
        event_id=row[2],
        token=token,
        attempt=row[3],
        failures=row[4],
        url=row[5],
        sealed_secrets=bytes(row[6]),
        old_secret_until=row[7],
        event=event,
    )
