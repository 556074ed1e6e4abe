"""Lots of an organisation and who runs them: the list, adding one, adding an operator."""

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Final

from fastapi import APIRouter, Form, Query, Request
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from api.http.deps import requires
from api.http.i18n import translate
from api.http.paging import next_cursor, read_cursor
from api.manage.forms import FormId, take_form
from api.manage.page_context import (
    CHOICES_MAX,
    PAGE_ROWS,
    Before,
    Errors,
    Find,
    ManagerContext,
    TheManager,
    read_line,
)
from api.manage.parking.lot_form import keep_form, place_error, read_lot, show_lot
from api.manage.parking.vehicle_words import say_class
from core.clock import hanoi_day
from core.errors import HubError
from core.ids import new_id
from core.tenancy import open_org_transaction
from identity.people.rules import Permission
from parking.places import queries, service
from parking.places.models import Lot
from parking.places.rules import (
    Licence,
    LicenceState,
    LotKind,
    Occupied,
    PaymentTiming,
    judge_licence,
)
from parking.places.service import LotFacts
from payments.payees.queries import list_payees_page

router = APIRouter(prefix="/manage/lots", include_in_schema=False)

LICENCE_TONES: Final = {
    LicenceState.NONE: ("attention", "warning"),
    LicenceState.NOT_YET: ("attention", "clock"),
    LicenceState.VALID: ("good", "check"),
    LicenceState.ENDS_SOON: ("attention", "clock"),
    LicenceState.ENDED: ("bad", "stop"),
}


@dataclass(frozen=True, kw_only=True)
class Badge:
    """A state with its word."""

    tone: str
    icon: str
    word: str


@dataclass(frozen=True, kw_only=True)
class LotLine:
    """One lot of the list."""

    name: str
    address: str
    path: str
    is_closed: bool
    licence: Badge
    inside: tuple[tuple[str, str, bool], ...]  # (class, "12 / 100", is it over the licence)


@dataclass(frozen=True, kw_only=True)
class LotChoices:
    """What a lot's form lets people choose from."""

    operators: tuple[tuple[str, str], ...]
    payees: tuple[tuple[str, str], ...]
    kinds: tuple[tuple[str, str], ...]
    timings: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class OperatorLine:
    """Who runs lots."""

    name: str
    address: str
    tax_code: str


@dataclass(frozen=True, kw_only=True)
class LotsPage:
    """Everything templates/lots.html may use, already worded."""

    lots: tuple[LotLine, ...]
    operators: tuple[OperatorLine, ...]
    choices: LotChoices
    find: str
    with_closed: bool
    older: str
    can_manage: bool
    form: dict[str, str]
    errors: Errors
    operator: dict[str, str]
    operator_errors: Errors


@router.get("", dependencies=[requires(Permission.PARKING_READ)])
async def show_lots(
    manager: TheManager,
    find: Find = "",
    closed: Annotated[str, Query(max_length=3)] = "",
    before: Before = None,
) -> Response:
    """List the lots, newest first, with who is inside and how their licences stand."""
    return await _render(manager, find=find, with_closed=closed == "yes", before=before)


@router.post("", dependencies=[requires(Permission.PARKING_MANAGE)])
async def add(request: Request, manager: TheManager, form_id: FormId = None) -> Response:
    """Add a lot; its capacities and lanes come next."""
    sent = await request.form()
    facts, errors = read_lot(manager, sent)
    if errors:
        return await _render(manager, form=keep_form(sent), errors=errors)
    lot_id = new_id()
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            first = await take_form(
                tx, manager, "/manage/lots", form_id, *facts.values(), makes=lot_id
            )
            if first is None:
                await service.add_lot(
                    tx,
                    manager.org_id,
                    LotFacts(**facts),
                    id_=lot_id,
                    actor=manager.caller.actor,
                    now=manager.now,
                )
    except HubError as error:
        return await _render(manager, form=keep_form(sent), errors=place_error(manager, error))
    return manager.go(f"/lots/{first or lot_id}/edit", done="lot_added")


@router.post("/operators", dependencies=[requires(Permission.PARKING_MANAGE)])
async def add_operator(
    manager: TheManager,
    operator_name: Annotated[str, Form(max_length=500)] = "",
    operator_address: Annotated[str, Form(max_length=500)] = "",
    operator_tax_code: Annotated[str, Form(max_length=40)] = "",
    form_id: FormId = None,
) -> Response:
    """Add who runs lots: the seller that tickets and receipts name."""
    facts = {
        "name": read_line(operator_name),
        "address": read_line(operator_address, 300),
        "tax_code": operator_tax_code.replace(" ", ""),
    }
    needed = {
        f"operator_{name}": manager.say("error.needed")
        for name, value in facts.items()
        if not value
    }
    if needed:
        return await _render(manager, operator=facts, operator_errors=needed)
    operator_id = new_id()
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            first = await take_form(
                tx, manager, "/manage/lots/operators", form_id, *facts.values(), makes=operator_id
            )
            if first is None:
                await service.add_operator(
                    tx,
                    manager.org_id,
                    id_=operator_id,
                    **facts,
                    actor=manager.caller.actor,
                    now=manager.now,
                )
    except HubError as error:
        placed = {
            f"operator_{name}" if name else "": what
            for name, what in place_error(manager, error).items()
        }
        return await _render(manager, operator=facts, operator_errors=placed)
    return manager.go("/lots", done="operator_added")


async def list_choices(tx: AsyncSession, manager: ManagerContext) -> LotChoices:
    """Read what a lot's form lets people choose from."""
    operators = await queries.list_operators(tx, manager.org_id)
    payees = await list_payees_page(
        tx, manager.org_id, before_id=None, with_closed=False, limit=CHOICES_MAX
    )
    lang = manager.lang
    return LotChoices(
        operators=tuple((str(one.id), f"{one.name} · {one.tax_code}") for one in operators),
        payees=tuple((str(one.id), one.name) for one in payees),
        kinds=tuple((one.value, translate(lang, f"lots.kind.{one.value}")) for one in LotKind),
        timings=tuple(
            (one.value, translate(lang, f"tariffs.timing.{one.value}")) for one in PaymentTiming
        ),
    )


def present_licence(manager: ManagerContext, lot: Lot) -> Badge:
    """Say whether a lot's licence covers today."""
    licence = Licence(
        number=lot.licence_number,
        issuer=lot.licence_issuer,
        from_on=lot.licence_from,
        until_on=lot.licence_until,
    )
    state = judge_licence(licence, hanoi_day(manager.now))
    tone, icon = LICENCE_TONES[state]
    days = {"from_on": _day(lot.licence_from), "until_on": _day(lot.licence_until)}
    return Badge(
        tone=tone, icon=icon, word=translate(manager.lang, f"lots.licence.{state.value}", **days)
    )


async def _render(
    manager: ManagerContext,
    *,
    find: str = "",
    with_closed: bool = False,
    before: str | None = None,
    form: dict[str, str] | None = None,
    errors: Errors | None = None,
    operator: dict[str, Any] | None = None,
    operator_errors: Errors | None = None,
) -> Response:
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        found = await queries.list_lots(
            tx,
            manager.org_id,
            find=find,
            with_closed=with_closed,
            before_id=read_cursor(before),
            limit=PAGE_ROWS + 1,
        )
        shown = found[:PAGE_ROWS]
        occupied = await queries.list_occupancy(tx, manager.org_id, [one.id for one in shown])
        operators = await queries.list_operators(tx, manager.org_id)
        choices = await list_choices(tx, manager)
    cursor = next_cursor(found, PAGE_ROWS)
    closed = "yes" if with_closed else ""
    page = LotsPage(
        lots=tuple(_present_lot(manager, one, occupied[one.id]) for one in shown),
        operators=tuple(
            OperatorLine(name=one.name, address=one.address, tax_code=one.tax_code)
            for one in operators
        ),
        choices=choices,
        find=find,
        with_closed=with_closed,
        older=manager.path("/lots", find=find, closed=closed, before=cursor) if cursor else "",
        can_manage=manager.may(Permission.PARKING_MANAGE),
        form=form or show_lot(None),
        errors=errors or {},
        operator=operator or {"name": "", "address": "", "tax_code": ""},
        operator_errors=operator_errors or {},
    )
    status = 422 if errors or operator_errors else 200
    return manager.render("lots.html", page, here="lots", status=status)


def _present_lot(manager: ManagerContext, lot: Lot, occupied: list[Occupied]) -> LotLine:
    return LotLine(
        name=lot.name,
        address=lot.address,
        path=manager.path(f"/lots/{lot.id}"),
        is_closed=lot.closed_at is not None,
        licence=present_licence(manager, lot),
        inside=tuple(
            (
                say_class(manager.lang, one.vehicle_class.value),
                f"{one.inside_count} / {one.capacity}",
                one.is_over_licence,
            )
            for one in occupied
        ),
    )


def _day(day: date | None) -> str:
    return "" if day is None else f"{day:%d/%m/%Y}"
