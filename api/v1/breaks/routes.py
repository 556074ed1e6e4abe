"""Breaks: what nothing explains, until somebody does."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from sqlalchemy.ext.asyncio import AsyncSession

from api.http.deps import Now, Tx, requires
from api.http.errors import may_answer
from api.http.fields import Day
from api.http.paging import Cursor, Limit, next_cursor, read_cursor
from api.v1.breaks.schemas import (
    BreakBulk,
    BreakBulkRead,
    BreakClose,
    BreakOwner,
    BreakPage,
    BreakRead,
    BreakReport,
    BreakStoryRead,
    present_answers,
    present_break,
)
from api.v1.credits.schemas import BreakAssign
from core.errors import InvalidRequest, Violation
from core.paging import BadCursor
from core.text import tidy_line
from identity.people.callers import Caller
from identity.people.rules import Permission
from payments.bills.errors import BillNotFound
from payments.breaks import service
from payments.breaks.errors import (
    BreakClosed,
    BreakHeld,
    BreakNotDecidable,
    BreakNotFound,
    BreakOwned,
    BreakOwnerNotFound,
)
from payments.breaks.rules import BreakKind, BreakType, Outcome
from payments.credits import admissions
from payments.credits.errors import CreditNotCorrectable, CreditNotFound, RestNeedsBills
from payments.decisions.errors import BillNotShort
from payments.decisions.proposing import report_short_bill
from payments.decisions.views import (
    FIND_CHARS_MAX,
    BreakFilter,
    list_worklist,
    read_row,
    read_story,
)
from payments.payees.errors import PayeeNotFound

router = APIRouter(prefix="/v1/breaks", tags=["payments"])

Reader = Annotated[Caller, requires(Permission.BREAKS_READ)]
Resolver = Annotated[Caller, requires(Permission.BREAKS_RESOLVE)]
MAY_FAIL = may_answer(BreakNotFound, BreakClosed, BreakNotDecidable)
ME, NOBODY = "me", "none"


@router.get("", responses=may_answer(BadCursor))
async def list_breaks_page(
    caller: Reader,
    tx: Tx,
    now: Now,
    is_open: Annotated[bool | None, Query(description="Leave out for both.")] = None,
    type_: Annotated[BreakType | None, Query(alias="type")] = None,
    kind: BreakKind | None = None,
    owner: Annotated[
        str | None,
        Query(max_length=36, description="`me`, `none`, or a person's id.", examples=["me"]),
    ] = None,
    is_overdue: Annotated[bool, Query(description="Open and past its deadline.")] = False,
    receiving_account_id: Annotated[
        UUID | None, Query(description="Its money came to, or its bill names, this account.")
    ] = None,
    opened_from: Annotated[Day | None, Query(description="With `opened_to`; 31 days.")] = None,
    opened_to: Day | None = None,
    find: Annotated[
        str,
        Query(
            max_length=FIND_CHARS_MAX,
            description="A part of a reference, memo, sender, note or resolution. Like the account,"
            " only with `is_open=true` or with days.",
        ),
    ] = "",
    cursor: Cursor = None,
    limit: Limit = 50,
) -> BreakPage:
    """List breaks, newest first."""
    wanted = BreakFilter(
        is_open=is_open,
        type=type_,
        kind=None if kind is None else kind.value,
        owner_id=_read_owner(owner, caller),
        is_unowned=owner == NOBODY,
        is_overdue=is_overdue,
        account_id=receiving_account_id,
        opened_from=opened_from,
        opened_to=opened_to,
        find=tidy_line(find),
    )
    found = await list_worklist(
        tx, caller.org_id, wanted, before_id=read_cursor(cursor), limit=limit + 1, now=now
    )
    return BreakPage.of(found[:limit], next_cursor(found, limit), now=now)


@router.post("", status_code=201, responses=may_answer(BillNotFound, BillNotShort, BreakNotFound))
async def report(body: BreakReport, caller: Resolver, tx: Tx, now: Now) -> BreakRead:
    """Put a bill on the list whose rest nobody will pay; while it is there the same is answered."""
    found = await report_short_bill(tx, caller.org_id, body.bill_id, actor=caller.actor, now=now)
    return await _read(tx, caller, found.id, now)


@router.post("/bulk")
async def do_in_bulk(body: BreakBulk, caller: Resolver, tx: Tx, now: Now) -> BreakBulkRead:
    """Close up to 200 breaks in the same words, or give them to one person. No money moves.

    Each is for itself: the answer says of each whether it was done, and why not.
    """
    said = body.close
    answers = await service.do_in_bulk(
        tx,
        caller.org_id,
        body.break_ids,
        owner_id=None if body.owner is None else body.owner.owner_id,
        resolution=None if said is None else said.resolution,
        outcome=Outcome.EXPLAINED if said is None else said.outcome,
        actor=caller.actor,
        now=now,
    )
    return present_answers(answers)


@router.get("/{break_id}", responses=may_answer(BreakNotFound))
async def show(break_id: UUID, caller: Reader, tx: Tx, now: Now) -> BreakStoryRead:
    """Show a break with its notes, files, decisions and history."""
    return BreakStoryRead.of(await read_story(tx, caller.org_id, break_id), now=now)


@router.post("/{break_id}/close", responses=may_answer(BreakNotFound, BreakClosed, BreakHeld))
async def close(break_id: UUID, body: BreakClose, caller: Resolver, tx: Tx, now: Now) -> BreakRead:
    """Write down how a break ended; the same words again answer the same."""
    await service.close_break(
        tx,
        caller.org_id,
        break_id,
        resolution=body.resolution,
        outcome=body.outcome,
        actor=caller.actor,
        now=now,
    )
    return await _read(tx, caller, break_id, now)


@router.post(
    "/{break_id}/owner",
    responses=may_answer(BreakNotFound, BreakClosed, BreakOwned, BreakOwnerNotFound),
)
async def give(break_id: UUID, body: BreakOwner, caller: Resolver, tx: Tx, now: Now) -> BreakRead:
    """Give a break to a person, take it, or let it go. The same again changes nothing."""
    await service.set_owner(
        tx,
        caller.org_id,
        break_id,
        owner_id=body.owner_id,
        is_taken_free=body.is_taken_free,
        actor=caller.actor,
        now=now,
    )
    return await _read(tx, caller, break_id, now)


@router.post("/{break_id}/admit", responses=MAY_FAIL)
async def admit(break_id: UUID, caller: Resolver, tx: Tx, now: Now) -> BreakRead:
    """Say that what may be one transfer reported twice is another transfer; it counts as one."""
    await admissions.admit(tx, caller.org, break_id, actor=caller.actor, now=now)
    return await _read(tx, caller, break_id, now)


@router.post(
    "/{break_id}/same-money",
    responses=may_answer(BreakNotFound, BreakClosed, BreakNotDecidable, CreditNotCorrectable),
)
async def confirm_same_money(break_id: UUID, caller: Resolver, tx: Tx, now: Now) -> BreakRead:
    """Confirm that one transfer was reported twice; the later report no longer counts."""
    await admissions.confirm_same_money(tx, caller.org_id, break_id, actor=caller.actor, now=now)
    return await _read(tx, caller, break_id, now)


@router.post(
    "/{break_id}/assign",
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
async def assign(
    break_id: UUID, body: BreakAssign, caller: Resolver, tx: Tx, now: Now
) -> BreakRead:
    """Say whose the money of a break is: a payee's, as a sale, for a bill, or for several.

    It takes no money from a bill: `break_closed`, if the payment has its explanation by now.
    """
    await admissions.assign(
        tx,
        caller.org_id,
        break_id,
        payee_id=body.payee_id,
        bill_id=body.bill_id,
        shares=[(share.bill_id, share.amount_vnd) for share in body.bills or ()],
        actor=caller.actor,
        now=now,
    )
    return await _read(tx, caller, break_id, now)


async def _read(tx: AsyncSession, caller: Caller, break_id: UUID, now: Now) -> BreakRead:
    await tx.flush()
    return present_break(await read_row(tx, caller.org_id, break_id), now=now)


def _read_owner(owner: str | None, caller: Caller) -> UUID | None:
    """Return whose breaks are wanted; None: anybody's, or nobody's.

    Raises:
        InvalidRequest
    """
    if owner is None or owner == NOBODY:
        return None
    if owner == ME:
        return caller.id
    try:
        return UUID(owner)
    except ValueError as error:
        detail = "An owner is `me`, `none` or a person's id."
        violation = Violation(field="owner", code="bad_owner", detail=detail)
        raise InvalidRequest(detail, violations=[violation]) from error
