"""Bills: open, read, list, cancel, and look after a payment that does not show."""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from api.http.codes import (
    PICTURE_RESPONSES,
    PNG,
    SVG,
    answer_card,
    answer_png,
    answer_svg,
    bill_card,
)
from api.http.deps import Now, TheDatabase, TheLimits, ThePoller, TheRails, Tx, requires
from api.http.errors import may_answer
from api.http.fields import QueryInstant
from api.http.paging import Cursor, Limit, next_cursor, read_cursor
from api.http.responses import answer_json
from api.services import read_services
from api.v1.bills.schemas import (
    BillCancel,
    BillPage,
    BillRead,
    CashPayment,
    CheckRead,
    ExternalId,
    write_bill,
)
from api.v1.credits.schemas import CreditsRead
from core.errors import InvalidRequest, Violation
from core.paging import BadCursor
from core.tenancy import open_org_transaction
from identity.people.callers import Caller
from identity.people.errors import ScopeNeeded
from identity.people.rules import Permission, ScopeKind
from payments.bills.cash import take_rest_in_cash
from payments.bills.errors import (
    BillCodeFailed,
    BillCodePending,
    BillNotCancellable,
    BillNotFound,
    BillNotPayable,
    CashNotOwed,
    PaymentIdTaken,
)
from payments.bills.queries import get_bill
from payments.bills.queries_lists import list_bills
from payments.bills.references import MEMO_CHARS_MAX, find_references
from payments.bills.rules import BillFacts, BillStatus, check_client_id
from payments.credits.views import list_bill_credits
from payments.polling.service import start_deadline_s
from payments.providers.errors import (
    NoOrderToPoll,
    ProviderCannotBePolled,
    ProviderDidNotRespond,
    ProviderRefusedToken,
    ProviderResponseUnreadable,
)
from payments.rails.rules import CHECK_TIMEOUT_S
from payments.refunds.service import cancel_bill_and_propose_refund

router = APIRouter(prefix="/v1/bills", tags=["bills"])

Reader = Annotated[Caller, requires(Permission.BILLS_READ)]
Canceller = Annotated[Caller, requires(Permission.BILLS_CANCEL)]
CashTaker = Annotated[Caller, requires(Permission.BILLS_TAKE_CASH)]

MAY_HAVE_NO_CODE: Final = may_answer(BillNotFound, BillNotPayable, BillCodePending, BillCodeFailed)


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
    responses={**MAY_HAVE_NO_CODE, **PICTURE_RESPONSES[SVG]},
)
async def show_bill_svg(request: Request, bill_id: UUID, caller: Reader, tx: Tx) -> Response:
    """Draw the plain code as SVG."""
    return await answer_svg(request, (await find_own_bill(tx, caller, bill_id)).vietqr)


@router.get(
    "/{bill_id}/qr.png",
    response_class=Response,
    responses={**MAY_HAVE_NO_CODE, **PICTURE_RESPONSES[PNG]},
)
async def show_bill_png(request: Request, bill_id: UUID, caller: Reader, tx: Tx) -> Response:
    """Draw the plain code as PNG."""
    return await answer_png(request, (await find_own_bill(tx, caller, bill_id)).vietqr)


@router.get(
    "/{bill_id}/card.png",
    response_class=Response,
    responses={**MAY_HAVE_NO_CODE, **PICTURE_RESPONSES[PNG]},
)
async def show_bill_card(request: Request, bill_id: UUID, caller: Reader, tx: Tx) -> Response:
    """Draw the code in a frame: bank, holder, account, amount, memo and expiry."""
    return await answer_card(request, bill_card(await find_own_bill(tx, caller, bill_id)))


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
    "/{bill_id}/cash-payments",
    status_code=201,
    response_model=BillRead,
    responses=may_answer(BillNotFound, CashNotOwed, PaymentIdTaken),
)
async def take_cash(
    request: Request, bill_id: UUID, body: CashPayment, caller: CashTaker, tx: Tx, now: Now
) -> Response:
    """Record that the rest of a part-paid bill came in cash; again with its id answers the same."""
    if fault := check_client_id(body.id, now=now):
        raise InvalidRequest(fault, violations=[Violation(field="id", code="bad_id", detail=fault)])
    await find_own_bill(tx, caller, bill_id)
    bill = await take_rest_in_cash(
        tx,
        caller.org_id,
        bill_id,
        payment_id=body.id,
        amount_vnd=body.amount_vnd,
        actor=caller.actor,
        now=now,
    )
    return answer_json(show(request, caller, bill, now), status=201)


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
    request: Request,
    bill_id: UUID,
    caller: Reader,
    database: TheDatabase,
    poller: ThePoller,
    rails: TheRails,
    limits: TheLimits,
    now: Now,
) -> Response:
    """Ask the account's provider what came in ("kiểm tra giao dịch"); answers within 5 seconds.

    What it reports is stored and processed as its callbacks are; what is not processed by then is
    finished in the background, and the bill is shown as it is known. SePay and Casso list the
    account's last 24 hours; payOS reports this bill's own order; VietQR.vn cannot be polled. Three
    times at once for each payee, then every 3 seconds, counted together with its counter.
    """
    async with open_org_transaction(database, caller.org_id) as tx:
        bill = await find_own_bill(tx, caller, bill_id)
    limits.checks.take(str(bill.payee_id))
    deadline_s = start_deadline_s()
    # Its request, where one is due; what that takes longer, the worker finishes.
    await rails.resume(caller.org_id, bill_id, within_s=CHECK_TIMEOUT_S)
    polled = await poller.poll(
        caller.org,
        bill.receiving_account_id,
        payee_id=bill.payee_id,
        bill_id=bill_id,
        deadline_s=deadline_s,
        now=now,
    )
    async with open_org_transaction(database, caller.org_id) as tx:
        bill = await get_bill(tx, caller.org_id, bill_id)
    shown = show(request, caller, bill, now)
    return answer_json({"rows": polled.rows, "providers": polled.providers, "bill": shown})


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
    settings = read_services(request).settings
    return write_bill(bill, org_code=caller.org.code, public_url=settings.public_url, now=now)
