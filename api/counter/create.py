"""Opening a bill at the counter, on the rail of its payee; anew after its time or a refusal."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from api.counter.bills import get_own_bill, may_be_replaced
from api.counter.page_context import CounterPayee, ThePayee, go, read_context, render
from api.counter.routes import keypad_page
from api.http.deps import Now, requires
from api.pages.amounts import read_amount
from api.services import Services, read_services
from core.tenancy import open_org_transaction
from core.text import tidy_line
from identity.people.rules import Permission
from payments.bills.errors import BillIdTaken, BillNotCancellable
from payments.bills.rules import BillFacts, BillRequest, check_client_id
from payments.rails.choice import read_rail_choice
from payments.refunds.service import cancel_bill_and_propose_refund
from payments.vietqr import bill_codes

router = APIRouter(prefix="/counter/bills", include_in_schema=False)

NOTE_CHARS_MAX: Final = 100
# A provider mostly answers within it, and the code is there at once. After it the bill's own page
# says what is under way.
CODE_AWAITED_S: Final = 1.5


@router.post("", dependencies=[requires(Permission.BILLS_OPEN)])
async def open_bill(
    request: Request,
    payee: ThePayee,
    now: Now,
    amount: Annotated[str, Form(max_length=40)] = "",
    quick: Annotated[str, Form(max_length=40)] = "",
    plain: Annotated[str, Form(max_length=1)] = "",
    note: Annotated[str, Form(max_length=1_000)] = "",
    bill_id: Annotated[UUID | None, Form()] = None,
) -> Response:
    """Open a bill of the keyed amount and show its code. The same form sent twice opens one."""
    services = read_services(request)
    amount_vnd = read_amount(quick or amount, is_plain=plain == "1")
    purpose = _clean(note)
    if amount_vnd is None:
        async with open_org_transaction(services.database, payee.org_id) as session:
            context = await read_context(session, payee, here="keypad", now=now)
        page = keypad_page(typed=amount, note=purpose, is_amount_bad=True)
        return render(request, "counter.html", context, page, status=422)
    bill = await _open(services, payee, amount_vnd, purpose, bill_id, now)
    return go(payee.path(f"/bills/{bill.id}"))


@router.post("/{bill_id}/renew", dependencies=[requires(Permission.BILLS_OPEN)])
async def renew_bill(
    request: Request,
    bill_id: UUID,
    payee: ThePayee,
    now: Now,
    renewed_id: Annotated[UUID | None, Form()] = None,
) -> Response:
    """Open the same bill again after its time; the old code's money is still recorded."""
    services = read_services(request)
    async with open_org_transaction(services.database, payee.org_id) as session:
        old = await get_own_bill(session, payee, bill_id)
    if old.amount_vnd is None or old.paid_vnd or now < old.expires_at:
        return go(payee.path(f"/bills/{bill_id}"))
    bill = await _open(services, payee, old.amount_vnd, old.purpose, renewed_id, now)
    return go(payee.path(f"/bills/{bill.id}"))


@router.post("/{bill_id}/again", dependencies=[requires(Permission.BILLS_OPEN)])
async def request_again(request: Request, bill_id: UUID, payee: ThePayee) -> Response:
    """Request the code of a bill anew that has none for certain; pressed twice, it is one more.

    Raises:
        BillNotFound, RailNotAvailable
    """
    services = read_services(request)
    async with open_org_transaction(services.database, payee.org_id) as session:
        await get_own_bill(session, payee, bill_id)
    await services.rails.request_again(payee.org_id, bill_id, wait_s=CODE_AWAITED_S)
    return go(payee.path(f"/bills/{bill_id}"))


@router.post("/{bill_id}/direct", dependencies=[requires(Permission.BILLS_OPEN)])
async def open_direct(
    request: Request,
    bill_id: UUID,
    payee: ThePayee,
    now: Now,
    renewed_id: Annotated[UUID | None, Form()] = None,
) -> Response:
    """Open a bill of VietQR direct in place of one that has no code, which is cancelled first.

    Only what was refused for certain is replaced: of two codes a customer could pay both.
    """
    services = read_services(request)
    async with open_org_transaction(services.database, payee.org_id) as session:
        old = await get_own_bill(session, payee, bill_id)
        if old.amount_vnd is None or not may_be_replaced(old):
            return go(payee.path(f"/bills/{bill_id}"))
        try:
            await cancel_bill_and_propose_refund(
                session,
                payee.org_id,
                old.id,
                actor=payee.caller.actor,
                reason="no code",
                now=now,
            )
        except BillNotCancellable:  # money came at this moment: its page says so
            return go(payee.path(f"/bills/{bill_id}"))
    rail = bill_codes.NAME
    bill = await _open(services, payee, old.amount_vnd, old.purpose, renewed_id, now, rail=rail)
    return go(payee.path(f"/bills/{bill.id}"))


async def _open(
    services: Services,
    payee: CounterPayee,
    amount_vnd: int,
    purpose: str,
    bill_id: UUID | None,
    now: datetime,
    *,
    rail: str | None = None,
) -> BillFacts:
    """Open a bill, on the payee's rail unless another is given.

    Args:
        bill_id: made with the form; one that is too old by now is not used.
    """
    if rail is None:
        async with open_org_transaction(services.database, payee.org_id) as session:
            rail = (await read_rail_choice(session, payee.org_id, payee.id)).rail
    if bill_id is not None and check_client_id(bill_id, now=now) is not None:
        bill_id = None
    settings = services.settings
    expires_at = now + timedelta(seconds=settings.bill_valid_for_s)
    wanted = BillRequest(
        payee_id=payee.id,
        amount_vnd=amount_vnd,
        purpose=purpose,
        expires_at=expires_at,
        monitor_until=expires_at + timedelta(seconds=settings.bill_monitored_for_s),
        created_by=payee.caller.id,
        id=bill_id,
        rail=rail,
    )
    rails, writer, org = services.rails, services.bill_writer, payee.caller.org
    try:
        return await rails.open_on_rail(writer, org, wanted, wait_s=CODE_AWAITED_S)
    except BillIdTaken:  # the browser went back and another amount was keyed into the old form
        anew = replace(wanted, id=None)
        return await rails.open_on_rail(writer, org, anew, wait_s=CODE_AWAITED_S)


def _clean(note: str) -> str:
    return tidy_line(tidy_line(note)[:NOTE_CHARS_MAX])  # a cut may part an emoji
