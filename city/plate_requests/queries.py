"""SQL of a person's request: what is held about a plate, table by table, and erasing it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncSession

from core.sql import run, send

# Row-level security lets no index be used with a pattern, nor look into an array: only columns that
# equal something are found by one. Among candidates, of which five are kept:
_READ: Final = " OR ".join(f"org_id = :org_id AND read_{place} = :plate" for place in range(1, 6))
# Stays that have the plate now, and those of which it was read or typed at some time. The latter
# are another vehicle's by now, as a person said.
LIST_STAYS = text(f"""
    WITH named AS (
        (SELECT id, true AS is_own FROM parking_sessions
         WHERE org_id = :org_id AND plate = :plate ORDER BY id DESC LIMIT :limit)
        UNION ALL
        (SELECT session_id, false FROM observations
         WHERE org_id = :org_id AND plate = :plate ORDER BY id DESC LIMIT 4 * :limit)
        UNION ALL
        (SELECT session_id, false FROM observations
         WHERE org_id = :org_id AND read_text = ANY(CAST(:readings AS text[]))
         ORDER BY id DESC LIMIT 4 * :limit)
        UNION ALL
        (SELECT session_id, false FROM observations
         WHERE {_READ} ORDER BY id DESC LIMIT 4 * :limit))
    SELECT s.id, l.name, s.vehicle_class, s.entered_at, s.left_at, s.status, s.arrears_vnd,
           s.price_vnd, s.paid_vnd, n.is_own, s.entry_photo, s.exit_photo
    FROM (SELECT id, bool_or(is_own) AS is_own FROM named GROUP BY id) n
    JOIN parking_sessions s ON s.org_id = :org_id AND s.id = n.id
    JOIN lots l ON l.org_id = s.org_id AND l.id = s.lot_id
    WHERE CAST(:vehicle_class AS text) IS NULL OR s.vehicle_class = :vehicle_class
    ORDER BY s.id DESC LIMIT :limit
""")  # noqa: S608
LOCK_ENDED = text("""
    SELECT id FROM parking_sessions
    WHERE org_id = :org_id AND id = ANY(CAST(:ids AS uuid[]))
      AND status IN ('left', 'voided') AND arrears_vnd = 0 AND left_at < :before
    ORDER BY id FOR NO KEY UPDATE
""")

_IDS: Final = "CAST(:{} AS uuid[])"
# Rows of the plate, and which of them may be erased. `own_ids`: stays with the plate; `erased_ids`:
# those of them that are erased; `read_ids`: stays of which it was read, and that are over.
_SIGHTED: Final = (
    f"org_id = :org_id AND (session_id = ANY({_IDS.format('erased_ids')})"
    " OR (plate = :plate OR read_text = ANY(CAST(:readings AS text[]))"
    " OR :plate IN (read_1, read_2, read_3, read_4, read_5))"
    f" AND (session_id = ANY({_IDS.format('read_ids')})"
    " OR session_id IS NULL AND seen_at < :before))"
)
_MOVED: Final = (
    "org_id = :org_id AND plate = :plate OR org_id = :org_id AND has_words"
    " AND (CAST(body AS text) ~* :pattern OR CAST(request AS text) ~* :pattern)"
)
_MOVED_LONG_AGO: Final = "handled_at IS NOT NULL AND received_at < :before"
_COMPLAINED: Final = (
    "org_id = :org_id AND (words ~* :pattern OR answer ~* :pattern"
    f" OR session_id = ANY({_IDS.format('own_ids')}) AND (photo IS NOT NULL OR contact IS NOT NULL))"  # noqa: E501
)
_COMPLAINED_LONG_AGO: Final = "resolved_at < :before"
_OPENED: Final = (
    "org_id = :org_id AND (reason ~* :pattern"
    f" OR session_id = ANY({_IDS.format('own_ids')}) AND photo IS NOT NULL)"
)
_OPENED_LONG_AGO: Final = "requested_at < :before"
_HAS_PASS: Final = "org_id = :org_id AND plate = :plate"  # noqa: S105
_HAD_PASS: Final = """EXISTS (
    SELECT FROM passes p WHERE p.org_id = pass_plates.org_id AND p.id = pass_plates.pass_id
      AND (p.revoked_at < :before OR p.valid_until < :before_on))"""  # noqa: S105
_WATCHED: Final = "org_id = :org_id AND plate = :plate"
_WATCHED_LONG_AGO: Final = "(removed_at < :before OR expires_on < :before_on)"


@dataclass(frozen=True, kw_only=True)
class Holder:
    """A table: its rows of a plate, those that may be erased, and how; None: it empties itself."""

    rows: str
    erasable: str
    erase: TextClause | None
    photos: str = ""


def _update(table: str, changes: str, rows: str, erasable: str) -> TextClause:
    return text(f"UPDATE {table} SET {changes} WHERE ({rows}) AND ({erasable})")  # noqa: S608


# In the order in which rows are locked: docs/adr/0013.
HOLDERS: Final[dict[str, Holder]] = {
    "movements": Holder(
        rows=_MOVED,
        erasable=_MOVED_LONG_AGO,
        erase=_update(
            "movements",
            """body = '{"erased": true}', request = NULL, plate = NULL, has_words = false""",
            _MOVED,
            _MOVED_LONG_AGO,
        ),
    ),
    "observations": Holder(
        rows="org_id = :org_id AND plate = :plate"
        " OR org_id = :org_id AND read_text = ANY(CAST(:readings AS text[]))"
        f" OR {_READ}",
        erasable=_SIGHTED,
        erase=text(f"""
            UPDATE observations
            SET plate = NULL, read_text = NULL, candidates = NULL, photo = NULL WHERE {_SIGHTED}
        """),  # noqa: S608
        photos=f"SELECT photo FROM observations WHERE {_SIGHTED}",  # noqa: S608
    ),
    # A stay keeps its times, its price and what was paid. A photo on which another plate was read
    # goes from the stay, too.
    "parking_sessions": Holder(
        rows="org_id = :org_id AND plate = :plate",
        erasable=f"id = ANY({_IDS.format('erased_ids')})",
        erase=text(f"""
            UPDATE parking_sessions SET
                plate = CASE WHEN id = ANY({_IDS.format("erased_ids")}) THEN NULL ELSE plate END,
                ticket = CASE WHEN id = ANY({_IDS.format("erased_ids")})
                         THEN coalesce(ticket, 'erased') ELSE ticket END,
                ticket_kind = CASE WHEN id = ANY({_IDS.format("erased_ids")})
                              THEN coalesce(ticket_kind, 'ticket') ELSE ticket_kind END,
                entry_photo = CASE WHEN id = ANY({_IDS.format("erased_ids")})
                    OR entry_photo = ANY(CAST(:photos AS bytea[])) THEN NULL ELSE entry_photo END,
                exit_photo = CASE WHEN id = ANY({_IDS.format("erased_ids")})
                    OR exit_photo = ANY(CAST(:photos AS bytea[])) THEN NULL ELSE exit_photo END
            WHERE org_id = :org_id
              AND id = ANY({_IDS.format("erased_ids")} || {_IDS.format("read_ids")})
        """),  # noqa: S608
        photos="SELECT unnest(ARRAY[entry_photo, exit_photo]) FROM parking_sessions"  # noqa: S608
        f" WHERE org_id = :org_id AND id = ANY({_IDS.format('erased_ids')})",
    ),
    "inside": Holder(
        rows=f"org_id = :org_id AND kind = 'plate' AND session_id = ANY({_IDS.format('own_ids')})",
        erasable="false",
        erase=None,  # its row goes when the vehicle leaves
    ),
    "pass_plates": Holder(
        rows=_HAS_PASS,
        erasable=_HAD_PASS,
        erase=text(f"DELETE FROM pass_plates WHERE {_HAS_PASS} AND {_HAD_PASS}"),  # noqa: S608
    ),
    "watched_plates": Holder(
        rows=_WATCHED,
        erasable=_WATCHED_LONG_AGO,
        erase=_update("watched_plates", "plate = 'erased'", _WATCHED, _WATCHED_LONG_AGO),
    ),
    "lane_commands": Holder(
        rows=_OPENED,
        erasable=_OPENED_LONG_AGO,
        erase=_update(
            "lane_commands",
            "reason = regexp_replace(reason, :pattern, :masked, 'gi'), photo = NULL",
            _OPENED,
            _OPENED_LONG_AGO,
        ),
        photos=f"SELECT photo FROM lane_commands WHERE ({_OPENED}) AND {_OPENED_LONG_AGO}",  # noqa: S608
    ),
    "complaints": Holder(
        rows=_COMPLAINED,
        erasable=_COMPLAINED_LONG_AGO,
        erase=_update(
            "complaints",
            "words = regexp_replace(words, :pattern, :masked, 'gi'),"
            " answer = regexp_replace(answer, :pattern, :masked, 'gi'),"
            " contact = NULL, photo = NULL",
            _COMPLAINED,
            _COMPLAINED_LONG_AGO,
        ),
        photos=f"SELECT photo FROM complaints WHERE ({_COMPLAINED}) AND {_COMPLAINED_LONG_AGO}",  # noqa: S608
    ),
}
COUNT_ROWS = text(
    " UNION ALL ".join(
        f"SELECT '{table}', count(*), count(*) FILTER (WHERE {one.erasable})"  # noqa: S608
        f" FROM {table} WHERE {one.rows}"
        for table, one in HOLDERS.items()
    )
)
LIST_PHOTOS = text(
    "SELECT photo FROM ("  # noqa: S608
    + " UNION ".join(one.photos for one in HOLDERS.values() if one.photos)
    + ") AS of_plate (photo) WHERE photo IS NOT NULL"
)


async def list_stays(
    session: AsyncSession, org_id: UUID, values: Mapping[str, Any], *, limit: int
) -> list[tuple[Any, ...]]:
    """List the stays of a plate, and those of which it was read at some time, newest first."""
    return await run(session, LIST_STAYS, {**values, "org_id": org_id, "limit": limit})


async def lock_ended(
    session: AsyncSession, org_id: UUID, ids: Collection[UUID], *, before: datetime
) -> list[UUID]:
    """Lock those of some stays that ended before an instant and owe nothing."""
    values = {"org_id": org_id, "ids": list(ids), "before": before}
    return [row[0] for row in await run(session, LOCK_ENDED, values)]


async def count_rows(
    session: AsyncSession, org_id: UUID, values: Mapping[str, Any]
) -> dict[str, tuple[int, int]]:
    """Return for each table how many rows there are of a plate, and how many may be erased."""
    rows = await run(session, COUNT_ROWS, {**values, "org_id": org_id})
    return {table: (held, erasable) for table, held, erasable in rows}


async def list_photos(
    session: AsyncSession, org_id: UUID, values: Mapping[str, Any]
) -> list[bytes]:
    """List the photos of what may be erased."""
    rows = await run(session, LIST_PHOTOS, {**values, "org_id": org_id})
    return [bytes(row[0]) for row in rows]


async def erase(session: AsyncSession, org_id: UUID, table: str, values: Mapping[str, Any]) -> None:
    """Take the plate and its photos out of a table."""
    statement = HOLDERS[table].erase
    if statement is not None:
        await send(session, statement, {**values, "org_id": org_id})
