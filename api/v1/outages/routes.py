"""Outages of the hub, and what became of the callbacks that an organisation missed."""

from typing import Annotated

from fastapi import APIRouter

from api.http.deps import Tx, requires
from api.http.errors import may_answer
from api.http.paging import Cursor, next_cursor, read_cursor
from api.v1.outages.schemas import OutageRead, OutagesRead
from core.paging import BadCursor
from identity.people.callers import Caller
from identity.people.rules import Permission
from payments.outages import views

router = APIRouter(prefix="/v1/outages", tags=["callbacks"])

Reader = Annotated[Caller, requires(Permission.CALLBACK_ENDPOINTS_READ)]
ROWS = 20  # each is counted anew


@router.get("", responses=may_answer(BadCursor))
async def list_outages(caller: Reader, tx: Tx, cursor: Cursor = None) -> OutagesRead:
    """List outages, newest first, 20 a page."""
    found = await views.list_outages(
        tx, caller.org_id, before_id=read_cursor(cursor), limit=ROWS + 1
    )
    return OutagesRead(
        outages=[OutageRead.model_validate(one) for one in found[:ROWS]],
        next_cursor=next_cursor(found, ROWS),
    )
