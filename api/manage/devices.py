"""Phones of a lot: enrolling one by a code, revoking one, and the PINs of who works with them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Final
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import APIRouter, Form
from markupsafe import Markup
from starlette.responses import Response

from api.http.codes import render_inline
from api.http.deps import TheCodeHasher, TheDeviceTokens, TheHooks, ThePasswords, requires
from api.manage.forms import FormId, take_form
from api.manage.page_context import Errors, ManagerContext, TheManager, read_line
from api.manage.staff_form import name_lot
from core.errors import Forbidden
from core.ids import new_id
from core.tenancy import open_org_transaction
from identity.devices import service
from identity.devices.errors import PinRefused
from identity.devices.rules import (
    CODE_VALID_FOR,
    PIN_DIGITS,
    PIN_FAILURES_A_LOCK,
    PIN_FAILURES_MAX,
    format_code,
)
from identity.devices.views import (
    DeviceView,
    GatePerson,
    list_device_views,
    list_gate_people,
)
from identity.people.errors import RoleNotGrantable, ScopeNotFound
from identity.people.rules import Permission, Scope, ScopeKind
from parking.places.queries import list_lots

router = APIRouter(prefix="/manage/devices", include_in_schema=False)

# A phone's clock that is off by less needs no word.
CLOCK_RIGHT_WITHIN: Final = timedelta(minutes=1)
DAY_MINUTES: Final = 24 * 60


@dataclass(frozen=True, kw_only=True)
class DeviceRow:
    """One phone."""

    id: UUID
    name: str
    enrolled: str
    seen: str
    person: str
    clock: str
    is_clock_right: bool
    is_revoked: bool
    revoked: str
    revoke_path: str


@dataclass(frozen=True, kw_only=True)
class PinRow:
    """One person who may work with the phones of the lot."""

    name: str
    has_pin: bool
    locked: str  # until when, or that a manager is needed; "" while it is not locked
    is_self: bool
    pin_path: str
    error: str


@dataclass(frozen=True, kw_only=True)
class ShownCode:
    """A code that was made a moment ago, and is on this page alone."""

    code: str
    name: str
    lot: str
    minutes: int
    link: str  # what its QR opens
    picture: Markup


@dataclass(frozen=True, kw_only=True)
class DevicesPage:
    """Everything templates/manage_devices.html may use, already worded."""

    lots: tuple[tuple[str, str], ...]
    lot: str  # the one that is shown, "" where there is none
    devices: tuple[DeviceRow, ...]
    people: tuple[PinRow, ...]
    shown: ShownCode | None
    name: str
    errors: Errors
    pin_digits: int


@router.get("", dependencies=[requires(Permission.DEVICES_MANAGE)])
async def show_devices(manager: TheManager, lot: UUID | None = None) -> Response:
    """Show the phones and people of one lot; the first where none is named."""
    return await _render(manager, lot)


@router.post("/codes", dependencies=[requires(Permission.DEVICES_MANAGE)])
async def add_code(
    manager: TheManager,
    hooks: TheHooks,
    hasher: TheCodeHasher,
    lot: Annotated[UUID, Form()],
    name: Annotated[str, Form(max_length=500)] = "",
    form_id: FormId = None,
) -> Response:
    """Show a code that enrols one phone, as text and as a QR; it is on this page alone."""
    line = read_line(name)
    if not line:
        return await _render(manager, lot, errors={"name": manager.say("error.needed")})
    made_id = new_id()
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            route = "/manage/devices/codes"
            if await take_form(tx, manager, route, form_id, line, lot, makes=made_id):
                return manager.go("/devices", lot=lot, done="device_code_made_before")
            made = await service.add_code(
                tx,
                manager.caller,
                id_=made_id,
                name=line,
                scope=Scope(ScopeKind.LOT, lot),
                hasher=hasher,
                hooks=hooks,
                now=manager.now,
            )
    except ScopeNotFound:
        return await _render(manager, None, name=line, errors={"": manager.say("device.no_lot")})
    return await _render(manager, lot, code=made.code, name=line)


@router.post("/{device_id}/revoke", dependencies=[requires(Permission.DEVICES_MANAGE)])
async def revoke(
    manager: TheManager,
    tokens: TheDeviceTokens,
    device_id: UUID,
    reason: Annotated[str, Form(max_length=2_000)] = "",
) -> Response:
    """End a phone; its token dies within five seconds in every process."""
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        device = await service.revoke_device(
            tx, manager.caller, device_id, reason=read_line(reason, 500) or None, now=manager.now
        )
    tokens.revocations.add_device(device.org_id, device.id)
    return manager.go("/devices", lot=device.scope_id, done="device_revoked")


@router.post("/pins/{staff_id}", dependencies=[requires(Permission.DEVICES_MANAGE)])
async def set_pin(
    manager: TheManager,
    passwords: ThePasswords,
    staff_id: UUID,
    lot: Annotated[UUID, Form()],
    pin: Annotated[str, Form(max_length=100)] = "",
) -> Response:
    """Give somebody a PIN, the first or another; it opens a lock."""
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            await service.set_pin(
                tx, manager.caller, staff_id, pin.strip(), passwords=passwords, now=manager.now
            )
    except PinRefused as refused:
        word = manager.word("pin_error", refused.violations[0].code)
        return await _render(manager, lot, errors={str(staff_id): word})
    except (RoleNotGrantable, Forbidden):
        word = manager.say("device.pin_not_yours")
        return await _render(manager, lot, errors={str(staff_id): word})
    return manager.go("/devices", lot=lot, done="pin_set")


async def _render(
    manager: ManagerContext,
    lot_id: UUID | None,
    *,
    code: str | None = None,
    name: str = "",
    errors: Errors | None = None,
) -> Response:
    devices: Sequence[DeviceView] = ()
    people: Sequence[GatePerson] = ()
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        lots = await list_lots(tx, manager.org_id)
        chosen = next((one for one in lots if one.id == lot_id), lots[0] if lots else None)
        if chosen is not None:
            place = Scope(ScopeKind.LOT, chosen.id)
            devices = await list_device_views(tx, manager.org_id, scope=place)
            people = await list_gate_people(tx, manager.org_id, place, now=manager.now)
    shown = None
    if code is not None and chosen is not None:
        shown = await _show_code(manager, code, name, name_lot(manager, chosen))
    found = errors or {}
    page = DevicesPage(
        lots=tuple((str(one.id), name_lot(manager, one)) for one in lots),
        lot=str(chosen.id) if chosen else "",
        devices=tuple(_present_device(manager, one) for one in devices),
        people=tuple(_present_person(manager, one, found) for one in people),
        shown=shown,
        name="" if shown else name,
        errors=found,
        pin_digits=PIN_DIGITS,
    )
    return manager.render(
        "manage_devices.html", page, here="devices", status=422 if errors else 200
    )


async def _show_code(manager: ManagerContext, code: str, name: str, lot: str) -> ShownCode:
    # Behind the "#" it stays in the phone: no server's log, and no proxy's, sees it.
    public = urlsplit(manager.services.settings.public_url)
    link = f"{public.scheme}://{public.netloc}/gate/enrol#{format_code(code)}"
    return ShownCode(
        code=format_code(code),
        name=name,
        lot=lot,
        minutes=CODE_VALID_FOR // timedelta(minutes=1),
        link=link,
        picture=await render_inline(link),
    )


def _present_device(manager: ManagerContext, device: DeviceView) -> DeviceRow:
    clock, is_right = _present_clock(manager, device.offset)
    return DeviceRow(
        id=device.id,
        name=device.name,
        enrolled=manager.present_instant(device.enrolled_at),
        seen=manager.say("device.never_seen")
        if device.last_seen_at is None
        else manager.present_age(device.last_seen_at),
        person=device.person_name or manager.say("device.nobody"),
        clock=clock,
        is_clock_right=is_right,
        is_revoked=device.revoked_at is not None,
        revoked=manager.present_instant(device.revoked_at),
        revoke_path=manager.path(f"/devices/{device.id}/revoke"),
    )


def _present_clock(manager: ManagerContext, offset: timedelta | None) -> tuple[str, bool]:
    """Say how far a phone's clock is off, and whether that is nothing to mind."""
    if offset is None:
        return "", True
    if abs(offset) < CLOCK_RIGHT_WITHIN:
        return manager.say("device.clock_right"), True
    minutes = abs(offset) // timedelta(minutes=1)
    unit, count = (
        ("days", minutes // DAY_MINUTES)
        if minutes >= 2 * DAY_MINUTES
        else ("hours", minutes // 60)
        if minutes >= 120
        else ("minutes", minutes)
    )
    span = manager.say(f"device.span.{unit}", count=count)
    side = "behind" if offset > timedelta(0) else "ahead"
    return manager.say(f"device.clock_{side}", span=span), False


def _present_person(manager: ManagerContext, person: GatePerson, errors: Errors) -> PinRow:
    return PinRow(
        name=person.name,
        has_pin=person.has_pin,
        locked=_present_lock(manager, person),
        is_self=person.staff_id == manager.caller.id,
        pin_path=manager.path(f"/devices/pins/{person.staff_id}"),
        error=errors.get(str(person.staff_id), ""),
    )


def _present_lock(manager: ManagerContext, person: GatePerson) -> str:
    if not person.is_pin_locked:
        return ""
    if person.pin_locked_until is None:
        return manager.say("device.pin_locked_for_good", tries=PIN_FAILURES_MAX)
    until = manager.present_instant(person.pin_locked_until)
    return manager.say("device.pin_locked_until", tries=PIN_FAILURES_A_LOCK, until=until)
