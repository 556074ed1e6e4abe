"""Stays as the phone shows them: found by their last digits, and one with what it owes, worded."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Query
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from api.gate.page_context import OwnLot
from api.http.deps import CurrentCaller, Now, ThePhotos, TheQuotes, Tx, requires
from api.http.i18n import Language
from api.http.middleware import no_store
from api.http.responses import answer_json
from api.pages.tariff_lines import present_line
from core.clock import hanoi_day
from identity.people.callers import Caller
from identity.people.rules import Permission, ScopeKind
from parking.exits.errors import ParkingSessionNotFound
from parking.exits.queries_passes import find_pass_to_show
from parking.exits.quoting import STAY_MINUTES_MAX, StayQuote, list_debts_of, quote_stay
from parking.exits.rules import StayFacts
from parking.exits.standing import may_stay_until
from parking.exits.views import find_visible_stay
from parking.passes.queries import view_pass
from parking.places.models import Lot
from parking.places.queries import list_occupancy
from parking.plates import format_plate
from parking.sessions.readings import suggest_plate
from parking.sessions.views import SHOWN_MAX, search_inside
from parking.tariffs.plan import read_plans
from parking.vehicles import VehicleClass

router = APIRouter(
    prefix="/gate/lots/{lot_id}",
    include_in_schema=False,
    dependencies=[requires(Permission.PARKING_GATE)],
)

QUERY_CHARS_MAX: Final = 40
Lang = Annotated[Language, Query()]
StayMinutes = Annotated[int | None, Query(ge=1, le=STAY_MINUTES_MAX)]


@router.get("/inside")
async def find_inside(
    lot: OwnLot,
    caller: CurrentCaller,
    tx: Tx,
    photos: ThePhotos,
    now: Now,
    q: Annotated[str, Query(max_length=QUERY_CHARS_MAX)] = "",
) -> Response:
    """Find who is inside, by plate, ticket or last digits, with links to their photos."""
    found = await search_inside(tx, caller.org_id, lot.id, q or None)
    stays = [
        {
            "id": one.session_id,
            "vehicle_class": one.vehicle_class,
            "plate": write_plate(one.plate, one.vehicle_class),
            "ticket": one.ticket,
            "entered_at": one.entered_at,
            "photo": one.entry_photo
            and photos.link(caller.org_code, caller.org_id, one.entry_photo, now=now),
            "is_pass": one.pass_id is not None,
            "pass_id": one.pass_id,
            "pass_until": one.pass_until,
            "settled_vnd": one.settled_vnd,
            "paid_until": one.paid_until,
            "is_ticket_lost": one.is_ticket_lost,
            "found_by": one.found_by,
        }
        for one in found
    ]
    # Without a search: whether nobody else is inside, so that a phone can forget who left.
    return no_store(answer_json({"stays": stays, "is_complete": len(stays) < SHOWN_MAX}))


@router.get("/posted")
async def show_posted(lot: OwnLot, caller: CurrentCaller, tx: Tx, now: Now) -> Response:
    """Show what each class pays, as a plan by which a phone prices stays without a network.

    Raises:
        LotHasNoTariff
    """
    occupied = (await list_occupancy(tx, caller.org_id, [lot.id]))[lot.id]
    planned = await read_plans(
        tx,
        caller.org_id,
        lot.id,
        zone=lot.zone,
        classes=[one.vehicle_class for one in occupied],
        now=now,
    )
    rates = [{"from_at": one.from_at, "plans": one.plans} for one in planned]
    return no_store(answer_json({"rates": rates}))


@router.get("/stays/{session_id}")
async def show_stay(
    session_id: UUID,
    lot: OwnLot,
    caller: CurrentCaller,
    tx: Tx,
    photos: ThePhotos,
    quotes: TheQuotes,
    now: Now,
    lang: Lang = "vi",
    is_ticket_lost: bool = False,
    stay_minutes: StayMinutes = None,
) -> Response:
    """Show a stay of this lot with its quote; a stay that is over has one while it owes.

    Raises:
        ParkingSessionNotFound, LotHasNoTariff, NoRateForVehicle, StayNotPriceable
        LostTicketNotReported, PrepayNotOffered
    """
    stay = await find_stay_here(tx, caller, lot, session_id, now=now)
    shown = _write_stay(stay, caller, lot)
    if stay.entry_photo is not None:
        shown["photo"] = photos.link(caller.org_code, caller.org_id, stay.entry_photo, now=now)
    if stay.pass_id is not None:
        shown["pass"] = await _write_pass(tx, caller, stay.pass_id, now=now)
    elif stay.is_inside:
        offered = await find_pass_to_show(
            tx, caller.org_id, stay, entered_on=hanoi_day(stay.entered_at), today=hanoi_day(now)
        )
        if offered is not None:
            shown["pass_offer"] = await _write_pass(tx, caller, offered, now=now)
    if stay.is_inside and stay.plate is None:
        read = await suggest_plate(tx, caller.org_id, session_id)
        shown["read_plate"] = write_plate(read, stay.vehicle_class)
    if stay.is_inside or stay.arrears_vnd:
        quote = await quote_stay(
            tx,
            caller.org_id,
            session_id,
            quotes,
            is_ticket_lost=is_ticket_lost,
            stay_minutes=stay_minutes,
            now=now,
        )
        shown |= _write_quote(quote, lang) | {"stay_minutes": stay_minutes}
    return no_store(answer_json(shown))


@router.get("/stays/{session_id}/debts")
async def list_debts(
    session_id: UUID, lot: OwnLot, caller: CurrentCaller, tx: Tx, now: Now
) -> Response:
    """List what the vehicle of a stay left owing at this lot before, oldest first.

    Raises:
        ParkingSessionNotFound
    """
    stay = await find_stay_here(tx, caller, lot, session_id, now=now)
    debts = await list_debts_of(tx, caller.org_id, stay)
    return no_store(answer_json({"arrears": _write_arrears(debts)}))


async def find_stay_here(
    tx: AsyncSession, caller: Caller, lot: Lot, session_id: UUID, *, now: datetime
) -> StayFacts:
    """Return a stay of this lot that the caller may see.

    Raises:
        ParkingSessionNotFound
    """
    stay = await find_visible_stay(
        tx,
        caller.org_id,
        session_id,
        lot_ids=caller.choices(ScopeKind.LOT),
        by=caller.id,
        sees_all=caller.may(Permission.PARKING_OVERRIDE),
        now=now,
    )
    if stay.lot_id != lot.id:
        raise ParkingSessionNotFound(session_id)
    return stay


def write_plate(plate: str | None, vehicle_class: str) -> str | None:
    """Return a compact plate as the law writes it."""
    return plate and format_plate(plate, VehicleClass(vehicle_class))


async def _write_pass(
    tx: AsyncSession, caller: Caller, pass_id: UUID, *, now: datetime
) -> dict[str, Any]:
    """Write whose pass it is, as far as the attendant must know, and until when."""
    held = await view_pass(tx, caller.org_id, pass_id)
    return {
        "id": pass_id,
        "kind": held.kind,
        "holder": mask_name(held.holder_name),
        "until": f"{held.valid_until:%d/%m/%Y}",
        "is_over": held.valid_until < hanoi_day(now),
    }


def mask_name(name: str) -> str:
    """Return a name as whoever asks for it can recognise it: "Chị H***" of "Chị Hoa"."""
    first, *others = name.split() or [""]
    if not others:
        return f"{first[:1]}***"
    return " ".join([first, *(f"{one[0]}***" for one in others)])


def _write_stay(stay: StayFacts, caller: Caller, lot: Lot) -> dict[str, Any]:
    return {
        "id": stay.id,
        "vehicle_class": stay.vehicle_class,
        "plate": write_plate(stay.plate, stay.vehicle_class),
        "ticket": stay.ticket,
        "status": stay.status,
        "entered_at": stay.entered_at,
        "left_at": stay.left_at,
        "photo": None,
        "pass": None,  # that the stay is on
        "pass_offer": None,  # of its vehicle, that it is not on
        "read_plate": None,  # by a reader, of a vehicle that nobody has named
        "pass_id": stay.pass_id,
        "is_exempt": stay.is_exempt,
        "paid_vnd": stay.paid_vnd,
        "settled_vnd": stay.settled_vnd,
        "is_ticket_lost": stay.is_ticket_lost,
        "due_vnd": stay.arrears_vnd,  # of one that is over; one that is inside is quoted
        "is_own": stay.entry_by == caller.id,
        "payment_timing": lot.payment_timing,
    }


def _write_quote(quote: StayQuote, lang: Language) -> dict[str, Any]:
    standing = quote.standing
    return {
        "due_vnd": standing.due_vnd,
        "price_vnd": standing.price.amount_vnd,
        "paid_vnd": standing.stay.paid_vnd,
        "settled_vnd": standing.stay.settled_vnd,
        "paid_until": may_stay_until(standing, at=quote.quoted_at),
        "lines": [
            {"words": present_line(lang, line), "amount_vnd": line.amount_vnd}
            for line in quote.lines
        ],
        "quote": quote.token,
        "quoted_at": quote.quoted_at,
        "arrears": _write_arrears(quote.arrears),
    }


def _write_arrears(debts: Sequence[StayFacts]) -> list[dict[str, Any]]:
    return [{"id": one.id, "left_at": one.left_at, "due_vnd": one.arrears_vnd} for one in debts]
