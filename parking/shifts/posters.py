"""Posters of lots: each counter sale on one is a collection of the shift that ran then.

Nothing is posted: the sale itself has taken the money to the payee's takings. A collection of a
shift that was closed meanwhile changes no count either, since it is no cash.
"""

from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from parking.collections import queries as collection_queries
from parking.collections import service as collections
from parking.collections.rules import CollectionRail, NewCollection
from parking.shifts import queries
from payments.bills.owners_rules import Change, SaleStatus
from payments.bills.queries_owners import read_sale

log = structlog.get_logger()


async def handle_poster_change(session: AsyncSession, change: Change, *, now: datetime) -> None:
    """Record a sale on a lot's poster, or reverse it where a person said that it is none."""
    in_force = await collection_queries.lock_of_credit(session, change.org_id, change.subject_id)
    if change.to_status == SaleStatus.WITHDRAWN:
        if in_force is not None:
            await collections.reverse(session, change.org_id, in_force, by=None, now=now)
            log.info("poster.withdrawn", lot=str(change.owner_id), credit=str(change.subject_id))
        return
    if in_force is not None or await collection_queries.find_collection(
        session, change.org_id, change.id
    ):
        return  # the same change again
    amount_vnd, occurred_at = await read_sale(session, change.org_id, change.subject_id)
    shift_id = await queries.find_running_shift(
        session, change.org_id, change.owner_id, at=occurred_at
    )
    collected = NewCollection(
        id=change.id,
        lot_id=change.owner_id,
        session_id=None,
        shift_id=shift_id,
        rail=CollectionRail.POSTER,
        amount_vnd=amount_vnd,
        collected_at=occurred_at,
        collected_by=None,
        credit_id=change.subject_id,
    )
    await collections.record(session, change.org_id, [collected], now=now)
    log.info("poster.collected", lot=str(change.owner_id), credit=str(change.subject_id))
