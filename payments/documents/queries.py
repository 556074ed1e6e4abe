"""SQL of numbered documents."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import new_id
from core.sql import InsertMany, insert_many, run
from payments.documents.rules import DocumentKind, write_prefix

FIND_SERIES = text("""
    SELECT scope_id, id FROM document_series
    WHERE org_id = :org_id AND kind = :kind AND year = :year
      AND scope_id = ANY(CAST(:scope_ids AS uuid[]))
""")
COUNT_SERIES = text("""
    SELECT count(*) FROM document_series
    WHERE org_id = :org_id AND kind = :kind AND year = :year
""")
# Another may take the scope, or the prefix, at the same instant: whoever waited looks again.
INSERT_SERIES = text("""
    INSERT INTO document_series (org_id, id, kind, scope_id, year, prefix, created_at)
    VALUES (:org_id, :id, :kind, :scope_id, :year, :prefix, :now)
    ON CONFLICT DO NOTHING
""")
# The row stays locked until the documents are committed: a number that is rolled back is given out
# again, and nobody gets the next one before.
TAKE_NUMBERS = text("""
    UPDATE document_series SET last_number = last_number + :count
    WHERE org_id = :org_id AND id = :id
    RETURNING prefix, last_number
""")
INSERT_DOCUMENTS = InsertMany(
    "documents",
    {
        "id": "uuid",
        "series_id": "uuid",
        "number": "int",
        "subject_kind": "text",
        "subject_id": "uuid",
        "content": "jsonb",
    },
    shared=("org_id", "issued_at"),
)
FIND_CONTENT = text("""
    SELECT content FROM documents
    WHERE org_id = :org_id AND subject_id = :subject_id AND cancelled_at IS NULL
    ORDER BY id DESC LIMIT 1
""")
CANCEL_DOCUMENTS = text("""
    UPDATE documents SET cancelled_at = :now
    WHERE org_id = :org_id AND subject_id = :subject_id AND cancelled_at IS NULL
""")


async def find_series(
    session: AsyncSession, org_id: UUID, kind: DocumentKind, year: int, scope_ids: Iterable[UUID]
) -> dict[UUID, UUID]:
    """Return the series of each scope that has one."""
    values = {"org_id": org_id, "kind": kind.value, "year": year, "scope_ids": list(scope_ids)}
    return {row[0]: row[1] for row in await run(session, FIND_SERIES, values)}


async def insert_series_once(
    session: AsyncSession,
    org_id: UUID,
    kind: DocumentKind,
    year: int,
    scope_id: UUID,
    *,
    now: datetime,
) -> None:
    """Try to add the series of a scope under the next free prefix."""
    values: dict[str, Any] = {"org_id": org_id, "kind": kind.value, "year": year}
    ((count,),) = await run(session, COUNT_SERIES, values)
    prefix = write_prefix(kind, year, count + 1)
    values |= {"id": new_id(), "scope_id": scope_id, "prefix": prefix, "now": now}
    await run(session, INSERT_SERIES, values)


async def take_numbers(
    session: AsyncSession, org_id: UUID, series_id: UUID, count: int
) -> tuple[str, int]:
    """Lock a series and take its next numbers; return its prefix and the last one taken."""
    values = {"org_id": org_id, "id": series_id, "count": count}
    ((prefix, last),) = await run(session, TAKE_NUMBERS, values)
    return prefix, last


async def insert_documents(
    session: AsyncSession,
    org_id: UUID,
    rows: Sequence[tuple[UUID, UUID, int, str, UUID, str]],
    *,
    now: datetime,
) -> None:
    """Write numbered documents."""
    await insert_many(session, INSERT_DOCUMENTS, rows, org_id=org_id, issued_at=now)


async def cancel_documents(
    session: AsyncSession, org_id: UUID, subject_id: UUID, *, now: datetime
) -> None:
    """Cancel what was issued about a subject; the number stays taken."""
    await run(session, CANCEL_DOCUMENTS, {"org_id": org_id, "subject_id": subject_id, "now": now})


async def find_content(
    session: AsyncSession, org_id: UUID, subject_id: UUID
) -> dict[str, Any] | None:
    """Find what the document about a subject says."""
    rows = await run(session, FIND_CONTENT, {"org_id": org_id, "subject_id": subject_id})
    return None if not rows else rows[0][0]
