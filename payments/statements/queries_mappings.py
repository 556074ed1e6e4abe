"""SQL of saved mappings: which columns an account's files with certain headings have."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from payments.statements.reading.types import SavedMapping
from payments.statements.rules import MappingFacts

COLUMNS: Final = ", ".join(f'm."{field.name}"' for field in fields(MappingFacts))
USED_MAX: Final = 1_000  # tried on a file whose account is not known

UPSERT = text("""
    INSERT INTO statement_mappings (
        org_id, id, receiving_account_id, headings_sha256, headings, columns, thousands_separator,
        changed_by, changed_at)
    VALUES (
        :org_id, :id, :receiving_account_id, :headings_sha256, CAST(:headings AS jsonb),
        CAST(:columns AS jsonb), :thousands_separator, :by, :now)
    ON CONFLICT (org_id, receiving_account_id, headings_sha256) DO UPDATE SET
        columns = EXCLUDED.columns, thousands_separator = EXCLUDED.thousands_separator,
        changed_by = EXCLUDED.changed_by, changed_at = EXCLUDED.changed_at
    RETURNING id
""")

FIND = text(
    f"SELECT {COLUMNS} FROM statement_mappings m WHERE m.org_id = :org_id AND m.id = :id"  # noqa: S608
)

LIST = text(f"""
    SELECT {COLUMNS} FROM statement_mappings m
    WHERE m.org_id = :org_id
      AND (CAST(:account_id AS uuid) IS NULL OR m.receiving_account_id = CAST(:account_id AS uuid))
      AND (CAST(:before_id AS uuid) IS NULL OR m.id < CAST(:before_id AS uuid))
    ORDER BY m.id DESC LIMIT :limit
""")  # noqa: S608

LIST_USABLE = text("""
    SELECT a.account_number, encode(m.headings_sha256, 'hex') AS headings_sha256, m.columns,
           m.thousands_separator
    FROM statement_mappings m JOIN receiving_accounts a
      ON a.org_id = m.org_id AND a.id = m.receiving_account_id
    WHERE m.org_id = :org_id
      AND (CAST(:account_id AS uuid) IS NULL OR m.receiving_account_id = CAST(:account_id AS uuid))
    ORDER BY m.changed_at DESC LIMIT :limit
""")

COUNT = text("""
    SELECT count(*) FROM statement_mappings
    WHERE org_id = :org_id AND receiving_account_id = :receiving_account_id
""")

DELETE = text("""
    DELETE FROM statement_mappings WHERE org_id = :org_id AND id = :id RETURNING headings
""")


async def upsert_mapping(
    session: AsyncSession,
    org_id: UUID,
    mapping_id: UUID,
    *,
    receiving_account_id: UUID,
    headings_sha256: bytes,
    headings: Sequence[str],
    columns: Mapping[str, str],
    thousands_separator: str | None,
    by: UUID | None,
    now: datetime,
) -> UUID:
    """Write what the columns under these headings mean; return the mapping's id, new or not."""
    values = {
        "org_id": org_id,
        "id": mapping_id,
        "receiving_account_id": receiving_account_id,
        "headings_sha256": headings_sha256,
        "headings": msgspec.json.encode(headings).decode(),
        "columns": msgspec.json.encode(columns).decode(),
        "thousands_separator": thousands_separator,
        "by": by,
        "now": now,
    }
    found: UUID = (await session.execute(UPSERT, values)).scalar_one()
    return found


async def find_mapping(
    session: AsyncSession, org_id: UUID, mapping_id: UUID
) -> MappingFacts | None:
    """Find a saved mapping."""
    row = (await session.execute(FIND, {"org_id": org_id, "id": mapping_id})).one_or_none()
    return None if row is None else _to_facts(row)


async def list_mappings(
    session: AsyncSession,
    org_id: UUID,
    *,
    account_id: UUID | None,
    before_id: UUID | None,
    limit: int,
) -> list[MappingFacts]:
    """List saved mappings, newest first."""
    values = {
        "org_id": org_id,
        "account_id": account_id,
        "before_id": before_id,
        "limit": limit,
    }
    return [_to_facts(row) for row in await session.execute(LIST, values)]


async def list_usable(
    session: AsyncSession, org_id: UUID, *, account_id: UUID | None
) -> tuple[SavedMapping, ...]:
    """List what a file may be read by: mappings of its account, or of all where none is known."""
    values = {"org_id": org_id, "account_id": account_id, "limit": USED_MAX}
    rows = await session.execute(LIST_USABLE, values)
    return tuple(msgspec.convert(dict(row), SavedMapping, strict=False) for row in rows.mappings())


async def count_mappings(session: AsyncSession, org_id: UUID, receiving_account_id: UUID) -> int:
    """Count an account's saved mappings."""
    values = {"org_id": org_id, "receiving_account_id": receiving_account_id}
    return int((await session.execute(COUNT, values)).scalar_one())


async def delete_mapping(session: AsyncSession, org_id: UUID, mapping_id: UUID) -> list[str] | None:
    """Delete a saved mapping; return its headings, or None: there is none."""
    values = {"org_id": org_id, "id": mapping_id}
    found: list[str] | None = (await session.execute(DELETE, values)).scalar_one_or_none()
    return found


def _to_facts(row: Any) -> MappingFacts:
    values = row._asdict()
    return MappingFacts(**{**values, "headings_sha256": bytes(values["headings_sha256"])})
