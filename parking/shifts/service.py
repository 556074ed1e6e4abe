"""Opening and closing of shifts ("mở ca", "chốt ca")."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.masking import mask_plates
from core.text import check_lines
from parking.collections.queries import sum_of_shift
from parking.collections.rules import CollectionRail
from parking.shifts import queries
from parking.shifts.errors import NoOpenShift, ShiftAlreadyOpen, ShiftClosed, ShiftIdTaken
from parking.shifts.rules import ShiftFacts, list_postings
from payments.ledger import service as ledger


async def open_shift(
    session: AsyncSession,
    org_id: UUID,
    shift_id: UUID,
    *,
    lot_id: UUID,
    staff_id: UUID,
    change_vnd: int,
    actor: Actor,
    now: datetime,
) -> ShiftFacts:
    """Open a person's shift at a lot. The same id with the same facts answers as the first time.

    Args:
        shift_id: made by the client.
        change_vnd: cash in the bag to give change with.

    Raises:
        LotNotFound, ShiftIdTaken
        ShiftAlreadyOpen: the person has another one.
    """
    payee_id = await queries.get_payee_of_lot(session, org_id, lot_id)
    is_new = await queries.insert_shift_once(
        session,
        org_id,
        shift_id,
        lot_id=lot_id,
        staff_id=staff_id,
        payee_id=payee_id,
        change_vnd=change_vnd,
        now=now,
    )
    if not is_new:
        known = await queries.find_shift(session, org_id, shift_id)
        if known is None:
            raise ShiftAlreadyOpen
        if (known.lot_id, known.staff_id, known.change_vnd) != (lot_id, staff_id, change_vnd):
            raise ShiftIdTaken(shift_id)
        return known
    await ledger.open_shift_accounts(session, org_id, shift_id, payee_id=payee_id, now=now)
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="shift.opened",
        object_kind="shift",
        object_id=shift_id,
        after={"lot_id": str(lot_id), "staff_id": str(staff_id), "change_vnd": change_vnd},
        now=now,
    )
    return await queries.get_shift(session, org_id, shift_id)


async def share_open_shift(
    session: AsyncSession, org_id: UUID, staff_id: UUID | None, lot_id: UUID
) -> ShiftFacts:
    """Keep the shift in which a person collects at a lot from being closed meanwhile.

    Raises:
        NoOpenShift: they have none, or one at another lot.
    """
    shift = None
    if staff_id is not None:
        shift = await queries.share_open_shift(session, org_id, staff_id)
    if shift is None or shift.lot_id != lot_id:
        raise NoOpenShift
    return shift


async def close_shift(
    session: AsyncSession,
    org_id: UUID,
    shift_id: UUID,
    *,
    counted_vnd: int,
    note: str | None,
    actor: Actor,
    now: datetime,
) -> ShiftFacts:
    """Close a shift with what was counted, and post its cash and the variance in one entry.

    The count is blind: nobody was told before what the hub expects. The same count again answers
    as the first time.

    Raises:
        ShiftNotFound
        ShiftClosed: it was closed with another count.
    """
    check_lines(note=note)
    note = None if note is None else mask_plates(note)
    shift = await queries.lock_shift(session, org_id, shift_id)
    if shift.closed_at is not None:
        if shift.counted_vnd != counted_vnd:
            raise ShiftClosed
        return shift
    collected = await sum_of_shift(session, org_id, shift_id)
    _, cash_vnd = collected.get(CollectionRail.CASH, (0, 0))
    expected_vnd = shift.change_vnd + cash_vnd
    await queries.close_shift(
        session,
        org_id,
        shift_id,
        counted_vnd=counted_vnd,
        expected_vnd=expected_vnd,
        note=note,
        now=now,
    )
    postings = list_postings(
        shift_id,
        shift.payee_id,
        cash_vnd=cash_vnd,
        variance_vnd=counted_vnd - expected_vnd,
        closed_at=now,
    )
    await ledger.post(session, org_id, postings, now=now)
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="shift.closed",
        object_kind="shift",
        object_id=shift_id,
        after={"counted_vnd": counted_vnd, "expected_vnd": expected_vnd},
        reason=note,
        now=now,
    )
    return await queries.get_shift(session, org_id, shift_id)
