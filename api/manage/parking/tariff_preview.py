"""Preview of a tariff before it is in force: usual stays, their lines in words, charts."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from markupsafe import Markup

from api.http.i18n import translate
from api.manage.page_context import ManagerContext
from api.manage.parking.vehicle_words import say_class
from api.pages.charts import render_steps
from api.pages.tariff_lines import present_line
from core.clock import HANOI
from core.errors import HubError
from core.money import format_vnd
from parking.tariffs.charges import Stay
from parking.tariffs.pricing import price_points, price_stay
from parking.tariffs.structure import RateTable, Tariff
from parking.vehicles import VehicleClass

# (hour of the entry, minutes): what people ask for.
USUAL_STAYS: Final = ((8, 30), (8, 60), (8, 120), (8, 240), (8, 540), (18, 720), (8, 1_440))
CHART_MINUTES: Final = 1_440
TABLES_SHOWN_MAX: Final = 12


@dataclass(frozen=True, kw_only=True)
class UsualStay:
    """A stay that many make, and its price now and then."""

    word: str  # "4 giờ, từ 8:00"
    now_vnd: int | None  # None: no price today
    then_vnd: int | None
    lines: str  # the new price in words
    is_changed: bool


@dataclass(frozen=True, kw_only=True)
class PricedVehicles:
    """Vehicles of one rate table."""

    name: str  # "Xe máy, xe máy điện"
    condition: str  # of zones, groups and days, "" without one
    stays: tuple[UsualStay, ...]
    chart: Markup | None
    problem: str  # instead, where a price cannot be said


@dataclass(frozen=True, kw_only=True)
class Preview:
    """A tariff as it would be, in words and figures."""

    name: str
    legal_basis: str
    seller: str
    begins: str  # "29/11/2026", or "ngay khi công bố"
    facts: tuple[tuple[str, str], ...]
    vehicles: tuple[PricedVehicles, ...]


def make_preview(manager: ManagerContext, tariff: Tariff, holds: Tariff | None) -> Preview:
    """Say what a tariff would cost from its first day on, beside what holds now."""
    lang = manager.lang
    grace = translate(lang, "tariff_lines.minutes", count=tariff.exit_grace_minutes)
    facts = [
        (_say(lang, "payment_timing"), _say(lang, f"timing.{tariff.payment_timing.value}")),
        (_say(lang, "exit_grace"), grace),
    ]
    if tariff.free_minutes:
        free = translate(lang, "tariff_lines.minutes", count=tariff.free_minutes)
        facts.append((_say(lang, "free_minutes"), free))
    if tariff.lost_ticket_vnd is not None:
        facts.append((_say(lang, "lost_ticket"), format_vnd(tariff.lost_ticket_vnd)))
    return Preview(
        name=tariff.name,
        legal_basis=tariff.legal_basis,
        seller=f"{tariff.seller.name}, {tariff.seller.address} · {tariff.seller.tax_code}",
        begins=f"{tariff.valid_from_on:%d/%m/%Y}",
        facts=tuple(facts),
        vehicles=tuple(
            _price_table(manager, tariff, table, holds)
            for table in tariff.rate_tables[:TABLES_SHOWN_MAX]
        ),
    )


def chart_of(manager: ManagerContext, tariff: Tariff, stay: Stay, minutes: int) -> Markup:
    """Draw the price by duration of a vehicle.

    Raises:
        NoRateForVehicle, StayNotPriceable
    """
    title = _say(manager.lang, "chart_of", vehicle=say_class(manager.lang, stay.vehicle_class))
    points = price_points(tariff, stay, minutes=minutes)
    return render_steps(points, title=title, hours=_say(manager.lang, "hours_axis"))


def _price_table(
    manager: ManagerContext, tariff: Tariff, table: RateTable, holds: Tariff | None
) -> PricedVehicles:
    lang = manager.lang
    classes = [one for one in VehicleClass if one in table.vehicle_classes]
    name = ", ".join(say_class(lang, one.value) for one in classes) or _say(lang, "all_vehicles")
    parts = [*sorted(table.zones), *sorted(table.user_groups)]
    parts += [_say(lang, f"day.{one.value}") for one in sorted(table.days)]
    vehicle = classes[0] if classes else VehicleClass.CAR
    zone = min(table.zones, default=None)
    group = min(table.user_groups, default=None)
    stays, chart, problem = [], None, ""
    try:
        for hour, minutes in USUAL_STAYS:
            entered_at = _at(tariff.valid_from_on, hour)
            stay = Stay(vehicle_class=vehicle, entered_at=entered_at, zone=zone, user_group=group)
            stays.append(_price_usual(lang, tariff, stay, minutes, holds))
        morning = Stay(
            vehicle_class=vehicle,
            entered_at=_at(tariff.valid_from_on, 8),
            zone=zone,
            user_group=group,
        )
        chart = chart_of(manager, tariff, morning, CHART_MINUTES)
    except HubError as error:
        problem = manager.present_error(error)
    return PricedVehicles(
        name=name, condition=", ".join(parts), stays=tuple(stays), chart=chart, problem=problem
    )


def _price_usual(
    lang: str, tariff: Tariff, stay: Stay, minutes: int, holds: Tariff | None
) -> UsualStay:
    assert stay.entered_at is not None
    left_at = stay.entered_at + timedelta(minutes=minutes)
    price = price_stay(tariff, stay, left_at=left_at)
    now_vnd = None
    if holds is not None:
        try:
            now_vnd = price_stay(holds, stay, left_at=left_at).amount_vnd
        except HubError:
            now_vnd = None
    unit, count = ("hours", minutes // 60) if minutes % 60 == 0 else ("minutes", minutes)
    return UsualStay(
        word=_say(
            lang,
            "usual_stay",
            duration=translate(lang, f"tariff_lines.{unit}", count=count),
            entered=f"{stay.entered_at.astimezone(HANOI):%H:%M}",
        ),
        now_vnd=now_vnd,
        then_vnd=price.amount_vnd,
        lines="; ".join(present_line(lang, line) for line in price.lines),
        is_changed=now_vnd is not None and now_vnd != price.amount_vnd,
    )


def _at(day: date, hour: int) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=HANOI)


def _say(lang: str, key: str, **values: object) -> str:
    return translate(lang, f"tariffs.{key}", **values)
