"""Refunds: requested, approved by a second person, instructed, returned or not."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Query
from sqlalchemy.ext.asyncio import AsyncSession

from api.http.deps import Now, ThePasswords, TheSignIns, Tx, requires
from api.http.errors import may_answer
from api.http.paging import Cursor, Limit, next_cursor, read_cursor
from api.v1.refunds.schemas import (
    PaymentList,
    PaymentRead,
    RefundApprove,
    RefundCreate,
    RefundDestination,
    RefundPage,
    RefundRead,
    RefundReturned,
    RefundWords,
)
from core.errors import InvalidRequest, Violation
from core.paging import BadCursor
from identity.people.callers import Caller
from identity.people.errors import ScopeNeeded, WrongPassword
from identity.people.rules import Permission, ScopeKind
from identity.people.service import confirm_alone
from payments.bills.errors import BillNotFound
from payments.bills.queries import get_bill
from payments.bills.rules import check_client_id
from payments.breaks.errors import BreakHeld
from payments.credits.errors import CreditNotFound
from payments.payees.errors import BadAccount
from payments.payees.rules import HeldBy
from payments.refunds import queries
from payments.refunds.errors import (
    PaymentNotFound,
    RefundDestinationChanged,
    RefundDestinationFixed,
    RefundHasNoDestination,
    RefundIdTaken,
    RefundNamesDiffer,
    RefundNeedsAnother,
    RefundNotFound,
    RefundNotPossible,
    RefundNotYours,
    RefundProposalNotFitting,
    RefundReferenceNeeded,
    RefundStepNotPossible,
    RefundTooHigh,
)
from payments.refunds.requesting import enter_destination, request_refund
from payments.refunds.rules import RefundStatus, Step
from payments.refunds.steps import StepTaken, acts_for, review_alone, take_step
from payments.refunds.types import NewRefund, RefundView

router = APIRouter(prefix="/v1", tags=["refunds"])

Reader = Annotated[Caller, requires(Permission.BILLS_READ)]
Requester = Annotated[Caller, requires(Permission.REFUNDS_REQUEST)]
Approver = Annotated[Caller, requires(Permission.REFUNDS_APPROVE)]
Instructor = Annotated[Caller, requires(Permission.REFUNDS_INSTRUCT)]
MAY_FAIL: Final = (
    RefundNotFound,
    RefundNotYours,
    RefundStepNotPossible,
    RefundNeedsAnother,
    RefundHasNoDestination,
    RefundReferenceNeeded,
    RefundNotPossible,
    RefundDestinationChanged,
)


@router.get("/bills/{bill_id}/payments", responses=may_answer(BillNotFound))
async def list_payments(bill_id: UUID, caller: Reader, tx: Tx) -> PaymentList:
    """List what paid a bill, with how much of each can still be refunded."""
    bill = await get_bill(tx, caller.org_id, bill_id)
    if not caller.sees(ScopeKind.PAYEE, bill.payee_id):
        raise BillNotFound(bill_id)
    found = await queries.list_payments_of_bill(tx, caller.org_id, bill_id)
    return PaymentList(payments=[PaymentRead.model_validate(one) for one in found])


@router.post(
    "/refunds",
    status_code=201,
    responses=may_answer(
        PaymentNotFound,
        CreditNotFound,
        RefundIdTaken,
        RefundNotPossible,
        RefundTooHigh,
        RefundProposalNotFitting,
        BreakHeld,
        RefundNotFound,
    ),
)
async def create_refund(body: RefundCreate, caller: Requester, tx: Tx, now: Now) -> RefundRead:
    """Request a refund; the same id again answers the first. Nothing moves yet.

    The money is held against a second refund until this one is rejected or not done.
    """
    if fault := check_client_id(body.id, now=now):
        raise InvalidRequest(fault, violations=[Violation(field="id", code="bad_id", detail=fault)])
    await _check_source(tx, caller, body)
    new = NewRefund(
        id=body.id,
        payment_id=body.payment_id,
        credit_id=body.credit_id,
        break_id=body.break_id,
        amount_vnd=body.amount_vnd,
        reason=body.reason,
    )
    await request_refund(tx, caller.org_id, new, actor=caller.actor, now=now)
    return await _read(tx, caller, body.id)


@router.get("/refunds", responses=may_answer(BadCursor, ScopeNeeded))
async def list_refunds(
    caller: Reader,
    tx: Tx,
    status: Annotated[list[RefundStatus] | None, Query(max_length=len(RefundStatus))] = None,
    payee_id: UUID | None = None,
    bill_id: UUID | None = None,
    held_by: HeldBy | None = None,
    to_review: Annotated[
        bool, Query(description="What one person decided alone and nobody has looked at.")
    ] = False,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> RefundPage:
    """List refunds, newest first. People of a payee see theirs only."""
    found = await queries.list_refunds(
        tx,
        caller.org_id,
        before_id=read_cursor(cursor),
        statuses=None if status is None else [one.value for one in status],
        payee_id=caller.narrow(ScopeKind.PAYEE, payee_id),
        bill_id=bill_id,
        held_by=None if held_by is None else held_by.value,
        to_review=to_review,
        limit=limit + 1,
    )
    return RefundPage.of(found[:limit], next_cursor(found, limit), sees_whole=_sees_whole(caller))


@router.get("/refunds/{refund_id}", responses=may_answer(RefundNotFound))
async def show_refund(refund_id: UUID, caller: Reader, tx: Tx) -> RefundRead:
    """Show one refund."""
    return await _read(tx, caller, refund_id)


@router.post(
    "/refunds/{refund_id}/destination",
    responses=may_answer(RefundNotFound, RefundDestinationFixed, RefundNamesDiffer, BadAccount),
)
async def set_destination(
    refund_id: UUID, body: RefundDestination, caller: Requester, tx: Tx, now: Now
) -> RefundRead:
    """Enter the account that the payer named; the approver sees that it is not proven."""
    await _find_own(tx, caller, refund_id)
    await enter_destination(
        tx,
        caller.org_id,
        refund_id,
        bin_=body.bin,
        account_number=body.account_number,
        name=body.name,
        name_again=body.name_again,
        actor=caller.actor,
        now=now,
    )
    return await _read(tx, caller, refund_id)


@router.post(
    "/refunds/{refund_id}/approve",
    responses=may_answer(*MAY_FAIL, WrongPassword),
)
async def approve_refund(
    refund_id: UUID,
    body: RefundApprove,
    caller: Approver,
    tx: Tx,
    sign_ins: TheSignIns,
    passwords: ThePasswords,
    now: Now,
) -> RefundRead:
    """Approve a refund from an account that the organisation holds, as a second person.

    Who is the only person of an organisation gives the password again; it stands on a list then.
    """
    found = await _find_own(tx, caller, refund_id)
    is_alone = False
    if body.password is not None:
        sign_ins.by_login.take(f"password {caller.id}")
        is_alone = await confirm_alone(
            tx,
            caller,
            passwords=passwords,
            present=body.password.get_secret_value(),
            since=found.requested_at,
        )
    taken = StepTaken(
        step=Step.APPROVE,
        words=body.words,
        destination_hash=body.destination_hash,
        is_alone=is_alone,
        acts_for=acts_for(caller),
    )
    return await _take(tx, caller, refund_id, taken, now)


@router.post("/refunds/{refund_id}/reject", responses=may_answer(*MAY_FAIL))
async def reject_refund(
    refund_id: UUID, body: RefundWords, caller: Approver, tx: Tx, now: Now
) -> RefundRead:
    """Reject a refund; its money can be refunded again."""
    taken = StepTaken(step=Step.REJECT, words=body.reason, acts_for=acts_for(caller))
    return await _take(tx, caller, refund_id, taken, now)


@router.post("/refunds/{refund_id}/cancel", responses=may_answer(*MAY_FAIL))
async def cancel_refund(
    refund_id: UUID, body: RefundWords, caller: Requester, tx: Tx, now: Now
) -> RefundRead:
    """Take back a refund that you requested; people of a payee decline one of theirs."""
    taken = StepTaken(
        step=Step.CANCEL,
        words=body.reason,
        may_decline=caller.may(Permission.REFUNDS_INSTRUCT),
        acts_for=acts_for(caller),
    )
    return await _take(tx, caller, refund_id, taken, now)


@router.post("/refunds/{refund_id}/instruct", responses=may_answer(*MAY_FAIL))
async def instruct_refund(refund_id: UUID, caller: Instructor, tx: Tx, now: Now) -> RefundRead:
    """Write that the bank has been told to make the transfer. It posts."""
    taken = StepTaken(step=Step.INSTRUCT, acts_for=acts_for(caller))
    return await _take(tx, caller, refund_id, taken, now)


@router.post("/refunds/{refund_id}/returned", responses=may_answer(*MAY_FAIL))
async def confirm_refund(
    refund_id: UUID, body: RefundReturned, caller: Instructor, tx: Tx, now: Now
) -> RefundRead:
    """Write that the payer has the money, with the bank's reference."""
    taken = StepTaken(
        step=Step.CONFIRM, bank_reference=body.bank_reference, acts_for=acts_for(caller)
    )
    return await _take(tx, caller, refund_id, taken, now)


@router.post("/refunds/{refund_id}/not-done", responses=may_answer(*MAY_FAIL))
async def fail_refund(
    refund_id: UUID, body: RefundWords, caller: Instructor, tx: Tx, now: Now
) -> RefundRead:
    """Write that the bank did not make the transfer, or sent it back. It is posted back."""
    taken = StepTaken(step=Step.FAIL, words=body.reason, acts_for=acts_for(caller))
    return await _take(tx, caller, refund_id, taken, now)


@router.post("/refunds/{refund_id}/unknown", responses=may_answer(*MAY_FAIL))
async def doubt_refund(
    refund_id: UUID, body: RefundWords, caller: Instructor, tx: Tx, now: Now
) -> RefundRead:
    """Write that nobody knows what became of it; after three days the hub does so itself."""
    taken = StepTaken(step=Step.DOUBT, words=body.reason, acts_for=acts_for(caller))
    return await _take(tx, caller, refund_id, taken, now)


@router.post(
    "/refunds/{refund_id}/review",
    responses=may_answer(RefundNotFound, RefundStepNotPossible, RefundNeedsAnother),
)
async def review_refund(refund_id: UUID, caller: Approver, tx: Tx, now: Now) -> RefundRead:
    """Write that you looked at a refund that one person decided alone."""
    await review_alone(tx, caller.org_id, refund_id, actor=caller.actor, now=now)
    return await _read(tx, caller, refund_id)


def _sees_whole(caller: Caller) -> bool:
    return caller.may(Permission.REFUNDS_APPROVE) or caller.may(Permission.REFUNDS_INSTRUCT)


async def _check_source(tx: AsyncSession, caller: Caller, body: RefundCreate) -> None:
    """Let people of a payee refund what that payee was paid, and nothing else.

    Raises:
        PaymentNotFound, CreditNotFound
    """
    if body.payment_id is not None:
        payment = await queries.get_payment(tx, caller.org_id, body.payment_id)
        if not caller.sees(ScopeKind.PAYEE, payment.payee_id):
            raise PaymentNotFound(body.payment_id)
    elif caller.is_scoped:
        assert body.credit_id is not None
        payee_id = await queries.find_credit_payee(tx, caller.org_id, body.credit_id)
        if payee_id is None or not caller.sees(ScopeKind.PAYEE, payee_id):
            raise CreditNotFound(body.credit_id)


async def _find_own(tx: AsyncSession, caller: Caller, refund_id: UUID) -> RefundView:
    """Return a refund that this caller may see.

    Raises:
        RefundNotFound: there is none, or it is another payee's.
    """
    found = await queries.list_refunds(tx, caller.org_id, refund_id=refund_id, limit=1)
    is_own = found and (
        not caller.is_scoped
        or (found[0].payee_id is not None and caller.sees(ScopeKind.PAYEE, found[0].payee_id))
    )
    if not is_own:
        raise RefundNotFound(refund_id)
    return found[0]


async def _read(tx: AsyncSession, caller: Caller, refund_id: UUID) -> RefundRead:
    found = await _find_own(tx, caller, refund_id)
    return RefundRead.of(found, sees_whole=_sees_whole(caller))


async def _take(
    tx: AsyncSession, caller: Caller, refund_id: UUID, taken: StepTaken, now: Now
) -> RefundRead:
    await _find_own(tx, caller, refund_id)
    await take_step(tx, caller.org_id, refund_id, taken, actor=caller.actor, now=now)
    return await _read(tx, caller, refund_id)
