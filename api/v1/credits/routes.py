"""Payments as the bank reported them: what the hub takes them for, and what people say they are."""

from contextlib import suppress
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from sqlalchemy.ext.asyncio import AsyncSession

from api.http.deps import Now, Tx, requires
from api.http.errors import may_answer
from api.http.fields import Day
from api.http.paging import Cursor, Limit, next_cursor, read_cursor
from api.v1.credits.schemas import (
    CreditAssign,
    CreditConfirm,
    CreditNotTakings,
    CreditPage,
    CreditRead,
    TotalsRead,
    VerdictCount,
)
from api.v1.payees.routes import check_own_payee
from core.clock import day_bounds
from core.errors import Forbidden
from core.paging import BadCursor
from identity.people.callers import Caller
from identity.people.errors import ScopeNeeded
from identity.people.rules import Permission, ScopeKind
from payments.bills.errors import BillNotFound
from payments.bills.queries import get_bill
from payments.credits import assigning, corrections
from payments.credits import views as credit_views
from payments.credits.errors import CreditChanged, CreditNotCorrectable, CreditNotFound
from payments.credits.rules import Verdict
from payments.credits.views import CreditView, count_verdicts, get_credit
from payments.ledger.service import read_takings
from payments.payees.errors import PayeeNotFound
from payments.payees.queries import get_payee

router = APIRouter(prefix="/v1", tags=["payments"])

Reader = Annotated[Caller, requires(Permission.SALES_READ)]
Sorter = Annotated[Caller, requires(Permission.SALES_SORT)]
QueryDay = Annotated[Day, Query()]
MAY_FAIL = may_answer(CreditNotFound, CreditNotCorrectable)


@router.get("/credits", responses=may_answer(BadCursor, ScopeNeeded))
async def list_credits(
    caller: Reader,
    tx: Tx,
    payee_id: Annotated[
        UUID | None,
        Query(description="This payee's, and what waits unassigned on an account it uses."),
    ] = None,
    on: QueryDay | None = None,
    verdict: Annotated[list[Verdict] | None, Query(max_length=len(Verdict))] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> CreditPage:
    """List payments with the match in force, newest first. People of a payee see theirs only."""
    since, until = (None, None) if on is None else day_bounds(on)
    found = await credit_views.list_credits(
        tx,
        caller.org_id,
        payee_id=caller.narrow(ScopeKind.PAYEE, payee_id),
        since=since,
        until=until,
        verdicts=verdict,
        before_id=read_cursor(cursor),
        limit=limit + 1,
    )
    return CreditPage(
        credits=[CreditRead.model_validate(one) for one in found[:limit]],
        next_cursor=next_cursor(found, limit),
    )


@router.get("/credits/{credit_id}", responses=may_answer(CreditNotFound))
async def show_credit(credit_id: UUID, caller: Reader, tx: Tx) -> CreditRead:
    """Show one payment."""
    return await _show(tx, caller, credit_id)


@router.post(
    "/credits/{credit_id}/assign",
    responses=may_answer(
        CreditNotFound,
        CreditNotCorrectable,
        CreditChanged,
        PayeeNotFound,
        BillNotFound,
        Forbidden,
    ),
)
async def assign_credit(
    credit_id: UUID, body: CreditAssign, caller: Sorter, tx: Tx, now: Now
) -> CreditRead:
    """Say that an unassigned payment is this payee's ("của tôi"), or pays several bills."""
    if body.bills is not None:
        if caller.is_scoped:
            raise Forbidden("Only the management spreads a payment over several bills.")
        shares = [(share.bill_id, share.amount_vnd) for share in body.bills]
        await assigning.split_over_bills(
            tx,
            caller.org_id,
            credit_id,
            shares=shares,
            seen_match_id=body.match_id,
            actor=caller.actor,
            now=now,
        )
        return await _show(tx, caller, credit_id)
    assert body.payee_id is not None
    check_own_payee(caller, body.payee_id)
    await assigning.assign_credit(
        tx,
        caller.org_id,
        credit_id,
        payee_id=body.payee_id,
        by_management=not caller.is_scoped,
        seen_match_id=body.match_id,
        actor=caller.actor,
        now=now,
    )
    return await _show(tx, caller, credit_id)


@router.post(
    "/credits/{credit_id}/confirm",
    responses=may_answer(CreditNotFound, CreditNotCorrectable, CreditChanged, BillNotFound),
)
async def confirm_credit(
    credit_id: UUID, body: CreditConfirm, caller: Sorter, tx: Tx, now: Now
) -> CreditRead:
    """Say that a payment without its memo pays this bill ("của khách này")."""
    bill = await get_bill(tx, caller.org_id, body.bill_id)
    if not caller.sees(ScopeKind.PAYEE, bill.payee_id):
        raise BillNotFound(body.bill_id)
    await assigning.confirm_for_bill(
        tx,
        caller.org_id,
        credit_id,
        bill_id=bill.id,
        payee_id=bill.payee_id,
        by_management=not caller.is_scoped,
        seen_match_id=body.match_id,
        actor=caller.actor,
        now=now,
    )
    return await _show(tx, caller, credit_id)


@router.post("/credits/{credit_id}/not-takings", responses=MAY_FAIL)
async def mark_not_takings(
    credit_id: UUID, body: CreditNotTakings, caller: Sorter, tx: Tx, now: Now
) -> CreditRead:
    """Take a counter sale out of the takings ("không phải tiền hàng")."""
    await corrections.mark_not_takings(
        tx,
        caller.org_id,
        credit_id,
        payee_id=await _find_payee(tx, caller, credit_id),
        reason=body.reason or "",
        actor=caller.actor,
        now=now,
    )
    return await _show(tx, caller, credit_id)


@router.post("/credits/{credit_id}/takings", responses=MAY_FAIL)
async def mark_takings(credit_id: UUID, caller: Sorter, tx: Tx, now: Now) -> CreditRead:
    """Put a payment back into the takings."""
    await corrections.mark_takings_again(
        tx,
        caller.org_id,
        credit_id,
        payee_id=await _find_payee(tx, caller, credit_id),
        actor=caller.actor,
        now=now,
    )
    return await _show(tx, caller, credit_id)


@router.get("/totals", responses=may_answer(PayeeNotFound))
async def show_totals(payee_id: UUID, on: QueryDay, caller: Reader, tx: Tx) -> TotalsRead:
    """Show what a payee took in a day. Corrections count on the day they are made."""
    check_own_payee(caller, payee_id)
    await get_payee(tx, caller.org_id, payee_id)
    since, until = day_bounds(on)
    counts = await count_verdicts(tx, caller.org_id, payee_id, since=since, until=until)
    return TotalsRead(
        payee_id=payee_id,
        on=on,
        takings_vnd=await read_takings(tx, caller.org_id, payee_id, since=since, until=until),
        by_verdict={
            Verdict(verdict): VerdictCount(count=count, amount_vnd=sum_vnd)
            for verdict, (count, sum_vnd) in counts.items()
        },
    )


async def _find_payee(tx: AsyncSession, caller: Caller, credit_id: UUID) -> UUID:
    """Return whose payment it is.

    Raises:
        CreditNotFound: not this caller's to see.
        CreditNotCorrectable: nobody's yet.
    """
    found = await _get_own(tx, caller, credit_id)
    if found.payee_id is None:
        raise CreditNotCorrectable("Nobody has been assigned this payment yet.")
    return found.payee_id


async def _show(tx: AsyncSession, caller: Caller, credit_id: UUID) -> CreditRead:
    return CreditRead.model_validate(await _get_own(tx, caller, credit_id))


async def _get_own(tx: AsyncSession, caller: Caller, credit_id: UUID) -> CreditView:
    """Return a payment that one of the caller's payees may see, or anybody's for management."""
    choices = caller.choices(ScopeKind.PAYEE)
    if choices is None:
        return await get_credit(tx, caller.org_id, credit_id)
    for payee_id in sorted(choices):
        with suppress(CreditNotFound):
            return await get_credit(tx, caller.org_id, credit_id, payee_id=payee_id)
    raise CreditNotFound(credit_id)
