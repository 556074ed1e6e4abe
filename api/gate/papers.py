"""Papers of the gate: a ticket and a cash receipt for a 58 mm roll, the posted price as an A4."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from markupsafe import Markup
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from api.gate.page_context import OwnLot
from api.gate.stays import find_stay_here, write_plate
from api.http.codes import render_inline
from api.http.deps import CurrentCaller, Now, TheSettings, Tx, requires
from api.http.i18n import translate
from api.http.middleware import no_store
from api.http.templating import language_of, templates
from api.pages.posted_tariff import PostedWords, present_posted
from core.clock import HANOI, hanoi_day
from core.vnd_words import spell_vnd
from identity.people.rules import Permission
from parking.collections.errors import CollectionNotFound
from parking.collections.queries import find_collection
from parking.passes.queries import view_pass
from parking.places.models import Lot, ParkingOperator
from parking.places.queries import get_operator, list_occupancy
from parking.sessions.queries_views import find_ticket_key
from parking.sessions.tickets import TICKET_PATH, write_ticket_code
from parking.tariffs.posting import read_posted_tariff

router = APIRouter(
    prefix="/gate/lots/{lot_id}",
    include_in_schema=False,
    dependencies=[requires(Permission.PARKING_GATE)],
)


@dataclass(frozen=True, kw_only=True)
class Seller:
    """Who runs the lot, as every paper names them."""

    lot_name: str
    lot_address: str
    name: str
    address: str
    tax_code: str
    licence: str  # "" where the lot has none


@dataclass(frozen=True, kw_only=True)
class TicketPaper:
    """What templates/gate_ticket.html may use."""

    seller: Seller
    is_live: bool
    plate: str
    ticket: str
    class_word: str
    entered: str  # "07:12 · 28/11/2026"
    code_svg: Markup  # of the driver's page
    link: str


@dataclass(frozen=True, kw_only=True)
class ReceiptPaper:
    """What templates/gate_receipt.html may use."""

    seller: Seller
    is_live: bool
    number: str
    is_reversed: bool
    plate: str  # of a pass: all of its vehicles
    entered: str  # "" of a pass
    days: str  # of a pass: what was paid for
    collected: str
    amount_vnd: int
    amount_words: str  # always Vietnamese
    person_name: str


@dataclass(frozen=True, kw_only=True)
class PricePaper:
    """What templates/gate_price.html may use."""

    seller: Seller
    is_live: bool
    licence_until: str
    capacity: tuple[tuple[str, int], ...]  # as the licence allows
    posted: PostedWords


@router.get("/stays/{session_id}/ticket")
async def print_ticket(
    request: Request,
    session_id: UUID,
    lot: OwnLot,
    caller: CurrentCaller,
    tx: Tx,
    settings: TheSettings,
    now: Now,
) -> Response:
    """Show a vehicle's ticket: its code opens the driver's own page.

    Raises:
        ParkingSessionNotFound
    """
    lang = language_of(request)
    stay = await find_stay_here(tx, caller, lot, session_id, now=now)
    key = await find_ticket_key(tx, caller.org_id, session_id)
    assert key is not None
    code = write_ticket_code(caller.org_code, session_id, key)
    link = f"{settings.public_url.rstrip('/')}{TICKET_PATH}{code}"
    page = TicketPaper(
        seller=await _read_seller(tx, lot),
        is_live=caller.org.is_live,
        plate=write_plate(stay.plate, stay.vehicle_class) or "",
        ticket=stay.ticket or "",
        class_word=translate(lang, f"gate_app.class.{stay.vehicle_class}"),
        entered=_write_instant(stay.entered_at),
        code_svg=await render_inline(link),
        link=link,
    )
    return _show(request, "gate_ticket.html", page)


@router.get("/receipts/{collection_id}")
async def print_receipt(
    request: Request, collection_id: UUID, lot: OwnLot, caller: CurrentCaller, tx: Tx, now: Now
) -> Response:
    """Show the cash receipt ("phiếu thu") of a collection; reversed, it says so.

    Raises:
        CollectionNotFound: there is none, or it has no receipt.
        ParkingSessionNotFound: it is of a stay that the caller may not see.
    """
    taken = await find_collection(tx, caller.org_id, collection_id)
    if taken is None or taken.receipt_number is None or taken.lot_id != lot.id:
        raise CollectionNotFound(collection_id)
    plate, entered, days = "", "", ""
    if taken.session_id is not None:
        stay = await find_stay_here(tx, caller, lot, taken.session_id, now=now)
        plate = write_plate(stay.plate, stay.vehicle_class) or stay.ticket or ""
        entered = _write_instant(stay.entered_at)
    elif taken.pass_id is not None:
        plate, days = await _describe_pass(tx, caller.org_id, taken.pass_id, collection_id)
    page = ReceiptPaper(
        seller=await _read_seller(tx, lot),
        is_live=caller.org.is_live,
        number=taken.receipt_number,
        is_reversed=taken.reversed_at is not None,
        plate=plate,
        entered=entered,
        days=days,
        collected=_write_instant(taken.collected_at),
        amount_vnd=taken.amount_vnd,
        amount_words=spell_vnd(taken.amount_vnd),
        person_name=caller.name if taken.collected_by == caller.id else "",
    )
    return _show(request, "gate_receipt.html", page)


async def _describe_pass(
    tx: AsyncSession, org_id: UUID, pass_id: UUID, collection_id: UUID
) -> tuple[str, str]:
    """Return the vehicles of a pass, and the days that this cash paid for."""
    held = await view_pass(tx, org_id, pass_id)
    plates = [write_plate(one, held.vehicle_class) or one for one in held.plates]
    for term in held.terms:
        if term.collection_id == collection_id:
            return ", ".join(plates), f"{term.first_on:%d/%m/%Y}–{term.last_on:%d/%m/%Y}"
    return ", ".join(plates), ""  # it was given back


@router.get("/price")
async def print_price(
    request: Request, lot: OwnLot, caller: CurrentCaller, tx: Tx, now: Now
) -> Response:
    """Show the posted price and the licence, to print and hang up.

    Raises:
        LotHasNoTariff
    """
    lang = language_of(request)
    occupied = (await list_occupancy(tx, caller.org_id, [lot.id]))[lot.id]
    posted = await read_posted_tariff(
        tx,
        caller.org_id,
        lot.id,
        zone=lot.zone,
        classes=[one.vehicle_class for one in occupied],
        now=now,
    )
    until = lot.licence_until
    page = PricePaper(
        seller=await _read_seller(tx, lot),
        is_live=caller.org.is_live,
        licence_until="" if until is None else f"{until:%d/%m/%Y}",
        capacity=tuple(
            (translate(lang, f"posted_tariff.class.{one.vehicle_class}"), one.licensed_capacity)
            for one in occupied
        ),
        posted=present_posted(posted, lang, timing=lot.payment_timing, on=hanoi_day(now)),
    )
    return _show(request, "gate_price.html", page)


async def _read_seller(tx: Tx, lot: Lot) -> Seller:
    operator: ParkingOperator = await get_operator(tx, lot.org_id, lot.operator_id)
    return Seller(
        lot_name=lot.name,
        lot_address=lot.address,
        name=operator.name,
        address=operator.address,
        tax_code=operator.tax_code,
        licence=", ".join(filter(None, [lot.licence_number, lot.licence_issuer])),
    )


def _write_instant(instant: datetime) -> str:
    return f"{instant.astimezone(HANOI):%H:%M · %d/%m/%Y}"


def _show(request: Request, template: str, page: Any) -> Response:
    return no_store(templates.TemplateResponse(request, template, {"page": page}))
