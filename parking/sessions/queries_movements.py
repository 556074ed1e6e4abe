"""SQL of movements: what devices that were offline report."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec.structs import replace
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.sql import InsertMany, insert_many, run
from parking.sessions.types import StoredMovement

# As role gate: its own id and the device's, so whoever sends it again changes nothing.
INSERT_MOVEMENTS: Final = InsertMany(
    "movements",
    {
        "id": "uuid",
        "seq": "int",
        "kind": "text",
        "plate": "text",
        "has_words": "bool",
        "body": "json",
        "signature": "bytea",
        "request": "json",
        "device_at": "timestamptz",
        "offset_ms": "bigint",
        "handled_at": "timestamptz",
        "verdict": "text",
    },
    shared=("org_id", "device_id", "lot_id", "received_at", "received_from"),
    ending="ON CONFLICT DO NOTHING",
)

FIND_VERDICTS = text("""
    SELECT id, verdict, handled_at IS NOT NULL FROM movements
    WHERE org_id = :org_id AND device_id = :device_id AND id = ANY(CAST(:ids AS uuid[]))
""")

# As role gate, which sees ids and times of devices.
FIND_REVOKED_AT = text("SELECT revoked_at FROM devices WHERE org_id = :org_id AND id = :device_id")

# As role gate, too.
HAS_WAITING_ENTRIES = text("""
    SELECT EXISTS (
        SELECT FROM movements
        WHERE org_id = :org_id AND device_id = :device_id AND handled_at IS NULL
          AND verdict IS NULL AND kind = 'entry')
""")
FIND_WAITING_EXITS = text("""
    SELECT lower(body #>> '{data,session_id}'), min(seq) FROM movements
    WHERE org_id = :org_id AND device_id = :device_id AND handled_at IS NULL
      AND verdict IS NULL AND kind = 'exit'
      AND lower(body #>> '{data,session_id}') = ANY(CAST(:session_ids AS text[]))
    GROUP BY 1
""")

LIST_MOVEMENTS = text("""
    SELECT id, device_id, seq, kind, verdict, handled_at, received_at,
           body ->> 'is_pin_checked' IS DISTINCT FROM 'false'
    FROM movements
    WHERE org_id = :org_id AND lot_id = :lot_id AND id > :after
      AND (CAST(:device_id AS uuid) IS NULL OR device_id = :device_id)
    ORDER BY id LIMIT :limit
""")

FINISH_CONFLICTS = text("""
    UPDATE movements SET handled_at = :now
    WHERE org_id = :org_id AND device_id = :device_id AND id = ANY(CAST(:ids AS uuid[]))
      AND handled_at IS NULL
""")

# A stay that was over when it was reported, beside another of the same vehicle at that time.
FIND_OVERLAPS = text("""
    SELECT s.id, other.id
    FROM unnest(CAST(:ids AS uuid[])) AS t (id)
    JOIN parking_sessions s ON s.org_id = :org_id AND s.id = t.id
    JOIN LATERAL (
        SELECT o.id FROM parking_sessions o
        WHERE o.org_id = s.org_id AND o.plate = s.plate AND o.vehicle_class = s.vehicle_class
          AND o.lot_id = s.lot_id AND o.id <> s.id AND o.status <> 'voided'
          AND o.entered_at < coalesce(s.left_at, 'infinity')
          AND coalesce(o.left_at, 'infinity') > s.entered_at
          AND NOT (o.left_at IS NULL AND EXISTS (  -- its exit waits
              SELECT FROM movements m
              WHERE m.org_id = :org_id AND m.device_id = :device_id AND m.handled_at IS NULL
                AND m.kind = 'exit' AND lower(m.body #>> '{data,session_id}') = o.id::text))
        ORDER BY o.id DESC LIMIT 1) other ON true
""")


async def find_verdicts(
    session: AsyncSession, org_id: UUID, device_id: UUID, ids: Sequence[UUID]
) -> dict[UUID, tuple[str | None, bool]]:
    """Return (verdict, is nothing left to be done) of those of these movements that are stored."""
    values = {"org_id": org_id, "device_id": device_id, "ids": list(ids)}
    return {row[0]: (row[1], row[2]) for row in await run(session, FIND_VERDICTS, values)}


async def find_revoked_at(session: AsyncSession, org_id: UUID, device_id: UUID) -> datetime | None:
    """Return when a device was revoked, or None."""
    rows = await run(session, FIND_REVOKED_AT, {"org_id": org_id, "device_id": device_id})
    return rows[0][0] if rows else None


async def has_waiting_entries(session: AsyncSession, org_id: UUID, device_id: UUID) -> bool:
    """Tell whether a device's entries wait for exits before them."""
    values = {"org_id": org_id, "device_id": device_id}
    return bool((await run(session, HAS_WAITING_ENTRIES, values))[0][0])


async def find_waiting_exits(
    session: AsyncSession, org_id: UUID, device_id: UUID, session_ids: Sequence[UUID]
) -> dict[UUID, int]:
    """Return those of these stays whose exit a device has reported and waits, with its order."""
    values = {
        "org_id": org_id,
        "device_id": device_id,
        "session_ids": [str(id_) for id_ in session_ids],
    }
    return {UUID(row[0]): row[1] for row in await run(session, FIND_WAITING_EXITS, values)}


def _write_request(one: StoredMovement) -> str | None:
    """Return what an entry that waits asks: as one that is not over, for its exit waits, too."""
    if one.entry is None or one.verdict is not None:
        return None
    return msgspec.json.encode(replace(one.entry, left_at=None)).decode()


async def insert_movements_once(
    session: AsyncSession,
    movements: Sequence[StoredMovement],
    *,
    org_id: UUID,
    device_id: UUID,
    lot_id: UUID,
    received_from: UUID,
    now: datetime,
) -> None:
    """Store movements, unless they are."""
    rows = [
        (
            one.id,
            one.seq,
            one.kind.value,
            one.plate,
            one.has_words,
            one.body,
            one.signature,
            _write_request(one),
            one.device_at,
            one.offset_ms,
            one.handled_at,
            one.verdict,
        )
        for one in movements
    ]
    if rows:
        await insert_many(
            session,
            INSERT_MOVEMENTS,
            rows,
            org_id=org_id,
            device_id=device_id,
            lot_id=lot_id,
            received_at=now,
            received_from=received_from,
        )


async def list_movements(
    session: AsyncSession,
    org_id: UUID,
    lot_id: UUID,
    *,
    device_id: UUID | None,
    after: UUID,
    limit: int,
) -> list[tuple[Any, ...]]:
    """List a lot's movements, oldest first; of one device, if it is named."""
    values = {
        "org_id": org_id,
        "lot_id": lot_id,
        "device_id": device_id,
        "after": after,
        "limit": limit,
    }
    return [tuple(row) for row in await session.execute(LIST_MOVEMENTS, values)]


async def finish_conflicts(
    session: AsyncSession, org_id: UUID, device_id: UUID, ids: Sequence[UUID], *, now: datetime
) -> None:
    """Note that breaks of these movements were opened."""
    values = {"org_id": org_id, "device_id": device_id, "ids": list(ids), "now": now}
    await session.execute(FINISH_CONFLICTS, values)


async def find_overlaps(
    session: AsyncSession, org_id: UUID, device_id: UUID, session_ids: Sequence[UUID]
) -> list[tuple[UUID, UUID]]:
    """Find stays at the same time as these of the same vehicle: (this one, the other).

    Not those whose exit a device has reported, and which waits.
    """
    values = {"org_id": org_id, "device_id": device_id, "ids": list(session_ids)}
    return [(row[0], row[1]) for row in await session.execute(FIND_OVERLAPS, values)]
