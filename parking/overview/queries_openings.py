"""SQL of barriers that were opened by hand on a day: by a command, or as a device reported."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import first_id_at
from core.sql import run
from parking.overview.queries import CLOCKS_APART

LIST_COMMANDS = text("""
    SELECT c.requested_at, c.reason, p.display_name, c.session_id, ARRAY[c.photo]
    FROM lane_commands c
    LEFT JOIN staff p ON p.org_id = c.org_id AND p.id = c.requested_by
    WHERE c.org_id = :org_id AND c.lot_id = :lot_id AND c.reason IS NOT NULL
      AND c.requested_at >= :since AND c.requested_at < :until
    ORDER BY c.requested_at DESC LIMIT :limit
""")
# With the photo that came in it, where it was not another act's, and those that followed. An
# unknown person's is the device's.
LIST_REPORTED = text("""
    SELECT m.at, m.body #>> '{data,reason}', coalesce(p.display_name, d.name), NULL,
           ARRAY(SELECT u.hash FROM photo_uses u
                 WHERE u.org_id = m.org_id AND u.subject_id = m.id
                   AND u.hash = ANY(decode(m.photo, 'hex') || ARRAY(
                       SELECT decode(a.after->>'photo', 'hex') FROM audit_log a
                       WHERE a.org_id = m.org_id AND a.object_id = m.id
                         AND a.action = 'lane.opening_photographed'
                       ORDER BY a.id LIMIT 4)))
    FROM (
        SELECT org_id, id, device_id, body, verdict,
               device_at + offset_ms * interval '1 ms' AS at,
               substring(body #>> '{data,photo}' FROM '^[0-9a-f]{64}$') AS photo,
               CAST(substring(body #>> '{data,staff_id}'
                    FROM '^[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$') AS uuid) AS by
        FROM movements
        WHERE org_id = :org_id AND lot_id = :lot_id AND kind = 'manual_open'
          AND id >= :first_id AND id < :last_id
          AND device_at + offset_ms * interval '1 ms' >= :since
          AND device_at + offset_ms * interval '1 ms' < :until
          AND verdict IN ('applied', 'unknown_person', 'other_shift')
        ORDER BY id DESC LIMIT :limit) AS m
    LEFT JOIN staff p ON p.org_id = m.org_id AND p.id = m.by AND m.verdict <> 'unknown_person'
    LEFT JOIN devices d ON d.org_id = m.org_id AND d.id = m.device_id
""")


async def list_opened_by_hand(
    session: AsyncSession,
    org_id: UUID,
    lot_id: UUID,
    *,
    since: datetime,
    until: datetime,
    limit: int,
) -> list[tuple[Any, ...]]:
    """List (at, reason, person, stay, photos) of openings by hand, at most so many of each way."""
    values = {"org_id": org_id, "lot_id": lot_id, "since": since, "until": until, "limit": limit}
    ids = {
        "first_id": first_id_at(since - CLOCKS_APART),
        "last_id": first_id_at(until + CLOCKS_APART),
    }
    commands = await run(session, LIST_COMMANDS, values)
    return commands + await run(session, LIST_REPORTED, values | ids)
