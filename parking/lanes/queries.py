"""All SQL of lanes. The database's clock alone says what is over."""

from collections.abc import Collection
from dataclasses import fields
from datetime import timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from parking.lanes.rules import LaneCommandFacts, LaneResult, OpenWanted, PassingFacts

NAMES = tuple(field.name for field in fields(LaneCommandFacts))
_COLUMNS = ", ".join(NAMES[:-1]) + ", expires_at <= now()"
FIND_COMMAND = text(f"SELECT {_COLUMNS} FROM lane_commands WHERE org_id = :org_id AND id = :id")  # noqa: S608
# Whoever opens a lane holds its row: of two at once the second sees the first one's command.
LOCK_ACCESS = text("""
    SELECT direction, has_controller AND closed_at IS NULL FROM parking_accesses
    WHERE org_id = :org_id AND lot_id = :lot_id AND id = :id FOR NO KEY UPDATE
""")
# clock_timestamp(): this transaction may have waited for the one before.
FIND_UNDER_WAY = text("""
    SELECT id FROM lane_commands
    WHERE org_id = :org_id AND access_id = :access_id AND expires_at > clock_timestamp()
      AND result IS NULL
""")
# A passage opens one lane once: a command at any lane of the lot counts, from the passage on,
# unless the barrier was stuck or nobody fetched it in time. (Two clocks differ by seconds.)
FIND_PASSING = text("""
    SELECT s.status, s.entered_at, s.left_at, EXISTS (
        SELECT FROM lane_commands c WHERE c.org_id = s.org_id AND c.session_id = s.id
          AND c.requested_at >= coalesce(s.left_at, s.entered_at) - interval '5 seconds'
          AND c.result IS DISTINCT FROM 'stuck'
          AND (c.fetched_at IS NOT NULL OR c.expires_at > clock_timestamp()))
    FROM parking_sessions s
    WHERE s.org_id = :org_id AND s.id = :id AND s.lot_id = :lot_id
""")
# Two lanes at once: the second sees the first one's command.
LOCK_PASSING = text("""
    SELECT FROM parking_sessions WHERE org_id = :org_id AND id = :id FOR NO KEY UPDATE
""")
INSERT_COMMAND = text("""
    INSERT INTO lane_commands (
        org_id, id, lot_id, access_id, session_id, reason, photo, requested_by, requested_at,
        expires_at)
    SELECT :org_id, :id, :lot_id, :access_id, :session_id, :reason, :photo, :by,
           asked.at, asked.at + CAST(:valid_for AS interval)
    FROM (SELECT clock_timestamp() AS at) asked
""")
# Of two controllers at once one gets it: the other skips the row, or finds it fetched.
FETCH_COMMAND = text("""
    UPDATE lane_commands SET fetched_at = clock_timestamp(), fetched_by = :by
    WHERE org_id = :org_id AND fetched_at IS NULL AND id = (
        SELECT id FROM lane_commands
        WHERE org_id = :org_id AND lot_id = :lot_id AND access_id = :access_id
          AND fetched_at IS NULL AND expires_at > clock_timestamp()
        ORDER BY expires_at LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING id
""")
ANSWER_COMMAND = text("""
    UPDATE lane_commands SET result = :result, answered_at = clock_timestamp()
    WHERE org_id = :org_id AND id = :id AND access_id = :access_id AND fetched_by = :by
      AND result IS NULL
    RETURNING id
""")
LIST_WAITING = text("""
    SELECT org_id, access_id FROM lane_commands
    WHERE fetched_at IS NULL AND expires_at > now()
      AND access_id = ANY(CAST(:access_ids AS uuid[]))
""")


async def find_command(
    session: AsyncSession, org_id: UUID, command_id: UUID
) -> LaneCommandFacts | None:
    """Find a command as it stands now."""
    row = (await session.execute(FIND_COMMAND, {"org_id": org_id, "id": command_id})).first()
    return None if row is None else LaneCommandFacts(**dict(zip(NAMES, row, strict=True)))


async def lock_access(
    session: AsyncSession, org_id: UUID, lot_id: UUID, access_id: UUID
) -> tuple[str, bool] | None:
    """Lock a lane: (direction, whether it opens on command); None: there is no such lane."""
    values = {"org_id": org_id, "lot_id": lot_id, "id": access_id}
    row = (await session.execute(LOCK_ACCESS, values)).first()
    return None if row is None else (row[0], row[1])


async def is_under_way(session: AsyncSession, org_id: UUID, access_id: UUID) -> bool:
    """Whether a locked lane is being opened."""
    values = {"org_id": org_id, "access_id": access_id}
    return (await session.execute(FIND_UNDER_WAY, values)).first() is not None


async def lock_passing(
    session: AsyncSession, org_id: UUID, lot_id: UUID, session_id: UUID
) -> PassingFacts | None:
    """Lock the vehicle for which a lane is to be opened, and say whether one was."""
    values = {"org_id": org_id, "lot_id": lot_id, "id": session_id}
    await session.execute(LOCK_PASSING, {"org_id": org_id, "id": session_id})
    row = (await session.execute(FIND_PASSING, values)).first()
    if row is None:
        return None
    return PassingFacts(status=row[0], entered_at=row[1], left_at=row[2], was_opened=row[3])


async def insert_command(
    session: AsyncSession,
    org_id: UUID,
    wanted: OpenWanted,
    *,
    lot_id: UUID,
    access_id: UUID,
    by: UUID,
    valid_for: timedelta,
) -> None:
    """Write a command; its lane is locked."""
    values = {
        "org_id": org_id,
        "id": wanted.id,
        "lot_id": lot_id,
        "access_id": access_id,
        "session_id": wanted.session_id,
        "reason": wanted.reason,
        "photo": wanted.photo,
        "by": by,
        "valid_for": valid_for,
    }
    await session.execute(INSERT_COMMAND, values)


async def fetch_command(
    session: AsyncSession, org_id: UUID, lot_id: UUID, access_id: UUID, *, by: UUID
) -> UUID | None:
    """Take the oldest command that is still in time: nobody else gets it any more."""
    values = {"org_id": org_id, "lot_id": lot_id, "access_id": access_id, "by": by}
    fetched: UUID | None = (await session.execute(FETCH_COMMAND, values)).scalar()
    return fetched


async def answer_command(
    session: AsyncSession,
    org_id: UUID,
    access_id: UUID,
    command_id: UUID,
    result: LaneResult,
    *,
    by: UUID,
) -> bool:
    """Write what a controller did with the command that it has fetched; False: nothing to write."""
    values = {
        "org_id": org_id,
        "access_id": access_id,
        "id": command_id,
        "result": result.value,
        "by": by,
    }
    return (await session.execute(ANSWER_COMMAND, values)).scalar() is not None


async def list_waiting(
    session: AsyncSession, access_ids: Collection[UUID]
) -> list[tuple[UUID, UUID]]:
    """List those of some lanes that have a command (role gate: of all organisations)."""
    rows = await session.execute(LIST_WAITING, {"access_ids": list(access_ids)})
    return [(row[0], row[1]) for row in rows]
