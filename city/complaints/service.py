"""Complaints: received from anybody, resolved by who may."""

import asyncio
from datetime import datetime
from hashlib import sha256
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from city.complaints import queries
from city.complaints.errors import (
    ComplaintAlreadyOpen,
    ComplaintIdTaken,
    ComplaintResolved,
    ComplaintSaysNothing,
    RefundNotFitting,
)
from city.complaints.models import Complaint
from city.complaints.paid import lock_paid
from city.complaints.rules import (
    GIVES_BACK,
    REFUND_WORKING_DAYS,
    Category,
    ComplaintStatus,
    Outcome,
    due_day,
    status_after,
)
from city.complaints.types import NewComplaint
from city.complaints.working_days import is_day_off
from core.audit import Actor, record_change
from core.clock import hanoi_day
from core.ids import new_token
from core.reasons import Reason
from core.text import check_lines
from payments.breaks.rules import BreakReason
from payments.refunds.service import propose_refund

COMPLAINANT: Final = Actor(kind="public", id=None, name="public")


async def make_complaint(
    session: AsyncSession, org_id: UUID, new: NewComplaint, *, working_days: int, now: datetime
) -> Complaint:
    """Take a complaint in, with a link and a deadline. The same id again answers the first.

    Args:
        working_days: within which it is to be answered.

    Raises:
        ComplaintSaysNothing: one of the category *other* has no words.
        ComplaintAlreadyOpen: one of this category about the same waits for its answer.
        ComplaintIdTaken: the id came with other facts before.
        InvalidRequest: a text may not be shown.
    """
    check_lines(words=new.words, contact=new.contact)
    if new.category is Category.OTHER and not new.words:
        raise ComplaintSaysNothing
    request_hash = sha256(repr(new).encode()).digest()
    # In a thread: the calendar takes half a second to load for the first time.
    due_on = await asyncio.to_thread(
        due_day, hanoi_day(now), working_days=working_days, is_day_off=is_day_off
    )
    is_new = await queries.insert_complaint_once(
        session,
        org_id,
        new,
        public_token=new_token(),
        request_hash=request_hash,
        due_on=due_on,
        now=now,
    )
    stored = await queries.find_complaint(session, org_id, new.id)
    if stored is None:
        raise ComplaintAlreadyOpen
    if not is_new:
        if stored.request_hash != request_hash:
            raise ComplaintIdTaken(new.id)
        return stored
    record_change(
        session,
        org_id=org_id,
        actor=COMPLAINANT,
        action="complaint.received",
        object_kind="complaint",
        object_id=new.id,
        after={"category": new.category.value, "due_on": due_on.isoformat()},
        now=now,
    )
    return stored


async def resolve_complaint(
    session: AsyncSession,
    org_id: UUID,
    complaint_id: UUID,
    *,
    outcome: Outcome,
    answer: str,
    refund_vnd: int | None = None,
    refund_working_days: int = REFUND_WORKING_DAYS,
    actor: Actor,
    now: datetime,
) -> Complaint:
    """Write down what became of a complaint. The same outcome and words again answer the same.

    Args:
        answer: for the complainant to read.
        refund_vnd: what is to be given back; it goes on the list of what people have to do.
        refund_working_days: within which it is to be given back.

    Raises:
        ComplaintNotFound
        ComplaintResolved: it was resolved otherwise before.
        RefundNotFitting: money is given back for what is upheld only.
        RefundTooHigh: it is more than was paid, with what is given back already.
        InvalidRequest: the answer may not be shown.
    """
    check_lines(answer=answer)
    if refund_vnd is not None and outcome not in GIVES_BACK:
        raise RefundNotFitting
    complaint = await queries.lock_complaint(session, org_id, complaint_id)
    if complaint.status != ComplaintStatus.OPEN:
        known = (complaint.outcome, complaint.answer, complaint.refund_vnd)
        if known == (outcome.value, answer, refund_vnd):
            return complaint
        raise ComplaintResolved
    complaint.status, complaint.outcome = status_after(outcome).value, outcome.value
    complaint.answer, complaint.refund_vnd = answer, refund_vnd
    if refund_vnd is not None:
        complaint.refund_due_on = await asyncio.to_thread(
            due_day, hanoi_day(now), working_days=refund_working_days, is_day_off=is_day_off
        )
    complaint.resolved_at, complaint.resolved_by = now, actor.id
    await session.flush()
    if refund_vnd is not None:
        paid = await lock_paid(session, org_id, complaint)
        await propose_refund(
            session,
            org_id,
            subject_id=complaint_id,
            bill_id=complaint.bill_id,
            matter_ids=paid.matter_ids,
            paid_vnd=paid.paid_vnd,
            amount_vnd=refund_vnd,
            reason=Reason(BreakReason.COMPLAINT_UPHELD, {"words": answer}),
            now=now,
        )
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="complaint.resolved",
        object_kind="complaint",
        object_id=complaint_id,
        after={
            "outcome": outcome.value,
            "refund_vnd": refund_vnd,
            **(
                {}
                if complaint.refund_due_on is None
                else {"due_on": complaint.refund_due_on.isoformat()}
            ),
        },
        reason=answer,
        now=now,
    )
    return complaint
