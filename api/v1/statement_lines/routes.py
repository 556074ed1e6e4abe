"""Lines of statements: what explains each, and what people say about it."""

from datetime import date
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter

from api.http.deps import Now, Tx, requires
from api.http.errors import may_answer
from api.http.paging import Cursor, Limit, next_cursor, read_cursor
from api.v1.statement_lines.schemas import (
    LineEvidenceRead,
    LineExplain,
    LineLink,
    LinePage,
    LineRead,
    LineStatus,
    LineUnlink,
    present_evidence,
)
from core.paging import BadCursor
from identity.people.callers import Caller
from identity.people.rules import Permission
from payments.reconciliation import service, views
from payments.reconciliation.errors import (
    CreditNotLinkable,
    LineAmountDiffers,
    LineBeforeOpening,
    LineDirectionDiffers,
    LineExplained,
    StatementLineNotFound,
)

router = APIRouter(prefix="/v1/statement-lines", tags=["statements"])

Reader = Annotated[Caller, requires(Permission.LEDGER_READ)]
Resolver = Annotated[Caller, requires(Permission.BREAKS_RESOLVE)]


@router.get("", responses=may_answer(BadCursor))
async def list_statement_lines(
    receiving_account_id: UUID,
    caller: Reader,
    tx: Tx,
    status: LineStatus | None = None,
    day: date | None = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> LinePage:
    """List lines of an account, the newest booking first."""
    found = await views.list_lines(
        tx,
        caller.org_id,
        receiving_account_id,
        is_open=None if status is None else status is LineStatus.OPEN,
        day=day,
        before_id=read_cursor(cursor),
        limit=limit + 1,
    )
    lines = [LineRead.model_validate(dict(one)) for one in found]
    return LinePage(lines=lines[:limit], next_cursor=next_cursor(lines, limit))


@router.get("/{line_id}", responses=may_answer(StatementLineNotFound))
async def read_statement_line(line_id: UUID, caller: Reader, tx: Tx) -> LineEvidenceRead:
    """Read a line beside the payments and bills that explain it, by which rule and why."""
    return present_evidence(await views.get_evidence(tx, caller.org_id, line_id))


@router.post(
    "/{line_id}/link",
    responses=may_answer(
        StatementLineNotFound,
        LineBeforeOpening,
        LineExplained,
        LineDirectionDiffers,
        CreditNotLinkable,
        LineAmountDiffers,
    ),
)
async def link_statement_line(
    line_id: UUID, body: LineLink, caller: Resolver, tx: Tx, now: Now
) -> LineEvidenceRead:
    """Say that a line is these payments of its account; the same again changes nothing."""
    await service.link_line(
        tx,
        caller.org_id,
        line_id,
        credit_ids=body.credit_ids,
        words=body.reason,
        actor=caller.actor,
        now=now,
    )
    return present_evidence(await views.get_evidence(tx, caller.org_id, line_id))


@router.post(
    "/{line_id}/explain",
    responses=may_answer(
        StatementLineNotFound, LineBeforeOpening, LineExplained, LineDirectionDiffers
    ),
)
async def explain_statement_line(
    line_id: UUID, body: LineExplain, caller: Resolver, tx: Tx, now: Now
) -> LineEvidenceRead:
    """Say that a line is a bank's charge, interest, an own transfer or not the hub's.

    A refund that its bank sent back is `refund_back`. The same again changes nothing.
    """
    await service.explain_line(
        tx,
        caller.org_id,
        line_id,
        explanation=body.explanation,
        words=body.reason,
        actor=caller.actor,
        now=now,
    )
    return present_evidence(await views.get_evidence(tx, caller.org_id, line_id))


@router.post("/{line_id}/unlink", responses=may_answer(StatementLineNotFound, LineBeforeOpening))
async def unlink_statement_line(
    line_id: UUID, body: LineUnlink, caller: Resolver, tx: Tx, now: Now
) -> LineEvidenceRead:
    """Open a line again: what was posted is posted the other way round. Idempotent.

    The rules leave the line to people from then on.
    """
    await service.unlink_line(
        tx, caller.org_id, line_id, words=body.reason, actor=caller.actor, now=now
    )
    return present_evidence(await views.get_evidence(tx, caller.org_id, line_id))
