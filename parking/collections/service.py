"""Recording and reversing collections, with the receipts of those in cash.

Whoever records one has locked its session, then its shift (docs/adr/0013); the series of receipts
is locked here, last.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from parking.collections import queries
from parking.collections.errors import (
    ApprovalNeeded,
    CollectionIdTaken,
    CollectionNotReversible,
)
from parking.collections.rules import (
    CollectionFacts,
    CollectionRail,
    NewCollection,
    is_same,
    may_undo,
)
from payments.documents import service as documents
from payments.documents.rules import DocumentKind, NewDocument

SUBJECT_KIND = "collection"


def check_repeat(known: CollectionFacts, new: NewCollection) -> CollectionFacts:
    """Return what an earlier request with this id stored.

    Raises:
        CollectionIdTaken: it names a collection with other facts.
    """
    if not is_same(known, new):
        raise CollectionIdTaken(new.id)
    return known


async def record(
    session: AsyncSession, org_id: UUID, collections: Sequence[NewCollection], *, now: datetime
) -> None:
    """Store new collections; those in cash get the next receipts of their lot.

    Raises:
        CollectionIdTaken: an id was taken since `find_repeat`; nothing of it may be committed.
        Busy: see payments.documents.service.issue.
    """
    in_cash = [one for one in collections if one.rail is CollectionRail.CASH]
    numbers = await documents.issue(session, org_id, [_receipt_of(one) for one in in_cash], now=now)
    number_of = {one.id: number for one, number in zip(in_cash, numbers, strict=True)}
    rows = [(one, number_of.get(one.id)) for one in collections]
    stored = await queries.insert_collections_once(session, org_id, rows, now=now)
    for one in collections:
        if one.id not in stored:
            raise CollectionIdTaken(one.id)


def check_reversible(
    known: CollectionFacts,
    *,
    is_shift_closed: bool,
    may_override: bool,
    reason: str | None,
    by: UUID | None,
    now: datetime,
) -> None:
    """Let somebody take a locked collection back: their own at once, else with leave and a reason.

    Raises:
        CollectionNotReversible: its shift is closed, or the shift's deposit has paid it.
        ApprovalNeeded: it is another's, or older than ten seconds.
    """
    if is_shift_closed:
        raise CollectionNotReversible("Its shift is closed, and its cash was counted.")
    if known.bill_id is not None:
        raise CollectionNotReversible("The shift's deposit pays it.")
    if not may_undo(known, by, now=now) and not (may_override and reason):
        raise ApprovalNeeded("It is too late to take it back by yourself.")


async def reverse(
    session: AsyncSession,
    org_id: UUID,
    known: CollectionFacts,
    *,
    by: UUID | None,
    now: datetime,
) -> None:
    """Reverse a locked collection and cancel its receipt."""
    assert known.reversed_at is None
    await queries.mark_reversed(session, org_id, known.id, by=by, now=now)
    if known.receipt_number is not None:
        await documents.cancel(session, org_id, known.id, now=now)


def _receipt_of(one: NewCollection) -> NewDocument:
    return NewDocument(
        kind=DocumentKind.CASH_RECEIPT,
        scope_id=one.lot_id,
        subject_kind=SUBJECT_KIND,
        subject_id=one.id,
        content={
            "lot_id": str(one.lot_id),
            **({} if one.session_id is None else {"session_id": str(one.session_id)}),
            **({} if one.pass_id is None else {"pass_id": str(one.pass_id)}),
            "amount_vnd": one.amount_vnd,
            "collected_at": one.collected_at.isoformat(),
            "collected_by": str(one.collected_by),
        },
    )
