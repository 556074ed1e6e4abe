"""SQL of corrections at the gate: under the locks of occupancy and session."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import new_id
from core.sql import run
from parking.exits.queries_passes import choose_pass
from parking.exits.rules import SessionStatus, StayFacts, list_credentials

REOPEN = text("""
    UPDATE parking_sessions
    SET status = :status, left_at = NULL, exit_access_id = NULL, exit_device_id = NULL,
        exit_shift_id = NULL, exit_by = NULL, exit_photo = NULL, exit_reason = NULL, arrears_vnd = 0
    WHERE org_id = :org_id AND id = :id
""")
INSERT_INSIDE = text("""
    INSERT INTO inside (
        org_id, lot_id, kind, credential, tail, session_id, vehicle_class, entered_at, pass_id)
    SELECT :org_id, :lot_id, t.kind, t.credential, right(t.credential, 3), :id, :vehicle_class,
           :entered_at, t.pass_id
    FROM unnest(CAST(:kinds AS text[]), CAST(:credentials AS text[]), CAST(:pass_ids AS uuid[]))
        AS t (kind, credential, pass_id)
    ON CONFLICT DO NOTHING RETURNING kind
""")
# Whatever came in before this stay ended, with a credential of its own, had sent it to review.
FIND_REVIEWED = text("""
    SELECT 1
    FROM unnest(CAST(:kinds AS text[]), CAST(:credentials AS text[])) AS t (kind, credential)
    JOIN inside i ON i.org_id = :org_id AND i.lot_id = :lot_id AND i.kind = t.kind
     AND i.credential = t.credential
    WHERE i.session_id <> :id AND i.entered_at < :left_at
    LIMIT 1
""")
MOVE_OCCUPANCY = text("""
    UPDATE occupancy SET inside_count = inside_count + CAST(:change AS int)
    WHERE org_id = :org_id AND lot_id = :lot_id AND vehicle_class = :vehicle_class
""")
VOID = text("""
    WITH gone AS (DELETE FROM inside WHERE org_id = :org_id AND session_id = :id)
    UPDATE parking_sessions SET status = 'voided', left_at = :now
    WHERE org_id = :org_id AND id = :id
""")
DELETE_PLATE = text("""
    DELETE FROM inside
    WHERE org_id = :org_id AND lot_id = :lot_id AND session_id = :id AND kind = 'plate'
    RETURNING kind
""")
DELETE_OTHERS = text("""
    DELETE FROM inside
    WHERE org_id = :org_id AND lot_id = :lot_id AND session_id = :id AND kind <> 'plate'
    RETURNING kind, credential
""")
CHANGE_VEHICLE = text("""
    UPDATE parking_sessions
    SET plate = CAST(:plate AS text), vehicle_class = CAST(:vehicle_class AS text),
        pass_id = CAST(:pass_id AS uuid)
    WHERE org_id = :org_id AND id = :id
""")


async def reopen_session(session: AsyncSession, org_id: UUID, stay: StayFacts) -> bool:
    """Let a locked stay be what it was before it left, inside or in review.

    Returns:
        False where one of its credentials came in anew.
    """
    credentials = list_credentials(stay)
    of_stay = {"org_id": org_id, "id": stay.id}
    known_by = {
        "lot_id": stay.lot_id,
        "left_at": stay.left_at,
        "kinds": [kind for kind, _, _ in credentials],
        "credentials": [credential for _, credential, _ in credentials],
    }
    if await run(session, FIND_REVIEWED, of_stay | known_by):
        await run(session, REOPEN, of_stay | {"status": SessionStatus.REVIEW.value})
        return True
    if not await insert_inside(session, org_id, stay, credentials):
        return False
    await run(session, REOPEN, of_stay | {"status": SessionStatus.INSIDE.value})
    await _move(session, org_id, stay.lot_id, stay.vehicle_class, 1)
    return True


async def void_session(
    session: AsyncSession, org_id: UUID, stay: StayFacts, *, now: datetime
) -> None:
    """Write that a locked stay never was."""
    await run(session, VOID, {"org_id": org_id, "id": stay.id, "now": now})
    await _move(session, org_id, stay.lot_id, stay.vehicle_class, -1)


async def change_vehicle(
    session: AsyncSession,
    org_id: UUID,
    stay: StayFacts,
    *,
    plate: str | None,
    vehicle_class: str,
    entered_on: date,
) -> bool:
    """Write another plate or class of a locked stay; False where that vehicle is inside already.

    What an override took out of what is inside stays out of it. The pass that it came in on was
    that of the plate that was typed: it is chosen anew.
    """
    of_stay = {"org_id": org_id, "lot_id": stay.lot_id, "id": stay.id}
    plates = await run(session, DELETE_PLATE, of_stay)
    others = await run(session, DELETE_OTHERS, of_stay)
    is_listed = bool(plates or others)
    pass_id, is_monthly = await choose_pass(
        session, org_id, stay, plate=plate, vehicle_class=vehicle_class, entered_on=entered_on
    )
    credentials: list[tuple[str, str, UUID | None]] = [
        (kind, credential, None) for kind, credential in others
    ]
    if plate is not None and is_listed:
        named = pass_id if is_monthly else None
        credentials.append(("plate", f"{vehicle_class}:{plate}", named))
    if not await insert_inside(session, org_id, stay, credentials, vehicle_class=vehicle_class):
        return False
    values = {"plate": plate, "vehicle_class": vehicle_class, "pass_id": pass_id}
    await run(session, CHANGE_VEHICLE, of_stay | values)
    if is_listed and vehicle_class != stay.vehicle_class:
        for name, change in sorted(((stay.vehicle_class, -1), (vehicle_class, 1))):
            await _move(session, org_id, stay.lot_id, name, change)
    return True


async def insert_inside(
    session: AsyncSession,
    org_id: UUID,
    stay: StayFacts,
    credentials: list[tuple[str, str, UUID | None]],
    *,
    vehicle_class: str | None = None,
) -> bool:
    """Let a stay be known inside by some credentials; False where one of them is taken."""
    values = {
        "org_id": org_id,
        "lot_id": stay.lot_id,
        "id": stay.id,
        "vehicle_class": vehicle_class or stay.vehicle_class,
        "entered_at": stay.entered_at,
        "kinds": [kind for kind, _, _ in credentials],
        "credentials": [credential for _, credential, _ in credentials],
        "pass_ids": [pass_id for _, _, pass_id in credentials],
    }
    return len(await run(session, INSERT_INSIDE, values)) == len(credentials)


def write_sighting(stay: StayFacts, *, by: UUID, plate: str | None) -> tuple[object, ...]:
    """Return the row of what a person says that a vehicle inside is."""
    return (new_id(), stay.lot_id, stay.id, None, "visual", plate, None, None, None, None, by)


async def _move(
    session: AsyncSession, org_id: UUID, lot_id: UUID, vehicle_class: str, change: int
) -> None:
    values = {
        "org_id": org_id,
        "lot_id": lot_id,
        "vehicle_class": vehicle_class,
        "change": change,
    }
    await run(session, MOVE_OCCUPANCY, values)
