"""SQL of movements that wait to be applied, of their limits, and of exits nobody confirmed."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.sql import run

# Another process that has it finishes first: their order is the device's.
LOCK_NEXT = text("""
    SELECT id, lot_id, kind, body::text, device_at, offset_ms, received_at, received_from,
           request::text, attempts
    FROM movements
    WHERE org_id = :org_id AND device_id = :device_id AND handled_at IS NULL
      AND verdict IS NULL
    ORDER BY seq, id LIMIT 1
    FOR NO KEY UPDATE
""")
MARK_APPLIED = text("""
    UPDATE movements
    SET handled_at = :now, verdict = :verdict, attempts = attempts + 1, request = NULL
    WHERE org_id = :org_id AND device_id = :device_id AND id = :id
""")
# What follows a movement that is put off waits with it, and takes no other device's place.
PUT_OFF = text("""
    UPDATE movements
    SET attempts = attempts + 1,
        try_at = CAST(:now AS timestamptz)
            + least(interval '10 minutes', interval '1 second' * 2 ^ least(attempts, 10))
    WHERE org_id = :org_id AND device_id = :device_id AND id = (
        SELECT id FROM movements
        WHERE org_id = :org_id AND device_id = :device_id AND handled_at IS NULL
          AND verdict IS NULL
        ORDER BY seq, id LIMIT 1)
""")
FIND_DEVICES = text("""
    SELECT org_id, device_id FROM (
        SELECT DISTINCT ON (org_id, device_id) org_id, device_id, try_at FROM movements
        WHERE handled_at IS NULL AND verdict IS NULL
        ORDER BY org_id, device_id, seq, id) AS first
    WHERE try_at IS NULL OR try_at <= :now
    ORDER BY try_at NULLS FIRST LIMIT :limit
""")
IS_MANUAL_OPEN = text("""
    SELECT EXISTS (SELECT FROM movements
                   WHERE org_id = :org_id AND lot_id = :lot_id AND lot_id IS NOT NULL AND id = :id
                     AND kind = 'manual_open')
""")
HAS_PHOTO_OF_OPENING = text("""
    SELECT EXISTS (SELECT FROM audit_log
                   WHERE org_id = :org_id AND object_id = :id
                     AND action = 'lane.opening_photographed' AND after->>'photo' = :photo)
""")
COUNT_UNCONFIRMED = text("""
    SELECT count(s.id) > min(l.unconfirmed_exits_max)
    FROM lots l LEFT JOIN parking_sessions s
      ON s.org_id = l.org_id AND s.lot_id = l.id AND s.exit_by = :by
     AND s.exit_reason = 'unconfirmed' AND s.left_at >= CAST(:at AS timestamptz) - interval '1 day'
     AND s.left_at <= :at
    WHERE l.org_id = :org_id AND l.id = :lot_id
""")
SUM_OFFLINE_CASH = text("""
    SELECT coalesce(sum(c.amount_vnd), 0) > min(l.offline_cash_max_vnd)
    FROM lots l LEFT JOIN collections c
      ON c.org_id = l.org_id AND c.shift_id = :shift_id AND c.rail = 'cash'
     AND c.reversed_at IS NULL AND c.device_id IS NOT NULL AND c.collected_at < c.recorded_at
    WHERE l.org_id = :org_id AND l.id = :lot_id
""")
FIND_UNCONFIRMED = text("""
    SELECT DISTINCT org_id FROM parking_sessions
    WHERE exit_reason = 'unconfirmed' AND arrears_vnd = 0 AND left_at < :before
      AND price_vnd > paid_vnd + waived_vnd
    LIMIT 1000
""")
# The stays are locked first, by conditions on their own columns: who waited sees what was paid.
OWE_UNCONFIRMED = text("""
    WITH late AS MATERIALIZED (
        SELECT org_id, id FROM parking_sessions
        WHERE org_id = :org_id AND exit_reason = 'unconfirmed' AND arrears_vnd = 0
          AND left_at < :before AND price_vnd > paid_vnd + waived_vnd
        ORDER BY id LIMIT :limit FOR NO KEY UPDATE)
    UPDATE parking_sessions s SET arrears_vnd = s.price_vnd - s.paid_vnd - s.waived_vnd
    FROM late WHERE s.org_id = late.org_id AND s.id = late.id
      AND s.price_vnd > s.paid_vnd + s.waived_vnd
    RETURNING s.id
""")
SHOW_BILL = text("""
    UPDATE parking_sessions SET bill_id = :bill_id WHERE org_id = :org_id AND id = :id
""")


async def lock_next(session: AsyncSession, org_id: UUID, device_id: UUID) -> tuple[Any, ...] | None:
    """Lock the first of a device's movements that waits: a row with the body read as JSON."""
    rows = await run(session, LOCK_NEXT, {"org_id": org_id, "device_id": device_id})
    return (*rows[0][:3], msgspec.json.decode(rows[0][3]), *rows[0][4:]) if rows else None


async def put_off(session: AsyncSession, org_id: UUID, device_id: UUID, *, now: datetime) -> None:
    """Let the first of a device's movements that waits be tried later, each time twice as late."""
    await run(session, PUT_OFF, {"org_id": org_id, "device_id": device_id, "now": now})


async def mark_applied(
    session: AsyncSession, org_id: UUID, device_id: UUID, id_: UUID, verdict: str, *, now: datetime
) -> None:
    """Write what became of a locked movement."""
    values = {
        "org_id": org_id,
        "device_id": device_id,
        "id": id_,
        "verdict": verdict,
        "now": now,
    }
    await run(session, MARK_APPLIED, values)


async def find_devices(
    session: AsyncSession, *, limit: int, now: datetime
) -> list[tuple[UUID, UUID]]:
    """Find (organisation, device) of those whose movements are to be applied, for the worker."""
    rows = await run(session, FIND_DEVICES, {"limit": limit, "now": now})
    return [(row[0], row[1]) for row in rows]


async def is_over_unconfirmed(
    session: AsyncSession, org_id: UUID, lot_id: UUID, *, by: UUID, at: datetime
) -> bool:
    """Tell whether a person let out more unconfirmed within a day than a shift may."""
    values = {"org_id": org_id, "lot_id": lot_id, "by": by, "at": at}
    rows = await run(session, COUNT_UNCONFIRMED, values)
    return bool(rows[0][0])


async def is_over_offline_cash(
    session: AsyncSession, org_id: UUID, lot_id: UUID, shift_id: UUID
) -> bool:
    """Tell whether a shift took more cash without network than the lot allows."""
    values = {"org_id": org_id, "lot_id": lot_id, "shift_id": shift_id}
    rows = await run(session, SUM_OFFLINE_CASH, values)
    return bool(rows[0][0])


async def show_bill(
    session: AsyncSession, org_id: UUID, session_id: UUID, *, bill_id: UUID
) -> None:
    """Write which bill a locked stay shows now; all its bills count."""
    await run(session, SHOW_BILL, {"org_id": org_id, "id": session_id, "bill_id": bill_id})


async def find_unconfirmed(session: AsyncSession, *, before: datetime) -> list[UUID]:
    """Find the organisations of vehicles that left unconfirmed before an instant and owe."""
    return [row[0] for row in await run(session, FIND_UNCONFIRMED, {"before": before})]


async def owe_unconfirmed_exits(
    session: AsyncSession, org_id: UUID, *, before: datetime, limit: int
) -> int:
    """Write what vehicles that left unconfirmed before an instant owe; return how many."""
    values = {"org_id": org_id, "before": before, "limit": limit}
    return len(await run(session, OWE_UNCONFIRMED, values))


async def is_manual_open(
    session: AsyncSession, org_id: UUID, lot_id: UUID, movement_id: UUID
) -> bool:
    """Tell whether a movement is an opening by hand at a lot."""
    values = {"org_id": org_id, "lot_id": lot_id, "id": movement_id}
    return bool((await run(session, IS_MANUAL_OPEN, values))[0][0])


async def has_photo_of_opening(
    session: AsyncSession, org_id: UUID, movement_id: UUID, photo: str
) -> bool:
    """Tell whether it was recorded that a photo, by its hash in hex, followed an opening."""
    values = {"org_id": org_id, "id": movement_id, "photo": photo}
    return bool((await run(session, HAS_PHOTO_OF_OPENING, values))[0][0])
