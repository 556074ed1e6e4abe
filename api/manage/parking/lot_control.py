"""Control of a lot: leakage figures of a day, and recounts of what stands inside."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Form, Query, Request
from markupsafe import Markup
from starlette.responses import Response

from api.http.deps import TheSettings, requires
from api.http.i18n import translate
from api.manage.page_context import Errors, ManagerContext, TheManager, read_line
from api.manage.parking.stays import link_photo, say_reason
from api.manage.parking.vehicle_words import say_class
from api.pages.charts import render_pairs
from core.clock import hanoi_day
from core.errors import HubError
from core.ids import new_id
from core.sealing import derive_key
from core.settings import Settings
from core.tenancy import open_org_transaction
from identity.people.rules import Permission
from parking.overview.leakage import Leakage, read_leakage
from parking.overview.openings import SHOWN as OPENINGS_MAX
from parking.overview.openings import OpenedByHand, list_opened_by_hand
from parking.places.queries import get_lot, list_occupancy
from parking.recounts import queries, service
from parking.recounts.rules import COUNTED_MAX, MOMENTS, RecountFacts, draw_moment

router = APIRouter(prefix="/manage/lots", include_in_schema=False)

SHOWN: Final = 24  # recounts, as many as the chart has room for
DIGITS_MAX: Final = len(str(COUNTED_MAX))
COUNTED: Final = "counted_"  # a form's fields begin so, and end with the class


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One figure of leakage."""

    name: str
    value: int
    amount_vnd: int | None
    is_odd: bool  # somebody should look


@dataclass(frozen=True, kw_only=True)
class OpeningRow:
    """A barrier that was opened by hand."""

    when: str
    who: str
    reason: str
    stay_path: str  # "" where it was for no vehicle of the list
    photos: tuple[str, ...]  # links, for five minutes


@dataclass(frozen=True, kw_only=True)
class RecountRow:
    """A recount in the list."""

    when: str
    who: str
    is_random: bool
    lines: str
    difference: int
    note: str


@dataclass(frozen=True, kw_only=True)
class ControlPage:
    """Everything templates/lot_control.html may use, already worded."""

    id: UUID
    name: str
    day: str
    figures: tuple[Figure, ...]
    left: tuple[Figure, ...]  # by the reason
    openings: tuple[OpeningRow, ...]
    openings_max: int
    recounts: tuple[RecountRow, ...]
    chart: Markup | None
    random_at: str
    classes: tuple[tuple[str, str], ...]  # (field, word)
    recount_id: UUID
    errors: Errors


@router.get("/{lot_id}/control", dependencies=[requires(Permission.PARKING_INSPECT)])
async def show_control(
    manager: TheManager,
    settings: TheSettings,
    lot_id: UUID,
    day: Annotated[str, Query(max_length=10)] = "",
) -> Response:
    """Show the figures of a day, and the last recounts."""
    return await _render(manager, settings, lot_id, day)


@router.post("/{lot_id}/recounts", dependencies=[requires(Permission.PARKING_INSPECT)])
async def recount(
    request: Request,
    manager: TheManager,
    settings: TheSettings,
    lot_id: UUID,
    recount_id: Annotated[UUID, Form()],
    note: Annotated[str, Form(max_length=1_000)] = "",
) -> Response:
    """Record what somebody counted inside."""
    form = await request.form()
    counted, errors = {}, {}
    for field, typed in form.items():
        if field.startswith(COUNTED) and isinstance(typed, str):
            digits = typed.strip()
            is_number = digits.isascii() and digits.isdecimal() and len(digits) <= DIGITS_MAX
            if is_number and int(digits) <= COUNTED_MAX:
                counted[field.removeprefix(COUNTED)] = int(digits)
            else:
                errors[field] = translate(manager.lang, "lots.control.wrong_count")
    if errors:
        return await _render(manager, settings, lot_id, "", errors)
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            await service.record_recount(
                tx,
                manager.org_id,
                recount_id,
                lot_id=lot_id,
                counted=counted,
                note=read_line(note, 500) or None,
                moments_key=_key(settings),
                actor=manager.caller.actor,
                now=manager.now,
            )
    except HubError as error:
        wrong = {"": manager.present_error(error)}
        return await _render(manager, settings, lot_id, "", wrong)
    return manager.go(f"/lots/{lot_id}/control", done="recounted")


async def _render(
    manager: ManagerContext,
    settings: Settings,
    lot_id: UUID,
    asked: str,
    errors: Errors | None = None,
) -> Response:
    day = _read_day(manager, asked)
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        lot = await get_lot(tx, manager.org_id, lot_id)
        found = await read_leakage(tx, manager.org_id, lot_id, day, now=manager.now)
        openings = await list_opened_by_hand(tx, manager.org_id, lot_id, day)
        recounts = await queries.list_recounts(
            tx, manager.org_id, lot_id, before_id=None, limit=SHOWN
        )
        classes = (await list_occupancy(tx, manager.org_id, [lot_id]))[lot_id]
    moment = draw_moment(_key(settings), manager.org_id, lot_id, hanoi_day(manager.now))
    page = ControlPage(
        id=lot_id,
        name=lot.name,
        day=day.isoformat(),
        figures=_list_figures(manager, found),
        left=tuple(
            Figure(
                name=say_reason(manager, one.reason),
                value=one.count,
                amount_vnd=one.unpaid_vnd or None,
                is_odd=one.unpaid > 0,
            )
            for one in found.left
        ),
        openings=tuple(_present_opening(manager, one) for one in openings),
        openings_max=OPENINGS_MAX,
        recounts=tuple(_present(manager, one) for one in recounts),
        chart=_draw(manager, recounts) if recounts else None,
        random_at=manager.present_instant(moment),
        classes=tuple(
            (f"{COUNTED}{one.vehicle_class.value}", say_class(manager.lang, one.vehicle_class))
            for one in classes
        ),
        recount_id=new_id(),
        errors=errors or {},
    )
    return manager.render("lot_control.html", page, here="lots", status=422 if errors else 200)


def _key(settings: Settings) -> bytes:
    return derive_key(settings.secret_key.get_secret_value(), MOMENTS)


def _read_day(manager: ManagerContext, asked: str) -> date:
    today = hanoi_day(manager.now)
    try:
        day = date.fromisoformat(asked) if asked else today
    except ValueError:
        return today
    return day if today - timedelta(days=3_660) < day <= today else today


def _list_figures(manager: ManagerContext, found: Leakage) -> tuple[Figure, ...]:
    never_matched = found.never_matched
    figures = (
        ("entered", found.entered, None),
        ("entered_without_photo", found.entered_without_photo, None),
        ("entered_on_same_photo", found.entered_on_same_photo, None),
        ("missing_tickets", found.missing_tickets, None),
        ("stray_tickets", found.stray_tickets, None),
        (
            "never_matched",
            0 if never_matched is None else never_matched.unpaid,
            None if never_matched is None else never_matched.unpaid_vnd or None,
        ),
        ("opened_by_hand", found.opened_by_hand, None),
        ("corrected", found.corrected, None),
        ("undone", found.undone, found.undone_vnd or None),
    )
    return tuple(
        Figure(
            name=translate(manager.lang, f"lots.control.{name}"),
            value=value,
            amount_vnd=amount_vnd,
            is_odd=name != "entered" and value > 0,
        )
        for name, value, amount_vnd in figures
    )


def _present_opening(manager: ManagerContext, one: OpenedByHand) -> OpeningRow:
    return OpeningRow(
        when=manager.present_instant(one.opened_at),
        who=one.by,
        reason=one.reason,
        stay_path=manager.path(f"/stays/{one.session_id}") if one.session_id else "",
        photos=tuple(link_photo(manager, photo) for photo in one.photos),
    )


def _present(manager: ManagerContext, one: RecountFacts) -> RecountRow:
    return RecountRow(
        when=manager.present_instant(one.counted_at),
        who=one.counted_by_name or "",
        is_random=one.is_random,
        lines=" · ".join(
            translate(
                manager.lang,
                "lots.control.line",
                vehicle=say_class(manager.lang, line.vehicle_class),
                counted=line.counted,
                expected=line.expected,
            )
            for line in one.lines
        ),
        difference=one.difference,
        note=one.note or "",
    )


def _draw(manager: ManagerContext, recounts: list[RecountFacts]) -> Markup:
    oldest_first = recounts[::-1]
    return render_pairs(
        [(one.counted, one.expected) for one in oldest_first],
        title=translate(manager.lang, "lots.control.chart", count=len(recounts)),
        first=translate(manager.lang, "lots.control.counted"),
        second=translate(manager.lang, "lots.control.expected"),
        labels=[f"{hanoi_day(one.counted_at):%d/%m}" for one in oldest_first],
    )
