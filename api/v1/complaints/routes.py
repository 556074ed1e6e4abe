"""Complaints: what waits for an answer, and the answers."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from api.http.deps import Now, Tx, requires
from api.http.errors import may_answer
from api.http.paging import Cursor, Limit, next_cursor, read_cursor
from api.v1.complaints.schemas import ComplaintPage, ComplaintRead, ComplaintResolve
from city.complaints import queries
from city.complaints.errors import ComplaintNotFound, ComplaintResolved, RefundNotFitting
from city.complaints.models import Complaint
from city.complaints.service import resolve_complaint
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
    is_open: Annotated[
        bool, Query(description="Those that wait, by deadline; else the resolved, latest first.")
    ] = True,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> ComplaintPage:
    """List complaints: the nearest deadline first, or the latest outcome first."""
    read = queries.list_open if is_open else queries.list_resolved
    found = await read(tx, caller.org_id, after_id=read_cursor(cursor), limit=limit + 1)
    return ComplaintPage.of(found[:limit], next_cursor(found, limit))


@router.get(
    "/{complaint_id}", response_model=ComplaintRead, responses=may_answer(ComplaintNotFound)
)
async def show_complaint(complaint_id: UUID, caller: Reader, tx: Tx) -> Complaint:
    """Show one complaint."""
    return await queries.get_complaint(tx, caller.org_id, complaint_id)


@router.post(
    "/{complaint_id}/resolve",
    response_model=ComplaintRead,
    responses=may_answer(ComplaintNotFound, ComplaintResolved, RefundNotFitting, RefundTooHigh),
)
async def resolve(
    complaint_id: UUID, body: ComplaintResolve, caller: Resolver, tx: Tx, now: Now
) -> Complaint:
    """Answer a complaint: the complainant reads it at their link. The same again answers the same.

    A refund goes on the list of what people have to do (`refund_agreed`); the hub moves no money.
    """
    return await resolve_complaint(
        tx,
        caller.org_id,
        complaint_id,
        outcome=body.outcome,
        answer=body.answer,
        refund_vnd=body.refund_vnd,
        actor=caller.actor,
        now=now,
    )
