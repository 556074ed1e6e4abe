"""SQL of the way in: two statements a flush, which lock, decide and write (docs/adr/0013).

As role gate, whose policies let it see every organisation: `org_id` comes from the verified
caller, and each join has it.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import LargeBinary, String, TextClause, bindparam, text
from sqlalchemy.ext.asyncio import AsyncSession

from core.shared_clock import new_event_id
from core.sql import run_together
from parking.plates import mask_plate
from parking.sessions.rules import TAIL_CHARS, EntryRequest
from payments.outbox.rules import EventKind

# One after the other in the order of the arrays, which is that of (organisation, lot, class) in
# every process, so that two cannot wait for each other. Whoever writes `inside` holds these rows,
# so what DECIDE_AND_WRITE reads cannot change under it.
LOCK_OCCUPANCY = text("""
    SELECT 1
    FROM unnest(CAST(:org_ids AS uuid[]), CAST(:lot_ids AS uuid[]), CAST(:classes AS text[]))
        AS t (org_id, lot_id, vehicle_class)
    CROSS JOIN LATERAL (
        SELECT FROM occupancy o
        WHERE o.org_id = t.org_id AND o.lot_id = t.lot_id AND o.vehicle_class = t.vehicle_class
        FOR NO KEY UPDATE) AS locked
""")

# One lookup by key for each item and table, which LIMIT keeps from becoming one of all rows; the
# lists of candidates are the flush's own. The
# sighting of an entry has the session's id. `n` is the item's place, which is the order of
# arrival: the last free space belongs to who came first.
DECIDE_AND_WRITE = text("""
    WITH items AS MATERIALIZED (
        SELECT * FROM unnest(
            CAST(:org_ids AS uuid[]), CAST(:lot_ids AS uuid[]), CAST(:ids AS uuid[]),
            CAST(:classes AS text[]), CAST(:plates AS text[]), CAST(:plate_credentials AS text[]),
            CAST(:masked_plates AS text[]), CAST(:ticket_kinds AS text[]),
            CAST(:tickets AS text[]), CAST(:ticket_keys AS uuid[]), CAST(:access_ids AS uuid[]),
            CAST(:device_ids AS uuid[]), CAST(:shift_ids AS uuid[]), CAST(:entered_bys AS uuid[]),
            CAST(:photos AS text[]), CAST(:methods AS text[]), CAST(:read_texts AS text[]),
            CAST(:read_scores AS int[]), CAST(:entered_ats AS timestamptz[]),
            CAST(:time_sources AS text[]), CAST(:request_hashes AS text[]),
            CAST(:may_exceeds AS bool[]), CAST(:event_ids AS uuid[]),
            CAST(:left_ats AS timestamptz[]))
        WITH ORDINALITY AS t (
            org_id, lot_id, id, vehicle_class, plate, plate_credential, masked_plate, ticket_kind,
            ticket, ticket_key, access_id, device_id, shift_id, entered_by, photo, method,
            read_text, read_score_bps, entered_at, time_source, request_hash, may_exceed, event_id,
            left_at, n)),
    looked_up AS MATERIALIZED (
        SELECT i.*, o.inside_count, o.capacity, o.licensed_capacity, o.place,
               s.request_hash = decode(i.request_hash, 'hex') AS is_same,
               s.ticket_key AS known_key, present.session_id AS present_id,
               coalesce(s.entered_at, present.entered_at) AS since,
               o.capacity IS NOT NULL AND s.request_hash IS NULL
                   AND present.session_id IS NULL AND i.left_at IS NULL AS may_enter
        FROM items i
        LEFT JOIN LATERAL (
            SELECT capacity, licensed_capacity, inside_count, ctid AS place FROM occupancy o
            WHERE o.org_id = i.org_id AND o.lot_id = i.lot_id
              AND o.vehicle_class = i.vehicle_class LIMIT 1) o ON true
        LEFT JOIN LATERAL (
            SELECT request_hash, ticket_key, entered_at FROM parking_sessions s
            WHERE s.org_id = i.org_id AND s.id = i.id
              AND s.id BETWEEN :lowest_id AND :highest_id LIMIT 1) s ON true
        LEFT JOIN LATERAL (
            (SELECT session_id, entered_at FROM inside x
             WHERE x.org_id = i.org_id AND x.lot_id = i.lot_id AND x.kind = 'plate'
               AND x.credential = i.plate_credential LIMIT 1)
            UNION ALL
            (SELECT session_id, entered_at FROM inside x
             WHERE x.org_id = i.org_id AND x.lot_id = i.lot_id AND x.kind = i.ticket_kind
               AND x.credential = i.ticket LIMIT 1)
            LIMIT 1) present ON true),
    judged AS MATERIALIZED (
        SELECT *, CASE
            WHEN is_same THEN 'repeat'
            WHEN is_same IS NOT NULL THEN 'taken'
            WHEN capacity IS NULL THEN 'unknown'
            WHEN left_at IS NOT NULL THEN 'opened'
            WHEN present_id IS NOT NULL THEN 'already_inside'
            WHEN may_exceed OR inside_count + count(*) FILTER (WHERE may_enter) OVER (
                PARTITION BY org_id, lot_id, vehicle_class ORDER BY n) <= capacity THEN 'opened'
            ELSE 'full' END AS verdict
        FROM looked_up),
    -- Every item goes on, so that nothing is joined to itself again; only the opened ones are
    -- looked up.
    entering AS MATERIALIZED (
        SELECT j.*, held.pass_id AS held_pass_id, held.is_monthly, held.is_used,
               j.inside_count + count(*) FILTER (
                   WHERE j.verdict = 'opened' AND j.left_at IS NULL) OVER (
                   PARTITION BY j.org_id, j.lot_id, j.vehicle_class ORDER BY j.n) AS inside_after,
               j.verdict = 'opened' AND j.plate IS NOT NULL AND (
                   SELECT true FROM watched_plates w
                   WHERE w.org_id = j.org_id AND w.plate = j.plate
                     AND w.vehicle_class = j.vehicle_class AND w.approved_at IS NOT NULL
                     AND w.removed_at IS NULL
                     AND (j.entered_at AT TIME ZONE 'Asia/Ho_Chi_Minh')::date
                         BETWEEN w.from_on AND w.expires_on
                   LIMIT 1) IS NOT NULL AS is_watched,
               j.verdict = 'opened' AND j.photo IS NULL AND (
                   SELECT l.photo_required FROM lots l
                   WHERE l.org_id = j.org_id AND l.id = j.lot_id LIMIT 1) AS is_photo_missing
        FROM judged j
        LEFT JOIN LATERAL (
            SELECT p.id AS pass_id, p.kind = 'monthly' AS is_monthly,
                   p.kind = 'monthly' AND (
                       SELECT true FROM inside x
                       WHERE x.org_id = p.org_id AND x.pass_id = p.id LIMIT 1) IS NOT NULL
                       AS is_used
            FROM pass_plates v
            JOIN passes p ON p.org_id = v.org_id AND p.id = v.pass_id
            WHERE j.verdict = 'opened'
              AND v.org_id = j.org_id AND v.plate = j.plate AND v.vehicle_class = j.vehicle_class
              AND p.in_force_at IS NOT NULL AND p.revoked_at IS NULL
              AND (p.lot_id IS NULL OR p.lot_id = j.lot_id)
              AND (j.entered_at AT TIME ZONE 'Asia/Ho_Chi_Minh')::date
                  BETWEEN p.valid_from AND p.valid_until
            ORDER BY is_used, is_monthly, p.valid_until, p.id LIMIT 1) AS held ON true),
    -- Of a monthly pass's vehicles one is inside on it; an exemption is for each of its own.
    decided AS MATERIALIZED (
        SELECT *, CASE WHEN NOT is_monthly OR (NOT is_used AND row_number() OVER (
            PARTITION BY org_id, held_pass_id, is_used ORDER BY n) = 1)
            THEN held_pass_id END AS pass_id
        FROM entering),
    entered AS MATERIALIZED (SELECT * FROM decided WHERE verdict = 'opened'),
    opened AS (
        INSERT INTO parking_sessions (
            org_id, id, lot_id, vehicle_class, plate, ticket, ticket_kind, ticket_key, status,
            entered_at, entry_time_is, entry_access_id, entry_device_id, entry_shift_id, entry_by,
            entry_photo, is_photo_missing, request_hash, pass_id, left_at)
        SELECT org_id, id, lot_id, vehicle_class, plate, ticket, ticket_kind, ticket_key,
               CASE WHEN left_at IS NULL THEN 'inside' ELSE 'left' END, entered_at,
               time_source, access_id, device_id, shift_id, entered_by, decode(photo, 'hex'),
               coalesce(is_photo_missing, false), decode(request_hash, 'hex'), pass_id, left_at
        FROM entered),
    present AS (
        INSERT INTO inside (
            org_id, lot_id, kind, credential, tail, session_id, vehicle_class, entered_at, pass_id)
        SELECT * FROM (
            SELECT org_id, lot_id, 'plate' AS kind, plate_credential AS credential,
                   right(regexp_replace(plate, '[^0-9]', '', 'g'), :tail_chars), id,
                   vehicle_class, entered_at, CASE WHEN is_monthly THEN pass_id END
            FROM entered WHERE plate IS NOT NULL AND left_at IS NULL
            UNION ALL
            SELECT org_id, lot_id, ticket_kind, ticket, right(ticket, :tail_chars), id,
                   vehicle_class, entered_at, NULL
            FROM entered WHERE ticket IS NOT NULL AND left_at IS NULL) AS credentials
        ORDER BY org_id, lot_id, kind, credential),
    seen AS (
        INSERT INTO observations (
            org_id, id, lot_id, session_id, access_id, direction, method, plate, read_text,
            read_score_bps, photo, device_id, seen_by, seen_at)
        SELECT org_id, id, lot_id, id, access_id, 'in', method, plate, read_text, read_score_bps,
               decode(photo, 'hex'), device_id, entered_by, entered_at
        FROM entered),
    told AS (
        INSERT INTO events (org_id, id, kind, data, recorded_at)
        SELECT org_id, event_id, :entered_kind,
               jsonb_build_object(
                   'lot_id', lot_id, 'session_id', id, 'vehicle_class', vehicle_class,
                   'plate', masked_plate, 'pass_id', pass_id, 'inside_count', inside_after),
               :now
        FROM entered
        UNION ALL
        -- Seldom: the last digit of the entry's event makes it another id.
        SELECT org_id, (left(event_id::text, 35) || translate(
                   right(event_id::text, 1), '0123456789abcdef', '123456789abcdef0'))::uuid,
               :watched_kind,
               jsonb_build_object(
                   'lot_id', lot_id, 'session_id', id, 'vehicle_class', vehicle_class,
                   'plate', masked_plate),
               :now
        FROM entered WHERE is_watched
        UNION ALL
        SELECT org_id, (left(event_id::text, 35) || translate(
                   right(event_id::text, 1), '0123456789abcdef', '23456789abcdef01'))::uuid,
               :over_licence_kind,
               jsonb_build_object(
                   'lot_id', lot_id, 'vehicle_class', vehicle_class,
                   'licensed_capacity', licensed_capacity, 'inside_count', inside_after),
               :now
        FROM entered WHERE inside_after = licensed_capacity + 1 AND left_at IS NULL),
    -- By its place in the table, where it stays while we hold its lock.
    counted AS (
        UPDATE occupancy o SET inside_count = o.inside_count + came.count
        FROM (SELECT place, count(*) AS count FROM entered WHERE left_at IS NULL GROUP BY place)
            AS came
        WHERE o.ctid = came.place)
    SELECT verdict, present_id, since, known_key, pass_id,
           held_pass_id IS NOT NULL AND pass_id IS NULL, coalesce(is_watched, false),
           inside_after, capacity, coalesce(is_photo_missing, false)
    FROM decided ORDER BY n
""")
KINDS: Final = {
    "entered_kind": EventKind.PARKING_ENTERED.value,
    "watched_kind": EventKind.PARKING_WATCHED.value,
    "over_licence_kind": EventKind.PARKING_OVER_LICENCE.value,
}


# (verdict, session, since, key, pass, is it in use, is it watched, inside, capacity,
# is its photo missing)
EntryRow = tuple[Any, ...]
Statement = tuple[TextClause, dict[str, Any]]

LOCK_LOT = text("""
    SELECT 1 FROM occupancy WHERE org_id = :org_id AND lot_id = :lot_id
    ORDER BY vehicle_class FOR NO KEY UPDATE
""")

SEND_TO_REVIEW = text("""
    WITH gone AS (
        DELETE FROM inside WHERE org_id = :org_id AND session_id = :session_id
        RETURNING vehicle_class),
    counted AS (
        UPDATE occupancy SET inside_count = inside_count - 1
        WHERE org_id = :org_id AND lot_id = :lot_id
          AND vehicle_class = (SELECT vehicle_class FROM gone LIMIT 1))
    UPDATE parking_sessions SET status = 'review'
    WHERE org_id = :org_id AND id = :session_id AND status = 'inside'
""")


async def lock_lot(session: AsyncSession, org_id: UUID, lot_id: UUID) -> None:
    """Lock all classes of a lot, for who changes what is inside without knowing its class."""
    await session.execute(LOCK_LOT, {"org_id": org_id, "lot_id": lot_id})


async def send_to_review(
    session: AsyncSession, org_id: UUID, lot_id: UUID, session_id: UUID
) -> None:
    """Take a stay out of what is inside, for a person to judge. The lot is locked."""
    values = {"org_id": org_id, "lot_id": lot_id, "session_id": session_id}
    await session.execute(SEND_TO_REVIEW, values)


async def enter_vehicles(
    session: AsyncSession, requests: Sequence[EntryRequest], *, now: datetime
) -> list[EntryRow]:
    """Lock, decide and write entries of any organisations, in the order of their arrival.

    No two may share an id or a credential (`EntryRequest.list_keys`).

    Returns:
        For each, in order: (verdict or "unknown", session inside already, since when that or the
        repeated one is inside, the latter's key, pass, is the pass in use, is it watched, how many
        are inside, capacity, is the photo missing that its lot requires).

    Raises:
        DBAPIError: IntegrityError where a credential or an id was taken at the same time under
            another lot's or class's lock; the flush is tried again, item by item.
    """
    return await run_together(session, _write_lock(requests), _write_round(requests, now=now))


async def enter_in_rounds(
    session: AsyncSession, rounds: Sequence[Sequence[EntryRequest]], *, now: datetime
) -> list[list[EntryRow]]:
    """Do what `enter_vehicles` does for several rounds in one transaction, under one lock.

    Each round sees what the ones before it wrote, so one vehicle may come in several of them.
    """
    lock = _write_lock([request for requests in rounds for request in requests])
    written: list[list[EntryRow]] = []
    for requests in rounds:
        statements = [_write_round(requests, now=now)]
        written.append(await run_together(session, *([lock] if not written else []), *statements))
    return written


def _write_lock(requests: Sequence[EntryRequest]) -> Statement:
    places = sorted({(r.org_id, r.lot_id, r.vehicle_class.value) for r in requests})
    lock = {
        "org_ids": [place[0] for place in places],
        "lot_ids": [place[1] for place in places],
        "classes": [place[2] for place in places],
    }
    return LOCK_OCCUPANCY, lock


def _write_round(requests: Sequence[EntryRequest], *, now: datetime) -> Statement:
    return DECIDE_AND_WRITE, _write_items(requests, now=now)


def _write_items(requests: Sequence[EntryRequest], *, now: datetime) -> dict[str, Any]:
    return {
        **KINDS,
        "now": now,
        "tail_chars": TAIL_CHARS,
        # Known before the first row is read, so that other months are left out at once.
        "lowest_id": min(r.id for r in requests),
        "highest_id": max(r.id for r in requests),
        "org_ids": [r.org_id for r in requests],
        "lot_ids": [r.lot_id for r in requests],
        "ids": [r.id for r in requests],
        "classes": [r.vehicle_class.value for r in requests],
        "plates": [r.plate for r in requests],
        "plate_credentials": [r.plate_credential for r in requests],
        "masked_plates": [None if r.plate is None else mask_plate(r.plate) for r in requests],
        "ticket_kinds": [r.ticket_kind and r.ticket_kind.value for r in requests],
        "tickets": [r.ticket for r in requests],
        "ticket_keys": [r.ticket_key for r in requests],
        "access_ids": [r.access_id for r in requests],
        "device_ids": [r.device_id for r in requests],
        "shift_ids": [r.shift_id for r in requests],
        "entered_bys": [r.entered_by for r in requests],
        "photos": [r.photo and r.photo.hex() for r in requests],
        "methods": [r.method.value for r in requests],
        "read_texts": [r.read_text for r in requests],
        "read_scores": [r.read_score_bps for r in requests],
        "entered_ats": [r.entered_at for r in requests],
        "time_sources": [r.time_source.value for r in requests],
        "request_hashes": [r.request_hash.hex() for r in requests],
        "may_exceeds": [r.may_exceed for r in requests],
        "event_ids": [new_event_id() for _ in requests],
        "left_ats": [r.left_at for r in requests],
    }


# For a plate that is read after its vehicle came in on a ticket. The lot is locked.
ADD_PLATE = text("""
    WITH stay AS (
        SELECT org_id, id, lot_id, vehicle_class, entered_at FROM parking_sessions
        WHERE org_id = :org_id AND lot_id = :lot_id AND id = :id AND status = 'inside'
          AND (plate IS NULL OR plate = :plate)
        FOR NO KEY UPDATE),
    other AS (
        SELECT x.session_id FROM inside x, stay s
        WHERE x.org_id = s.org_id AND x.lot_id = s.lot_id AND x.kind = 'plate'
          AND x.credential = s.vehicle_class || ':' || :plate AND x.session_id <> s.id),
    named AS (
        UPDATE parking_sessions p SET plate = :plate FROM stay s
        WHERE p.org_id = s.org_id AND p.id = s.id),
    present AS (
        INSERT INTO inside (
            org_id, lot_id, kind, credential, tail, session_id, vehicle_class, entered_at)
        SELECT org_id, lot_id, 'plate', vehicle_class || ':' || :plate,
               right(regexp_replace(:plate, '[^0-9]', '', 'g'), :tail_chars), id, vehicle_class,
               entered_at
        FROM stay WHERE NOT EXISTS (SELECT FROM other)
        ON CONFLICT DO NOTHING),
    seen AS (
        INSERT INTO observations (
            org_id, id, lot_id, session_id, direction, method, plate, seen_by, seen_at)
        SELECT org_id, :sighting_id, lot_id, id, 'inside', :method, :plate, :seen_by, :now
        FROM stay)
    SELECT s.vehicle_class, (SELECT session_id FROM other LIMIT 1) FROM stay s
""")


# A photo that comes after its vehicle: a sighting of its own, whose id the phone made.
FIND_SIGHTING = text("""
    SELECT session_id, photo, direction FROM observations WHERE org_id = :org_id AND id = :id
""")
ADD_PHOTO = text("""
    WITH stay AS (
        SELECT org_id, id, lot_id FROM parking_sessions
        WHERE org_id = :org_id AND lot_id = :lot_id AND id = :session_id
        FOR NO KEY UPDATE),
    seen AS (
        INSERT INTO observations (
            org_id, id, lot_id, session_id, direction, method, photo, device_id, seen_by, seen_at)
        SELECT org_id, :id, lot_id, id, :direction, 'visual', :photo, CAST(:device_id AS uuid),
               :seen_by, :seen_at
        FROM stay ON CONFLICT DO NOTHING RETURNING id)
    UPDATE parking_sessions s
    SET entry_photo = CASE WHEN :direction = 'in' THEN coalesce(s.entry_photo, :photo)
                           ELSE s.entry_photo END,
        exit_photo = CASE WHEN :direction = 'out' THEN coalesce(s.exit_photo, :photo)
                          ELSE s.exit_photo END,
        is_photo_missing = s.is_photo_missing AND :direction <> 'in'
    FROM stay, seen WHERE s.org_id = stay.org_id AND s.id = stay.id
    RETURNING s.id
""")


async def find_sighting(
    session: AsyncSession, org_id: UUID, sighting_id: UUID
) -> tuple[UUID | None, bytes | None, str] | None:
    """Find a sighting: (stay, photo, direction)."""
    values = {"org_id": org_id, "id": sighting_id}
    row = (await session.execute(FIND_SIGHTING, values)).one_or_none()
    return None if row is None else (row[0], row[1], row[2])


async def add_photo(
    session: AsyncSession,
    org_id: UUID,
    lot_id: UUID,
    session_id: UUID,
    *,
    sighting_id: UUID,
    direction: str,
    photo: bytes,
    device_id: UUID | None,
    seen_by: UUID,
    seen_at: datetime,
) -> bool:
    """Attach a photo to a stay; False: the lot has no such stay, or the sighting is known."""
    values = {
        "org_id": org_id,
        "lot_id": lot_id,
        "session_id": session_id,
        "id": sighting_id,
        "direction": direction,
        "photo": photo,
        "device_id": device_id,
        "seen_by": seen_by,
        "seen_at": seen_at,
    }
    statement = ADD_PHOTO.bindparams(
        bindparam("direction", type_=String), bindparam("photo", type_=LargeBinary)
    )
    return (await session.execute(statement, values)).scalar() is not None


async def add_plate(
    session: AsyncSession,
    org_id: UUID,
    lot_id: UUID,
    session_id: UUID,
    *,
    plate: str,
    method: str,
    sighting_id: UUID,
    seen_by: UUID,
    now: datetime,
) -> tuple[str, UUID | None] | None:
    """Name the vehicle of a stay that had no plate.

    Returns:
        (class, the other stay that this vehicle is inside by); None: no such stay is inside, or it
        has another plate.
    """
    row = (
        await session.execute(
            ADD_PLATE.bindparams(bindparam("plate", type_=String)),
            {
                "org_id": org_id,
                "lot_id": lot_id,
                "id": session_id,
                "plate": plate,
                "method": method,
                "tail_chars": TAIL_CHARS,
                "sighting_id": sighting_id,
                "seen_by": seen_by,
                "now": now,
            },
        )
    ).one_or_none()
    return None if row is None else (row[0], row[1])
