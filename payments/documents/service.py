"""Issuing and cancelling of numbered documents.

The number and the document are of one transaction: where that is rolled back, the number is the
next one's. The series' rows are the last that a transaction locks (docs/adr/0013).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import Busy
from core.ids import new_id
from payments.documents import queries
from payments.documents.rules import DocumentKind, NewDocument, write_number, year_of

SERIES_ATTEMPTS: Final = 20  # each one lost means that somebody else's new series came between


async def issue(
    session: AsyncSession, org_id: UUID, documents: Sequence[NewDocument], *, now: datetime
) -> list[str]:
    """Number documents and store them; return their numbers, in order.

    Raises:
        Busy: many new series of the organisation are being opened at once.
    """
    year = year_of(now)
    numbers: list[str] = [""] * len(documents)
    by_series: dict[UUID, list[int]] = {}
    for kind in sorted({document.kind for document in documents}):
        wanted = {document.scope_id for document in documents if document.kind is kind}
        series = await _open_series(session, org_id, kind, year, wanted, now=now)
        for i, document in enumerate(documents):
            if document.kind is kind:
                by_series.setdefault(series[document.scope_id], []).append(i)
    rows = []
    for series_id in sorted(by_series):
        places = by_series[series_id]
        prefix, last = await queries.take_numbers(session, org_id, series_id, len(places))
        for number, i in enumerate(places, start=last - len(places) + 1):
            numbers[i] = write_number(prefix, number)
            one = documents[i]
            content = msgspec.json.encode({**one.content, "number": numbers[i]}).decode()
            rows.append((new_id(), series_id, number, one.subject_kind, one.subject_id, content))
    if rows:
        await queries.insert_documents(session, org_id, rows, now=now)
    return numbers


async def cancel(session: AsyncSession, org_id: UUID, subject_id: UUID, *, now: datetime) -> None:
    """Cancel what was issued about a subject. Its number is not given out again."""
    await queries.cancel_documents(session, org_id, subject_id, now=now)


async def find_content(
    session: AsyncSession, org_id: UUID, subject_id: UUID
) -> dict[str, Any] | None:
    """Find what the newest document about a subject says; a cancelled one says nothing."""
    return await queries.find_content(session, org_id, subject_id)


async def _open_series(
    session: AsyncSession,
    org_id: UUID,
    kind: DocumentKind,
    year: int,
    scope_ids: set[UUID],
    *,
    now: datetime,
) -> dict[UUID, UUID]:
    for _ in range(SERIES_ATTEMPTS):
        found = await queries.find_series(session, org_id, kind, year, scope_ids)
        lacking = sorted(scope_ids - found.keys())
        if not lacking:
            return found
        for scope_id in lacking:
            await queries.insert_series_once(session, org_id, kind, year, scope_id, now=now)
    raise Busy("Another series of documents is being opened. Try again in a second.")
