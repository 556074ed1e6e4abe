"""Live events for programs, as server-sent events."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import StreamingResponse

from api.http.deps import TheDatabase, requires
from api.http.errors import may_answer
from api.live.streams import stream_events
from core.tenancy import open_org_transaction
from identity.people.callers import Caller
from identity.people.errors import ScopeNeeded
from identity.people.rules import Permission, ScopeKind
from payments.bills.errors import BillNotFound
from payments.bills.queries import get_bill
from payments.outbox.rules import EventKind
from payments.payees.errors import PayeeNotFound
from payments.payees.queries import find_routes, get_payee

router = APIRouter(prefix="/v1/events", tags=["payments"])

Listener = Annotated[Caller, requires(Permission.EVENTS_READ)]
DESCRIPTION: Final = f"""\
A stream of server-sent events: `event` is one of {", ".join(f"`{k.value}`" for k in EventKind)},
`data` is JSON, `id` names the event. Reconnect with `Last-Event-ID`: what came since is sent again,
with an overlap of 60 seconds, so drop the ids that you have seen. A stream begins with
`event: hello` and says `event: caught-up` once all that was missed is sent. `event: tick` comes
every 15 seconds. Up to the id of a `caught-up` or a `tick` you have everything; after 35 seconds
without a `tick` the line is dead. `hello` and `tick` carry the hub's time as `now`. After
`event: reload` read the lists instead; after `event: signed-out` the credential has ended; after
`event: replaced` the same caller has opened too many newer streams: do not open this one again.
"""
STREAM: Final = {
    "description": "A stream that does not end by itself.",
    "content": {"text/event-stream": {"schema": {"type": "string"}}},
}


@router.get(
    "",
    description=DESCRIPTION,
    summary="Listen to events",
    response_class=StreamingResponse,
    responses={**may_answer(PayeeNotFound, BillNotFound, ScopeNeeded), 200: STREAM},
)
async def listen(
    request: Request,
    caller: Listener,
    database: TheDatabase,
    payee_id: Annotated[UUID | None, Query(description="Only this payee's.")] = None,
    bill_id: Annotated[UUID | None, Query(description="Only this bill's.")] = None,
    last_event_id: Annotated[str | None, Header(max_length=64)] = None,
) -> StreamingResponse:
    """Stream an organisation's events; people of a payee receive theirs only."""
    if bill_id is None:
        payee_id = caller.narrow(ScopeKind.PAYEE, payee_id)
    async with open_org_transaction(database, caller.org_id) as tx:
        if bill_id is not None:
            bill = await get_bill(tx, caller.org_id, bill_id)
            is_other = payee_id is not None and bill.payee_id != payee_id
            if is_other or not caller.sees(ScopeKind.PAYEE, bill.payee_id):
                raise BillNotFound(bill_id)
            payee_id = None
        elif payee_id is not None:
            await get_payee(tx, caller.org_id, payee_id)

    async def find_account() -> UUID | None:
        """What nobody of a shared account was given yet concerns all who use it."""
        if payee_id is None:
            return None
        async with open_org_transaction(database, caller.org_id) as tx:
            route = (await find_routes(tx, caller.org_id, [payee_id])).get(payee_id)
        return None if route is None else route.receiving_account_id

    return await stream_events(
        request,
        org_id=caller.org_id,
        payee_id=payee_id,
        bill_id=bill_id,
        last_event_id=last_event_id,
        find_account=find_account,
    )
