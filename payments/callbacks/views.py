"""Read models of the notice log and of an endpoint's health."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import first_id_at
from payments.callbacks import queries
from payments.callbacks.rules import NoticeOutcome

COUNTED_FOR = timedelta(hours=24)  # an endpoint's figures, on every screen and in the API


class NoticeView(NamedTuple):
    """One message at an endpoint: accepted (a notice) or not (a rejection)."""

    id: UUID
    is_accepted: bool
    source: str
    outcome: NoticeOutcome | None
    refusal: str | None
    detail: str | None  # RefusalDetail
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
    rows = [NoticeView(*row) for row in await session.execute(queries.LIST_NOTICES, values)]
    return [
        row._replace(outcome=None if row.outcome is None else NoticeOutcome(row.outcome))
        for row in rows
    ]


async def find_body(
    session: AsyncSession, org_id: UUID, endpoint_id: UUID, notice_id: UUID
) -> bytes | None:
    """Find what a message said; of a refused one its first 2 KiB."""
    values: dict[str, Any] = {"org_id": org_id, "endpoint_id": endpoint_id, "id": notice_id}
    body: bytes | None = (await session.execute(queries.FIND_BODY, values)).scalar()
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
    rows = await session.execute(queries.COUNT_NOTICES, values)
    return {endpoint_id: NoticeCounts(*counts) for endpoint_id, *counts in rows}


async def list_payees_of_credits(
    session: AsyncSession, org_id: UUID, credit_ids: Sequence[UUID]
) -> dict[UUID, list[tuple[UUID, str, str | None]]]:
    """List who was ever approved on the account of each: credit → (payee, its name, its place)."""
    found: dict[UUID, list[tuple[UUID, str, str | None]]] = {}
    if credit_ids:
        values = {"org_id": org_id, "ids": list(credit_ids)}
        for credit_id, *payee in await session.execute(queries.LIST_PAYEES_OF_CREDITS, values):
            found.setdefault(credit_id, []).append((payee[0], payee[1], payee[2]))
    return found
