"""SQL of recounts."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.sql import run
from parking.recounts.rules import RecountFacts, RecountLine

_SELECT = """
    SELECT r.id, r.lot_id, r.lines, r.counted, r.expected, r.is_random, r.note, r.counted_by,
           p.display_name, r.counted_at
    FROM recounts r LEFT JOIN staff p ON p.org_id = r.org_id AND p.id = r.counted_by
"""
FIND = text(_SELECT + " WHERE r.org_id = :org_id AND r.id = :id")
LIST = text(
    _SELECT
    + """
    WHERE r.org_id = :org_id AND r.lot_id = :lot_id
      AND r.id < coalesce(CAST(:before_id AS uuid), 'ffffffff-ffff-ffff-ffff-ffffffffffff')
    ORDER BY r.id DESC LIMIT :limit
"""
)
# What the hub has inside is read by the statement that stores it: one moment for both.
INSERT = text("""
    WITH told AS (
        SELECT key AS vehicle_class, value::int AS counted
        FROM jsonb_each_text(CAST(:counted AS jsonb))
    ), beside AS (
        SELECT coalesce(o.vehicle_class, t.vehicle_class) AS vehicle_class,
               coalesce(t.counted, 0) AS counted, coalesce(o.inside_count, 0) AS expected
        FROM (SELECT * FROM occupancy WHERE org_id = :org_id AND lot_id = :lot_id) o
        FULL JOIN told t ON t.vehicle_class = o.vehicle_class)
    INSERT INTO recounts (
        org_id, id, lot_id, lines, counted, expected, is_random, note, counted_by, counted_at)
    SELECT :org_id, :id, :lot_id,
           coalesce(jsonb_object_agg(
               vehicle_class, jsonb_build_object('counted', counted, 'expected', expected)), '{}'),
           coalesce(sum(counted), 0), coalesce(sum(expected), 0), :is_random, :note, :by, :now
    FROM beside
    ON CONFLICT (org_id, id) DO NOTHING RETURNING id
""")


async def find_recount(
    session: AsyncSession, org_id: UUID, recount_id: UUID
) -> RecountFacts | None:
    """Find a recount."""
    rows = await run(session, FIND, {"org_id": org_id, "id": recount_id})
    return _read(rows[0]) if rows else None


async def list_recounts(
    session: AsyncSession, org_id: UUID, lot_id: UUID, *, before_id: UUID | None, limit: int
) -> list[RecountFacts]:
    """List the recounts of a lot, newest first."""
    values = {"org_id": org_id, "lot_id": lot_id, "before_id": before_id, "limit": limit}
    return [_read(row) for row in await run(session, LIST, values)]


async def insert_recount_once(
    session: AsyncSession,
    org_id: UUID,
    recount_id: UUID,
    *,
    lot_id: UUID,
    counted: dict[str, int],
    is_random: bool,
    note: str | None,
    by: UUID,
    now: datetime,
) -> bool:
    """Store a recount beside the hub's own figures; False: its id is taken."""
    values = {
        "org_id": org_id,
        "id": recount_id,
        "lot_id": lot_id,
        "counted": msgspec.json.encode(counted).decode(),
        "is_random": is_random,
        "note": note,
        "by": by,
        "now": now,
    }
    return bool(await run(session, INSERT, values))


def _read(row: Sequence[Any]) -> RecountFacts:
    lines = row[2] if isinstance(row[2], dict) else msgspec.json.decode(row[2])
    return RecountFacts(
        id=row[0],
        lot_id=row[1],
        lines=tuple(
            RecountLine(vehicle_class=name, counted=one["counted"], expected=one["expected"])
            for name, one in sorted(lines.items())
        ),
        counted=row[3],
        expected=row[4],
        is_random=row[5],
        note=row[6],
        counted_by=row[7],
        counted_by_name=row[8],
        counted_at=row[9],
    )
