"""Paying for a stay: by a VietQR bill, in cash, by a pass, an exemption or the attendant's float.

Each is one transaction under the session's lock, then the shift's, then the bill's
(docs/adr/0013). Of two that pay at once the second finds nothing due.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor
from core.clock import hanoi_day
from core.text import check_lines
from parking.collections import service as collections
from parking.collections.queries import find_collection
from parking.collections.rules import MONEY, CollectionFacts, CollectionRail, NewCollection
from parking.exits import queries, queries_passes
from parking.exits.errors import AmountNotDue, NothingDue, PassNotValid
from parking.exits.rules import OWNER_KIND, PURPOSE, StayFacts
from parking.exits.standing import (
    Standing,
    lock_place_and_stay,
    lock_stay,
    read_standing,
    write_paid,
)
from parking.shifts.service import share_open_shift
from payments.bills import settling
from payments.bills.errors import BillIdTaken
from payments.bills.queries import find_bills
from payments.bills.rules import UNPAID, BillFacts, BillRequest
from payments.bills.service import cancel_bill, open_bills
from payments.outbox import service as outbox
from payments.outbox.rules import EventKind, NewEvent

OTHER_BILL: Final = "Another amount is due"
PAID_OTHERWISE: Final = "Paid otherwise"
# Amounts that the hub knows itself: the client need not say them.
BY_RIGHT: Final = frozenset({CollectionRail.PASS, CollectionRail.EXEMPT})


@dataclass(frozen=True, kw_only=True, slots=True)
class BillWanted:
    """A bill that is to be shown for a stay."""

    id: UUID  # made by the client
    amount_vnd: int  # what was quoted
    reference: str  # a fresh one
    valid_for: timedelta
    monitored_for: timedelta


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """What a person says they took for a stay."""

    id: UUID  # made by the client
    rail: CollectionRail
    amount_vnd: int | None  # what was quoted; None where the rail has no money
    reason: str | None = None
    pass_id: UUID | None = None
    device_id: UUID | None = None


async def open_bill(
    session: AsyncSession,
    org_id: UUID,
    session_id: UUID,
    wanted: BillWanted,
    *,
    priced_at: datetime,
    is_ticket_lost: bool = False,
    keeps_ahead: bool = False,
    actor: Actor,
    now: datetime,
) -> BillFacts:
    """Open a bill for what is due, or return the one that asks for it already.

    A bill that asks for another amount is cancelled; what was paid of it stays paid for the stay.

    Args:
        priced_at: when the amount was quoted; until the quote ends it stays what it was.
        keeps_ahead: return one that asks for hours that were chosen ahead, too.

    Raises:
        ParkingSessionNotFound, NothingDue, BillIdTaken, PayeeHasNoAccount
        AmountNotDue: another amount is due, or was at that time.
    """
    assert actor.id is not None
    stay = await lock_stay(session, org_id, session_id)
    known = (await find_bills(session, org_id, [wanted.id])).get(wanted.id)
    if known is not None:
        if (known.owner_id, known.amount_vnd) != (session_id, wanted.amount_vnd):
            raise BillIdTaken(wanted.id)
        return known
    standing = await _settle_down(
        session, org_id, stay, at=priced_at, is_ticket_lost=is_ticket_lost
    )
    _check_amount(standing, wanted.amount_vnd)
    shown = standing.bill
    if keeps_ahead and (ahead := standing.find_code(now=now)) is not None:
        return ahead
    if shown is not None and shown.status in UNPAID:
        if shown.code_amount_vnd == standing.due_vnd and now < shown.expires_at:
            return shown
        await cancel_bill(session, org_id, shown.id, actor=actor, reason=OTHER_BILL, now=now)
    request = BillRequest(
        id=wanted.id,
        payee_id=stay.payee_id,
        amount_vnd=standing.due_vnd,
        purpose=PURPOSE,
        expires_at=now + wanted.valid_for,
        monitor_until=now + wanted.valid_for + wanted.monitored_for,
        created_by=actor.id,
        owner_kind=OWNER_KIND,
        owner_id=session_id,
    )
    (opened,) = await open_bills(session, org_id, [request], [wanted.reference], now=now)
    if isinstance(opened, Exception):
        raise opened
    await queries.set_price(
        session,
        org_id,
        session_id,
        price_vnd=_keep_price(standing),
        version_id=standing.price.version_id,
        bill_id=opened.id,
    )
    return opened


async def collect(
    session: AsyncSession,
    org_id: UUID,
    session_id: UUID,
    taken: Taken,
    *,
    priced_at: datetime,
    is_ticket_lost: bool = False,
    actor: Actor,
    now: datetime,
) -> CollectionFacts:
    """Record what was taken for a stay in the person's shift; its open bill is cancelled.

    Money that comes on that bill later is a refund proposal. The same id again answers as the
    first time.

    Raises:
        ParkingSessionNotFound, CollectionIdTaken, NoOpenShift, NothingDue, AmountNotDue,
        PassNotValid; Busy where the stay is moved to another class meanwhile
    """
    check_lines(reason=taken.reason)
    if taken.rail is CollectionRail.PASS:  # what is inside names it
        stay = await lock_place_and_stay(session, org_id, session_id)
    else:
        stay = await lock_stay(session, org_id, session_id)
    known = await find_collection(session, org_id, taken.id)
    if known is not None:
        new = _new_collection(stay, taken, known.shift_id, known.amount_vnd, actor, now)
        if taken.amount_vnd is not None:
            new = replace(new, amount_vnd=taken.amount_vnd)
        return collections.check_repeat(known, new)
    shift = await share_open_shift(session, org_id, actor.id, stay.lot_id)
    standing = await _settle_down(
        session, org_id, stay, at=priced_at, is_ticket_lost=is_ticket_lost
    )
    amount_vnd = standing.due_vnd
    if taken.rail not in BY_RIGHT or taken.amount_vnd is not None:
        _check_amount(standing, taken.amount_vnd)
    elif not amount_vnd:
        raise NothingDue
    if taken.rail is CollectionRail.PASS:
        assert taken.pass_id is not None
        await _use_pass(session, org_id, stay, taken.pass_id, now=now)
    if standing.bill is not None and standing.bill.status in UNPAID:
        await cancel_bill(
            session, org_id, standing.bill.id, actor=actor, reason=PAID_OTHERWISE, now=now
        )
    new = _new_collection(stay, taken, shift.id, amount_vnd, actor, now)
    await _write_collected(session, org_id, standing, taken.rail, amount_vnd, now=now)
    await collections.record(session, org_id, [new], now=now)
    stored = await find_collection(session, org_id, taken.id)
    assert stored is not None
    return stored


async def _settle_down(
    session: AsyncSession,
    org_id: UUID,
    stay: StayFacts,
    *,
    at: datetime,
    is_ticket_lost: bool,
) -> Standing:
    """Lock the bill that is shown, so that nothing is paid on it meanwhile, and look."""
    if stay.bill_id is not None:
        await settling.lock_bills(session, org_id, [stay.bill_id])
    standing = await read_standing(session, org_id, stay, at=at, is_ticket_lost=is_ticket_lost)
    if standing.stay != stay:
        await write_paid(session, org_id, standing.stay)
    return standing


def _check_amount(standing: Standing, amount_vnd: int | None) -> None:
    if not standing.due_vnd:
        raise NothingDue
    if amount_vnd != standing.due_vnd:
        raise AmountNotDue(standing.due_vnd)


async def _write_collected(
    session: AsyncSession,
    org_id: UUID,
    standing: Standing,
    rail: CollectionRail,
    amount_vnd: int,
    *,
    now: datetime,
) -> None:
    """Write what a stay was paid. An exemption waives it; on a pass the stay costs nothing."""
    stay, is_pass = standing.stay, rail is CollectionRail.PASS
    paid = replace(
        stay,
        paid_vnd=stay.paid_vnd + amount_vnd if rail in MONEY else stay.paid_vnd,
        waived_vnd=stay.waived_vnd + (amount_vnd if rail is CollectionRail.EXEMPT else 0),
        paid_until=now + standing.price.grace if stay.is_inside else stay.paid_until,
        arrears_vnd=0 if stay.is_inside else max(0, stay.arrears_vnd - amount_vnd),
    )
    await write_paid(session, org_id, paid)
    await queries.set_price(
        session,
        org_id,
        stay.id,
        price_vnd=0 if is_pass else _keep_price(standing),
        version_id=standing.price.version_id,
    )
    paid_event = NewEvent(
        kind=EventKind.PARKING_SESSION_PAID,
        payee_id=stay.payee_id,
        data={"session_id": str(stay.id), "lot_id": str(stay.lot_id), "amount_vnd": amount_vnd},
    )
    await outbox.record_quietly(session, org_id, [paid_event], now=now)


def _keep_price(standing: Standing) -> int:
    """Return the price to write: of a stay that is over, what it was when it left."""
    stay = standing.stay
    if stay.is_inside or stay.price_vnd is None:
        return standing.price.amount_vnd
    return stay.price_vnd


def _new_collection(
    stay: StayFacts,
    taken: Taken,
    shift_id: UUID | None,
    amount_vnd: int,
    actor: Actor,
    now: datetime,
) -> NewCollection:
    return NewCollection(
        id=taken.id,
        lot_id=stay.lot_id,
        session_id=stay.id,
        shift_id=shift_id,
        rail=taken.rail,
        amount_vnd=amount_vnd,
        collected_at=now,
        collected_by=actor.id,
        reason=taken.reason,
        pass_id=taken.pass_id if taken.rail is CollectionRail.PASS else None,
        device_id=taken.device_id,
    )


async def _use_pass(
    session: AsyncSession, org_id: UUID, stay: StayFacts, pass_id: UUID, *, now: datetime
) -> None:
    """Let a stay be on a pass that is shown, within its lot, its vehicles and its days.

    Midnight in Hà Nội ends the last one. Of its vehicles one at a time is inside on it.
    """
    await queries_passes.lock_pass(session, org_id, pass_id)
    found = await queries.find_pass(
        session, org_id, pass_id, plate=stay.plate, vehicle_class=stay.vehicle_class
    )
    if (
        found is None
        or not found.has_plate
        or found.lot_id not in (None, stay.lot_id)
        or found.vehicle_class != stay.vehicle_class
        or found.in_force_at is None
        or found.revoked_at is not None
        or not found.valid_from <= hanoi_day(stay.entered_at)
        or not hanoi_day(now) <= found.valid_until
        or await queries_passes.is_pass_in_use(session, org_id, stay, pass_id)
    ):
        raise PassNotValid
    is_monthly = found.kind == "monthly"
    if not await queries_passes.set_pass(
        session, org_id, stay.id, pass_id=pass_id, is_monthly=is_monthly
    ):
        raise PassNotValid
