"""The watch list: propose a plate, approve as the second person, remove."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Form, Query
from starlette.responses import Response

from api.http.deps import requires
from api.http.paging import next_cursor, read_cursor
from api.manage.forms import FormId, take_form
from api.manage.page_context import (
    PAGE_ROWS,
    Before,
    Errors,
    ManagerContext,
    TheManager,
    read_line,
)
from api.manage.parking.pass_form import place_error, say, say_day, say_error, today_of
from api.manage.parking.vehicle_words import list_classes, say_class
from core.errors import HubError
from core.ids import new_id
from core.tenancy import open_org_transaction
from identity.people.rules import Permission
from parking.passes import queries_watched as queries
from parking.passes import watching
from parking.passes.rules import WATCHED_FOR_MAX, WatchState
from parking.passes.types import WatchView, WatchWanted
from parking.plates import mask_plate
from parking.vehicles import VehicleClass

router = APIRouter(prefix="/manage/watched-plates", include_in_schema=False)

PATH: Final = "/watched-plates"
LOOK: Final = {
    WatchState.PROPOSED: ("attention", "clock"),
    WatchState.COMING: ("plain", "clock"),
    WatchState.WATCHED: ("good", "check"),
    WatchState.OVER: ("plain", "stop"),
    WatchState.REMOVED: ("bad", "stop"),
}
Text = Annotated[str, Form(max_length=1_000)]


@dataclass(frozen=True, kw_only=True)
class WatchRow:
    """An entry of the watch list."""

    id: UUID
    plate: str
    vehicle: str
    reason: str
    source: str
    days: str
    proposed: str
    approved: str
    word: str
    tone: str
    icon: str
    can_approve: bool
    is_own: bool  # this reader proposed it: somebody else approves
    can_remove: bool


@dataclass(frozen=True, kw_only=True)
class WatchForm:
    """What the form holds, as it was typed."""

    vehicle_class: str = VehicleClass.MOTORBIKE.value
    plate: str = ""
    reason: str = ""
    source: str = ""
    from_on: str = ""
    expires_on: str = ""


@dataclass(frozen=True, kw_only=True)
class WatchPage:
    """Everything templates/watched_plates.html may use, already worded."""

    rows: tuple[WatchRow, ...]
    states: tuple[tuple[str, str], ...]
    state: str
    classes: tuple[tuple[str, str], ...]
    form: WatchForm
    can_manage: bool
    older: str
    errors: Errors


@router.get("", dependencies=[requires(Permission.PARKING_READ)])
async def show_watched(
    manager: TheManager,
    state: Annotated[str, Query(max_length=20)] = "",
    before: Before = None,
) -> Response:
    """List the watch list, newest first; plates are whole for who proposes or approves."""
    return await _render(manager, state=state, before=before)


@router.post("", dependencies=[requires(Permission.PARKING_MANAGE)])
async def propose(
    manager: TheManager,
    vehicle_class: Text = "",
    plate: Text = "",
    reason: Text = "",
    source: Text = "",
    from_on: Text = "",
    expires_on: Text = "",
    form_id: FormId = None,
) -> Response:
    """Propose to watch a plate."""
    form = WatchForm(
        vehicle_class=vehicle_class,
        plate=read_line(plate),
        reason=read_line(reason, 500),
        source=read_line(source, 500),
        from_on=from_on,
        expires_on=expires_on,
    )
    wanted = _read_wanted(manager, form)
    if isinstance(wanted, dict):
        return await _render(manager, form=form, errors=wanted)
    watched_id = new_id()
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            route = "/manage/watched-plates"
            if await take_form(tx, manager, route, form_id, form, makes=watched_id) is None:
                await watching.propose_watch(
                    tx,
                    manager.org_id,
                    wanted,
                    id_=watched_id,
                    actor=manager.caller.actor,
                    now=manager.now,
                )
    except HubError as error:
        found = place_error(manager, error)
        return await _render(
            manager, form=form, errors={n.replace("plates", "plate"): w for n, w in found.items()}
        )
    return manager.go(PATH, done="watch_proposed")


@router.post("/{watched_id}/approve", dependencies=[requires(Permission.WATCH_LISTS_APPROVE)])
async def approve(manager: TheManager, watched_id: UUID) -> Response:
    """Agree as the second person."""
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            await watching.approve_watch(
                tx, manager.org_id, watched_id, actor=manager.caller.actor, now=manager.now
            )
    except HubError as error:
        return await _render(manager, errors={"": say_error(manager, error)})
    return manager.go(PATH, done="watch_approved")


@router.post("/{watched_id}/remove", dependencies=[requires(Permission.PARKING_MANAGE)])
async def remove(manager: TheManager, watched_id: UUID, reason: Text = "") -> Response:
    """Watch a plate no longer."""
    why = read_line(reason, 500)
    if not why:
        return await _render(manager, errors={"": say(manager, "wrong.reason")})
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        await watching.remove_watch(
            tx, manager.org_id, watched_id, actor=manager.caller.actor, reason=why, now=manager.now
        )
    return manager.go(PATH, done="watch_removed")


async def _render(
    manager: ManagerContext,
    *,
    state: str = "",
    before: str | None = None,
    form: WatchForm | None = None,
    errors: Errors | None = None,
) -> Response:
    state = state if state in {one.value for one in WatchState} else ""
    today = today_of(manager)
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        found = await queries.list_watched(
            tx,
            manager.org_id,
            today=today,
            state=WatchState(state) if state else None,
            before_id=read_cursor(before),
            limit=PAGE_ROWS + 1,
        )
    cursor = next_cursor(found, PAGE_ROWS)
    page = WatchPage(
        rows=tuple(_present(manager, one) for one in found[:PAGE_ROWS]),
        states=(
            ("", say(manager, "all")),
            *((one.value, say(manager, f"watch_state.{one.value}")) for one in WatchState),
        ),
        state=state,
        classes=list_classes(manager.lang),
        form=form
        or WatchForm(
            from_on=today.isoformat(), expires_on=(today + timedelta(days=30)).isoformat()
        ),
        can_manage=manager.may(Permission.PARKING_MANAGE),
        older=manager.path(PATH, state=state, before=cursor) if cursor else "",
        errors=errors or {},
    )
    status = 422 if errors else 200
    return manager.render("watched_plates.html", page, here="watched", status=status)


def _present(manager: ManagerContext, found: WatchView) -> WatchRow:
    state = found.state(today_of(manager))
    tone, icon = LOOK[state]
    manages, approves = (
        manager.may(Permission.PARKING_MANAGE),
        manager.may(Permission.WATCH_LISTS_APPROVE),
    )
    is_own = found.proposed_by == manager.caller.id
    return WatchRow(
        id=found.id,
        plate=found.plate if manages or approves else mask_plate(found.plate),
        vehicle=say_class(manager.lang, found.vehicle_class),
        reason=found.reason,
        source=found.source,
        days=f"{say_day(found.from_on)}–{say_day(found.expires_on)}",
        proposed=found.proposed_by_name or say(manager, "somebody"),
        approved=""
        if found.approved_by is None
        else found.approved_by_name or say(manager, "somebody"),
        word=say(manager, f"watch_state.{state.value}"),
        tone=tone,
        icon=icon,
        can_approve=approves and not is_own and state is WatchState.PROPOSED,
        is_own=is_own and state is WatchState.PROPOSED,
        can_remove=manages and state not in (WatchState.OVER, WatchState.REMOVED),
    )


def _read_wanted(manager: ManagerContext, form: WatchForm) -> WatchWanted | dict[str, str]:
    """Return what a form proposes, or its mistakes by field."""
    from_on, expires_on = _read_day(form.from_on), _read_day(form.expires_on)
    wrong = [
        name
        for name, is_wrong in (
            ("vehicle_class", form.vehicle_class not in {one.value for one in VehicleClass}),
            ("plate", not form.plate),
            ("reason", not form.reason),
            ("source", not form.source),
            ("from_on", from_on is None),
            ("expires_on", expires_on is None),
        )
        if is_wrong
    ]
    if wrong or from_on is None or expires_on is None:
        days = WATCHED_FOR_MAX.days
        return {name: say(manager, f"wrong.{name}", days=days) for name in wrong}
    return WatchWanted(
        vehicle_class=VehicleClass(form.vehicle_class),
        plate=form.plate,
        reason=form.reason,
        source=form.source,
        from_on=from_on,
        expires_on=expires_on,
    )


def _read_day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
