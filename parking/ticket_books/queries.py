"""SQL of ticket books."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import first_id_at
from core.sql import run
from parking.ticket_books.errors import TicketBookNotFound
from parking.ticket_books.rules import TicketBookFacts

FIELDS = tuple(field.name for field in fields(TicketBookFacts))
COLUMNS = ", ".join(FIELDS)
CLOCKS_DIFFER: Final = timedelta(days=2)  # ids of devices with wrong clocks; see sessions/rules
SEEN_WITHIN: Final = timedelta(days=7)  # of what comes in on a book that is no longer out
USED_WITHIN: Final = timedelta(days=90)  # of a book that nobody hands back

FIND = text(f"SELECT {COLUMNS} FROM ticket_books WHERE org_id = :org_id AND id = :id")  # noqa: S608
LOCK = text(
    f"SELECT {COLUMNS} FROM ticket_books WHERE org_id = :org_id AND id = :id"  # noqa: S608
    " FOR NO KEY UPDATE"
)
FIND_MANY = text(
    f"SELECT {COLUMNS} FROM ticket_books"  # noqa: S608
    " WHERE org_id = :org_id AND id = ANY(CAST(:ids AS uuid[])) ORDER BY id"
)
LIST = text(f"""
    SELECT {COLUMNS} FROM ticket_books
    WHERE org_id = :org_id AND lot_id = :lot_id
      AND id < coalesce(CAST(:before_id AS uuid), 'ffffffff-ffff-ffff-ffff-ffffffffffff')
    ORDER BY id DESC LIMIT :limit
""")  # noqa: S608
# Printed tickets of one length are in the order of their numbers, whatever the prefix is. What was
# handed back unused may be given out again.
FIND_ISSUED = text("""
    SELECT id FROM (
        SELECT id, prefix || lpad(first_number::text, digits, '0') AS first_ticket,
               prefix || lpad(CASE WHEN returned_at IS NULL THEN last_number
                                   ELSE coalesce(last_used, -1) END::text, digits, '0')
                   AS last_ticket, returned_at, last_used
        FROM ticket_books WHERE org_id = :org_id AND lot_id = :lot_id) AS book
    WHERE (returned_at IS NULL OR last_used IS NOT NULL)
      AND length(first_ticket) = length(CAST(:first AS text))
      AND first_ticket COLLATE "C" <= CAST(:last AS text) COLLATE "C"
      AND last_ticket COLLATE "C" >= CAST(:first AS text) COLLATE "C"
    LIMIT 1
""")
INSERT = text("""
    INSERT INTO ticket_books (
        org_id, id, lot_id, shift_id, issued_to, issued_by, issued_at, prefix, digits,
        first_number, last_number)
    VALUES (:org_id, :id, :lot_id, :shift_id, :issued_to, :issued_by, :issued_at, :prefix, :digits,
            :first_number, :last_number)
""")
RETURN = text("""
    UPDATE ticket_books SET last_used = :last_used, returned_at = :now, returned_by = :by
    WHERE org_id = :org_id AND id = :id
""")
LIST_USED = text("""
    SELECT t.id, s.*
    FROM unnest(
        CAST(:ids AS uuid[]), CAST(:floors AS uuid[]), CAST(:ceilings AS uuid[]),
        CAST(:untils AS timestamptz[]), CAST(:firsts AS text[]), CAST(:lasts AS text[]))
        AS t (id, floor, ceiling, until, first_ticket, last_ticket)
    CROSS JOIN LATERAL (
        SELECT p.ticket, bool_or(p.entered_at <= t.until) FROM parking_sessions p
        WHERE p.org_id = :org_id AND p.lot_id = :lot_id AND p.id >= t.floor AND p.id < t.ceiling
          AND p.ticket_kind = 'ticket' AND p.status <> 'voided'
          AND length(p.ticket) = length(t.first_ticket)
          AND p.ticket COLLATE "C" >= t.first_ticket
          AND p.ticket COLLATE "C" <= t.last_ticket
        GROUP BY p.ticket) AS s
""")
# Printed tickets that no book had which was out: its shift had begun, it was neither handed back
# nor reported lost, and what was handed back unused is not among its tickets. A lot without books
# has tickets of its own. Only books that were out in that time are looked at: a lot has thousands.
LIST_STRAYS = text("""
    WITH good AS MATERIALIZED (
        SELECT length(b.prefix) + b.digits AS chars,
               (b.prefix || lpad(b.first_number::text, b.digits, '0')) COLLATE "C" AS first_ticket,
               (b.prefix || lpad(
                   CASE WHEN b.returned_at IS NULL THEN b.last_number
                        ELSE b.last_used END::text, b.digits, '0')) COLLATE "C" AS last_ticket,
               least(b.issued_at, h.opened_at) AS out_from,
               least(b.returned_at, b.lost_at) AS out_until
        FROM ticket_books b JOIN shifts h ON h.org_id = b.org_id AND h.id = b.shift_id
        WHERE b.org_id = :org_id AND b.lot_id = :lot_id
          AND (b.returned_at IS NULL OR b.last_used IS NOT NULL)
          AND least(b.issued_at, h.opened_at) < :until
          AND coalesce(least(b.returned_at, b.lost_at) >= :since, true))
    SELECT s.id, s.entered_at, s.ticket FROM parking_sessions s
    WHERE s.org_id = :org_id AND s.lot_id = :lot_id AND s.id >= :first_id AND s.id < :last_id
      AND s.entered_at >= :since AND s.entered_at < :until
      AND s.ticket_kind = 'ticket' AND s.status <> 'voided'
      AND EXISTS (SELECT FROM ticket_books o WHERE o.org_id = :org_id AND o.lot_id = :lot_id)
      AND NOT EXISTS (
        SELECT FROM good
        WHERE length(s.ticket) = good.chars
          AND s.ticket COLLATE "C" BETWEEN good.first_ticket AND good.last_ticket
          AND s.entered_at >= good.out_from
          AND s.entered_at <= coalesce(good.out_until, s.entered_at))
    ORDER BY s.entered_at DESC LIMIT :limit
""")
LOSE = text("""
    UPDATE ticket_books SET lost_at = :now, lost_by = :by WHERE org_id = :org_id AND id = :id
""")
FIND_CLOSED = text("""
    SELECT id FROM shifts
    WHERE org_id = :org_id AND id = ANY(CAST(:ids AS uuid[])) AND closed_at IS NOT NULL
""")


async def find_book(session: AsyncSession, org_id: UUID, book_id: UUID) -> TicketBookFacts | None:
    """Find a ticket book."""
    rows = await run(session, FIND, {"org_id": org_id, "id": book_id})
    return _read(rows[0]) if rows else None


async def find_books(
    session: AsyncSession, org_id: UUID, book_ids: Sequence[UUID]
) -> list[TicketBookFacts]:
    """Find ticket books."""
    rows = await run(session, FIND_MANY, {"org_id": org_id, "ids": list(book_ids)})
    return [_read(row) for row in rows]


async def lock_book(session: AsyncSession, org_id: UUID, book_id: UUID) -> TicketBookFacts:
    """Lock a ticket book.

    Raises:
        TicketBookNotFound
    """
    rows = await run(session, LOCK, {"org_id": org_id, "id": book_id})
    if not rows:
        raise TicketBookNotFound(book_id)
    return _read(rows[0])


async def list_books(
    session: AsyncSession, org_id: UUID, lot_id: UUID, *, before_id: UUID | None, limit: int
) -> list[TicketBookFacts]:
    """List the books of a lot, newest first."""
    values = {"org_id": org_id, "lot_id": lot_id, "before_id": before_id, "limit": limit}
    return [_read(row) for row in await run(session, LIST, values)]


async def is_issued(
    session: AsyncSession, org_id: UUID, lot_id: UUID, *, first: str, last: str
) -> bool:
    """Tell whether some of these tickets are out, or were used. The lot is locked."""
    values = {"org_id": org_id, "lot_id": lot_id, "first": first, "last": last}
    return bool(await run(session, FIND_ISSUED, values))


async def insert_book(session: AsyncSession, org_id: UUID, book: TicketBookFacts) -> None:
    """Store a book that is given out."""
    values = {name: getattr(book, name) for name in FIELDS}
    await run(session, INSERT, {"org_id": org_id} | values)


async def mark_returned(
    session: AsyncSession,
    org_id: UUID,
    book_id: UUID,
    *,
    last_used: int | None,
    by: UUID | None,
    now: datetime,
) -> None:
    """Write that a locked book was handed back."""
    values = {"org_id": org_id, "id": book_id, "last_used": last_used, "by": by, "now": now}
    await run(session, RETURN, values)


async def list_used(
    session: AsyncSession,
    org_id: UUID,
    lot_id: UUID,
    books: Sequence[TicketBookFacts],
    *,
    now: datetime,
) -> dict[UUID, list[tuple[str, bool]]]:
    """Return the tickets of each book that vehicles came in on, and whether while it was out.

    What came in later is looked for until a week after it was handed back or reported lost.
    """
    out_until = [book.good_until or now + CLOCKS_DIFFER for book in books]
    until = [
        book.issued_at + USED_WITHIN if book.good_until is None else book.good_until + SEEN_WITHIN
        for book in books
    ]
    values = {
        "org_id": org_id,
        "lot_id": lot_id,
        "ids": [book.id for book in books],
        "floors": [first_id_at(book.issued_at - CLOCKS_DIFFER) for book in books],
        "ceilings": [first_id_at(min(at, now) + CLOCKS_DIFFER) for at in until],
        "untils": out_until,
        "firsts": [book.first_ticket for book in books],
        "lasts": [book.last_ticket for book in books],
    }
    used: dict[UUID, list[tuple[str, bool]]] = {book.id: [] for book in books}
    for book_id, ticket, was_out in await run(session, LIST_USED, values):
        used[book_id].append((ticket, was_out))
    return used


async def list_strays(
    session: AsyncSession,
    org_id: UUID,
    lot_id: UUID,
    *,
    since: datetime,
    until: datetime,
    limit: int,
) -> list[tuple[UUID, datetime, str]]:
    """List (session, when, ticket) of who came in on a ticket that no book had which was out."""
    values = {
        "org_id": org_id,
        "lot_id": lot_id,
        "since": since,
        "until": until,
        "first_id": first_id_at(since - CLOCKS_DIFFER),
        "last_id": first_id_at(until + CLOCKS_DIFFER),
        "limit": limit,
    }
    return [(row[0], row[1], row[2]) for row in await run(session, LIST_STRAYS, values)]


async def mark_lost(
    session: AsyncSession, org_id: UUID, book_id: UUID, *, by: UUID | None, now: datetime
) -> None:
    """Write that a locked book was reported lost."""
    await run(session, LOSE, {"org_id": org_id, "id": book_id, "by": by, "now": now})


async def find_closed_shifts(
    session: AsyncSession, org_id: UUID, shift_ids: Sequence[UUID]
) -> set[UUID]:
    """Find which of these shifts are closed."""
    rows = await run(session, FIND_CLOSED, {"org_id": org_id, "ids": list(shift_ids)})
    return {row[0] for row in rows}


def _read(row: Sequence[object]) -> TicketBookFacts:
    return TicketBookFacts(**dict(zip(FIELDS, row, strict=True)))  # type: ignore[arg-type]
