"""SQL of tariffs, their versions, and the lots that take them."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.sql import run
from parking.tariffs.in_force import LotRate

LIST_RATES = text("""
    SELECT l.lot_id, l.id, l.from_at, l.tariff_id, v.id, v.version, v.valid_from
    FROM lot_tariffs l
    JOIN tariff_versions v ON v.org_id = l.org_id AND v.tariff_id = l.tariff_id
    WHERE l.org_id = :org_id AND l.lot_id = ANY(CAST(:lot_ids AS uuid[]))
      AND l.withdrawn_at IS NULL AND v.withdrawn_at IS NULL
""")
FIND_DOCUMENTS = text("""
    SELECT id, document::text FROM tariff_versions
    WHERE org_id = :org_id AND id = ANY(CAST(:ids AS uuid[]))
""")
LOCK_TARIFF = text("""
    SELECT name, retired_at FROM tariffs WHERE org_id = :org_id AND id = :id FOR NO KEY UPDATE
""")
INSERT_TARIFF = text("""
    INSERT INTO tariffs (org_id, id, name, created_at) VALUES (:org_id, :id, :name, :now)
    ON CONFLICT DO NOTHING RETURNING id
""")
FIND_VERSION = text("""
    SELECT tariff_id, version, valid_from, document::text, legal_basis FROM tariff_versions
    WHERE org_id = :org_id AND id = :id
""")
# The tariff's row is locked: nobody takes the same number.
INSERT_VERSION = text("""
    INSERT INTO tariff_versions (
        org_id, id, tariff_id, version, valid_from, document, legal_basis, created_by, created_at)
    SELECT :org_id, :id, :tariff_id, coalesce(max(version), 0) + 1, :valid_from,
           CAST(:document AS jsonb), :legal_basis, :by, :now
    FROM tariff_versions WHERE org_id = :org_id AND tariff_id = :tariff_id
    RETURNING version
""")
INSERT_ASSIGNMENT = text("""
    INSERT INTO lot_tariffs (org_id, id, lot_id, tariff_id, from_at, created_by, created_at)
    VALUES (:org_id, :id, :lot_id, :tariff_id, :from_at, :by, :now)
    ON CONFLICT DO NOTHING RETURNING id
""")
FIND_ASSIGNMENT = text("""
    SELECT lot_id, tariff_id, from_at FROM lot_tariffs WHERE org_id = :org_id AND id = :id
""")
LIST_TARIFFS = text("""
    SELECT t.id, t.name, t.created_at,
           (SELECT count(DISTINCT l.lot_id) FROM lot_tariffs l
            WHERE l.org_id = t.org_id AND l.tariff_id = t.id AND l.withdrawn_at IS NULL)
    FROM tariffs t
    WHERE t.org_id = :org_id AND (CAST(:before_id AS uuid) IS NULL OR t.id < :before_id)
      AND (CAST(:only_id AS uuid) IS NULL OR t.id = :only_id)
    ORDER BY t.id DESC LIMIT :limit
""")
LIST_VERSIONS = text("""
    SELECT v.tariff_id, v.id, v.version, v.valid_from, v.legal_basis, s.display_name,
           v.created_at, v.withdrawn_at
    FROM tariff_versions v LEFT JOIN staff s ON s.org_id = v.org_id AND s.id = v.created_by
    WHERE v.org_id = :org_id AND v.tariff_id = ANY(CAST(:tariff_ids AS uuid[]))
    ORDER BY v.tariff_id, v.version DESC LIMIT :limit
""")
LIST_ASSIGNMENTS = text("""
    SELECT a.id, a.lot_id, l.name, a.tariff_id, t.name, a.from_at
    FROM lot_tariffs a
    JOIN lots l ON l.org_id = a.org_id AND l.id = a.lot_id
    JOIN tariffs t ON t.org_id = a.org_id AND t.id = a.tariff_id
    WHERE a.org_id = :org_id AND a.withdrawn_at IS NULL
      AND (CAST(:lot_id AS uuid) IS NULL OR a.lot_id = :lot_id)
    ORDER BY a.from_at DESC, a.id DESC LIMIT :limit
""")
WITHDRAW_VERSION = text("""
    UPDATE tariff_versions SET withdrawn_at = :now WHERE org_id = :org_id AND id = :id
""")
WITHDRAW_ASSIGNMENT = text("""
    UPDATE lot_tariffs SET withdrawn_at = :now WHERE org_id = :org_id AND id = :id
""")
FIND_WITHDRAWN = text("""
    SELECT withdrawn_at FROM tariff_versions WHERE org_id = :org_id AND id = :id
    UNION ALL
    SELECT withdrawn_at FROM lot_tariffs WHERE org_id = :org_id AND id = :id
""")


async def list_rates(
    session: AsyncSession, org_id: UUID, lot_ids: Collection[UUID]
) -> dict[UUID, list[LotRate]]:
    """Return what each lot takes, took and will take, without what was withdrawn."""
    rows = await run(session, LIST_RATES, {"org_id": org_id, "lot_ids": list(lot_ids)})
    return read_rates(lot_ids, rows)


def read_rates(
    lot_ids: Collection[UUID], rows: Sequence[tuple[Any, ...]]
) -> dict[UUID, list[LotRate]]:
    """Read the rows of LIST_RATES, lot by lot."""
    rates: dict[UUID, list[LotRate]] = {lot_id: [] for lot_id in lot_ids}
    for lot_id, assignment_id, from_at, tariff_id, version_id, version, valid_from in rows:
        rates[lot_id].append(
            LotRate(
                lot_id=lot_id,
                assignment_id=assignment_id,
                from_at=from_at,
                tariff_id=tariff_id,
                version_id=version_id,
                version=version,
                valid_from=valid_from,
            )
        )
    return rates


async def find_documents(
    session: AsyncSession, org_id: UUID, version_ids: Collection[UUID]
) -> dict[UUID, dict[str, Any]]:
    """Return what versions say. They never change, so a process may remember them."""
    rows = await run(session, FIND_DOCUMENTS, {"org_id": org_id, "ids": list(version_ids)})
    return {row[0]: msgspec.json.decode(row[1]) for row in rows}


async def lock_tariff(session: AsyncSession, org_id: UUID, tariff_id: UUID) -> str | None:
    """Lock a tariff; return its name, or None where there is none."""
    rows = await run(session, LOCK_TARIFF, {"org_id": org_id, "id": tariff_id})
    return rows[0][0] if rows else None


async def insert_tariff_once(
    session: AsyncSession, org_id: UUID, tariff_id: UUID, *, name: str, now: datetime
) -> bool:
    """Store a tariff unless its id is taken; tell whether this call stored it."""
    values = {"org_id": org_id, "id": tariff_id, "name": name, "now": now}
    return bool(await run(session, INSERT_TARIFF, values))


async def find_version(
    session: AsyncSession, org_id: UUID, version_id: UUID
) -> tuple[UUID, int, datetime, dict[str, Any], str] | None:
    """Return (tariff, version, valid from, document, legal basis) of a version, or None."""
    rows = await run(session, FIND_VERSION, {"org_id": org_id, "id": version_id})
    if not rows:
        return None
    tariff_id, version, valid_from, document, legal_basis = rows[0]
    return tariff_id, version, valid_from, msgspec.json.decode(document), legal_basis


async def insert_version(
    session: AsyncSession,
    org_id: UUID,
    version_id: UUID,
    *,
    tariff_id: UUID,
    valid_from: datetime,
    document: dict[str, Any],
    legal_basis: str,
    by: UUID,
    now: datetime,
) -> int:
    """Store the next version of a locked tariff; return its number."""
    values = {
        "org_id": org_id,
        "id": version_id,
        "tariff_id": tariff_id,
        "valid_from": valid_from,
        "document": msgspec.json.encode(document).decode(),
        "legal_basis": legal_basis,
        "by": by,
        "now": now,
    }
    ((version,),) = await run(session, INSERT_VERSION, values)
    return int(version)


async def insert_assignment_once(
    session: AsyncSession,
    org_id: UUID,
    assignment_id: UUID,
    *,
    lot_id: UUID,
    tariff_id: UUID,
    from_at: datetime,
    by: UUID,
    now: datetime,
) -> bool:
    """Let a lot take a tariff from an instant on; tell whether this call stored it."""
    values = {
        "org_id": org_id,
        "id": assignment_id,
        "lot_id": lot_id,
        "tariff_id": tariff_id,
        "from_at": from_at,
        "by": by,
        "now": now,
    }
    return bool(await run(session, INSERT_ASSIGNMENT, values))


async def find_assignment(
    session: AsyncSession, org_id: UUID, assignment_id: UUID
) -> tuple[UUID, UUID, datetime] | None:
    """Return (lot, tariff, from) of an assignment, or None."""
    rows = await run(session, FIND_ASSIGNMENT, {"org_id": org_id, "id": assignment_id})
    return (rows[0][0], rows[0][1], rows[0][2]) if rows else None


async def list_tariffs(
    session: AsyncSession,
    org_id: UUID,
    *,
    only_id: UUID | None = None,
    before_id: UUID | None = None,
    limit: int,
) -> list[tuple[UUID, str, datetime, int]]:
    """List (id, name, when it was made, how many lots took or take it), newest first."""
    values = {"org_id": org_id, "only_id": only_id, "before_id": before_id, "limit": limit}
    rows = await run(session, LIST_TARIFFS, values)
    return [(row[0], row[1], row[2], row[3]) for row in rows]


async def list_versions(
    session: AsyncSession, org_id: UUID, tariff_ids: Collection[UUID], *, limit: int
) -> list[tuple[Any, ...]]:
    """List versions of tariffs, those that were withdrawn too, each tariff's newest first."""
    values = {"org_id": org_id, "tariff_ids": list(tariff_ids), "limit": limit}
    return await run(session, LIST_VERSIONS, values)


async def list_assignments(
    session: AsyncSession, org_id: UUID, *, lot_id: UUID | None = None, limit: int
) -> list[tuple[Any, ...]]:
    """List which lot takes which tariff from when on, the latest first."""
    values = {"org_id": org_id, "lot_id": lot_id, "limit": limit}
    return await run(session, LIST_ASSIGNMENTS, values)


async def is_withdrawn(session: AsyncSession, org_id: UUID, id_: UUID) -> bool:
    """Say whether a version or an assignment was withdrawn."""
    rows = await run(session, FIND_WITHDRAWN, {"org_id": org_id, "id": id_})
    return bool(rows) and rows[0][0] is not None


async def withdraw_version(
    session: AsyncSession, org_id: UUID, version_id: UUID, *, now: datetime
) -> None:
    """Write that a version of a locked tariff never comes into force."""
    await run(session, WITHDRAW_VERSION, {"org_id": org_id, "id": version_id, "now": now})


async def withdraw_assignment(
    session: AsyncSession, org_id: UUID, assignment_id: UUID, *, now: datetime
) -> None:
    """Write that a lot will not take a tariff after all."""
    await run(session, WITHDRAW_ASSIGNMENT, {"org_id": org_id, "id": assignment_id, "now": now})
