"""Bills: open, read, list, cancel, and look after a payment that does not show."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from api.http.codes import card_of
from api.http.deps import Now, TheDatabase, Tx, requires
from api.http.errors import may_answer
from api.http.paging import Cursor, Limit, next_cursor, read_cursor
from api.http.responses import PICTURE_RESPONSES, answer_json, answer_picture
from api.v1.bills.schemas import BillCancel, BillPage, BillRead, CheckRead, ExternalId, write_bill
from api.v1.credits.schemas import CreditsRead
from api.v1.fields import QueryInstant
from core.paging import BadCursor
from core.settings import Settings
from core.tenancy import open_org_transaction
from identity.people.callers import Caller
from identity.people.errors import ScopeNeeded
from identity.people.rules import Permission, ScopeKind
from payments.bills.errors import BillNotCancellable, BillNotFound, BillNotPayable
from payments.bills.queries import get_bill, list_bills
from payments.bills.references import MEMO_CHARS_MAX, find_references
from payments.bills.rules import BillFacts, BillStatus
from payments.credits.views import list_bill_credits
from payments.polling.service import poll_account
from payments.providers.errors import (
    NoOrderToPoll,
    ProviderCannotBePolled,
    ProviderDidNotRespond,
    ProviderRefusedToken,
    ProviderResponseUnreadable,
)
from payments.refunds.service import cancel_bill_and_propose_refund
from payments.vietqr.cards import render_card_png
from payments.vietqr.images import render_png, render_svg

router = APIRouter(prefix="/v1/bills", tags=["bills"])

Reader = Annotated[Caller, requires(Permission.BILLS_READ)]
Canceller = Annotated[Caller, requires(Permission.BILLS_CANCEL)]


@router.get("", response_model=BillPage, responses=may_answer(BadCursor, ScopeNeeded))
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
        payee_id=caller.narrow(ScopeKind.PAYEE, payee_id),
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
async def show_bill_svg(request: Request, bill_id: UUID, caller: Reader, tx: Tx) -> Response:
    """Draw the plain code as SVG."""
    payload = (await find_own_bill(tx, caller, bill_id)).vietqr
    return await answer_picture(
        request, lambda: render_svg(payload), facts=payload, media_type="image/svg+xml"
    )


@router.get(
    "/{bill_id}/qr.png",
    response_class=Response,
    responses={**may_answer(BillNotFound, BillNotPayable), **PICTURE_RESPONSES["image/png"]},
)
async def show_bill_png(request: Request, bill_id: UUID, caller: Reader, tx: Tx) -> Response:
    """Draw the plain code as PNG."""
    payload = (await find_own_bill(tx, caller, bill_id)).vietqr
    return await answer_picture(
        request, lambda: render_png(payload), facts=payload, media_type="image/png"
    )


@router.get(
    "/{bill_id}/card.png",
    response_class=Response,
    responses={**may_answer(BillNotFound, BillNotPayable), **PICTURE_RESPONSES["image/png"]},
)
async def show_bill_card(request: Request, bill_id: UUID, caller: Reader, tx: Tx) -> Response:
    """Draw the code in a frame: bank, holder, account, amount, memo and expiry."""
    card = card_of(await find_own_bill(tx, caller, bill_id))
    return await answer_picture(
        request, lambda: render_card_png(card), facts=repr(card), media_type="image/png"
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
        ProviderCannotBePolled,
        NoOrderToPoll,
        ProviderRefusedToken,
        ProviderResponseUnreadable,
        ProviderDidNotRespond,
    ),
)
async def check_bill(
    request: Request, bill_id: UUID, caller: Reader, database: TheDatabase, now: Now
) -> Response:
    """Ask the account's provider what came in ("kiểm tra giao dịch"); answers within 5 seconds.

    What it tells is stored and settled as its callbacks are; what is not settled by then is settled
    in the background, and the bill is shown as it is known. SePay and Casso list the account's
    last 24 hours; payOS tells of this bill's own order; VietQR.vn cannot be asked. Three times
    at once for each payee, then every 3 seconds, counted together with its counter.
    """
    async with open_org_transaction(database, caller.org_id) as tx:
        bill = await find_own_bill(tx, caller, bill_id)
    state = request.app.state
    state.limits.checks.take(str(bill.payee_id))
    asked = await poll_account(
        database,
        state.settler,
        state.sealer,
        state.http_client,
        caller.org,
        bill.receiving_account_id,
        payee_id=bill.payee_id,
        bill_id=bill_id,
        now=now,
    )
    async with open_org_transaction(database, caller.org_id) as tx:
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
    if not caller.sees(ScopeKind.PAYEE, bill.payee_id):
        raise BillNotFound(bill_id)
    return bill


def show(request: Request, caller: Caller, bill: BillFacts, now: datetime) -> dict[str, Any]:
    """Return a bill as this hub's API shows it."""
    settings: Settings = request.app.state.settings
    return write_bill(bill, org_code=caller.org.code, public_url=settings.public_url, now=now)
