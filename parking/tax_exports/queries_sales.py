"""SQL of what was sold: the facts of payments, cash, posters and refunds, by what posted them."""

from collections.abc import Collection
from typing import Any, Final
from uuid import UUID

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncSession

from core.sql import run
from parking.tax_exports.rules import Item, Sale

_OF_BILL: Final = """
    p.id, coalesce(s.lot_id, x.seller_lot_id, h.lot_id), b.owner_kind, p.amount_vnd, p.occurred_at,
    p.rail, b.reference, coalesce(s.vehicle_class, x.vehicle_class), s.plate, s.tariff_version_id,
    b.id
"""
_FROM_BILL: Final = """
    JOIN bills b ON b.org_id = p.org_id AND b.id = p.bill_id
    LEFT JOIN parking_sessions s
      ON b.owner_kind = 'parking_session' AND s.org_id = b.org_id AND s.id = b.owner_id
    LEFT JOIN passes x
      ON b.owner_kind = 'parking_pass' AND x.org_id = b.org_id AND x.id = b.owner_id
    LEFT JOIN shifts h
      ON b.owner_kind = 'parking_float' AND h.org_id = b.org_id AND h.id = b.owner_id
"""
# What is no parking's is left out: its bill has no such owner. So is what was given up of a bill:
# nobody paid it.
FIND_PAYMENTS = text(f"""
    SELECT p.id, {_OF_BILL} FROM payments p {_FROM_BILL}
    WHERE p.org_id = :org_id AND p.id = ANY(CAST(:ids AS uuid[])) AND p.source_kind <> 'write_off'
      AND coalesce(s.lot_id, x.seller_lot_id, h.lot_id) IS NOT NULL
""")  # noqa: S608 (our own words)
FIND_REFUNDS = text(f"""
    SELECT r.id, {_OF_BILL} FROM refunds r
    JOIN payments p ON p.org_id = r.org_id AND p.id = r.payment_id {_FROM_BILL}
    WHERE r.org_id = :org_id AND r.id = ANY(CAST(:ids AS uuid[]))
      AND coalesce(s.lot_id, x.seller_lot_id, h.lot_id) IS NOT NULL
""")  # noqa: S608
_OF_TICKET: Final = """
    c.id, c.lot_id, c.rail, c.amount_vnd, c.collected_at, c.receipt_number,
    coalesce(s.vehicle_class, x.vehicle_class), s.plate, s.tariff_version_id, c.pass_id
    FROM collections c
    LEFT JOIN parking_sessions s ON s.org_id = c.org_id AND s.id = c.session_id
    LEFT JOIN passes x ON x.org_id = c.org_id AND x.id = c.pass_id
"""
FIND_TICKETS = text(f"""
    SELECT {_OF_TICKET} WHERE c.org_id = :org_id AND c.id = ANY(CAST(:ids AS uuid[]))
""")
LIST_CASH_OF_SHIFT = text(f"""
    SELECT {_OF_TICKET}
    WHERE c.org_id = :org_id AND c.shift_id = :id AND c.rail = 'cash' AND c.reversed_at IS NULL
    ORDER BY c.id
""")
LIST_FLOAT_OF_BILL = text(f"""
    SELECT {_OF_TICKET}
    WHERE c.org_id = :org_id AND c.bill_id = :id AND c.rail = 'float' AND c.reversed_at IS NULL
      AND c.shift_id = (SELECT owner_id FROM bills WHERE org_id = :org_id AND id = :id)
    ORDER BY c.id
""")  # noqa: S608
# A sale on a lot's poster: its owner was notified in the transaction that posted it.
FIND_POSTER_SALES = text("""
    SELECT m.id, o.owner_id FROM matches m
    JOIN bill_changes o ON o.org_id = m.org_id AND o.subject_id = m.credit_id
     AND o.subject_kind = 'credit' AND o.owner_kind = 'parking_lot' AND o.seq = 1
    WHERE m.org_id = :org_id AND m.id = ANY(CAST(:ids AS uuid[]))
""")
ITEMS: Final = {
    "parking_session": Item.STAY,
    "parking_pass": Item.PASS,
    "parking_float": Item.DEPOSIT,
}


async def find_payments(
    session: AsyncSession, org_id: UUID, payment_ids: Collection[UUID]
) -> dict[UUID, tuple[Sale, UUID]]:
    """Find (sale, bill) of those of these payments that were for parking, taken back or not.

    A write-off is none: no money came by it.
    """
    return await _find_of_bills(session, FIND_PAYMENTS, org_id, payment_ids)


async def find_refunds(
    session: AsyncSession, org_id: UUID, refund_ids: Collection[UUID]
) -> dict[UUID, tuple[Sale, UUID]]:
    """Find (the sale that is given back, its bill) of those of these refunds that are parking's."""
    return await _find_of_bills(session, FIND_REFUNDS, org_id, refund_ids)


async def find_tickets(
    session: AsyncSession, org_id: UUID, collection_ids: Collection[UUID]
) -> dict[UUID, Sale]:
    """Find what was collected at gates, by the collection."""
    if not collection_ids:
        return {}
    values = {"org_id": org_id, "ids": list(collection_ids)}
    return {row[0]: _read_ticket(row) for row in await run(session, FIND_TICKETS, values)}


async def list_cash_of_shift(session: AsyncSession, org_id: UUID, shift_id: UUID) -> list[Sale]:
    """List the cash of a closed shift: as many tickets as one person sold in a turn."""
    rows = await run(session, LIST_CASH_OF_SHIFT, {"org_id": org_id, "id": shift_id})
    return [_read_ticket(row) for row in rows]


async def list_float_of_bill(session: AsyncSession, org_id: UUID, bill_id: UUID) -> list[Sale]:
    """List what a shift paid on behalf of drivers that its deposit bill pays for."""
    rows = await run(session, LIST_FLOAT_OF_BILL, {"org_id": org_id, "id": bill_id})
    return [_read_ticket(row) for row in rows]


async def find_poster_sales(
    session: AsyncSession, org_id: UUID, match_ids: Collection[UUID]
) -> dict[UUID, UUID]:
    """Find the lots whose posters brought what these matches say, by the match."""
    if not match_ids:
        return {}
    values = {"org_id": org_id, "ids": list(match_ids)}
    return {row[0]: row[1] for row in await run(session, FIND_POSTER_SALES, values)}


async def _find_of_bills(
    session: AsyncSession, statement: TextClause, org_id: UUID, ids: Collection[UUID]
) -> dict[UUID, tuple[Sale, UUID]]:
    if not ids:
        return {}
    rows = await run(session, statement, {"org_id": org_id, "ids": list(ids)})
    return {row[0]: (_read_payment(row[1:]), row[11]) for row in rows}


def _read_payment(row: tuple[Any, ...]) -> Sale:
    id_, lot_id, owner_kind, amount_vnd, at, rail, reference, class_, plate, version_id, _ = row
    return Sale(
        id=id_,
        lot_id=lot_id,
        item=ITEMS[owner_kind],
        amount_vnd=amount_vnd,
        sold_at=at,
        rail=rail,
        document=reference,
        vehicle_class=class_,
        plate=plate,
        tariff_version_id=version_id,
    )


def _read_ticket(row: tuple[Any, ...]) -> Sale:
    id_, lot_id, rail, amount_vnd, at, receipt, class_, plate, version_id, pass_id = row
    return Sale(
        id=id_,
        lot_id=lot_id,
        item=Item.PASS if pass_id is not None else Item.STAY,
        amount_vnd=amount_vnd,
        sold_at=at,
        rail=rail,
        document=receipt or "",
        vehicle_class=class_,
        plate=plate,
        tariff_version_id=version_id,
    )
