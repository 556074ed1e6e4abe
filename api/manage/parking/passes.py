"""Passes and exemptions: the list, selling and giving, and one with its bill and its story."""

from dataclasses import dataclass
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Form, Query
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from api.http.deps import TheBillWriter, TheSettings, requires
from api.http.paging import next_cursor, read_cursor
from api.manage.forms import FormId, take_form
from api.manage.history import Change, list_changes_of
from api.manage.page_context import (
    PAGE_ROWS,
    Before,
    Errors,
    Find,
    ManagerContext,
    TheManager,
    read_line,
)
from api.manage.parking.pass_form import (
    PassChoices,
    PassForm,
    SentPass,
    blank_form,
    place_error,
    read_choices,
    read_plate_list,
    read_wanted,
    say,
    say_day,
    say_plates,
    today_of,
)
from api.manage.parking.vehicle_words import say_class
from core.errors import HubError
from core.ids import new_id
from core.money import VND_MAX
from core.tenancy import open_org_transaction
from identity.people.rules import Permission
from parking.passes import queries, service
from parking.passes.rules import WARN_BEFORE, PassKind, PassState, read_plates
from parking.passes.types import BillWanted, PassView
from parking.plates import mask_plate
from parking.shifts import selling
from parking.shifts.queries import find_shift_at
from parking.vehicles import VehicleClass
from payments.bills.queries import find_bills
from payments.bills.rules import UNPAID

router = APIRouter(prefix="/manage/passes", include_in_schema=False)

LOOK: Final = {
    PassState.UNPAID: ("attention", "clock"),
    PassState.COMING: ("plain", "clock"),
    PassState.IN_FORCE: ("good", "check"),
    PassState.OVER: ("plain", "stop"),
    PassState.REVOKED: ("bad", "stop"),
}
ENDING: Final = "ending"  # a choice beside the states: ends within a week
Reason = Annotated[str, Form(max_length=1_000)]


@dataclass(frozen=True, kw_only=True)
class PassRow:
    """A pass in the list."""

    path: str
    holder: str
    plates: str
    vehicle: str
    lot: str
    kind: str
    days: str
    tone: str
    icon: str
    word: str


@dataclass(frozen=True, kw_only=True)
class PassesPage:
    """Everything templates/passes.html may use, already worded."""

    rows: tuple[PassRow, ...]
    kinds: tuple[tuple[str, str], ...]
    kind: str
    states: tuple[tuple[str, str], ...]
    state: str
    find: str
    can_manage: bool
    sell_path: str
    give_path: str
    import_path: str
    older: str


@dataclass(frozen=True, kw_only=True)
class PassFormPage:
    """Everything templates/pass_new.html may use, already worded."""

    form: PassForm
    choices: PassChoices
    is_monthly: bool
    errors: Errors


@dataclass(frozen=True, kw_only=True)
class TermRow:
    """Months of a pass."""

    days: str
    receipt_path: str  # of the cash that paid them; "" where a bill did
    price_vnd: int
    word: str
    tone: str
    icon: str


@dataclass(frozen=True, kw_only=True)
class PassPage:
    """Everything templates/pass.html may use, already worded."""

    row: PassRow
    contact: str
    reason: str
    group: str
    plates: str  # for the form, one a line
    terms: tuple[TermRow, ...]
    bill_path: str  # the payer's page with the code; "" while none is open
    asks_bill: bool
    cash_vnd: int | None  # what is to be paid in cash; None: nothing, or not by this person
    cash_id: UUID  # of that collection: the same form sent twice takes it once
    has_shift: bool  # at the lot that is paid for the pass
    can_renew: bool
    can_change: bool
    months: tuple[tuple[str, str], ...]
    base_path: str
    changes: tuple[Change, ...]
    errors: Errors


@router.get("", dependencies=[requires(Permission.PARKING_READ)])
async def show_passes(
    manager: TheManager,
    kind: Annotated[str, Query(max_length=20)] = "",
    state: Annotated[str, Query(max_length=20)] = "",
    find: Find = "",
    before: Before = None,
) -> Response:
    """List passes, newest first; plates are whole for who manages them."""
    today, plate = today_of(manager), _read_plate(find)
    kind = kind if kind in {one.value for one in PassKind} else ""
    state = state if state in {*(one.value for one in PassState), ENDING} else ""
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        found = await queries.list_passes(
            tx,
            manager.org_id,
            today=today,
            kind=PassKind(kind) if kind else None,
            state=PassState(state) if state not in ("", ENDING) else None,
            plate=plate or None,
            ends_by=today + WARN_BEFORE if state == ENDING else None,
            before_id=read_cursor(before),
            limit=PAGE_ROWS + 1,
        )
    cursor = next_cursor(found, PAGE_ROWS)
    words = {"kind": kind, "state": state, "find": find}
    page = PassesPage(
        rows=tuple(_present(manager, one) for one in found[:PAGE_ROWS]),
        kinds=(("", say(manager, "all")), *((k.value, _kind(manager, k)) for k in PassKind)),
        kind=kind,
        states=(
            ("", say(manager, "all")),
            (ENDING, say(manager, "ending")),
            *((one.value, say(manager, f"state.{one.value}")) for one in PassState),
        ),
        state=state,
        find=find,
        can_manage=manager.may(Permission.PARKING_MANAGE),
        sell_path=manager.path("/passes/new"),
        give_path=manager.path("/passes/new", kind=PassKind.EXEMPT.value),
        import_path=manager.path("/passes/import"),
        older=manager.path("/passes", **words, before=cursor) if cursor else "",
    )
    return manager.render("passes.html", page, here="passes")


@router.get("/new", dependencies=[requires(Permission.PARKING_MANAGE)])
async def show_form(
    manager: TheManager, kind: Annotated[str, Query(max_length=20)] = ""
) -> Response:
    """Show the form for a monthly pass, or for an exemption."""
    return await _render_form(manager, blank_form(kind, today_of(manager)), {})


@router.post("", dependencies=[requires(Permission.PARKING_MANAGE)])
async def add(manager: TheManager, form: SentPass, form_id: FormId = None) -> Response:
    """Sell a pass, or give an exemption."""
    wanted = read_wanted(manager, form)
    if isinstance(wanted, dict):
        return await _render_form(manager, form, wanted)
    pass_id = new_id()
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            first = await take_form(tx, manager, "/manage/passes", form_id, form, makes=pass_id)
            if first is None:
                await service.add_pass(
                    tx,
                    manager.org_id,
                    wanted,
                    id_=pass_id,
                    actor=manager.caller.actor,
                    now=manager.now,
                )
    except HubError as error:
        return await _render_form(manager, form, place_error(manager, error))
    return manager.go(f"/passes/{first or pass_id}", done="pass_added")


@router.get("/{pass_id}", dependencies=[requires(Permission.PARKING_READ)])
async def show_pass(manager: TheManager, pass_id: UUID) -> Response:
    """Show a pass with its months, its open bill and its story."""
    return await _render(manager, pass_id)


@router.post("/{pass_id}/bill", dependencies=[requires(Permission.PARKING_MANAGE)])
async def bill(
    manager: TheManager, pass_id: UUID, bill_writer: TheBillWriter, settings: TheSettings
) -> Response:
    """Make the bill of the months that wait, or find the one that is open."""
    wanted = BillWanted(
        id=new_id(),
        reference=await bill_writer.take_reference(manager.caller.org),
        monitored_for_s=settings.bill_monitored_for_s,
    )
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            await service.open_bill(
                tx,
                manager.org_id,
                pass_id,
                wanted,
                actor=manager.caller.actor,
                now=manager.now,
            )
    except HubError as error:
        return await _render(manager, pass_id, place_error(manager, error))
    return manager.go(f"/passes/{pass_id}", done="pass_bill")


@router.post(
    "/{pass_id}/cash",
    dependencies=[requires(Permission.PARKING_MANAGE), requires(Permission.PARKING_GATE)],
)
async def sell_in_cash(
    manager: TheManager,
    pass_id: UUID,
    taken_id: Annotated[UUID, Form()],
    amount_vnd: Annotated[int, Form(ge=1, le=VND_MAX)],
) -> Response:
    """Take cash for the months that wait, in the caller's own running shift."""
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            await selling.sell_in_cash(
                tx,
                manager.org_id,
                pass_id,
                collection_id=taken_id,
                amount_vnd=amount_vnd,
                actor=manager.caller.actor,
                now=manager.now,
            )
    except HubError as error:
        return await _render(manager, pass_id, place_error(manager, error))
    return manager.go(f"/passes/{pass_id}", done="pass_cash")


@router.post("/{pass_id}/renew", dependencies=[requires(Permission.PARKING_MANAGE)])
async def renew(
    manager: TheManager,
    pass_id: UUID,
    months: Annotated[int, Form(ge=1, le=12)] = 1,
    form_id: FormId = None,
) -> Response:
    """Sell more months; they count once their bill is paid."""
    term_id, route = new_id(), "/manage/passes/{pass_id}/renew"
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            first = await take_form(tx, manager, route, form_id, pass_id, months, makes=term_id)
            if first is None:
                await service.renew_pass(
                    tx,
                    manager.org_id,
                    pass_id,
                    months=months,
                    id_=term_id,
                    actor=manager.caller.actor,
                    now=manager.now,
                )
    except HubError as error:
        return await _render(manager, pass_id, place_error(manager, error))
    return manager.go(f"/passes/{pass_id}", done="pass_renewed")


@router.post("/{pass_id}/plates", dependencies=[requires(Permission.PARKING_MANAGE)])
async def change_plates(
    manager: TheManager,
    pass_id: UUID,
    plates: Annotated[str, Form(max_length=2_000)] = "",
    reason: Reason = "",
) -> Response:
    """Let the pass be for other vehicles."""
    why = read_line(reason, 500)
    if not why:
        return await _render(manager, pass_id, {"plates_reason": say(manager, "wrong.reason")})
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            await service.change_plates(
                tx,
                manager.org_id,
                pass_id,
                plates=read_plate_list(plates),
                actor=manager.caller.actor,
                reason=why,
                now=manager.now,
            )
    except HubError as error:
        return await _render(manager, pass_id, place_error(manager, error))
    return manager.go(f"/passes/{pass_id}", done="pass_plates")


@router.post("/{pass_id}/revoke", dependencies=[requires(Permission.PARKING_MANAGE)])
async def revoke(manager: TheManager, pass_id: UUID, reason: Reason = "") -> Response:
    """Revoke the pass from now on."""
    why = read_line(reason, 500)
    if not why:
        return await _render(manager, pass_id, {"revoke_reason": say(manager, "wrong.reason")})
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        await service.revoke_pass(
            tx, manager.org_id, pass_id, actor=manager.caller.actor, reason=why, now=manager.now
        )
    return manager.go(f"/passes/{pass_id}", done="pass_revoked")


async def _render_form(manager: ManagerContext, form: PassForm, errors: Errors) -> Response:
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        choices = await read_choices(tx, manager)
    page = PassFormPage(
        form=form, choices=choices, is_monthly=form.kind != PassKind.EXEMPT, errors=errors
    )
    return manager.render("pass_new.html", page, here="passes", status=422 if errors else 200)


async def _render(manager: ManagerContext, pass_id: UUID, errors: Errors | None = None) -> Response:
    today = today_of(manager)
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        found = await queries.view_pass(tx, manager.org_id, pass_id)
        bill_path = await _find_bill_path(tx, manager, found)
        changes = await list_changes_of(tx, manager, "pass", pass_id)
        choices = await read_choices(tx, manager)
        has_shift = await _has_shift(tx, manager, found)
    state, manages = found.state(today), manager.may(Permission.PARKING_MANAGE)
    sells = manages and manager.may(Permission.PARKING_GATE)
    is_monthly = found.kind == PassKind.MONTHLY
    is_live = state in (PassState.IN_FORCE, PassState.COMING)
    waiting = found.waiting
    page = PassPage(
        row=_present(manager, found),
        contact=(found.holder_contact or "") if manages else "",
        reason=found.reason or "",
        group=say(manager, f"exempt_as.{found.exempt_as}") if found.exempt_as else "",
        plates=say_plates(found.plates) if manages else "",
        terms=tuple(_present_term(manager, found, index) for index in range(len(found.terms))),
        bill_path=bill_path,
        asks_bill=manages and waiting is not None and today <= waiting.last_on and not bill_path,
        cash_vnd=waiting.price_vnd
        if waiting is not None and sells and today <= waiting.last_on
        else None,
        cash_id=new_id(),
        has_shift=has_shift,
        can_renew=manages and is_monthly and is_live,
        can_change=manages and state is not PassState.REVOKED,
        months=choices.months,
        base_path=f"/passes/{pass_id}",
        changes=changes,
        errors=errors or {},
    )
    return manager.render("pass.html", page, here="passes", status=422 if errors else 200)


async def _has_shift(tx: AsyncSession, manager: ManagerContext, found: PassView) -> bool:
    """Tell whether the caller has a shift at the lot that is paid for a pass."""
    by, lot_id = manager.caller.actor.id, found.seller_lot_id
    return (
        by is not None
        and lot_id is not None
        and await find_shift_at(tx, manager.org_id, lot_id, by) is not None
    )


async def _find_bill_path(tx: AsyncSession, manager: ManagerContext, found: PassView) -> str:
    """Return the payer's page of the bill that is open, "" if none is."""
    waiting = found.waiting
    if waiting is None or waiting.bill_id is None:
        return ""
    bill = (await find_bills(tx, manager.org_id, [waiting.bill_id]))[waiting.bill_id]
    is_open = bill.status in UNPAID and manager.now < bill.expires_at
    return f"/p/{manager.caller.org_code}-{bill.public_token}" if is_open else ""


def _present(manager: ManagerContext, found: PassView) -> PassRow:
    state = found.state(today_of(manager))
    tone, icon = LOOK[state]
    manages = manager.may(Permission.PARKING_MANAGE)
    plates = [plate if manages else mask_plate(plate) for plate in found.plates]
    return PassRow(
        path=manager.path(f"/passes/{found.id}"),
        holder=found.holder_name,
        plates=", ".join(plates),
        vehicle=say_class(manager.lang, found.vehicle_class),
        lot=found.lot_name or say(manager, "all_lots"),
        kind=_kind(manager, PassKind(found.kind)),
        days=f"{say_day(found.valid_from)}–{say_day(found.valid_until)}",
        tone=tone,
        icon=icon,
        word=say(manager, f"state.{state.value}"),
    )


def _present_term(manager: ManagerContext, found: PassView, index: int) -> TermRow:
    term = found.terms[index]
    if term.cancelled_at is not None:
        word, tone, icon = "cancelled", "bad", "stop"
    elif term.in_force_at is not None:
        word, tone, icon = "paid", "good", "check"
    else:
        word, tone, icon = "waiting", "attention", "clock"
    return TermRow(
        days=f"{say_day(term.first_on)}–{say_day(term.last_on)}",
        receipt_path=f"/gate/lots/{found.seller_lot_id}/receipts/{term.collection_id}"
        if term.collection_id is not None
        else "",
        price_vnd=term.price_vnd,
        word=say(manager, f"term.{word}"),
        tone=tone,
        icon=icon,
    )


def _kind(manager: ManagerContext, kind: PassKind) -> str:
    return say(manager, f"kind.{kind.value}")


def _read_plate(find: str) -> str:
    """Return the compact plate that is looked for; what is no plate finds nothing."""
    typed = read_line(find, 40)
    if not typed:
        return ""
    try:
        return read_plates([typed], VehicleClass.OTHER)[0]
    except HubError:
        return typed
