"""SQL of leaving, a whole flush at once: who wants out, and what decides about them, under lock."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.sql import run, run_each
from parking.collections.queries import RAILS_OF_SESSIONS
from parking.exits.queries import FIELDS, FIND_STAYS, LOCK_OCCUPANCY, LOCK_SESSIONS
from parking.exits.rules import OWNER_KIND, StayFacts
from parking.shifts.queries import FIND_OPEN_OF_MANY
from parking.tariffs.in_force import LotRate
from parking.tariffs.queries import LIST_RATES, read_rates
from payments.bills.queries_owners import SUM_OF_OWNERS

# By the primary key, one by one: no plan made while `inside` was small reads all of it later.
FIND_INSIDE: Final = text("""
    SELECT t.lot_id, t.kind, t.credential, i.session_id, i.vehicle_class
    FROM unnest(CAST(:lot_ids AS uuid[]), CAST(:kinds AS text[]), CAST(:values AS text[]))
        AS t (lot_id, kind, credential)
    CROSS JOIN LATERAL (
        SELECT session_id, vehicle_class FROM inside
        WHERE org_id = :org_id AND lot_id = t.lot_id AND kind = t.kind
          AND credential = t.credential LIMIT 1) i
""")
FIND_PLACES: Final = text("""
    SELECT id, lot_id, vehicle_class FROM parking_sessions
    WHERE org_id = :org_id AND id = ANY(CAST(:ids AS uuid[]))
""")

# Of two exits of one person at once the second sees the first one.
LOCK_STAFF = text("""
    SELECT id FROM staff WHERE org_id = :org_id AND id = ANY(CAST(:staff_ids AS uuid[]))
    ORDER BY id FOR NO KEY UPDATE
""")
# In the shift that runs, or on the last day of who has none.
COUNT_UNCONFIRMED = text("""
    SELECT t.staff_id, t.lot_id, l.unconfirmed_exits_max - (
        SELECT count(*) FROM parking_sessions s
        WHERE s.org_id = l.org_id AND s.lot_id = l.id AND s.exit_by = t.staff_id
          AND s.exit_reason = 'unconfirmed' AND s.left_at >= coalesce(
              (SELECT h.opened_at FROM shifts h
               WHERE h.org_id = l.org_id AND h.staff_id = t.staff_id AND h.lot_id = l.id
                 AND h.closed_at IS NULL),
              CAST(:now AS timestamptz) - interval '1 day'))
    FROM unnest(CAST(:staff_ids AS uuid[]), CAST(:lot_ids AS uuid[])) AS t (staff_id, lot_id)
    JOIN lots l ON l.org_id = :org_id AND l.id = t.lot_id
""")

Credential = tuple[UUID, str, str]  # (lot, kind, value), as it is inside
Place = tuple[UUID, str]  # (lot, class)


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """Stays under lock, and what was read beside them since."""

    stays: Mapping[UUID, StayFacts]
    rates: Mapping[UUID, Sequence[LotRate]]  # by lot
    bills_paid_vnd: dict[UUID, int]  # what the bills of each stay were paid
    rails: Mapping[UUID, frozenset[str]]  # of what was collected for each stay
    shifts: Mapping[UUID, tuple[UUID, UUID]]  # (shift, lot) of each person who has an open one


async def find_leavers(
    session: AsyncSession,
    org_id: UUID,
    *,
    session_ids: Collection[UUID],
    credentials: Collection[Credential],
) -> tuple[dict[Credential, UUID], dict[UUID, Place]]:
    """Find stays by id or by what is inside: (credential → stay, stay → its place now)."""
    by_credential, by_id = await run_each(
        session,
        (
            FIND_INSIDE,
            {
                "org_id": org_id,
                "lot_ids": [lot_id for lot_id, _, _ in credentials],
                "kinds": [kind for _, kind, _ in credentials],
                "values": [value for _, _, value in credentials],
            },
        ),
        (FIND_PLACES, {"org_id": org_id, "ids": list(session_ids)}),
    )
    found: dict[Credential, UUID] = {}
    places: dict[UUID, Place] = {}
    for lot_id, kind, value, session_id, vehicle_class in by_credential:
        found[(lot_id, kind, value)] = session_id
        places[session_id] = (lot_id, vehicle_class)
    for session_id, lot_id, vehicle_class in by_id:
        places[session_id] = (lot_id, vehicle_class)
    return found, places


async def lock_and_read(
    session: AsyncSession, org_id: UUID, places: Mapping[UUID, Place], people: Collection[UUID]
) -> Held:
    """Lock the occupancy of these stays' places, then the stays; read what decides about them.

    In one trip: each statement sees what was committed while the locks were waited for.
    """
    of_org = {"org_id": org_id}
    ids = {**of_org, "ids": list(places)}
    wanted = set(places.values())
    lot_ids = list({lot_id for lot_id, _ in wanted})
    locked = {
        **of_org,
        "lot_ids": [lot_id for lot_id, _ in wanted],
        "classes": [vehicle_class for _, vehicle_class in wanted],
    }
    _, _, stays, rates, bills, rails, shifts = await run_each(
        session,
        (LOCK_OCCUPANCY, locked),
        (LOCK_SESSIONS, ids),
        (FIND_STAYS, ids),
        (LIST_RATES, {**of_org, "lot_ids": lot_ids}),
        (SUM_OF_OWNERS, {**of_org, "kind": OWNER_KIND, "owner_ids": ids["ids"]}),
        (RAILS_OF_SESSIONS, ids),
        (FIND_OPEN_OF_MANY, {**of_org, "staff_ids": list(people)}),
    )
    return Held(
        stays={row[0]: StayFacts(**dict(zip(FIELDS, row, strict=True))) for row in stays},
        rates=read_rates(lot_ids, rates),
        bills_paid_vnd={row[0]: row[1] for row in bills},
        rails={row[0]: frozenset(row[1]) for row in rails},
        shifts={row[0]: (row[1], row[2]) for row in shifts},
    )


async def read_unconfirmed_left(
    session: AsyncSession, org_id: UUID, asked: Collection[tuple[UUID, UUID]], *, now: datetime
) -> dict[tuple[UUID, UUID], int]:
    """Return how many more vehicles people may let out unconfirmed: {(person, lot): vehicles}.

    The people are locked, so that nobody lets two out at once for the last one.
    """
    if not asked:
        return {}
    values = {
        "org_id": org_id,
        "staff_ids": [staff_id for staff_id, _ in asked],
        "lot_ids": [lot_id for _, lot_id in asked],
        "now": now,
    }
    await run(session, LOCK_STAFF, {"org_id": org_id, "staff_ids": values["staff_ids"]})
    return {(row[0], row[1]): row[2] for row in await run(session, COUNT_UNCONFIRMED, values)}
