"""Read models of the notice log and of an endpoint's health."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import first_id_at
from payments.callbacks.rules import NoticeOutcome

LIST_NOTICES = text("""
    SELECT * FROM (
        (SELECT id, true AS is_accepted, source, outcome, NULL AS refusal, '' AS detail, skew_s,
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
     AND l.receiving_account_id = c.receiving_account_id AND l.status IN ('active', 'former')
    JOIN payees p ON p.org_id = l.org_id AND p.id = l.payee_id
    WHERE c.org_id = :org_id AND c.id = ANY(CAST(:ids AS uuid[]))
    ORDER BY p.place, p.name, p.id LIMIT 5000
""")
COUNTED_FOR = timedelta(hours=24)  # an endpoint's figures, on every screen and in the API


class NoticeView(NamedTuple):
    """One message at an endpoint: accepted (a notice) or not (a rejection)."""

    id: UUID
    is_accepted: bool
    source: str
    outcome: NoticeOutcome | None
    refusal: str | None
    detail: str
    skew_s: int | None
    received_at: datetime
    handled_at: datetime | None
    attempts: int
    body_bytes: int


class Health(StrEnum):
    """How an endpoint did in the last 24 hours."""

    GOOD = "good"
    SILENT = "silent"
    SOME_REFUSED = "some_refused"
    REFUSED = "refused"  # more than were accepted


class NoticeCounts(NamedTuple):
    """What an endpoint received in the last 24 hours."""

    accepted: int
    rejected: int
    waiting: int  # of any age
    skew_s_max: int | None

    @property
    def health(self) -> Health:
        """How the endpoint does, by what was refused."""
        if self.rejected > self.accepted:
            return Health.REFUSED
        if self.rejected:
            return Health.SOME_REFUSED
        return Health.GOOD if self.accepted else Health.SILENT


async def list_notices(
    session: AsyncSession,
    org_id: UUID,
    endpoint_id: UUID,
    *,
    before_id: UUID | None = None,
    limit: int,
) -> list[NoticeView]:
    """List what an endpoint received, accepted or not, newest first."""
    values = {
        "org_id": org_id,
        "endpoint_id": endpoint_id,
        "before_id": before_id,
        "limit": limit,
    }
    rows = [NoticeView(*row) for row in await session.execute(LIST_NOTICES, values)]
    return [
        row._replace(outcome=None if row.outcome is None else NoticeOutcome(row.outcome))
        for row in rows
    ]


async def find_body(
    session: AsyncSession, org_id: UUID, endpoint_id: UUID, notice_id: UUID
) -> bytes | None:
    """Find what a message said; of a refused one its first 2 KiB."""
    values: dict[str, Any] = {"org_id": org_id, "endpoint_id": endpoint_id, "id": notice_id}
    body: bytes | None = (await session.execute(FIND_BODY, values)).scalar()
    return body


async def count_notices(
    session: AsyncSession, org_id: UUID, endpoint_ids: Collection[UUID], *, now: datetime
) -> dict[UUID, NoticeCounts]:
    """Count what each of these endpoints received in the last 24 hours, and what waits."""
    values = {
        "org_id": org_id,
        "endpoint_ids": list(endpoint_ids),
        "first_id": first_id_at(now - COUNTED_FOR),
    }
    rows = await session.execute(COUNT_NOTICES, values)
    return {endpoint_id: NoticeCounts(*counts) for endpoint_id, *counts in rows}


async def list_payees_of_credits(
    session: AsyncSession, org_id: UUID, credit_ids: Sequence[UUID]
) -> dict[UUID, list[tuple[UUID, str, str | None]]]:
    """List who trades on the account of each credit: credit → (payee, its name, its place)."""
    found: dict[UUID, list[tuple[UUID, str, str | None]]] = {}
    if credit_ids:
        values = {"org_id": org_id, "ids": list(credit_ids)}
        for credit_id, *payee in await session.execute(LIST_PAYEES_OF_CREDITS, values):
            found.setdefault(credit_id, []).append((payee[0], payee[1], payee[2]))
    return found
