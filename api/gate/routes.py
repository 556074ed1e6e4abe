"""The attendant's phone: one page whose scripts call the API, and its live events."""

from typing import Annotated, Final
from uuid import UUID

import msgspec
from fastapi import APIRouter, Query, Request
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import HTMLResponse, Response, StreamingResponse

from api.gate.page_context import OwnLot, read_page, read_state
from api.http.codes import render_inline
from api.http.deps import CurrentCaller, Now, Tx, requires
from api.http.middleware import no_store
from api.http.responses import answer_json
from api.http.templating import language_of, templates
from api.live.streams import stream_events
from identity.people.rules import Permission
from parking.exits.queries import find_stays
from parking.exits.rules import OWNER_KIND as STAY
from parking.shifts.deposits import OWNER_KIND as DEPOSIT
from parking.shifts.queries import find_shift
from payments.bills.errors import BillNotFound
from payments.bills.queries import get_bill
from payments.bills.rules import BillFacts
from payments.outbox.rules import EventKind
from payments.outbox.wake_ups import EventFacts

router = APIRouter(prefix="/gate", include_in_schema=False)

# What a lot's phones receive; all of these name their lot.
LOT_EVENTS: Final = frozenset(
    {
        EventKind.PARKING_ENTERED,
        EventKind.PARKING_LEFT,
        EventKind.PARKING_WATCHED,
        EventKind.PARKING_OVER_LICENCE,
        EventKind.PARKING_SESSION_PAID,
        EventKind.PARKING_PLATE_DIFFERED,
    }
)


@router.get("", dependencies=[requires(Permission.PARKING_GATE)])
async def show_gate(request: Request, caller: CurrentCaller, tx: Tx, now: Now) -> Response:
    """Show the phone's page; its scripts change the screens and keep what has no network."""
    page = await read_page(tx, caller, lang=language_of(request), now=now)
    return no_store(templates.TemplateResponse(request, "gate.html", {"page": page}))


@router.get("/state", dependencies=[requires(Permission.PARKING_GATE)])
async def show_state(caller: CurrentCaller, tx: Tx, now: Now) -> Response:
    """Show what the page's scripts know of whom a PIN has named on this phone."""
    return no_store(answer_json(await read_state(tx, caller, now=now)))


@router.get("/lots/{lot_id}/events", dependencies=[requires(Permission.EVENTS_READ)])
async def serve_events(
    request: Request,
    lot: OwnLot,
    caller: CurrentCaller,
    last_event_id: Annotated[str | None, Query(max_length=64)] = None,
    may_replace: bool = True,
) -> StreamingResponse:
    """Stream what happens at one lot; other money of its payee is not for its attendants."""

    def shape(event: EventFacts) -> str | None:
        if event.kind not in LOT_EVENTS:
            return None
        is_here = msgspec.json.decode(event.data).get("lot_id") == str(lot.id)
        return event.data if is_here else None

    return await stream_events(
        request,
        org_id=caller.org_id,
        payee_id=lot.payee_id,
        lot_id=lot.id,
        last_event_id=last_event_id,
        shape=shape,
        may_replace=may_replace,
    )


@router.get("/lots/{lot_id}/bills/{bill_id}/code", dependencies=[requires(Permission.PARKING_GATE)])
async def draw_code(bill_id: UUID, lot: OwnLot, caller: CurrentCaller, tx: Tx) -> Response:
    """Draw the code of a bill of this lot's, for the phone to put into its screen.

    Raises:
        BillNotFound: it is of no stay and of no shift of this lot.
        BillNotPayable: nothing is to be paid any more.
    """
    bill = await get_bill(tx, caller.org_id, bill_id)
    if await _find_lot_of(tx, bill) != lot.id:
        raise BillNotFound(bill_id)
    return no_store(HTMLResponse(await render_inline(bill.vietqr)))


async def _find_lot_of(session: AsyncSession, bill: BillFacts) -> UUID | None:
    """Return the lot that a bill was opened at: of its stay, or of the shift that deposits."""
    if bill.owner_id is None:
        return None
    if bill.owner_kind == STAY:
        stay = (await find_stays(session, bill.org_id, [bill.owner_id])).get(bill.owner_id)
        return None if stay is None else stay.lot_id
    if bill.owner_kind == DEPOSIT:
        shift = await find_shift(session, bill.org_id, bill.owner_id)
        return None if shift is None else shift.lot_id
    return None
