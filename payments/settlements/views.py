"""Read models of statements: their postings, and the files that are handed out."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from payments.bills.queries_payments import find_rails
from payments.ledger.legs import LegPlace, list_legs
from payments.ledger.rules import takings
from payments.ledger.types import Leg
from payments.settlements.excel import write_workbook
from payments.settlements.paper import name_line, read_paper
from payments.settlements.pdf import write_pdf
from payments.settlements.rules import EXCEL_ITEMS_MAX, OF_PAYMENTS, line_of
from payments.settlements.types import SettlementFacts

_ITEMS_AT_ONCE = 5_000


async def list_items(
    session: AsyncSession,
    org_id: UUID,
    settlement: SettlementFacts,
    *,
    after: LegPlace | None = None,
    limit: int,
) -> list[tuple[Leg, str]]:
    """List the postings of a statement in the order of writing, each with its line."""
    legs = await list_legs(
        session,
        org_id,
        takings(settlement.payee_id),
        first_day=settlement.first_day,
        last_day=settlement.last_day,
        until=settlement.cut_off_at,
        after=after,
        limit=limit,
    )
    rails = await find_rails(
        session, org_id, {leg.cause_id for leg in legs if leg.cause_kind in OF_PAYMENTS}
    )
    return [(leg, line_of(leg.cause_kind, rails.get(leg.cause_id))) for leg in legs]


async def make_pdf(session: AsyncSession, org_id: UUID, settlement: SettlementFacts) -> bytes:
    """Return a statement as PDF."""
    paper = await read_paper(session, org_id, settlement)
    return await asyncio.to_thread(write_pdf, paper)


async def make_workbook(
    session: AsyncSession, org_id: UUID, settlement: SettlementFacts, *, now: datetime
) -> bytes:
    """Return a statement as XLSX, with at most 20,000 of its postings."""
    paper = await read_paper(session, org_id, settlement)
    items: list[tuple[Leg, str]] = []
    while True:
        part = await _read_part(session, org_id, settlement, items)
        items += part
        if len(part) < _ITEMS_AT_ONCE or len(items) > EXCEL_ITEMS_MAX:
            break
    shown = [(leg, name_line(line)) for leg, line in items[:EXCEL_ITEMS_MAX]]
    return await asyncio.to_thread(
        write_workbook,
        paper,
        shown,
        is_cut=len(items) > EXCEL_ITEMS_MAX,
        at=settlement.approved_at or now,
    )


async def _read_part(
    session: AsyncSession,
    org_id: UUID,
    settlement: SettlementFacts,
    items: Sequence[tuple[Leg, str]],
) -> list[tuple[Leg, str]]:
    after = LegPlace(items[-1][0].posted_at, items[-1][0].id) if items else None
    return await list_items(session, org_id, settlement, after=after, limit=_ITEMS_AT_ONCE)
