"""The deposit of what a shift paid on behalf of drivers: one bill for the sum of many tickets.

The attendant took cash from drivers who cannot pay by code, keeps it, and pays this bill from a
bank app of their own. Nothing is posted until the bank reports that payment.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor
from parking.collections import queries as collections
from parking.shifts.errors import NothingToDeposit
from parking.shifts.queries import lock_shift
from payments.bills import settling
from payments.bills.errors import BillIdTaken
from payments.bills.owners_rules import Change
from payments.bills.queries import find_bills
from payments.bills.rules import UNPAID, BillFacts, BillRequest, BillStatus
from payments.bills.service import cancel_bill, open_bills
from payments.outbox import service as outbox
from payments.outbox.rules import EventKind, NewEvent

OWNER_KIND: Final = "parking_float"  # of these bills; the owner is the shift
PURPOSE: Final = "Nộp hộ tiền gửi xe"
RENEWED: Final = "Another deposit bill takes its place"


@dataclass(frozen=True, kw_only=True, slots=True)
class DepositWanted:
    """A deposit bill that is to be opened."""

    id: UUID  # made by the client
    reference: str  # a fresh one
    valid_for: timedelta
    monitored_for: timedelta


async def open_deposit(
    session: AsyncSession,
    org_id: UUID,
    shift_id: UUID,
    wanted: DepositWanted,
    *,
    actor: Actor,
    now: datetime,
) -> BillFacts:
    """Open the bill for all that a shift paid on behalf and no paid bill has cleared.

    An earlier deposit bill of which nothing was paid gives way, if there is more by now or its
    time is over. The same id again answers as the first time.

    Raises:
        ShiftNotFound, NothingToDeposit, BillIdTaken, PayeeHasNoAccount
    """
    assert actor.id is not None
    shift = await lock_shift(session, org_id, shift_id)
    known = (await find_bills(session, org_id, [wanted.id])).get(wanted.id)
    if known is not None:
        if known.owner_id != shift_id:
            raise BillIdTaken(wanted.id)
        return known
    _, new_vnd = await collections.sum_float(session, org_id, shift_id, bill_id=None)
    bill_ids = await collections.list_deposit_bills(session, org_id, shift_id)
    locked = await settling.lock_bills(session, org_id, bill_ids)
    for bill in locked.values():
        is_waiting = bill.status in UNPAID and not bill.paid_vnd
        if is_waiting and not new_vnd and now < bill.expires_at:
            return (await find_bills(session, org_id, [bill.id]))[bill.id]
        if is_waiting:
            await cancel_bill(session, org_id, bill.id, actor=actor, reason=RENEWED, now=now)
        if is_waiting or (bill.status == BillStatus.CANCELLED and not bill.paid_vnd):
            await collections.set_deposit_bill(
                session, org_id, shift_id, bill_id=None, from_bill_id=bill.id
            )
    _, amount_vnd = await collections.sum_float(session, org_id, shift_id, bill_id=None)
    if not amount_vnd:
        raise NothingToDeposit
    request = BillRequest(
        id=wanted.id,
        payee_id=shift.payee_id,
        amount_vnd=amount_vnd,
        purpose=PURPOSE,
        expires_at=now + wanted.valid_for,
        monitor_until=now + wanted.valid_for + wanted.monitored_for,
        created_by=actor.id,
        owner_kind=OWNER_KIND,
        owner_id=shift_id,
    )
    (opened,) = await open_bills(session, org_id, [request], [wanted.reference], now=now)
    if isinstance(opened, Exception):
        raise opened
    await collections.set_deposit_bill(
        session, org_id, shift_id, bill_id=opened.id, from_bill_id=None
    )
    return opened


async def handle_deposit_change(session: AsyncSession, change: Change, *, now: datetime) -> None:
    """Tell a shift's screens that its deposit was paid; its tickets follow from the bill."""
    if change.to_status not in (BillStatus.PAID, BillStatus.OVER_PAID):
        return
    bill = (await find_bills(session, change.org_id, [change.subject_id]))[change.subject_id]
    paid = NewEvent(
        kind=EventKind.PARKING_DEPOSIT_PAID,
        payee_id=bill.payee_id,
        bill_id=bill.id,
        data={"shift_id": str(change.owner_id), "amount_vnd": bill.amount_vnd},
    )
    await outbox.record(session, change.org_id, [paid], now=now)
