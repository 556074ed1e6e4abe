"""Tariffs: the list, one with its versions and lots, what a stay would cost, and taking back."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Form, Query
from markupsafe import Markup
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from api.http.deps import requires
from api.http.i18n import translate
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
from api.manage.parking.tariff_preview import chart_of
from api.manage.parking.vehicle_words import list_classes
from api.pages.tariff_lines import present_line
from core.clock import HANOI, hanoi_day
from core.errors import HubError
from core.ids import new_id
from core.tenancy import open_org_transaction
from identity.people.rules import Permission
from parking.places.queries import list_lots
from parking.tariffs import publishing, views
from parking.tariffs.charges import Stay
from parking.tariffs.pricing import price_stay
from parking.tariffs.reading import build_tariff, read_sample, sample_names
from parking.tariffs.service import create_tariff
from parking.tariffs.structure import Tariff
from parking.tariffs.views import AssignmentView, Standing, TariffView, VersionView
from parking.vehicles import VehicleClass

router = APIRouter(prefix="/manage/tariffs", include_in_schema=False)

TONES: Final = {
    Standing.AHEAD: ("attention", "clock"),
    Standing.IN_FORCE: ("good", "check"),
    Standing.PAST: ("plain", "list"),
    Standing.WITHDRAWN: ("bad", "stop"),
}
CHART_MINUTES_MIN: Final = 720
CHART_MINUTES_MAX: Final = 3 * 1_440


@dataclass(frozen=True, kw_only=True)
class TariffRow:
    """One tariff of the list."""

    id: UUID
    name: str
    holds: str  # "Bản 2, từ 01/12/2026"; "" while nothing holds
    ahead: str  # what comes next
    lots: str
    path: str


@dataclass(frozen=True, kw_only=True)
class TariffsPage:
    """Everything templates/tariffs.html may use, already worded."""

    tariffs: tuple[TariffRow, ...]
    samples: tuple[tuple[str, str], ...]
    can_manage: bool
    older: str
    form: dict[str, str]
    errors: Errors


@dataclass(frozen=True, kw_only=True)
class VersionRow:
    """One version."""

    id: UUID
    version: int
    from_day: str
    legal_basis: str
    made: str  # "Quan Ly, 14:05 · 21/11/2026"
    tone: str
    icon: str
    word: str
    edit_path: str
    withdraw_path: str  # "" where it has begun


@dataclass(frozen=True, kw_only=True)
class LotRow:
    """A lot that took, takes or will take the tariff."""

    name: str
    path: str
    from_at: str
    tone: str
    icon: str
    word: str
    lot_id: UUID
    withdraw_path: str


@dataclass(frozen=True, kw_only=True)
class WhatIf:
    """A stay that was tried."""

    amount_vnd: int | None
    lines: tuple[tuple[str, int], ...]
    chart: Markup | None
    problem: str


@dataclass(frozen=True, kw_only=True)
class TariffPage:
    """Everything templates/tariff.html may use, already worded."""

    id: UUID
    name: str
    versions: tuple[VersionRow, ...]
    lots: tuple[LotRow, ...]
    lot_choices: tuple[tuple[str, str], ...]
    can_manage: bool
    classes: tuple[tuple[str, str], ...]
    form: dict[str, str]  # the stay to be priced
    version_choices: tuple[tuple[str, str], ...]
    what_if: WhatIf | None
    first_day: str
    errors: Errors


@router.get("", dependencies=[requires(Permission.PARKING_READ)])
async def show_tariffs(manager: TheManager, before: Before = None) -> Response:
    """List the tariffs, newest first."""
    return await _render_list(manager, before=before)


@router.post("", dependencies=[requires(Permission.PARKING_MANAGE)])
async def add(
    manager: TheManager,
    name: Annotated[str, Form(max_length=500)] = "",
    start: Annotated[str, Form(max_length=80)] = "blank",
    form_id: FormId = None,
) -> Response:
    """Make a tariff and go to its editor, which begins with a sample or blank."""
    form = {"name": read_line(name), "start": start}
    if not form["name"]:
        return await _render_list(manager, form=form, errors={"name": manager.say("error.needed")})
    tariff_id = new_id()
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        first = await take_form(
            tx, manager, "/manage/tariffs", form_id, *form.values(), makes=tariff_id
        )
        if first is None:
            await create_tariff(
                tx,
                manager.org_id,
                tariff_id,
                name=form["name"],
                actor=manager.caller.actor,
                now=manager.now,
            )
    return manager.go(f"/tariffs/{first or tariff_id}/edit", start=start)


@router.get("/{tariff_id}", dependencies=[requires(Permission.PARKING_READ)])
async def show_tariff(
    manager: TheManager,
    tariff_id: UUID,
    vehicle: Annotated[str, Query(max_length=30)] = "",
    entered: Annotated[str, Query(max_length=20)] = "",
    left: Annotated[str, Query(max_length=20)] = "",
    version: Annotated[str, Query(max_length=40)] = "",
) -> Response:
    """Show a tariff, and what a stay would cost by one of its versions."""
    asked = {"vehicle": vehicle, "entered": entered, "left": left, "version": version}
    return await _render(manager, tariff_id, asked=asked)


@router.post(
    "/{tariff_id}/versions/{version_id}/withdraw",
    dependencies=[requires(Permission.PARKING_MANAGE)],
)
async def withdraw(
    manager: TheManager,
    tariff_id: UUID,
    version_id: UUID,
    reason: Annotated[str, Form(max_length=500)] = "",
) -> Response:
    """Take a version back before it comes into force."""
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            await publishing.withdraw_version(
                tx,
                manager.org_id,
                tariff_id,
                version_id,
                actor=manager.caller.actor,
                reason=read_line(reason, 500) or None,
                now=manager.now,
            )
    except HubError as error:
        return await _render(manager, tariff_id, errors={"": manager.present_error(error)})
    return manager.go(f"/tariffs/{tariff_id}", done="tariff_withdrawn")


@router.post("/{tariff_id}/lots", dependencies=[requires(Permission.PARKING_MANAGE)])
async def assign(
    manager: TheManager,
    tariff_id: UUID,
    lot_id: Annotated[UUID | None, Form()] = None,
    from_day: Annotated[str, Form(max_length=10)] = "",
    form_id: FormId = None,
) -> Response:
    """Let a lot take the tariff from a day on."""
    if lot_id is None:
        return await _render(manager, tariff_id, errors={"lot_id": manager.say("error.needed")})
    assignment_id = new_id()
    try:
        day = date.fromisoformat(from_day) if from_day else hanoi_day(manager.now)
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            first = await take_form(
                tx,
                manager,
                f"/manage/tariffs/{tariff_id}/lots",
                form_id,
                lot_id,
                day,
                makes=assignment_id,
            )
            if first is None:
                await publishing.let_lot_take(
                    tx,
                    manager.org_id,
                    assignment_id,
                    lot_id=lot_id,
                    tariff_id=tariff_id,
                    from_at=publishing.begin_on(day, now=manager.now),
                    actor=manager.caller.actor,
                    now=manager.now,
                )
    except ValueError:
        return await _render(manager, tariff_id, errors={"from_day": manager.say("error.bad_day")})
    except HubError as error:
        return await _render(manager, tariff_id, errors={"from_day": manager.present_error(error)})
    return manager.go(f"/tariffs/{tariff_id}", done="tariff_assigned")


@router.post(
    "/{tariff_id}/lots/{assignment_id}/withdraw",
    dependencies=[requires(Permission.PARKING_MANAGE)],
)
async def withdraw_from_lot(
    manager: TheManager,
    tariff_id: UUID,
    assignment_id: UUID,
    lot_id: Annotated[UUID, Form()],
) -> Response:
    """Take back, before it begins, that a lot takes the tariff."""
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            await publishing.withdraw_from_lot(
                tx,
                manager.org_id,
                lot_id,
                assignment_id,
                actor=manager.caller.actor,
                now=manager.now,
            )
    except HubError as error:
        return await _render(manager, tariff_id, errors={"": manager.present_error(error)})
    return manager.go(f"/tariffs/{tariff_id}", done="tariff_withdrawn")


async def _render_list(
    manager: ManagerContext,
    *,
    before: str | None = None,
    form: dict[str, str] | None = None,
    errors: Errors | None = None,
) -> Response:
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        found = await views.list_tariffs(
            tx,
            manager.org_id,
            before_id=read_cursor(before),
            limit=PAGE_ROWS + 1,
            now=manager.now,
        )
    cursor = next_cursor(found, PAGE_ROWS)
    blank = ("blank", translate(manager.lang, "tariffs.start_blank"))
    page = TariffsPage(
        tariffs=tuple(_present_row(manager, one) for one in found[:PAGE_ROWS]),
        samples=(blank, *((f"sample:{n}", _name(manager, read_sample(n))) for n in sample_names())),
        can_manage=manager.may(Permission.PARKING_MANAGE),
        older=manager.path("/tariffs", before=cursor) if cursor else "",
        form=form or {"name": "", "start": "blank"},
        errors=errors or {},
    )
    return manager.render("tariffs.html", page, here="tariffs", status=422 if errors else 200)


async def _render(
    manager: ManagerContext,
    tariff_id: UUID,
    *,
    asked: dict[str, str] | None = None,
    errors: Errors | None = None,
) -> Response:
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        tariff = await views.get_tariff(tx, manager.org_id, tariff_id, now=manager.now)
        taking = await views.list_assignments(
            tx, manager.org_id, tariff_id=tariff_id, now=manager.now
        )
        lots = await list_lots(tx, manager.org_id)
        asked = _fill_in(manager, tariff, asked or {})
        what_if = await _try_stay(tx, manager, tariff, asked)
    can_manage = manager.may(Permission.PARKING_MANAGE)
    page = TariffPage(
        id=tariff_id,
        name=tariff.name,
        versions=tuple(_present_version(manager, one, can_manage) for one in tariff.versions),
        lots=tuple(_present_lot(manager, one, can_manage) for one in taking),
        lot_choices=tuple((str(one.id), one.name) for one in lots),
        can_manage=can_manage,
        classes=list_classes(manager.lang),
        form=asked,
        version_choices=tuple(
            (str(one.id), _say(manager, "version_from", n=one.version, day=_day(one.valid_from)))
            for one in tariff.versions
        ),
        what_if=what_if,
        first_day=hanoi_day(manager.now).isoformat(),
        errors=errors or {},
    )
    return manager.render("tariff.html", page, here="tariffs", status=422 if errors else 200)


def _fill_in(manager: ManagerContext, tariff: TariffView, asked: dict[str, str]) -> dict[str, str]:
    now = manager.now.astimezone(HANOI).replace(second=0, microsecond=0, tzinfo=None)
    holds = tariff.in_force or (tariff.versions[0] if tariff.versions else None)
    usual = {
        "vehicle": "",
        "entered": (now - timedelta(hours=4)).isoformat(timespec="minutes"),
        "left": now.isoformat(timespec="minutes"),
        "version": str(holds.id) if holds else "",
    }
    return usual | {name: value for name, value in asked.items() if value}


async def _try_stay(
    tx: AsyncSession, manager: ManagerContext, tariff: TariffView, asked: dict[str, str]
) -> WhatIf | None:
    known = {str(one.id): one for one in tariff.versions}
    if asked["version"] not in known:
        return None
    version_id = known[asked["version"]].id
    built = build_tariff(await views.get_document(tx, manager.org_id, tariff.id, version_id))
    if asked["vehicle"] not in set(VehicleClass):
        asked["vehicle"] = _first_class(built).value
    try:
        entered_at, left_at = _instant(asked["entered"]), _instant(asked["left"])
    except ValueError:
        return WhatIf(amount_vnd=None, lines=(), chart=None, problem=manager.say("error.bad_day"))
    table = built.rate_tables[0]
    stay = Stay(
        vehicle_class=VehicleClass(asked["vehicle"]),
        entered_at=entered_at,
        zone=min(table.zones, default=None),
        user_group=min(table.user_groups, default=None),
    )
    minutes = int((left_at - entered_at).total_seconds()) // 60
    try:
        price = price_stay(built, stay, left_at=left_at)
        shown = min(CHART_MINUTES_MAX, max(CHART_MINUTES_MIN, minutes))
        chart = chart_of(manager, built, stay, shown)
    except HubError as error:
        problem = manager.present_error(error)
        return WhatIf(amount_vnd=None, lines=(), chart=None, problem=problem)
    lines = tuple((present_line(manager.lang, line), line.amount_vnd) for line in price.lines)
    return WhatIf(amount_vnd=price.amount_vnd, lines=lines, chart=chart, problem="")


def _first_class(tariff: Tariff) -> VehicleClass:
    classes = tariff.rate_tables[0].vehicle_classes
    return next((one for one in VehicleClass if one in classes), VehicleClass.CAR)


def _instant(typed: str) -> datetime:
    return datetime.fromisoformat(typed).replace(tzinfo=HANOI)


def _present_row(manager: ManagerContext, tariff: TariffView) -> TariffRow:
    ahead = [one for one in tariff.versions if one.standing is Standing.AHEAD]
    holds = tariff.in_force
    return TariffRow(
        id=tariff.id,
        name=tariff.name,
        holds=_say(manager, "version_from", n=holds.version, day=_day(holds.valid_from))
        if holds
        else "",
        ahead=_say(manager, "version_from", n=ahead[-1].version, day=_day(ahead[-1].valid_from))
        if ahead
        else "",
        lots=_say(manager, "lots_count", count=tariff.lots_count),
        path=manager.path(f"/tariffs/{tariff.id}"),
    )


def _present_version(manager: ManagerContext, one: VersionView, can_manage: bool) -> VersionRow:
    tone, icon = TONES[one.standing]
    path = f"/tariffs/{one.tariff_id}"
    is_ahead = one.standing is Standing.AHEAD
    return VersionRow(
        id=one.id,
        version=one.version,
        from_day=manager.present_instant(one.valid_from),
        legal_basis=one.legal_basis,
        made=f"{one.created_by or '–'}, {manager.present_instant(one.created_at)}",
        tone=tone,
        icon=icon,
        word=_say(manager, f"standing.{one.standing.value}"),
        edit_path=manager.path(f"{path}/edit", start=f"version:{one.id}") if can_manage else "",
        withdraw_path=manager.path(f"{path}/versions/{one.id}/withdraw")
        if is_ahead and can_manage
        else "",
    )


def _present_lot(manager: ManagerContext, one: AssignmentView, can_manage: bool) -> LotRow:
    tone, icon = TONES[one.standing]
    is_ahead = one.standing is Standing.AHEAD
    return LotRow(
        name=one.lot_name,
        path=manager.path(f"/lots/{one.lot_id}"),
        from_at=manager.present_instant(one.from_at),
        tone=tone,
        icon=icon,
        word=_say(manager, f"standing.{one.standing.value}"),
        lot_id=one.lot_id,
        withdraw_path=manager.path(f"/tariffs/{one.tariff_id}/lots/{one.id}/withdraw")
        if is_ahead and can_manage
        else "",
    )


def _name(manager: ManagerContext, tariff: Tariff) -> str:
    return tariff.name if manager.lang == "vi" else tariff.name_en


def _day(instant: datetime) -> str:
    return f"{instant.astimezone(HANOI):%d/%m/%Y}"


def _say(manager: ManagerContext, key: str, **values: object) -> str:
    return translate(manager.lang, f"tariffs.{key}", **values)
