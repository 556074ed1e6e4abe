"""The attendant's phone: one page whose scripts call the API, and its live events."""

from typing import Annotated, Final
from uuid import UUID

import msgspec
from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse, Response, StreamingResponse

from api.gate.page_context import OwnLot, read_page
from api.http.codes import render_inline
from api.http.deps import CurrentCaller, Now, Tx, requires
from api.http.middleware import no_store
from api.http.templating import language_of, templates
from api.live.streams import stream_events
from identity.people.rules import Permission
from payments.bills.errors import BillNotFound
from payments.bills.queries import get_bill
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
        last_event_id=last_event_id,
        shape=shape,
        may_replace=may_replace,
    )


@router.get("/lots/{lot_id}/bills/{bill_id}/code", dependencies=[requires(Permission.PARKING_GATE)])
async def draw_code(bill_id: UUID, lot: OwnLot, caller: CurrentCaller, tx: Tx) -> Response:
    """Draw the code of a bill of this lot's, for the phone to put into its screen.

    Raises:
        BillNotFound: it is another payee's, or no bill of parking.
        BillNotPayable: nothing is to be paid any more.
    """
    bill = await get_bill(tx, caller.org_id, bill_id)
    if bill.payee_id != lot.payee_id or bill.owner_kind is None:
        raise BillNotFound(bill_id)
    return no_store(HTMLResponse(await render_inline(bill.vietqr)))
