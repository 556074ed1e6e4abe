"""SQL of monthly passes on stays: of a pass's vehicles one at a time is inside on it.

Who writes here holds the occupancy of the stay's place, the stay, and then the pass.
"""

from datetime import date
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.sql import run
from parking.exits.rules import StayFacts

# In use: by a vehicle inside, or by another one under review, of which nobody knows.
_IS_IN_USE = """
    (EXISTS (SELECT FROM inside i
             WHERE i.org_id = p.org_id AND i.pass_id = p.id AND i.session_id <> :id)
     OR EXISTS (SELECT FROM pass_plates v
                JOIN parking_sessions s ON s.org_id = v.org_id AND s.plate = v.plate
                 AND s.vehicle_class = v.vehicle_class
                WHERE v.org_id = p.org_id AND v.pass_id = p.id AND s.pass_id = p.id
                  AND s.id <> :id AND s.status IN ('inside', 'review')
                  AND s.plate IS DISTINCT FROM CAST(:plate AS text)))
"""
LOCK_PASS = text("""
    SELECT id FROM passes WHERE org_id = :org_id AND id = :pass_id FOR NO KEY UPDATE
""")
IS_IN_USE = text(f"""
    SELECT {_IS_IN_USE} FROM passes p
    WHERE p.org_id = :org_id AND p.id = :pass_id AND p.kind = 'monthly'
""")  # noqa: S608
LOCK_PASSES_OF_PLATE = text("""
    SELECT p.id FROM passes p
    WHERE p.org_id = :org_id AND p.id IN (
        SELECT x.pass_id FROM pass_plates x
        WHERE x.org_id = :org_id AND x.plate = CAST(:plate AS text)
          AND x.vehicle_class = CAST(:vehicle_class AS text))
    ORDER BY p.id FOR NO KEY UPDATE
""")
# As at the way in: an exemption first, and no monthly pass that another vehicle is inside on.
_OF_VEHICLE = f"""
    FROM pass_plates x JOIN passes p ON p.org_id = x.org_id AND p.id = x.pass_id
    WHERE x.org_id = :org_id AND x.plate = CAST(:plate AS text)
      AND x.vehicle_class = CAST(:vehicle_class AS text)
      AND (p.lot_id IS NULL OR p.lot_id = :lot_id) AND p.in_force_at IS NOT NULL
      AND p.revoked_at IS NULL
      AND CAST(:entered_on AS date) BETWEEN p.valid_from AND p.valid_until
      AND (p.kind <> 'monthly' OR NOT {_IS_IN_USE})
"""
_FIRST = "ORDER BY p.kind = 'exempt' DESC, p.valid_until, p.id LIMIT 1"
CHOOSE_PASS = text(f"SELECT p.id, p.kind = 'monthly' {_OF_VEHICLE} {_FIRST}")
FIND_PASS_TO_SHOW = text(
    f"SELECT p.id {_OF_VEHICLE} AND p.valid_until >= CAST(:today AS date) {_FIRST}"
)
SET_PASS = text("""
    UPDATE parking_sessions SET pass_id = :pass_id WHERE org_id = :org_id AND id = :id
""")
# Rows of `inside` are never changed: one goes and comes again, naming the pass.
TAKE_OUT = text("""
    DELETE FROM inside
    WHERE org_id = :org_id AND session_id = :id AND (lot_id, kind, credential) = (
        SELECT lot_id, kind, credential FROM inside
        WHERE org_id = :org_id AND session_id = :id
        ORDER BY pass_id IS NULL, kind <> 'plate', kind LIMIT 1)
    RETURNING lot_id, kind, credential, tail, vehicle_class, entered_at
""")
PUT_BACK = text("""
    INSERT INTO inside (
        org_id, session_id, pass_id, lot_id, kind, credential, tail, vehicle_class, entered_at)
    VALUES (:org_id, :id, CAST(:pass_id AS uuid), :lot_id, :kind, :credential, :tail,
            :vehicle_class, :entered_at)
    ON CONFLICT DO NOTHING RETURNING kind
""")
PUT_BACK_FIELDS = ("lot_id", "kind", "credential", "tail", "vehicle_class", "entered_at")


async def lock_pass(session: AsyncSession, org_id: UUID, pass_id: UUID) -> None:
    """Lock a pass, so that of two vehicles that show it one is first."""
    await run(session, LOCK_PASS, {"org_id": org_id, "pass_id": pass_id})


async def is_pass_in_use(
    session: AsyncSession, org_id: UUID, stay: StayFacts, pass_id: UUID
) -> bool:
    """Tell whether another vehicle is inside on a locked monthly pass."""
    values = {"org_id": org_id, "id": stay.id, "pass_id": pass_id, "plate": stay.plate}
    rows = await run(session, IS_IN_USE, values)
    return bool(rows and rows[0][0])


async def choose_pass(
    session: AsyncSession,
    org_id: UUID,
    stay: StayFacts,
    *,
    plate: str | None,
    vehicle_class: str,
    entered_on: date,
) -> tuple[UUID | None, bool]:
    """Lock the passes of a vehicle; find the one that its stay is on: (pass, is it monthly)."""
    if plate is None:
        return None, False
    of_vehicle = {"org_id": org_id, "plate": plate, "vehicle_class": vehicle_class}
    await run(session, LOCK_PASSES_OF_PLATE, of_vehicle)
    of_stay = {"id": stay.id, "lot_id": stay.lot_id, "entered_on": entered_on}
    rows = await run(session, CHOOSE_PASS, of_vehicle | of_stay)
    return rows[0] if rows else (None, False)


async def find_pass_to_show(
    session: AsyncSession, org_id: UUID, stay: StayFacts, *, entered_on: date, today: date
) -> UUID | None:
    """Find a pass of a stay's vehicle that it could be on from its entry until today, unlocked."""
    if stay.plate is None:
        return None
    values = {
        "org_id": org_id,
        "id": stay.id,
        "lot_id": stay.lot_id,
        "plate": stay.plate,
        "vehicle_class": stay.vehicle_class,
        "entered_on": entered_on,
    }
    rows = await run(session, FIND_PASS_TO_SHOW, values | {"today": today})
    return rows[0][0] if rows else None


async def set_pass(
    session: AsyncSession,
    org_id: UUID,
    session_id: UUID,
    *,
    pass_id: UUID | None,
    is_monthly: bool = True,
) -> bool:
    """Let a locked stay be on a pass, or on none, and what is inside name it.

    Returns:
        False where another vehicle came in on the pass at this moment: nothing may be committed.
    """
    of_stay = {"org_id": org_id, "id": session_id}
    await run(session, SET_PASS, of_stay | {"pass_id": pass_id})
    for row in await run(session, TAKE_OUT, of_stay):
        known_by = dict(zip(PUT_BACK_FIELDS, row, strict=True))
        named = {"pass_id": pass_id if is_monthly else None}
        if not await run(session, PUT_BACK, of_stay | known_by | named):
            return False
    return True
