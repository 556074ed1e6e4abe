"""A lot's dashboard: who is inside, in and out by the hour, takings, alarms, shifts.

The page polls its live part: entries send no wake-ups (docs/adr/0013).
"""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Query
from markupsafe import Markup
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from api.http.deps import requires
from api.http.i18n import translate
from api.manage.page_context import ManagerContext, TheManager
from api.manage.parking.lots import Badge, present_licence
from api.manage.parking.vehicle_words import say_class
from api.pages.charts import render_pairs
from core.clock import hanoi_day
from core.tenancy import open_org_transaction
from identity.people.rules import Permission
from parking.overview.day import Alarm, LotDay, ShiftRow, read_day
from parking.places.models import Lot
from parking.places.queries import get_lot
from parking.sessions.readings import Accuracy, read_accuracy
from parking.tariffs.views import Standing, list_assignments

router = APIRouter(prefix="/manage/lots", include_in_schema=False)

NO_MONEY: Final = ("pass", "exempt", "write_off")  # it has a line, and nobody paid it
POLLED_EVERY_S: Final = 15
ALARM_TONES: Final = {
    "over_licence": "bad",
    "watched": "bad",
    "plate_differed": "bad",
    "stray_ticket": "bad",
    "never_left": "attention",
}


@dataclass(frozen=True, kw_only=True)
class InsideLine:
    """How full the lot is with vehicles of one class."""

    name: str
    inside: int
    capacity: int
    licensed: int
    free: int
    is_over: bool


@dataclass(frozen=True, kw_only=True)
class TakenLine:
    """What a rail brought."""

    name: str
    count: int
    amount_vnd: int


@dataclass(frozen=True, kw_only=True)
class AlarmLine:
    """Something that a manager looks at."""

    tone: str
    word: str
    when: str
    path: str  # of the session, "" where it is about the lot


@dataclass(frozen=True, kw_only=True)
class ShiftLine:
    """A shift of the day."""

    who: str
    opened: str
    closed: str  # "" while it runs
    expected_vnd: int | None
    counted_vnd: int | None
    variance_vnd: int | None
    opened_by_hand: int
    tone: str


@dataclass(frozen=True, kw_only=True)
class ReadLine:
    """How well plates were read from photos."""

    right: int
    corrected: int
    not_read: int
    waiting: int
    share: str  # of those that a person has judged: "96%", "" where there are none


@dataclass(frozen=True, kw_only=True)
class LotLive:
    """What the page polls."""

    inside: tuple[InsideLine, ...]
    chart: Markup
    hours: tuple[tuple[str, int, int], ...]  # those with any vehicle
    came: int
    left: int
    taken: tuple[TakenLine, ...]
    taken_vnd: int
    unpaid_vnd: int
    alarms: tuple[AlarmLine, ...]
    shifts: tuple[ShiftLine, ...]
    seen: str


@dataclass(frozen=True, kw_only=True)
class LotPage:
    """Everything templates/lot.html and templates/lot_live.html may use, already worded."""

    id: UUID
    name: str
    address: str
    is_closed: bool
    licence: Badge
    licence_text: str
    tariff: str
    tariff_path: str
    day: str
    live_path: str
    polled_every_s: int
    can_manage: bool
    can_inspect: bool
    stays_path: str
    read: ReadLine | None  # of photos in the last 30 days; None: none, or not asked for
    live: LotLive


@router.get("/{lot_id}", dependencies=[requires(Permission.PARKING_READ)])
async def show_lot(
    manager: TheManager, lot_id: UUID, day: Annotated[str, Query(max_length=10)] = ""
) -> Response:
    """Show the dashboard of a lot."""
    page = await _read(manager, lot_id, day, is_whole=True)
    return manager.render("lot.html", page, here="lots")


@router.get("/{lot_id}/live", dependencies=[requires(Permission.PARKING_READ)])
async def show_live(
    manager: TheManager, lot_id: UUID, day: Annotated[str, Query(max_length=10)] = ""
) -> Response:
    """Show what changes on the dashboard."""
    page = await _read(manager, lot_id, day, is_whole=False)
    return manager.render("lot_live.html", page, here="lots")


async def _read(manager: ManagerContext, lot_id: UUID, asked: str, *, is_whole: bool) -> LotPage:
    """Read the page; what is counted over a month is no part of what is asked for again."""
    day = _read_day(manager, asked)
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        lot = await get_lot(tx, manager.org_id, lot_id)
        seen = await read_day(tx, manager.org_id, lot_id, day, now=manager.now)
        tariff, tariff_path = await _find_tariff(tx, manager, lot_id)
        accuracy = (
            await read_accuracy(tx, manager.org_id, lot_id, now=manager.now) if is_whole else None
        )
    return LotPage(
        id=lot_id,
        name=lot.name,
        address=lot.address,
        is_closed=lot.closed_at is not None,
        licence=present_licence(manager, lot),
        licence_text=_say_licence(lot),
        tariff=tariff,
        tariff_path=tariff_path,
        day=day.isoformat(),
        live_path=manager.path(f"/lots/{lot_id}/live", day=day.isoformat()),
        polled_every_s=POLLED_EVERY_S,
        can_manage=manager.may(Permission.PARKING_MANAGE),
        can_inspect=manager.may(Permission.PARKING_INSPECT),
        stays_path=manager.path("/stays", lot=lot_id, day=day.isoformat()),
        read=_present_accuracy(accuracy),
        live=_present(manager, seen),
    )


def _present_accuracy(accuracy: Accuracy | None) -> ReadLine | None:
    if accuracy is None or not accuracy.total:
        return None
    judged = accuracy.right + accuracy.corrected
    return ReadLine(
        right=accuracy.right,
        corrected=accuracy.corrected,
        not_read=accuracy.not_read,
        waiting=accuracy.waiting,
        share=f"{accuracy.right * 100 // judged}%" if judged else "",
    )


def _read_day(manager: ManagerContext, asked: str) -> date:
    today = hanoi_day(manager.now)
    try:
        day = date.fromisoformat(asked) if asked else today
    except ValueError:
        return today
    return day if today - timedelta(days=3_660) < day <= today else today


async def _find_tariff(tx: AsyncSession, manager: ManagerContext, lot_id: UUID) -> tuple[str, str]:
    for one in await list_assignments(tx, manager.org_id, lot_id=lot_id, now=manager.now):
        if one.standing is Standing.IN_FORCE:
            return one.tariff_name, manager.path(f"/tariffs/{one.tariff_id}")
    return "", manager.path("/tariffs")


def _present(manager: ManagerContext, day: LotDay) -> LotLive:
    lang = manager.lang
    came, left = (sum(pair[n] for pair in day.hours) for n in (0, 1))
    return LotLive(
        inside=tuple(
            InsideLine(
                name=say_class(lang, one.vehicle_class.value),
                inside=one.inside_count,
                capacity=one.capacity,
                licensed=one.licensed_capacity,
                free=one.free,
                is_over=one.is_over_licence,
            )
            for one in day.occupied
        ),
        chart=render_pairs(
            day.hours,
            title=translate(lang, "lots.chart", came=came, left=left),
            first=translate(lang, "lots.came"),
            second=translate(lang, "lots.went"),
        ),
        hours=tuple(
            (f"{hour}:00", pair[0], pair[1]) for hour, pair in enumerate(day.hours) if any(pair)
        ),
        came=came,
        left=left,
        taken=tuple(
            TakenLine(
                name=translate(lang, f"stays.rail.{one.rail}"),
                count=one.count,
                amount_vnd=one.amount_vnd,
            )
            for one in day.taken
        ),
        taken_vnd=sum(one.amount_vnd for one in day.taken if one.rail not in NO_MONEY),
        unpaid_vnd=day.unpaid_vnd,
        alarms=tuple(_present_alarm(manager, one) for one in day.alarms),
        shifts=tuple(
            _present_shift(manager, one, day.opened_by_hand[one.id]) for one in day.shifts
        ),
        seen=manager.present_instant(manager.now),
    )


def _present_alarm(manager: ManagerContext, one: Alarm) -> AlarmLine:
    vehicle = say_class(manager.lang, one.vehicle_class) if one.vehicle_class else ""
    word = translate(manager.lang, f"lots.alarm.{one.kind}", vehicle=vehicle)
    return AlarmLine(
        tone=ALARM_TONES[one.kind],
        word=f"{word}: {one.words}" if one.words else word,
        when=manager.present_instant(one.at),
        path=manager.path(f"/stays/{one.session_id}") if one.session_id else "",
    )


def _present_shift(manager: ManagerContext, one: ShiftRow, opened_by_hand: int) -> ShiftLine:
    return ShiftLine(
        who=one.staff_name,
        opened=manager.present_instant(one.opened_at),
        closed=manager.present_instant(one.closed_at),
        expected_vnd=one.expected_vnd,
        counted_vnd=one.counted_vnd,
        variance_vnd=one.variance_vnd,
        opened_by_hand=opened_by_hand,
        tone="bad" if (one.variance_vnd or 0) < 0 else "attention" if one.variance_vnd else "good",
    )


def _say_licence(lot: Lot) -> str:
    return " · ".join(part for part in (lot.licence_number, lot.licence_issuer) if part)
