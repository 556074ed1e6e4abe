"""The owner of bills for passes: what a pass hears when one of its bills changes.

It sets what the bills say and adds nothing, so that the same change may come again.
"""

from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import SYSTEM
from core.clock import hanoi_day
from core.reasons import Reason
from parking.passes import queries
from parking.passes.rules import IS_PAID, TermChange, judge_bill
from parking.passes.service import make_way
from parking.passes.terms import facts_of, tell, write_dates
from payments.bills.owners_rules import Change
from payments.bills.queries import find_bills
from payments.bills.rules import GIVEN_BACK, BillFacts, BillStatus
from payments.breaks.queries import close_breaks_of, insert_breaks_once
from payments.breaks.rules import TAKEN_BACK, BreakKind, BreakReason
from payments.breaks.types import NewBreak

log = structlog.get_logger()


async def handle_bill_change(session: AsyncSession, change: Change, *, now: datetime) -> None:
    """Put months in force that were paid, or take them out again, and reckon the pass's days."""
    if change.from_status in GIVEN_BACK and change.to_status != BillStatus.REFUNDED:
        return  # a refund came to nothing: that is its people's to see to, and buys nothing
    held = await queries.lock_pass(session, change.org_id, change.owner_id)
    terms = await queries.list_terms(session, held.org_id, held.id)
    term = next((one for one in terms if one.bill_id == change.subject_id), None)
    if term is None:
        return  # an earlier bill of these months: it was cancelled, and what it is paid goes back
    bill = (await find_bills(session, held.org_id, [change.subject_id]))[change.subject_id]
    effect = judge_bill(
        facts_of(term),
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
        await make_way(session, held, terms, term, actor=SYSTEM, now=now)
    term.in_force_at = now if effect is TermChange.PUT_IN_FORCE else None
    term.cancelled_at = now if effect is TermChange.CANCEL else None
    write_dates(held, terms, now=now)
    await session.flush()
    await tell(
        session,
        held,
        term,
        payee_id=bill.payee_id,
        bill_id=bill.id,
        is_paid=effect is TermChange.PUT_IN_FORCE,
        named={"reference": bill.reference},
        actor=SYSTEM,
        now=now,
    )


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
