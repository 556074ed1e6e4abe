"""SQL of tax exports: their rows, the parts of their files, saved columns."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from core.sql import run
from parking.places.models import Lot
from parking.tax_exports.errors import TaxExportNotFound
from parking.tax_exports.models import TaxExport, TaxExportLayout
from parking.tax_exports.rules import Columns

LIST_PAYEES = text("SELECT id FROM payees WHERE org_id = :org_id ORDER BY id")
LOCK_REQUESTS = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
INSERT_PART = text("""
    INSERT INTO tax_export_parts (org_id, export_id, part_no, content, made_at)
    VALUES (:org_id, :export_id, :part_no, :content, now())
""")
# By the database's clock, as all of a job's instants.
FINISH = text("""
    UPDATE tax_exports SET made_at = now(), row_count = :row_count, exported_vnd = :exported_vnd,
           takings_vnd = :takings_vnd, content_bytes = :content_bytes,
           content_sha256 = :content_sha256
    WHERE org_id = :org_id AND id = :id
""")
READ_PART = text("""
    SELECT content FROM tax_export_parts
    WHERE org_id = :org_id AND export_id = :export_id AND part_no = :part_no
""")
SAVE_LAYOUT = text("""
    INSERT INTO tax_export_layouts (org_id, columns, saved_by, saved_at)
    VALUES (:org_id, CAST(:columns AS jsonb), :by, :now)
    ON CONFLICT (org_id) DO UPDATE
    SET columns = excluded.columns, saved_by = excluded.saved_by, saved_at = excluded.saved_at
""")


async def list_payee_ids(session: AsyncSession, org_id: UUID) -> list[UUID]:
    """List an organisation's payees: a lot may have had another one when it took its money."""
    return [row[0] for row in await run(session, LIST_PAYEES, {"org_id": org_id})]


async def find_lots_of(session: AsyncSession, org_id: UUID, operator_id: UUID) -> dict[UUID, Lot]:
    """Return a seller's lots, closed ones too, by their ids."""
    wanted = select(Lot).filter_by(org_id=org_id, operator_id=operator_id)
    return {lot.id: lot for lot in await session.scalars(wanted)}


async def lock_requests(session: AsyncSession, org_id: UUID) -> None:
    """Let requests of one organisation for exports come one after the other."""
    await session.execute(LOCK_REQUESTS, {"name": f"tax_exports {org_id}"})


async def count_since(session: AsyncSession, org_id: UUID, since: datetime) -> int:
    """Count the exports that were asked for since an instant."""
    wanted = select(func.count()).select_from(TaxExport)
    wanted = wanted.where(TaxExport.org_id == org_id, TaxExport.requested_at > since)
    return (await session.scalars(wanted)).one()


async def find_export(session: AsyncSession, org_id: UUID, export_id: UUID) -> TaxExport | None:
    """Find an export as it is committed now."""
    wanted = select(TaxExport).filter_by(org_id=org_id, id=export_id)
    return await session.scalar(wanted.execution_options(populate_existing=True))


async def get_export(session: AsyncSession, org_id: UUID, export_id: UUID) -> TaxExport:
    """Return an export.

    Raises:
        TaxExportNotFound
    """
    found = await find_export(session, org_id, export_id)
    if found is None:
        raise TaxExportNotFound(export_id)
    return found


async def list_exports(
    session: AsyncSession, org_id: UUID, *, before_id: UUID | None, limit: int
) -> Sequence[TaxExport]:
    """List exports, newest first."""
    wanted = select(TaxExport).filter_by(org_id=org_id)
    if before_id is not None:
        wanted = wanted.where(TaxExport.id < before_id)
    return (await session.scalars(wanted.order_by(TaxExport.id.desc()).limit(limit))).all()


async def insert_part(
    session: AsyncSession, org_id: UUID, export_id: UUID, *, no: int, content: bytes
) -> None:
    """Keep a part of a file, compressed."""
    values = {
        "org_id": org_id,
        "export_id": export_id,
        "part_no": no,
        "content": content,
    }
    await run(session, INSERT_PART, values)


async def finish_export(
    session: AsyncSession,
    org_id: UUID,
    export_id: UUID,
    *,
    row_count: int,
    exported_vnd: int,
    takings_vnd: int,
    content_bytes: int,
    content_sha256: bytes,
) -> None:
    """Write what an export has become, with its file."""
    values = {
        "org_id": org_id,
        "id": export_id,
        "row_count": row_count,
        "exported_vnd": exported_vnd,
        "takings_vnd": takings_vnd,
        "content_bytes": content_bytes,
        "content_sha256": content_sha256,
    }
    await run(session, FINISH, values)


async def read_part(session: AsyncSession, org_id: UUID, export_id: UUID, no: int) -> bytes | None:
    """Return a part of a file, compressed; None: there are no more, or they are deleted."""
    values = {"org_id": org_id, "export_id": export_id, "part_no": no}
    rows = await run(session, READ_PART, values)
    return rows[0][0] if rows else None


async def find_layout(session: AsyncSession, org_id: UUID) -> Columns | None:
    """Find the columns that an organisation has saved."""
    found = await session.scalar(
        select(TaxExportLayout).filter_by(org_id=org_id).execution_options(populate_existing=True)
    )
    return None if found is None else read_columns(found.columns)


async def save_layout(
    session: AsyncSession, org_id: UUID, columns: str, *, by: UUID, now: datetime
) -> None:
    """Save columns, as JSON, in the place of those before."""
    values = {"org_id": org_id, "columns": columns, "by": by, "now": now}
    await run(session, SAVE_LAYOUT, values)


def read_columns(stored: list[Any]) -> Columns:
    """Return stored columns."""
    return tuple((str(head), str(fact)) for head, fact in stored)
