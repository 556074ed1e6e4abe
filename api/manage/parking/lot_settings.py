"""One lot's settings: its facts, capacities, lanes and areas, and closing it."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from api.http.deps import requires
from api.http.i18n import translate
from api.manage.forms import FormId, take_form
from api.manage.page_context import Errors, ManagerContext, TheManager, read_line
from api.manage.parking.lot_form import keep_form, place_error, read_lot, show_lot
from api.manage.parking.lots import LotChoices, list_choices
from api.manage.parking.vehicle_words import say_class
from core.errors import HubError
from core.ids import new_id
from core.tenancy import open_org_transaction
from identity.people.rules import Permission
from parking.places import queries, service
from parking.places.rules import Direction
from parking.vehicles import VehicleClass

router = APIRouter(prefix="/manage/lots", include_in_schema=False)


@dataclass(frozen=True, kw_only=True)
class CapacityRow:
    """How many vehicles of a class a lot takes."""

    vehicle_class: str
    name: str
    capacity: str
    licensed: str
    inside: int
    error: str


@dataclass(frozen=True, kw_only=True)
class PartRow:
    """A lane or an area."""

    name: str
    note: str
    close_path: str


@dataclass(frozen=True, kw_only=True)
class LotSettingsPage:
    """Everything templates/lot_settings.html may use, already worded."""

    id: UUID
    name: str
    is_closed: bool
    choices: LotChoices
    capacities: tuple[CapacityRow, ...]
    lanes: tuple[PartRow, ...]
    areas: tuple[PartRow, ...]
    directions: tuple[tuple[str, str], ...]
    form: dict[str, str]
    errors: Errors


@router.get("/{lot_id}/edit", dependencies=[requires(Permission.PARKING_MANAGE)])
async def show_settings(manager: TheManager, lot_id: UUID) -> Response:
    """Show a lot's facts, capacities and parts, to be changed."""
    return await _render(manager, lot_id)


@router.post("/{lot_id}/edit", dependencies=[requires(Permission.PARKING_MANAGE)])
async def change(request: Request, manager: TheManager, lot_id: UUID) -> Response:
    """Change a lot's facts."""
    sent = await request.form()
    facts, errors = read_lot(manager, sent)
    if errors:
        return await _render(manager, lot_id, form=keep_form(sent), errors=errors)
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            await service.change_lot(
                tx, manager.org_id, lot_id, facts, actor=manager.caller.actor, now=manager.now
            )
    except HubError as error:
        placed = place_error(manager, error)
        return await _render(manager, lot_id, form=keep_form(sent), errors=placed)
    return manager.go(f"/lots/{lot_id}/edit", done="lot_changed")


@router.post("/{lot_id}/capacities", dependencies=[requires(Permission.PARKING_MANAGE)])
async def set_capacity(
    manager: TheManager,
    lot_id: UUID,
    vehicle_class: Annotated[VehicleClass, Form()],
    capacity: Annotated[str, Form(max_length=12)] = "",
    licensed: Annotated[str, Form(max_length=12)] = "",
) -> Response:
    """Say how many vehicles of a class the lot takes, and how many its licence allows."""
    key = f"capacity-{vehicle_class.value}"
    numbers = [one.replace(".", "").strip() or "0" for one in (capacity, licensed)]
    if not all(one.isdecimal() and one.isascii() for one in numbers):
        return await _render(manager, lot_id, errors={key: manager.say("error.bad_number")})
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            await service.set_capacity(
                tx,
                manager.org_id,
                lot_id,
                vehicle_class,
                capacity=int(numbers[0]),
                licensed_capacity=int(numbers[1]),
                actor=manager.caller.actor,
                now=manager.now,
            )
    except HubError as error:
        what = next(iter(place_error(manager, error).values()))
        return await _render(manager, lot_id, errors={key: what})
    return manager.go(f"/lots/{lot_id}/edit", done="lot_changed")


@router.post("/{lot_id}/lanes", dependencies=[requires(Permission.PARKING_MANAGE)])
async def add_lane(
    manager: TheManager,
    lot_id: UUID,
    lane_name: Annotated[str, Form(max_length=500)] = "",
    direction: Annotated[Direction, Form()] = Direction.BOTH,
    has_controller: Annotated[str, Form(max_length=3)] = "",
    form_id: FormId = None,
) -> Response:
    """Add a lane."""
    name = read_line(lane_name)
    if not name:
        return await _render(manager, lot_id, errors={"lane_name": manager.say("error.needed")})
    lane_id = new_id()
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            route = f"/manage/lots/{lot_id}/lanes"
            facts = (name, direction, has_controller)
            if await take_form(tx, manager, route, form_id, *facts, makes=lane_id) is None:
                await service.add_access(
                    tx,
                    manager.org_id,
                    lot_id,
                    id_=lane_id,
                    name=name,
                    direction=direction,
                    has_controller=bool(has_controller),
                    actor=manager.caller.actor,
                    now=manager.now,
                )
    except HubError as error:
        return await _render(manager, lot_id, errors={"lane_name": manager.present_error(error)})
    return manager.go(f"/lots/{lot_id}/edit", done="lot_changed")


@router.post("/{lot_id}/lanes/{lane_id}/close", dependencies=[requires(Permission.PARKING_MANAGE)])
async def close_lane(manager: TheManager, lot_id: UUID, lane_id: UUID) -> Response:
    """Close a lane: it is no longer offered."""
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        await service.close_access(
            tx, manager.org_id, lot_id, lane_id, actor=manager.caller.actor, now=manager.now
        )
    return manager.go(f"/lots/{lot_id}/edit", done="lot_changed")


@router.post("/{lot_id}/areas", dependencies=[requires(Permission.PARKING_MANAGE)])
async def add_area(
    manager: TheManager,
    lot_id: UUID,
    area_name: Annotated[str, Form(max_length=500)] = "",
    form_id: FormId = None,
) -> Response:
    """Add an area, such as a floor."""
    name = read_line(area_name)
    if not name:
        return await _render(manager, lot_id, errors={"area_name": manager.say("error.needed")})
    area_id = new_id()
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            route = f"/manage/lots/{lot_id}/areas"
            if await take_form(tx, manager, route, form_id, name, makes=area_id) is None:
                await service.add_area(
                    tx,
                    manager.org_id,
                    lot_id,
                    id_=area_id,
                    name=name,
                    actor=manager.caller.actor,
                    now=manager.now,
                )
    except HubError as error:
        return await _render(manager, lot_id, errors={"area_name": manager.present_error(error)})
    return manager.go(f"/lots/{lot_id}/edit", done="lot_changed")


@router.post("/{lot_id}/close", dependencies=[requires(Permission.PARKING_MANAGE)])
async def close(
    manager: TheManager, lot_id: UUID, reason: Annotated[str, Form(max_length=500)] = ""
) -> Response:
    """Close the lot for good: no more vehicles come in, those inside can leave."""
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        await service.close_lot(
            tx,
            manager.org_id,
            lot_id,
            actor=manager.caller.actor,
            reason=read_line(reason, 500) or None,
            now=manager.now,
        )
    return manager.go(f"/lots/{lot_id}", done="lot_closed")


async def _render(
    manager: ManagerContext,
    lot_id: UUID,
    *,
    form: dict[str, str] | None = None,
    errors: Errors | None = None,
) -> Response:
    errors = errors or {}
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        lot = await queries.get_lot(tx, manager.org_id, lot_id)
        known = (await queries.list_occupancy(tx, manager.org_id, [lot_id]))[lot_id]
        lanes = await queries.list_accesses(tx, manager.org_id, lot_id)
        areas = await queries.list_areas(tx, manager.org_id, lot_id)
        choices = await list_choices(tx, manager)
    by_class = {one.vehicle_class: one for one in known}
    rows = []
    for vehicle_class in VehicleClass:
        one = by_class.get(vehicle_class)
        rows.append(
            CapacityRow(
                vehicle_class=vehicle_class.value,
                name=say_class(manager.lang, vehicle_class.value),
                capacity=str(one.capacity) if one else "0",
                licensed=str(one.licensed_capacity) if one else "0",
                inside=one.inside_count if one else 0,
                error=errors.get(f"capacity-{vehicle_class.value}", ""),
            )
        )
    lang = manager.lang
    page = LotSettingsPage(
        id=lot_id,
        name=lot.name,
        is_closed=lot.closed_at is not None,
        choices=choices,
        capacities=tuple(rows),
        lanes=tuple(
            PartRow(
                name=one.name,
                note=translate(lang, f"lots.direction.{one.direction}")
                + (f" · {translate(lang, 'lots.has_controller')}" if one.has_controller else ""),
                close_path=manager.path(f"/lots/{lot_id}/lanes/{one.id}/close"),
            )
            for one in lanes
        ),
        areas=tuple(PartRow(name=one.name, note="", close_path="") for one in areas),
        directions=tuple(
            (one.value, translate(lang, f"lots.direction.{one.value}")) for one in Direction
        ),
        form=form or show_lot(lot),
        errors=errors,
    )
    return manager.render("lot_settings.html", page, here="lots", status=422 if errors else 200)
