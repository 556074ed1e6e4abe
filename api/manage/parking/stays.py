"""Parking sessions: a list by day, state, class and plate, and one with its evidence."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from api.http.deps import requires
from api.http.i18n import translate, words_in
from api.http.paging import next_cursor, read_cursor
from api.manage.history import Change, list_changes_of
from api.manage.page_context import PAGE_ROWS, Before, ManagerContext, TheManager
from api.manage.parking.stay_filter import TheStays, path_of
from api.manage.parking.vehicle_words import list_classes, say_class
from core.money import format_vnd
from core.tenancy import open_org_transaction
from identity.people.rules import Permission
from parking.exits.rules import SessionStatus
from parking.overview.stays import Evidence, Link, Sighting, StayRow, list_stays, read_evidence
from parking.places.queries import list_lots
from parking.plates import format_plate
from parking.vehicles import VehicleClass

router = APIRouter(prefix="/manage/stays", include_in_schema=False)

TONES: Final = {
    SessionStatus.INSIDE: ("plain", "clock"),
    SessionStatus.LEFT: ("good", "check"),
    SessionStatus.REVIEW: ("attention", "warning"),
    SessionStatus.VOIDED: ("bad", "stop"),
}


@dataclass(frozen=True, kw_only=True)
class StayLine:
    """One parking session of the list."""

    path: str
    credential: str  # the plate as it is written, else the ticket
    ticket: str
    vehicle: str
    lot_name: str
    entered: str
    left: str
    tone: str
    icon: str
    word: str
    price_vnd: int | None
    paid_vnd: int
    waived_vnd: int
    arrears_vnd: int


@dataclass(frozen=True, kw_only=True)
class StaysPage:
    """Everything templates/stays.html may use, already worded."""

    rows: tuple[StayLine, ...]
    form: dict[str, str]
    lots: tuple[tuple[str, str], ...]
    classes: tuple[tuple[str, str], ...]
    states: tuple[tuple[str, str], ...]
    is_cut: bool
    older: str
    csv_path: str
    xlsx_path: str
    whole_csv_path: str  # "" for who may not have whole plates
    whole_xlsx_path: str


@dataclass(frozen=True, kw_only=True)
class SightingLine:
    """One sighting of a stay."""

    when: str
    who: str
    direction: str
    method: str
    plate: str
    read: str  # what a reader saw, with its score
    photo: str  # a link of five minutes


@dataclass(frozen=True, kw_only=True)
class MoneyLine:
    """A bill or a collection of a stay."""

    when: str
    what: str
    note: str
    amount_vnd: int
    is_reversed: bool


@dataclass(frozen=True, kw_only=True)
class LinkLine:
    """What another stay is to this one."""

    when: str
    word: str
    note: str
    path: str


@dataclass(frozen=True, kw_only=True)
class StayPage:
    """Everything templates/stay.html may use, already worded."""

    title: str
    line: StayLine
    facts: tuple[tuple[str, str], ...]
    photos: tuple[tuple[str, str], ...]  # (what it shows, link)
    differs: bool
    sightings: tuple[SightingLine, ...]
    money: tuple[MoneyLine, ...]
    links: tuple[LinkLine, ...]
    links_path: str  # where it is joined or parted, "" for who may not
    review_path: str  # where it is decided about, "" where there is nothing to decide
    changes: tuple[Change, ...]


@router.get("", dependencies=[requires(Permission.PARKING_READ)])
async def show_stays(manager: TheManager, asked: TheStays, before: Before = None) -> Response:
    """List the sessions that the filter asks for, newest first."""
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        found = await list_stays(
            tx,
            manager.org_id,
            asked.wanted,
            before_id=read_cursor(before),
            limit=PAGE_ROWS + 1,
        )
        lots = await list_lots(tx, manager.org_id, with_closed=True)
    cursor = next_cursor(found, PAGE_ROWS)
    lang = manager.lang
    may_have_whole = manager.may(Permission.PARKING_MANAGE)
    states = [*(one.value for one in SessionStatus), "owing"]
    every = ("", translate(lang, "stays.all"))
    page = StaysPage(
        rows=tuple(present_stay(manager, one) for one in found[:PAGE_ROWS]),
        form=asked.form,
        lots=(every, *((str(one.id), one.name) for one in lots)),
        classes=(every, *list_classes(lang)),
        states=(every, *((one, translate(lang, f"stays.state.{one}")) for one in states)),
        is_cut=asked.is_cut,
        older=path_of(manager, "/stays", asked, before=cursor) if cursor else "",
        csv_path=path_of(manager, "/stays/export.csv", asked),
        xlsx_path=path_of(manager, "/stays/export.xlsx", asked),
        whole_csv_path=path_of(manager, "/stays/export.csv", asked, plates="whole")
        if may_have_whole
        else "",
        whole_xlsx_path=path_of(manager, "/stays/export.xlsx", asked, plates="whole")
        if may_have_whole
        else "",
    )
    return manager.render("stays.html", page, here="stays")


@router.get("/{session_id:uuid}", dependencies=[requires(Permission.PARKING_READ)])
async def show_stay(manager: TheManager, session_id: UUID) -> Response:
    """Show one session with its photos, sightings, money and history."""
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        evidence = await read_evidence(tx, manager.org_id, session_id)
        changes = await list_changes_of(tx, manager, "parking_session", session_id)
    stay = evidence.stay
    may_override = manager.may(Permission.PARKING_OVERRIDE)
    line = present_stay(manager, stay)
    page = StayPage(
        title=line.credential or line.ticket,
        line=line,
        facts=_list_facts(manager, evidence),
        photos=_list_photos(manager, evidence),
        differs=any(
            one.direction == "out" and one.plate and stay.plate and one.plate != stay.plate
            for one in evidence.sightings
        ),
        sightings=tuple(_present_sighting(manager, evidence, one) for one in evidence.sightings),
        money=_list_money(manager, evidence),
        links=tuple(_present_link(manager, stay.id, one) for one in evidence.links),
        links_path=manager.path(f"/stays/{stay.id}/links")
        if may_override and stay.status != SessionStatus.VOIDED
        else "",
        review_path=manager.path("/reviews", lot=stay.lot_id)
        if may_override and stay.status == SessionStatus.REVIEW
        else "",
        changes=changes,
    )
    return manager.render("stay.html", page, here="stays")


def present_stay(manager: ManagerContext, stay: StayRow) -> StayLine:
    """Word a session for a list."""
    tone, icon = TONES[SessionStatus(stay.status)]
    word = translate(manager.lang, f"stays.state.{stay.status}")
    if stay.exit_reason and stay.status == SessionStatus.LEFT:
        word = _word(manager, "reason", stay.exit_reason)
        if stay.arrears_vnd:
            tone, icon = "attention", "less"
    return StayLine(
        path=manager.path(f"/stays/{stay.id}"),
        credential=write_plate(stay.plate, stay.vehicle_class) or stay.ticket or "",
        ticket=stay.ticket or "",
        vehicle=say_class(manager.lang, stay.vehicle_class),
        lot_name=stay.lot_name,
        entered=manager.present_instant(stay.entered_at),
        left=manager.present_instant(stay.left_at),
        tone=tone,
        icon=icon,
        word=word,
        price_vnd=stay.price_vnd,
        paid_vnd=stay.paid_vnd,
        waived_vnd=stay.waived_vnd,
        arrears_vnd=stay.arrears_vnd,
    )


def write_plate(compact: str | None, vehicle_class: str) -> str:
    """Write a plate as it stands on the vehicle, "" where there is none."""
    return format_plate(compact, VehicleClass(vehicle_class)) if compact else ""


def _list_facts(manager: ManagerContext, evidence: Evidence) -> tuple[tuple[str, str], ...]:
    stay = evidence.stay
    facts = [
        ("lot", stay.lot_name),
        ("vehicle", say_class(manager.lang, stay.vehicle_class)),
        ("ticket", stay.ticket or ""),
        ("entered", _at(manager, stay.entered_at, stay.way_in, stay.entered_by)),
        ("left", _at(manager, stay.left_at, stay.way_out, stay.let_out_by)),
        ("leave_by", manager.present_instant(stay.paid_until) if stay.left_at is None else ""),
    ]
    if stay.entry_time_is != "hub":
        facts.append(("clock", _word(manager, "clock_of", stay.entry_time_is)))
    said = ((translate(manager.lang, f"stays.fact.{name}"), value) for name, value in facts)
    return tuple((name, value) for name, value in said if value)


def _at(manager: ManagerContext, when: datetime | None, lane: str | None, who: str | None) -> str:
    return " · ".join(part for part in (manager.present_instant(when), lane, who) if part)


def _list_photos(manager: ManagerContext, evidence: Evidence) -> tuple[tuple[str, str], ...]:
    shown = {evidence.stay.entry_photo: "photo_in", evidence.stay.exit_photo: "photo_out"}
    return tuple(
        (translate(manager.lang, f"stays.{name}"), link_photo(manager, photo))
        for photo, name in shown.items()
        if photo
    )


def link_photo(manager: ManagerContext, photo: bytes) -> str:
    """Return a photo's link, which lasts five minutes."""
    caller, photos = manager.caller, manager.services.photos
    return photos.link(caller.org_code, manager.org_id, photo, now=manager.now)


def _present_sighting(manager: ManagerContext, evidence: Evidence, one: Sighting) -> SightingLine:
    score = "" if one.read_score_bps is None else f" ({one.read_score_bps // 100}%)"
    return SightingLine(
        when=manager.present_instant(one.seen_at),
        who=one.seen_by or "",
        direction=_word(manager, "direction", one.direction),
        method=_word(manager, "method", one.method),
        plate=write_plate(one.plate, evidence.stay.vehicle_class),
        read=f"{one.read_text}{score}" if one.read_text else "",
        photo=link_photo(manager, one.photo) if one.photo else "",
    )


def _list_money(manager: ManagerContext, evidence: Evidence) -> tuple[MoneyLine, ...]:
    bills = [
        (
            one.created_at,
            MoneyLine(
                when=manager.present_instant(one.created_at),
                what=translate(manager.lang, "stays.bill", reference=one.reference),
                note=translate(manager.lang, f"parts.state.{one.status}"),
                amount_vnd=one.amount_vnd,
                is_reversed=one.status == "cancelled",
            ),
        )
        for one in evidence.bills
    ]
    collected = [
        (
            one.collected_at,
            MoneyLine(
                when=manager.present_instant(one.collected_at),
                what=_word(manager, "rail", one.rail),
                note=" · ".join(
                    part for part in (one.receipt_number, one.collected_by, one.reason) if part
                ),
                amount_vnd=one.amount_vnd,
                is_reversed=one.reversed_at is not None,
            ),
        )
        for one in evidence.collections
    ]
    return tuple(line for _, line in sorted([*bills, *collected], key=lambda pair: pair[0]))


def say_reason(manager: ManagerContext, reason: str) -> str:
    """Say why vehicles left."""
    return _word(manager, "reason", reason)


def _present_link(manager: ManagerContext, stay_id: UUID, one: Link) -> LinkLine:
    is_kept = one.kept_id == stay_id
    name = {
        ("joined", True): "joined_here",
        ("joined", False): "joined_into",
        ("parted", True): "parted_here",
        ("parted", False): "parted_from",
    }.get((one.kind, is_kept), "settled")
    amount = format_vnd(one.moved_vnd if is_kept else -one.moved_vnd)
    moved = translate(manager.lang, "reviews.moved", amount=amount) if one.moved_vnd else ""
    return LinkLine(
        when=manager.present_instant(one.linked_at),
        word=translate(manager.lang, f"reviews.{name}"),
        note=" · ".join(part for part in (one.reason, moved) if part),
        path=manager.path(f"/stays/{one.other_id if is_kept else one.kept_id}"),
    )


def _word(manager: ManagerContext, group: str, name: str) -> str:
    key = f"stays.{group}.{name}"
    return translate(manager.lang, key) if key in words_in("vi").texts else name
