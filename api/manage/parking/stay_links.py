"""Joining a stay with another of the same vehicle, and parting a stay that was two vehicles."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Form
from starlette.responses import Response

from api.http.deps import requires
from api.http.i18n import translate
from api.manage.forms import FormId, take_form
from api.manage.page_context import Errors, Find, ManagerContext, TheManager, read_line
from api.manage.parking.stays import StayLine, link_photo, present_stay
from core.errors import HubError
from core.ids import new_id
from core.tenancy import open_org_transaction
from identity.people.rules import Permission
from parking.exits.joining import join_stays
from parking.exits.parting import part_stay
from parking.exits.rules import SessionStatus
from parking.overview.stays import (
    StayEntry,
    StayFilter,
    StayRow,
    list_near,
    list_stays,
    read_evidence,
)
from parking.sessions.rules import CredentialKind, read_ticket, read_vehicle_plate
from parking.vehicles import VehicleClass

router = APIRouter(prefix="/manage/stays", include_in_schema=False)

FOUND_WITHIN: Final = timedelta(days=7)
FOUND_MAX: Final = 12
Text = Annotated[str, Form(max_length=1_000)]


@dataclass(frozen=True, kw_only=True)
class OtherStay:
    """A stay that may be of the same vehicle."""

    id: UUID
    line: StayLine
    photo: str
    by: str


@dataclass(frozen=True, kw_only=True)
class StayLinksPage:
    """Everything templates/stay_links.html may use, already worded."""

    id: UUID
    line: StayLine
    photo: str
    stay_path: str
    find: str
    others: tuple[OtherStay, ...]
    form: dict[str, str]
    errors: Errors
    part_errors: Errors


@router.get("/{session_id:uuid}/links", dependencies=[requires(Permission.PARKING_OVERRIDE)])
async def show_links(manager: TheManager, session_id: UUID, find: Find = "") -> Response:
    """Show what could be joined with a stay: who came in around then, or what is looked for."""
    return await _render(manager, session_id, find=find)


@router.post("/{session_id:uuid}/join", dependencies=[requires(Permission.PARKING_OVERRIDE)])
async def join(
    manager: TheManager,
    session_id: UUID,
    other_id: Annotated[UUID, Form()],
    reason: Text = "",
    find: Annotated[str, Form(max_length=100)] = "",
) -> Response:
    """Let two stays of one vehicle be one. The same again changes nothing."""
    why = read_line(reason, 500)
    if not why:
        errors = {"": translate(manager.lang, "reviews.reason_needed")}
        return await _render(manager, session_id, find=find, errors=errors)
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            kept = await join_stays(
                tx,
                manager.org_id,
                session_id,
                other_id,
                reason=why,
                actor=manager.caller.actor,
                now=manager.now,
            )
    except HubError as error:
        errors = {"": manager.present_error(error)}
        return await _render(manager, session_id, find=find, errors=errors)
    return manager.go(f"/stays/{kept.id}", done="stays_joined")


@router.post("/{session_id:uuid}/part", dependencies=[requires(Permission.PARKING_OVERRIDE)])
async def part(
    manager: TheManager,
    session_id: UUID,
    plate: Text = "",
    ticket: Text = "",
    reason: Text = "",
    form_id: FormId = None,
) -> Response:
    """Let the second vehicle of a stay have one of its own."""
    form = {
        "plate": read_line(plate, 40),
        "ticket": read_line(ticket, 40),
        "reason": read_line(reason, 500),
    }
    if not form["reason"]:
        errors = {"reason": manager.say("error.needed")}
        return await _render(manager, session_id, form=form, part_errors=errors)
    request_id = new_id()
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            known = (await read_evidence(tx, manager.org_id, session_id)).stay
            facts = tuple(form.values())
            route = f"/manage/stays/{session_id}/part"
            first = await take_form(tx, manager, route, form_id, *facts, makes=request_id)
            second = await part_stay(
                tx,
                manager.org_id,
                session_id,
                first or request_id,
                plate=read_vehicle_plate(form["plate"], VehicleClass(known.vehicle_class))
                if form["plate"]
                else None,
                ticket=read_ticket(form["ticket"], CredentialKind.TICKET)
                if form["ticket"]
                else None,
                ticket_kind=CredentialKind.TICKET.value,
                reason=form["reason"],
                actor=manager.caller.actor,
                now=manager.now,
            )
    except HubError as error:
        errors = {"": manager.present_error(error)}
        return await _render(manager, session_id, form=form, part_errors=errors)
    return manager.go(f"/stays/{second.id}", done="stay_parted")


async def _render(
    manager: ManagerContext,
    session_id: UUID,
    *,
    find: str = "",
    form: dict[str, str] | None = None,
    errors: Errors | None = None,
    part_errors: Errors | None = None,
) -> Response:
    find = read_line(find, 40)
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        stay = (await read_evidence(tx, manager.org_id, session_id)).stay
        others: list[StayRow] | list[StayEntry]
        if find:
            wanted = StayFilter(
                since=stay.entered_at - FOUND_WITHIN,
                until=manager.now,
                lot_id=stay.lot_id,
                vehicle_class=stay.vehicle_class,
                find=find,
            )
            others = await list_stays(tx, manager.org_id, wanted, limit=FOUND_MAX)
        else:
            others = await list_near(tx, manager.org_id, stay)
    shown = [one for one in others if one.id != session_id and one.status != SessionStatus.VOIDED]
    page = StayLinksPage(
        id=session_id,
        line=present_stay(manager, stay),
        photo=link_photo(manager, stay.entry_photo) if stay.entry_photo else "",
        stay_path=manager.path(f"/stays/{session_id}"),
        find=find,
        others=tuple(_present(manager, one) for one in shown),
        form=form or {"plate": "", "ticket": "", "reason": ""},
        errors=errors or {},
        part_errors=part_errors or {},
    )
    status = 422 if errors or part_errors else 200
    return manager.render("stay_links.html", page, here="stays", status=status)


def _present(manager: ManagerContext, one: StayRow) -> OtherStay:
    photo = one.entry_photo if isinstance(one, StayEntry) else None
    return OtherStay(
        id=one.id,
        line=present_stay(manager, one),
        photo=link_photo(manager, photo) if photo else "",
        by=(one.entered_by or "") if isinstance(one, StayEntry) else "",
    )
