"""The driver's page, opened by the code on a parking ticket: what is due, the code that pays it.

Whoever has the link (a stay's id and 128 random bits) sees the stay without its whole plate. There
is no way here from a plate to a stay. The hub fixes every amount.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Final

import structlog
from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from api.http.deps import (
    Now,
    TheBillWriter,
    TheDatabase,
    TheDirectory,
    TheLimits,
    TheSettings,
    check_not_cross_site,
    public,
)
from api.http.i18n import Language
from api.http.networks import network_of
from api.http.templating import language_of, templates
from api.live.streams import stream_events
from api.pay.parking_ticket_views import TicketPage, present_ticket
from api.pay.routes import private
from city.complaints.queries import list_of_session
from core.audit import Actor
from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from identity.people.callers import Directory, Org
from parking.exits.errors import AmountNotDue, NothingDue, TicketNotFound
from parking.exits.paying import BillWanted, open_bill
from parking.exits.rules import StayFacts
from parking.exits.standing import read_standing
from parking.exits.tickets import open_ticket, read_whole_stay
from parking.sessions.tickets import TICKET_PATH, read_ticket_code
from payments.outbox.wake_ups import EventFacts

log = structlog.get_logger()
router = APIRouter(prefix=TICKET_PATH.rstrip("/"), include_in_schema=False, dependencies=[public])

NOTICES: Final = frozenset({"changed"})


@dataclass(frozen=True, kw_only=True)
class OpenedTicket:
    """The stay that a ticket's link opens, and whose lot it is at."""

    link: str  # "HKXM-…"
    org: Org
    stay: StayFacts

    @property
    def path(self) -> str:
        """The address of its page."""
        return f"{TICKET_PATH}{self.link}"


async def open_ticket_link(
    request: Request, link: str, directory: TheDirectory, database: TheDatabase, limits: TheLimits
) -> OpenedTicket:
    """Return what a ticket's link opens; a wrong one gets the same answer whatever is wrong.

    Raises:
        TicketNotFound, TooManyRequests
    """
    network = network_of(request)
    limits.pay_views.take(network)
    try:
        return await _open(link, directory, database)
    except TicketNotFound:
        limits.pay_misses.take(network)
        raise


async def _open(link: str, directory: Directory, database: Database) -> OpenedTicket:
    code = read_ticket_code(link)
    org = None if code is None else await directory.find_org(code.org_code)
    if code is None or org is None:
        raise TicketNotFound
    async with open_org_transaction(database, org.id) as session:
        stay = await open_ticket(session, org.id, code.session_id, code.key)
    return OpenedTicket(link=link, org=org, stay=stay)


TheTicket = Annotated[OpenedTicket, Depends(open_ticket_link)]


@router.get("/{link}")
async def show_ticket(
    request: Request,
    ticket: TheTicket,
    database: TheDatabase,
    now: Now,
    notice: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    """Show the stay: since when, what is due, what it is made of, and how to pay."""
    page = await _present(ticket, database, language_of(request), now)
    facts = {"page": page, "notice": notice if notice in NOTICES else ""}
    return private(templates.TemplateResponse(request, "parking_ticket.html", facts))


@router.get("/{link}/state")
async def show_ticket_state(
    request: Request, ticket: TheTicket, database: TheDatabase, now: Now
) -> Response:
    """Draw what changes on the page, for pay.js to put in its place."""
    page = await _present(ticket, database, language_of(request), now)
    return private(templates.TemplateResponse(request, "parking_ticket_state.html", {"page": page}))


@router.get("/{link}/events")
async def stream_ticket(
    request: Request,
    ticket: TheTicket,
    last_event_id: Annotated[str | None, Query(max_length=64)] = None,
) -> StreamingResponse:
    """Say that something happened to the bill that is shown, and not what."""
    # Without a bill there is no news: the page asks for its state now and then by itself.
    bill_id = ticket.stay.bill_id or ticket.stay.id

    def shape(event: EventFacts) -> str | None:
        return "{}" if event.bill_id == bill_id else None

    return await stream_events(
        request, org_id=ticket.org.id, bill_id=bill_id, last_event_id=last_event_id, shape=shape
    )


@router.post("/{link}/bills")
async def open_code(
    request: Request,
    ticket: TheTicket,
    database: TheDatabase,
    limits: TheLimits,
    bill_writer: TheBillWriter,
    settings: TheSettings,
    now: Now,
) -> Response:
    """Open a code for what is due now, or show the one that asks for it, or for more ahead.

    Pressed twice it is one code: the second press finds the first's.
    """
    check_not_cross_site(request)
    org, stay = ticket.org, ticket.stay
    async with open_org_transaction(database, org.id) as session:
        standing = await read_standing(session, org.id, stay, at=now)
    if not standing.due_vnd or standing.find_code(now=now) is not None:
        return private(RedirectResponse(ticket.path, 303))
    limits.ticket_codes.take(str(stay.id))
    wanted = BillWanted(
        id=new_id(),
        amount_vnd=standing.due_vnd,
        reference=await bill_writer.take_reference(org),
        valid_for=timedelta(seconds=settings.bill_valid_for_s),
        monitored_for=timedelta(seconds=settings.bill_monitored_for_s),
    )
    driver = Actor(kind="public", id=stay.id, name="driver")
    try:
        async with open_org_transaction(database, org.id) as session:
            await open_bill(
                session,
                org.id,
                stay.id,
                wanted,
                priced_at=now,
                keeps_ahead=True,
                actor=driver,
                now=now,
            )
    except (AmountNotDue, NothingDue):  # somebody paid in between: the page shows what is due
        return private(RedirectResponse(f"{ticket.path}?notice=changed", 303))
    return private(RedirectResponse(ticket.path, 303))


async def _present(
    ticket: OpenedTicket, database: Database, lang: Language, now: datetime
) -> TicketPage:
    async with open_org_transaction(database, ticket.org.id) as session:
        whole = await read_whole_stay(session, ticket.org.id, ticket.stay, at=now)
        complaints = await list_of_session(session, ticket.org.id, ticket.stay.id)
    if whole.problem is not None:
        log.warning("ticket.not_priced", session=str(ticket.stay.id), code=whole.problem.code)
    return await present_ticket(
        whole, ticket.org, complaints=complaints, path=ticket.path, lang=lang, now=now
    )
