"""Bills: open, read, list, cancel, and look after a payment that does not show."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from api.answers import PICTURE_RESPONSES, answer_json, answer_picture
from api.auth.callers import Caller
from api.auth.rules import Permission
from api.deps import Now, TheSessions, Tx, requires
from api.errors import may_answer
from api.schemas.bills import (
    BillCancel,
    BillPage,
    BillRead,
    CheckRead,
    ExternalId,
    write_bill,
)
from api.schemas.credits import CreditsRead
from api.schemas.fields import QueryInstant
from api.schemas.pages import Cursor, Limit, next_cursor, read_cursor
from core.db import open_org_transaction
from core.settings import Settings
from payments.bills.errors import (
    BadCursor,
    BillNotCancellable,
    BillNotFound,
    BillNotPayable,
)
from payments.bills.models import BillStatus
from payments.bills.queries import get_bill, list_bills
from payments.bills.references import MEMO_CHARS_MAX, find_references
from payments.bills.rules import BillFacts
from payments.callbacks.asking import ask_about_account
from payments.callbacks.errors import (
    NoOrderToAskAbout,
    ProviderAnswerUnreadable,
    ProviderCannotBeAsked,
    ProviderDidNotAnswer,
    ProviderRefusedToken,
)
from payments.callbacks.refunds import cancel_bill_and_propose_refund
from payments.callbacks.views import list_bill_credits
from payments.vietqr.banks import find_bank
from payments.vietqr.cards import QrCard, draw_card_png
from payments.vietqr.images import draw_png, draw_svg

router = APIRouter(prefix="/v1/bills", tags=["bills"])

Reader = Annotated[Caller, requires(Permission.BILLS_READ)]
Canceller = Annotated[Caller, requires(Permission.BILLS_CANCEL)]


@router.get("", response_model=BillPage, responses=may_answer(BadCursor))
async def list_bills_page(
    request: Request,
    caller: Reader,
    tx: Tx,
    now: Now,
    payee_id: UUID | None = None,
    status: Annotated[list[BillStatus] | None, Query(max_length=len(BillStatus))] = None,
    reference: Annotated[
        str | None,
        Query(
            max_length=MEMO_CHARS_MAX,
            description="Also as a memo has it: in lower case, with spaces, among other words.",
        ),
    ] = None,
    external_id: Annotated[ExternalId | None, Query()] = None,
    since: Annotated[QueryInstant | None, Query(description="Created at or after.")] = None,
    until: Annotated[QueryInstant | None, Query(description="Created before.")] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """List bills, newest first. People of a payee see theirs only."""
    found = await list_bills(
        tx,
        caller.org_id,
        before_id=read_cursor(cursor),
        payee_id=caller.narrow_payee(payee_id),
        references=None
        if reference is None
        else [found.reference for found in find_references(reference)],
        external_id=external_id,
        since=since,
        until=until,
        statuses=status,
        limit=limit + 1,
        now=now,
    )
    shown = [show(request, caller, bill, now) for bill in found[:limit]]
    return answer_json({"bills": shown, "next_cursor": next_cursor(found, limit)})


@router.get("/{bill_id}", response_model=BillRead, responses=may_answer(BillNotFound))
async def show_bill(request: Request, bill_id: UUID, caller: Reader, tx: Tx, now: Now) -> Response:
    """Show a bill as it stands now."""
    bill = await find_own_bill(tx, caller, bill_id)
    return answer_json(show(request, caller, bill, now))


@router.get(
    "/{bill_id}/qr.svg",
    response_class=Response,
    responses={**may_answer(BillNotFound, BillNotPayable), **PICTURE_RESPONSES["image/svg+xml"]},
)
async def draw_bill_svg(request: Request, bill_id: UUID, caller: Reader, tx: Tx) -> Response:
    """Draw the plain code as SVG."""
    payload = (await find_own_bill(tx, caller, bill_id)).vietqr
    return await answer_picture(
        request, lambda: draw_svg(payload), facts=payload, media_type="image/svg+xml"
    )


@router.get(
    "/{bill_id}/qr.png",
    response_class=Response,
    responses={**may_answer(BillNotFound, BillNotPayable), **PICTURE_RESPONSES["image/png"]},
)
async def draw_bill_png(request: Request, bill_id: UUID, caller: Reader, tx: Tx) -> Response:
    """Draw the plain code as PNG."""
    payload = (await find_own_bill(tx, caller, bill_id)).vietqr
    return await answer_picture(
        request, lambda: draw_png(payload), facts=payload, media_type="image/png"
    )


@router.get(
    "/{bill_id}/card.png",
    response_class=Response,
    responses={**may_answer(BillNotFound, BillNotPayable), **PICTURE_RESPONSES["image/png"]},
)
async def draw_bill_card(request: Request, bill_id: UUID, caller: Reader, tx: Tx) -> Response:
    """Draw the code in a frame: bank, holder, account, amount, memo and expiry."""
    card = card_of(await find_own_bill(tx, caller, bill_id))
    return await answer_picture(
        request, lambda: draw_card_png(card), facts=repr(card), media_type="image/png"
    )


@router.post(
    "/{bill_id}/cancel",
    response_model=BillRead,
    responses=may_answer(BillNotFound, BillNotCancellable),
)
async def cancel(
    request: Request, bill_id: UUID, body: BillCancel, caller: Canceller, tx: Tx, now: Now
) -> Response:
    """Cancel a bill that is not settled; again answers the same. Money paid stays recorded."""
    await find_own_bill(tx, caller, bill_id)
    bill = await cancel_bill_and_propose_refund(
        tx, caller.org_id, bill_id, actor=caller.actor, reason=body.reason, now=now
    )
    return answer_json(show(request, caller, bill, now))


@router.post(
    "/{bill_id}/check",
    response_model=CheckRead,
    responses=may_answer(
        BillNotFound,
        ProviderCannotBeAsked,
        NoOrderToAskAbout,
        ProviderRefusedToken,
        ProviderAnswerUnreadable,
        ProviderDidNotAnswer,
    ),
)
async def check_bill(
    request: Request, bill_id: UUID, caller: Reader, sessions: TheSessions, now: Now
) -> Response:
    """Ask the account's provider what came in ("kiểm tra giao dịch"); answers within 5 seconds.

    What it tells is stored and settled as its callbacks are; what is not settled by then is settled
    in the background, and the bill is shown as it is known. SePay and Casso list the account's
    last 24 hours; payOS tells of this bill's own order; VietQR.vn cannot be asked. Once in 3
    seconds for each payee.
    """
    async with open_org_transaction(sessions, caller.org_id) as tx:
        bill = await find_own_bill(tx, caller, bill_id)
    state = request.app.state
    state.check_limit.take(str(bill.payee_id))
    asked = await ask_about_account(
        sessions,
        state.settler,
        state.sealer,
        state.http_client,
        caller.org,
        bill.receiving_account_id,
        payee_id=bill.payee_id,
        bill_id=bill_id,
        now=now,
    )
    async with open_org_transaction(sessions, caller.org_id) as tx:
        bill = await get_bill(tx, caller.org_id, bill_id)
    shown = show(request, caller, bill, now)
    return answer_json({"rows": asked.rows, "providers": asked.providers, "bill": shown})


@router.get("/{bill_id}/credits", responses=may_answer(BillNotFound))
async def show_bill_credits(bill_id: UUID, caller: Reader, tx: Tx) -> CreditsRead:
    """Show which payments were matched to a bill, by which rule and why."""
    await find_own_bill(tx, caller, bill_id)
    return CreditsRead.of(await list_bill_credits(tx, caller.org_id, bill_id))


async def find_own_bill(tx: AsyncSession, caller: Caller, bill_id: UUID) -> BillFacts:
    """Return a bill that this caller may see.

    Raises:
        BillNotFound: there is none, or it is another payee's.
    """
    bill = await get_bill(tx, caller.org_id, bill_id)
    if caller.payee_id is not None and bill.payee_id != caller.payee_id:
        raise BillNotFound(bill_id)
    return bill


def card_of(bill: BillFacts) -> QrCard:
    """Say what the card of a bill shows."""
    bank = find_bank(bill.bin)
    return QrCard(
        payload=bill.vietqr,
        bank_name=bill.bin if bank is None else bank.short_name,
        account_name=bill.holder_name,
        account_number=bill.code_account,
        amount_vnd=bill.code_amount_vnd,
        reference=bill.reference,
        expires_at=bill.expires_at,
    )


def show(request: Request, caller: Caller, bill: BillFacts, now: datetime) -> dict[str, Any]:
    """Return a bill as this hub's API shows it."""
    settings: Settings = request.app.state.settings
    return write_bill(bill, org_code=caller.org.code, public_url=settings.public_url, now=now)
