"""Selling passes by VietQR bills, giving exemptions, renewing, revoking, and changing plates.

Whoever changes a pass locks its row first, then its bills (docs/adr/0013). Entries read passes
without a lock: what an entry was told stays so for that stay.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.clock import day_bounds, hanoi_day
from core.ids import new_id
from core.masking import mask_plates
from core.text import check_lines
from parking.passes import queries
from parking.passes.errors import NothingToPay, PassNotRenewable, PassRevoked
from parking.passes.models import Pass, PassTerm
from parking.passes.prices import read_monthly_price
from parking.passes.rules import (
    OWNER_KIND,
    PLATES_MAX,
    PassKind,
    PassState,
    bill_expires_at,
    check_exemption,
    check_months,
    check_start,
    end_today,
    pass_state,
    read_plates,
    refuse,
)
from parking.passes.types import BillWanted, PassWanted
from parking.places.errors import LotClosed
from parking.places.models import Lot
from parking.places.queries import get_lot
from parking.plates import mask_plate
from parking.vehicles import VehicleClass
from payments.bills import settling
from payments.bills.queries import find_bills
from payments.bills.rules import UNPAID, BillFacts, BillRequest, BillStatus
from payments.bills.service import open_bills
from payments.refunds.service import cancel_bill_and_propose_refund

REPLACED = "The pass has another bill"
TERM_REPLACED = "Other months are sold"
OWED_AGAIN = "The months before are owed again"
PAID_IN_CASH = "Paid in cash"


async def add_pass(
    session: AsyncSession,
    org_id: UUID,
    wanted: PassWanted,
    *,
    id_: UUID,
    actor: Actor,
    now: datetime,
) -> None:
    """Sell a monthly pass, which is in force once its bill is paid, or give an exemption.

    Raises:
        LotNotFound, LotClosed, NoMonthlyPrice
        InvalidRequest: the plates, the days or the months are not right.
    """
    check_lines(
        holder_name=wanted.holder_name,
        holder_contact=wanted.holder_contact,
        reason=wanted.reason,
    )
    assert actor.id is not None
    plates = read_plates(wanted.plates, wanted.vehicle_class)
    if wanted.lot_id is not None:
        await _get_open_lot(session, org_id, wanted.lot_id)
    is_monthly = wanted.kind is PassKind.MONTHLY
    valid_until, price_vnd = (
        await _price(session, org_id, wanted, now=now)
        if is_monthly
        else (_check_exempt(wanted, now=now), 0)
    )
    held = Pass(
        org_id=org_id,
        id=id_,
        lot_id=wanted.lot_id,
        seller_lot_id=_seller(wanted) if is_monthly else None,
        vehicle_class=wanted.vehicle_class.value,
        kind=wanted.kind.value,
        holder_name=wanted.holder_name,
        holder_contact=wanted.holder_contact,
        plates_max=PLATES_MAX,
        valid_from=wanted.valid_from,
        valid_until=valid_until,
        price_vnd=price_vnd,
        exempt_as=None if wanted.exempt_as is None else wanted.exempt_as.value,
        reason=None if wanted.reason is None else mask_plates(wanted.reason),
        in_force_at=None if is_monthly else now,
        created_by=actor.id,
        created_at=now,
    )
    session.add(held)
    await session.flush()
    if is_monthly:
        assert wanted.months is not None
        _add_term(
            session, held, wanted.valid_from, valid_until, wanted.months, price_vnd, actor, now
        )
    await queries.replace_plates(
        session, org_id, id_, vehicle_class=held.vehicle_class, plates=plates
    )
    after = {
        "kind": held.kind,
        "lot_id": None if held.lot_id is None else str(held.lot_id),
        "exempt_as": held.exempt_as,
        "plates": [mask_plate(plate) for plate in plates],
        "first_on": held.valid_from.isoformat(),
        "last_on": held.valid_until.isoformat(),
    }
    action = "pass.sold" if is_monthly else "pass.given"
    _record(session, held, action, actor, now, after=after, reason=wanted.reason)


async def open_bill(
    session: AsyncSession,
    org_id: UUID,
    pass_id: UUID,
    wanted: BillWanted,
    *,
    actor: Actor,
    now: datetime,
) -> BillFacts:
    """Open a bill for the months that wait to be paid, or return the one that is shown.

    A bill past its time is cancelled for a fresh one: money that still comes on it goes back.

    Raises:
        PassNotFound, PassRevoked, LotClosed, PayeeHasNoAccount
        NothingToPay: no months wait, they are over, or their bill was paid a moment ago.
    """
    assert actor.id is not None
    held = await _lock_held(session, org_id, pass_id)
    term = await _find_waiting(session, held)
    if term is None or hanoi_day(now) > term.last_on:
        raise NothingToPay
    if term.bill_id is not None:
        shown = (await find_bills(session, org_id, [term.bill_id]))[term.bill_id]
        if shown.status in UNPAID and now < shown.expires_at:
            return shown
        if not await _cancel_bill(session, held, term, actor=actor, reason=REPLACED, now=now):
            raise NothingToPay
    assert held.seller_lot_id is not None
    seller = await _get_open_lot(session, org_id, held.seller_lot_id)
    expires_at = bill_expires_at(term.last_on, now=now)
    request = BillRequest(
        id=wanted.id,
        payee_id=seller.payee_id,
        amount_vnd=term.price_vnd,
        purpose=f"Vé tháng {term.first_on:%d/%m/%Y}–{term.last_on:%d/%m/%Y}",
        expires_at=expires_at,
        monitor_until=expires_at + timedelta(seconds=wanted.monitored_for_s),
        created_by=actor.id,
        owner_kind=OWNER_KIND,
        owner_id=pass_id,
        due_on=hanoi_day(expires_at),
    )
    (opened,) = await open_bills(session, org_id, [request], [wanted.reference], now=now)
    if isinstance(opened, Exception):
        raise opened
    term.bill_id = opened.id
    await session.flush()
    return opened


async def renew_pass(
    session: AsyncSession,
    org_id: UUID,
    pass_id: UUID,
    *,
    months: int,
    id_: UUID,
    actor: Actor,
    now: datetime,
) -> None:
    """Sell more months, from the day after the last; in force once their bill is paid.

    Months that wait to be paid already stay, if they are as many; others are replaced.

    Raises:
        PassNotFound, PassRevoked, NoMonthlyPrice, InvalidRequest
        PassNotRenewable: it is an exemption, not paid, or over.
        NothingToPay: the months that waited were paid a moment ago.
    """
    assert actor.id is not None
    held = await _lock_held(session, org_id, pass_id)
    today = hanoi_day(now)
    is_held = _state(held, today) in (PassState.IN_FORCE, PassState.COMING)
    if held.kind != PassKind.MONTHLY or not is_held:
        raise PassNotRenewable
    first_on = held.valid_until + timedelta(days=1)
    last_on = check_months(months, first_on, today=today)
    waiting = await _find_waiting(session, held)
    if waiting is not None and (waiting.first_on, waiting.months) == (first_on, months):
        return
    if waiting is not None and not await cancel_term(
        session, held, waiting, actor=actor, reason=TERM_REPLACED, now=now
    ):
        raise NothingToPay
    a_month_vnd = await read_monthly_price(
        session,
        org_id,
        VehicleClass(held.vehicle_class),
        lot_id=held.lot_id,
        at=max(now, day_bounds(first_on)[0]),
    )
    term = _add_term(session, held, first_on, last_on, months, a_month_vnd, actor, now, id_=id_)
    after = {
        "first_on": first_on.isoformat(),
        "last_on": last_on.isoformat(),
        "price_vnd": term.price_vnd,
    }
    await session.flush()
    _record(session, held, "pass.renewed", actor, now, after=after)


async def revoke_pass(
    session: AsyncSession,
    org_id: UUID,
    pass_id: UUID,
    *,
    actor: Actor,
    reason: str,
    now: datetime,
) -> None:
    """Revoke a pass: no entry is on it from now on. Idempotent.

    A vehicle that is inside on it is charged from midnight on. Months that wait are cancelled;
    what was paid is given back only if a person decides so.

    Raises:
        PassNotFound
    """
    check_lines(reason=reason)
    held = await queries.lock_pass(session, org_id, pass_id)
    if held.revoked_at is not None:
        return
    waiting = await _find_waiting(session, held)
    if waiting is not None:
        await cancel_term(session, held, waiting, actor=actor, reason=reason, now=now)
    before = {"last_on": held.valid_until.isoformat()}
    held.revoked_at = now
    held.valid_until = end_today(held.valid_from, held.valid_until, hanoi_day(now))
    await session.flush()
    after = {"last_on": held.valid_until.isoformat()}
    _record(session, held, "pass.revoked", actor, now, before=before, after=after, reason=reason)


async def change_plates(
    session: AsyncSession,
    org_id: UUID,
    pass_id: UUID,
    *,
    plates: tuple[str, ...],
    actor: Actor,
    reason: str,
    now: datetime,
) -> None:
    """Let a pass be for other plates. A vehicle that is inside on it stays on it until it leaves.

    Raises:
        PassNotFound, PassRevoked
        InvalidRequest: none, too many, no plate, or one twice.
    """
    check_lines(reason=reason)
    held = await _lock_held(session, org_id, pass_id)
    wanted = read_plates(plates, VehicleClass(held.vehicle_class))
    known = await queries.list_plates(session, org_id, pass_id)
    if wanted == known:
        return
    await queries.replace_plates(
        session, org_id, pass_id, vehicle_class=held.vehicle_class, plates=wanted
    )
    _record(
        session,
        held,
        "pass.plates_changed",
        actor,
        now,
        before={"plates": [mask_plate(plate) for plate in known]},
        after={"plates": [mask_plate(plate) for plate in wanted]},
        reason=reason,
    )


async def cancel_term(
    session: AsyncSession, held: Pass, term: PassTerm, *, actor: Actor, reason: str, now: datetime
) -> bool:
    """Cancel months that wait to be paid, with their bill, under the lock of their pass.

    Returns:
        False: their bill was paid at this moment; what its handler finds cancelled, it gives back.
    """
    is_unpaid = await _cancel_bill(session, held, term, actor=actor, reason=reason, now=now)
    term.cancelled_at = now
    await session.flush()
    return is_unpaid


async def make_way(
    session: AsyncSession,
    held: Pass,
    terms: Sequence[PassTerm],
    term: PassTerm,
    *,
    actor: Actor,
    now: datetime,
) -> None:
    """Cancel other months that wait, so that these can be owed again: one term waits at a time."""
    for other in terms:
        if other.id != term.id and other.in_force_at is None and other.cancelled_at is None:
            await cancel_term(session, held, other, actor=actor, reason=OWED_AGAIN, now=now)


async def take_waiting(
    session: AsyncSession, held: Pass, *, actor: Actor, now: datetime
) -> PassTerm:
    """Return the months of a locked pass that wait to be paid, for who pays them otherwise.

    Their open bill is cancelled; what it was paid, or still is, goes back.

    Raises:
        PassRevoked
        NothingToPay: no months wait, they are over, or their bill was paid a moment ago.
    """
    if held.revoked_at is not None:
        raise PassRevoked
    term = await _find_waiting(session, held)
    if term is None or hanoi_day(now) > term.last_on:
        raise NothingToPay
    if not await _cancel_bill(session, held, term, actor=actor, reason=PAID_IN_CASH, now=now):
        raise NothingToPay
    term.bill_id = None
    return term


async def _get_open_lot(session: AsyncSession, org_id: UUID, lot_id: UUID) -> Lot:
    lot = await get_lot(session, org_id, lot_id)
    if lot.closed_at is not None:
        raise LotClosed
    return lot


async def _lock_held(session: AsyncSession, org_id: UUID, pass_id: UUID) -> Pass:
    held = await queries.lock_pass(session, org_id, pass_id)
    if held.revoked_at is not None:
        raise PassRevoked
    return held


async def _find_waiting(session: AsyncSession, held: Pass) -> PassTerm | None:
    terms = await queries.list_terms(session, held.org_id, held.id)
    return next((t for t in terms if t.in_force_at is None and t.cancelled_at is None), None)


async def _cancel_bill(
    session: AsyncSession, held: Pass, term: PassTerm, *, actor: Actor, reason: str, now: datetime
) -> bool:
    """Cancel the bill of a term that waits, if it has one; tell whether it was still unpaid."""
    if term.bill_id is None:
        return True
    locked = await settling.lock_bills(session, held.org_id, [term.bill_id])
    status = locked[term.bill_id].status
    if status in UNPAID:
        await cancel_bill_and_propose_refund(
            session, held.org_id, term.bill_id, actor=actor, reason=reason, now=now
        )
    return status in UNPAID or status == BillStatus.CANCELLED


async def _price(
    session: AsyncSession, org_id: UUID, wanted: PassWanted, *, now: datetime
) -> tuple[date, int]:
    """Return the last day of a pass that is sold, and what a month costs."""
    today = hanoi_day(now)
    if wanted.months is None:
        refuse("months", "missing", "Say for how many months the pass is sold.")
    if wanted.exempt_as is not None or wanted.valid_until is not None:
        refuse("kind", "not_monthly", "`exempt_as` and `valid_until` are of an exemption.")
    seller_lot_id = _seller(wanted)
    if seller_lot_id is None:
        refuse("seller_lot_id", "missing", "A pass for all lots names the lot that is paid.")
    if wanted.lot_id not in (None, seller_lot_id):
        refuse("seller_lot_id", "other_lot", "A pass for one lot is paid to that lot.")
    await _get_open_lot(session, org_id, seller_lot_id)
    check_start(wanted.valid_from, today=today)
    last_on = check_months(wanted.months, wanted.valid_from, today=today)
    a_month_vnd = await read_monthly_price(
        session,
        org_id,
        wanted.vehicle_class,
        lot_id=wanted.lot_id,
        at=max(now, day_bounds(wanted.valid_from)[0]),
    )
    return last_on, a_month_vnd


def _check_exempt(wanted: PassWanted, *, now: datetime) -> date:
    if wanted.valid_until is None:
        refuse("valid_until", "missing", "Say until when it holds.")
    if wanted.exempt_as is None:
        refuse("exempt_as", "missing", "Say who is exempt.")
    if not wanted.reason:
        refuse("reason", "missing", "Say why, and by which document.")
    if wanted.months is not None or wanted.seller_lot_id is not None:
        refuse("kind", "not_exempt", "`months` and `seller_lot_id` are of a monthly pass.")
    check_exemption(wanted.valid_from, wanted.valid_until, today=hanoi_day(now))
    return wanted.valid_until


def _seller(wanted: PassWanted) -> UUID | None:
    return wanted.seller_lot_id or wanted.lot_id


def _state(held: Pass, today: date) -> PassState:
    return pass_state(
        in_force_at=held.in_force_at,
        revoked_at=held.revoked_at,
        valid_from=held.valid_from,
        valid_until=held.valid_until,
        today=today,
    )


def _add_term(
    session: AsyncSession,
    held: Pass,
    first_on: date,
    last_on: date,
    months: int,
    a_month_vnd: int,
    actor: Actor,
    now: datetime,
    *,
    id_: UUID | None = None,
) -> PassTerm:
    term = PassTerm(
        org_id=held.org_id,
        id=id_ or new_id(),
        pass_id=held.id,
        first_on=first_on,
        last_on=last_on,
        months=months,
        price_vnd=months * a_month_vnd,
        created_by=actor.id,
        created_at=now,
    )
    session.add(term)
    return term


def _record(
    session: AsyncSession,
    held: Pass,
    action: str,
    actor: Actor,
    now: datetime,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    reason: str | None = None,
) -> None:
    record_change(
        session,
        org_id=held.org_id,
        actor=actor,
        action=action,
        object_kind="pass",
        object_id=held.id,
        before=before,
        after=after,
        reason=reason,
        now=now,
    )
