"""Breaks: what nothing explains, until somebody does."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from api.http.deps import Now, Tx, requires
from api.http.errors import may_answer
from api.http.paging import Cursor, Limit, next_cursor, read_cursor
from api.v1.breaks.schemas import BreakClose, BreakPage, BreakRead
from api.v1.credits.schemas import BreakAssign
from core.paging import BadCursor
from identity.people.callers import Caller
from identity.people.rules import Permission
from payments.bills.errors import BillNotFound
from payments.breaks.errors import BreakClosed, BreakHeld, BreakNotDecidable, BreakNotFound
from payments.breaks.models import Break
from payments.breaks.rules import BreakKind
from payments.breaks.service import close_break
from payments.breaks.views import list_breaks
from payments.credits import admissions
from payments.credits.errors import CreditNotCorrectable, CreditNotFound, RestNeedsBills
from payments.payees.errors import PayeeNotFound

router = APIRouter(prefix="/v1/breaks", tags=["payments"])

Reader = Annotated[Caller, requires(Permission.BREAKS_READ)]
Resolver = Annotated[Caller, requires(Permission.BREAKS_RESOLVE)]
MAY_FAIL = may_answer(BreakNotFound, BreakClosed, BreakNotDecidable)


@router.get("", responses=may_answer(BadCursor))
async def list_breaks_page(
    caller: Reader,
    tx: Tx,
    is_open: Annotated[bool | None, Query(description="Leave out for both.")] = None,
    kind: BreakKind | None = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> BreakPage:
    """List breaks, newest first."""
    found = await list_breaks(
        tx,
        caller.org_id,
        is_open=is_open,
        kind=None if kind is None else kind.value,
        before_id=read_cursor(cursor),
        limit=limit + 1,
    )
    return BreakPage.of(found[:limit], next_cursor(found, limit))


@router.post(
    "/{break_id}/close",
    response_model=BreakRead,
    responses=may_answer(BreakNotFound, BreakClosed, BreakHeld),
)
async def close(break_id: UUID, body: BreakClose, caller: Resolver, tx: Tx, now: Now) -> Break:
    """Write down how a break was resolved; the same words again answer the same."""
    return await close_break(
        tx, caller.org_id, break_id, resolution=body.resolution, actor=caller.actor, now=now
    )


@router.post("/{break_id}/admit", response_model=BreakRead, responses=MAY_FAIL)
async def admit(break_id: UUID, caller: Resolver, tx: Tx, now: Now) -> Break:
    """Say that what may be one transfer reported twice is another transfer; it counts as one."""
    return await admissions.admit(tx, caller.org, break_id, actor=caller.actor, now=now)


@router.post(
    "/{break_id}/same-money",
    response_model=BreakRead,
    responses=may_answer(BreakNotFound, BreakClosed, BreakNotDecidable, CreditNotCorrectable),
)
async def confirm_same_money(break_id: UUID, caller: Resolver, tx: Tx, now: Now) -> Break:
    """Confirm that one transfer was reported twice; the later report no longer counts."""
    return await admissions.confirm_same_money(
        tx, caller.org_id, break_id, actor=caller.actor, now=now
    )


@router.post(
    "/{break_id}/assign",
    response_model=BreakRead,
    responses=may_answer(
        BreakNotFound,
        BreakClosed,
        BreakNotDecidable,
        CreditNotFound,
        CreditNotCorrectable,
        RestNeedsBills,
        PayeeNotFound,
        BillNotFound,
    ),
)
async def assign(break_id: UUID, body: BreakAssign, caller: Resolver, tx: Tx, now: Now) -> Break:
    """Say whose the money of a break is: a payee's, as a sale, for a bill, or for several.

    It takes no money from a bill: `break_closed`, if the payment has its explanation by now.
    """
    return await admissions.assign(
        tx,
        caller.org_id,
        break_id,
        payee_id=body.payee_id,
        bill_id=body.bill_id,
        shares=[(share.bill_id, share.amount_vnd) for share in body.bills or ()],
        actor=caller.actor,
        now=now,
    )
