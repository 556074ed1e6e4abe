"""Complaints: what waits for an answer, and the answers."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from api.http.deps import Now, TheSettings, Tx, requires
from api.http.errors import may_answer
from api.http.paging import Cursor, Limit, next_cursor, read_cursor
from api.v1.complaints.schemas import ComplaintPage, ComplaintRead, ComplaintResolve
from city.complaints import queries
from city.complaints.errors import ComplaintNotFound, ComplaintResolved, RefundNotFitting
from city.complaints.refunds import read_refunds
from city.complaints.service import resolve_complaint
from core.clock import hanoi_day
from core.paging import BadCursor
from identity.people.callers import Caller
from identity.people.rules import Permission
from payments.refunds.errors import RefundTooHigh

router = APIRouter(prefix="/v1/complaints", tags=["complaints"])

Reader = Annotated[Caller, requires(Permission.COMPLAINTS_READ)]
Resolver = Annotated[Caller, requires(Permission.COMPLAINTS_RESOLVE)]


@router.get("", responses=may_answer(BadCursor))
async def list_complaints(
    caller: Reader,
    tx: Tx,
    now: Now,
    is_open: Annotated[
        bool, Query(description="Those that wait, by deadline; else the resolved, latest first.")
    ] = True,
    to_give_back: Annotated[
        bool, Query(description="Instead: those whose refund is not given back, by its deadline.")
    ] = False,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> ComplaintPage:
    """List complaints: the nearest deadline first, or the latest outcome first."""
    read = queries.list_open if is_open else queries.list_resolved
    if to_give_back:
        read = queries.list_to_give_back
    found = await read(tx, caller.org_id, after_id=read_cursor(cursor), limit=limit + 1)
    refunds = await read_refunds(tx, caller.org_id, found[:limit], today=hanoi_day(now))
    return ComplaintPage(
        complaints=[ComplaintRead.of(one, refunds) for one in found[:limit]],
        next_cursor=next_cursor(found, limit),
    )


@router.get("/{complaint_id}", responses=may_answer(ComplaintNotFound))
async def show_complaint(complaint_id: UUID, caller: Reader, tx: Tx, now: Now) -> ComplaintRead:
    """Show one complaint, with what became of its refund."""
    complaint = await queries.get_complaint(tx, caller.org_id, complaint_id)
    refunds = await read_refunds(tx, caller.org_id, [complaint], today=hanoi_day(now))
    return ComplaintRead.of(complaint, refunds)


@router.post(
    "/{complaint_id}/resolve",
    responses=may_answer(ComplaintNotFound, ComplaintResolved, RefundNotFitting, RefundTooHigh),
)
async def resolve(
    complaint_id: UUID,
    body: ComplaintResolve,
    caller: Resolver,
    tx: Tx,
    settings: TheSettings,
    now: Now,
) -> ComplaintRead:
    """Answer a complaint: the complainant reads it at their link. The same again answers the same.

    A refund goes on the list of what people have to do (`refund_agreed`); the hub moves no money.
    """
    complaint = await resolve_complaint(
        tx,
        caller.org_id,
        complaint_id,
        outcome=body.outcome,
        answer=body.answer,
        refund_vnd=body.refund_vnd,
        refund_working_days=settings.complaint_working_days,
        actor=caller.actor,
        now=now,
    )
    refunds = await read_refunds(tx, caller.org_id, [complaint], today=hanoi_day(now))
    return ComplaintRead.of(complaint, refunds)
