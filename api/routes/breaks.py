"""Breaks: what nothing explains, until somebody does."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from api.auth.callers import Caller
from api.auth.rules import Permission
from api.deps import Now, Tx, requires
from api.errors import may_answer
from api.schemas.credits import BreakClose, BreakPage, BreakRead
from api.schemas.pages import Cursor, Limit, next_cursor, read_cursor
from payments.bills.errors import BadCursor
from payments.callbacks.breaks import close_break
from payments.callbacks.errors import BreakClosed, BreakNotFound
from payments.callbacks.models import Break, BreakKind
from payments.callbacks.views import list_breaks

router = APIRouter(prefix="/v1/breaks", tags=["payments"])

Reader = Annotated[Caller, requires(Permission.BREAKS_READ)]
Resolver = Annotated[Caller, requires(Permission.BREAKS_RESOLVE)]


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
    responses=may_answer(BreakNotFound, BreakClosed),
)
async def close(break_id: UUID, body: BreakClose, caller: Resolver, tx: Tx, now: Now) -> Break:
    """Write down how a break was resolved; the same words again answer the same."""
    return await close_break(
        tx, caller.org_id, break_id, resolution=body.resolution, actor=caller.actor, now=now
    )
