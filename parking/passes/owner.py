"""The owner of bills for passes: what a pass hears when one of its bills changes.

It sets what the bills say and adds nothing, so that the same change may come again.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import SYSTEM, record_change
from core.clock import hanoi_day
from core.reasons import Reason
from parking.passes import queries
from parking.passes.models import Pass, PassTerm
from parking.passes.rules import IS_PAID, TermChange, TermFacts, dates_of, judge_bill
from parking.passes.service import cancel_term
from payments.bills.owners_rules import Change
from payments.bills.queries import find_bills
from payments.bills.rules import BillFacts, BillStatus
from payments.breaks.queries import close_breaks_of, insert_breaks_once
from payments.breaks.rules import TAKEN_BACK, BreakKind, BreakReason
from payments.breaks.types import NewBreak
from payments.outbox import service as outbox
from payments.outbox.rules import EventKind, NewEvent

log = structlog.get_logger()

OWED_AGAIN: Final = "The months before are owed again"


async def handle_bill_change(session: AsyncSession, change: Change, *, now: datetime) -> None:
    """Put months in force that were paid, or take them out again, and reckon the pass's days."""
    held = await queries.lock_pass(session, change.org_id, change.owner_id)
    terms = await queries.list_terms(session, held.org_id, held.id)
    term = next((one for one in terms if one.bill_id == change.subject_id), None)
    if term is None:
        return  # an earlier bill of these months: it was cancelled, and what it is paid goes back
    bill = (await find_bills(session, held.org_id, [change.subject_id]))[change.subject_id]
    effect = judge_bill(
        _facts(term),
        BillStatus(bill.status),
        is_revoked=held.revoked_at is not None,
        today=hanoi_day(now),
    )
    if effect is TermChange.REFUND:
        await _ask_what_to_do(session, bill, now=now)
    elif bill.status not in IS_PAID:
        kinds = [BreakKind.NOTHING_GIVEN]
        await close_breaks_of(session, held.org_id, {bill.id: TAKEN_BACK}, kinds=kinds, now=now)
    if effect in (TermChange.NONE, TermChange.REFUND):
        return
    if effect is TermChange.WAIT:
        for other in terms:  # of a pass one term waits at a time
            if other.id != term.id and other.in_force_at is None and other.cancelled_at is None:
                await cancel_term(session, held, other, actor=SYSTEM, reason=OWED_AGAIN, now=now)
    term.in_force_at = now if effect is TermChange.PUT_IN_FORCE else None
    term.cancelled_at = now if effect is TermChange.CANCEL else None
    _write_dates(held, terms, now=now)
    await session.flush()
    await _tell(session, held, term, bill, effect, now=now)


def _write_dates(held: Pass, terms: Sequence[PassTerm], *, now: datetime) -> None:
    dates = dates_of(
        [_facts(term) for term in terms],
        valid_from=held.valid_from,
        valid_until=held.valid_until,
        today=hanoi_day(now),
    )
    held.in_force_at = dates.in_force_at
    if held.revoked_at is None:  # a revoked pass keeps the day it ended on
        held.valid_until = dates.valid_until
    if dates.is_revoked and held.revoked_at is None:
        held.revoked_at = now


async def _ask_what_to_do(session: AsyncSession, bill: BillFacts, *, now: datetime) -> None:
    given = NewBreak(
        kind=BreakKind.NOTHING_GIVEN,
        subject_id=bill.id,
        bill_id=bill.id,
        amount_vnd=bill.paid_vnd,
        reason=Reason(BreakReason.PAID_TOO_LATE, {"reference": bill.reference}),
    )
    await insert_breaks_once(session, bill.org_id, [given], now=now)
    log.warning("pass.paid_too_late", bill=str(bill.id), amount_vnd=bill.paid_vnd)


async def _tell(
    session: AsyncSession,
    held: Pass,
    term: PassTerm,
    bill: BillFacts,
    effect: TermChange,
    *,
    now: datetime,
) -> None:
    facts = {
        "pass_id": str(held.id),
        "first_on": term.first_on.isoformat(),
        "last_on": term.last_on.isoformat(),
        "valid_until": held.valid_until.isoformat(),
    }
    is_paid = effect is TermChange.PUT_IN_FORCE
    record_change(
        session,
        org_id=held.org_id,
        actor=SYSTEM,
        action="pass.paid" if is_paid else "pass.payment_taken_back",
        object_kind="pass",
        object_id=held.id,
        after=facts | {"reference": bill.reference},
        now=now,
    )
    kind = EventKind.PARKING_PASS_PAID if is_paid else EventKind.PARKING_PASS_OWED_AGAIN
    event = NewEvent(kind=kind, payee_id=bill.payee_id, bill_id=bill.id, data=facts)
    await outbox.record(session, held.org_id, [event], now=now)
    log.info(kind.value, **{"pass": str(held.id)}, last_on=facts["last_on"])


def _facts(term: PassTerm) -> TermFacts:
    return TermFacts(
        id=term.id,
        last_on=term.last_on,
        in_force_at=term.in_force_at,
        cancelled_at=term.cancelled_at,
    )
