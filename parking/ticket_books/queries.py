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
USED_WITHIN: Final = timedelta(days=90)  # of a book that nobody hands back

FIND = text(f"SELECT {COLUMNS} FROM ticket_books WHERE org_id = :org_id AND id = :id")  # noqa: S608
LOCK = text(
    f"SELECT {COLUMNS} FROM ticket_books WHERE org_id = :org_id AND id = :id"  # noqa: S608
    " FOR NO KEY UPDATE"
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
MARK_LOST = text("""
    UPDATE ticket_books SET lost_at = :now WHERE org_id = :org_id AND id = :id
""")
LIST_USED = text("""
    SELECT t.id, s.ticket
    FROM unnest(
        CAST(:ids AS uuid[]), CAST(:floors AS uuid[]), CAST(:ceilings AS uuid[]),
        CAST(:firsts AS text[]), CAST(:lasts AS text[]))
        AS t (id, floor, ceiling, first_ticket, last_ticket)
    CROSS JOIN LATERAL (
        SELECT DISTINCT p.ticket FROM parking_sessions p
        WHERE p.org_id = :org_id AND p.lot_id = :lot_id AND p.id >= t.floor AND p.id < t.ceiling
          AND p.ticket_kind = 'ticket' AND p.status <> 'voided'
          AND length(p.ticket) = length(t.first_ticket)
          AND p.ticket COLLATE "C" >= t.first_ticket
          AND p.ticket COLLATE "C" <= t.last_ticket) AS s
""")
FIND_CLOSED = text("""
    SELECT id FROM shifts
    WHERE org_id = :org_id AND id = ANY(CAST(:ids AS uuid[])) AND closed_at IS NOT NULL
""")


async def find_book(session: AsyncSession, org_id: UUID, book_id: UUID) -> TicketBookFacts | None:
    """Find a ticket book."""
    rows = await run(session, FIND, {"org_id": org_id, "id": book_id})
    return _read(rows[0]) if rows else None


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


async def mark_lost(session: AsyncSession, org_id: UUID, book_id: UUID, *, now: datetime) -> None:
    """Write that a locked book is lost."""
    await run(session, MARK_LOST, {"org_id": org_id, "id": book_id, "now": now})


async def list_used(
    session: AsyncSession,
    org_id: UUID,
    lot_id: UUID,
    books: Sequence[TicketBookFacts],
    *,
    now: datetime,
) -> dict[UUID, list[str]]:
    """Return the tickets of each book that vehicles came in on while it was out."""
    until = [book.returned_at or min(now, book.issued_at + USED_WITHIN) for book in books]
    values = {
        "org_id": org_id,
        "lot_id": lot_id,
        "ids": [book.id for book in books],
        "floors": [first_id_at(book.issued_at - CLOCKS_DIFFER) for book in books],
        "ceilings": [first_id_at(at + CLOCKS_DIFFER) for at in until],
        "firsts": [book.first_ticket for book in books],
        "lasts": [book.last_ticket for book in books],
    }
    used: dict[UUID, list[str]] = {book.id: [] for book in books}
    for book_id, ticket in await run(session, LIST_USED, values):
        used[book_id].append(ticket)
    return used


async def find_closed_shifts(
    session: AsyncSession, org_id: UUID, shift_ids: Sequence[UUID]
) -> set[UUID]:
    """Find which of these shifts are closed."""
    rows = await run(session, FIND_CLOSED, {"org_id": org_id, "ids": list(shift_ids)})
    return {row[0] for row in rows}


def _read(row: Sequence[object]) -> TicketBookFacts:
    return TicketBookFacts(**dict(zip(FIELDS, row, strict=True)))  # type: ignore[arg-type]
