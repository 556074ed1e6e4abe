"""Passes sold in cash: a collection of the seller's running shift, of no session, with its receipt.

Nothing is posted by itself: the close of the shift posts all its cash. Order of locks: the pass,
the shift, the bill, the series of receipts (docs/adr/0013).
"""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.text import check_lines
from parking.collections import queries as collection_queries
from parking.collections import service as collections
from parking.collections.errors import CollectionNotFound
from parking.collections.rules import CollectionFacts, CollectionRail, NewCollection
from parking.passes import queries
from parking.passes.errors import NothingToPay, PassPriceDiffers
from parking.passes.service import make_way, take_waiting
from parking.passes.terms import tell, write_dates
from parking.shifts.queries import share_shift
from parking.shifts.service import share_open_shift


async def sell_in_cash(
    session: AsyncSession,
    org_id: UUID,
    pass_id: UUID,
    *,
    collection_id: UUID,
    amount_vnd: int,
    actor: Actor,
    now: datetime,
) -> CollectionFacts:
    """Take cash for the months of a pass that wait to be paid; they count at once.

    The same id again answers as the first time.

    Args:
        collection_id: made by the client.
        amount_vnd: what was taken, which must be what the months cost.

    Raises:
        PassNotFound, PassRevoked, NothingToPay, PassPriceDiffers, CollectionIdTaken
        NoOpenShift: the seller has none at the lot that is paid for the pass.
    """
    held = await queries.lock_pass(session, org_id, pass_id)
    known = await collection_queries.find_collection(session, org_id, collection_id)
    if held.seller_lot_id is None:
        raise NothingToPay  # an exemption
    new = NewCollection(
        id=collection_id,
        lot_id=held.seller_lot_id,
        session_id=None,
        shift_id=None if known is None else known.shift_id,
        rail=CollectionRail.CASH,
        amount_vnd=amount_vnd,
        pass_id=pass_id,
        collected_at=now,
        collected_by=actor.id,
    )
    if known is not None:
        return collections.check_repeat(known, new)
    shift = await share_open_shift(session, org_id, actor.id, held.seller_lot_id)
    term = await take_waiting(session, held, actor=actor, now=now)
    if amount_vnd != term.price_vnd:
        raise PassPriceDiffers(term.price_vnd)
    await collections.record(session, org_id, [replace(new, shift_id=shift.id)], now=now)
    stored = await collection_queries.find_collection(session, org_id, collection_id)
    assert stored is not None
    assert stored.receipt_number is not None
    term.collection_id, term.in_force_at = collection_id, now
    await session.flush()
    write_dates(held, await queries.list_terms(session, org_id, pass_id), now=now)
    await session.flush()
    await tell(
        session,
        held,
        term,
        payee_id=shift.payee_id,
        bill_id=None,
        is_paid=True,
        named={"receipt_number": stored.receipt_number},
        actor=actor,
        now=now,
    )
    return stored


async def take_back_sale(
    session: AsyncSession,
    org_id: UUID,
    collection_id: UUID,
    *,
    may_override: bool,
    reason: str | None,
    actor: Actor,
    now: datetime,
) -> CollectionFacts:
    """Give cash for a pass back in the shift that took it; its months are owed again. Idempotent.

    One's own, within ten seconds; later it takes somebody who may override, and a reason.

    Raises:
        CollectionNotFound, ApprovalNeeded
        CollectionNotReversible: its shift is closed, or the shift's deposit has paid it.
    """
    check_lines(reason=reason)
    known = await collection_queries.find_collection(session, org_id, collection_id)
    if known is None or known.session_id is not None or known.pass_id is None:
        raise CollectionNotFound(collection_id)
    assert known.shift_id is not None
    held = await queries.lock_pass(session, org_id, known.pass_id)
    shift = await share_shift(session, org_id, known.shift_id)
    known = await collection_queries.lock_collection(session, org_id, collection_id)
    if known.reversed_at is not None:
        return known
    collections.check_reversible(
        known,
        is_shift_closed=shift.closed_at is not None,
        may_override=may_override,
        reason=reason,
        by=actor.id,
        now=now,
    )
    terms = await queries.list_terms(session, org_id, held.id)
    term = next(one for one in terms if one.collection_id == collection_id)
    await make_way(session, held, terms, term, actor=actor, now=now)
    await collections.reverse(session, org_id, known, by=actor.id, now=now)
    term.collection_id, term.in_force_at = None, None
    write_dates(held, terms, now=now)
    await session.flush()
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="collection.reversed",
        object_kind="collection",
        object_id=collection_id,
        before={"rail": known.rail, "amount_vnd": known.amount_vnd},
        reason=reason,
        now=now,
    )
    await tell(
        session,
        held,
        term,
        payee_id=shift.payee_id,
        bill_id=None,
        is_paid=False,
        named={"receipt_number": str(known.receipt_number)},
        actor=actor,
        now=now,
    )
    return await collection_queries.lock_collection(session, org_id, collection_id)
