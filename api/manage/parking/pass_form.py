"""The form for a pass or an exemption: how it is read, and its mistakes beside their fields."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Final
from uuid import UUID

from fastapi import Depends, Form
from sqlalchemy.ext.asyncio import AsyncSession

from api.http.i18n import translate, words_in
from api.manage.page_context import CHOICES_MAX, ManagerContext, read_line
from api.manage.parking.vehicle_words import list_classes
from core.clock import hanoi_day
from core.errors import HubError, InvalidRequest
from parking.passes.rules import MONTHS_MAX, ExemptAs, PassKind
from parking.passes.types import PassWanted
from parking.places.queries import list_lots
from parking.vehicles import VehicleClass

# Between plates: line ends, commas, semicolons. A plate itself may hold spaces.
BETWEEN_PLATES: Final = re.compile(r"[\n,;]+")
FIELD: Final = re.compile(r"^(\w+)")
Text = Annotated[str, Form(max_length=2_000)]


@dataclass(frozen=True, kw_only=True)
class PassForm:
    """What the form holds, as it was typed."""

    kind: str = PassKind.MONTHLY.value
    vehicle_class: str = VehicleClass.MOTORBIKE.value
    plates: str = ""
    holder_name: str = ""
    holder_contact: str = ""
    lot_id: str = ""
    seller_lot_id: str = ""
    valid_from: str = ""
    months: str = "1"
    valid_until: str = ""
    exempt_as: str = ExemptAs.RESIDENT.value
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class PassChoices:
    """What the form offers."""

    classes: tuple[tuple[str, str], ...]
    lots: tuple[tuple[str, str], ...]
    sellers: tuple[tuple[str, str], ...]
    months: tuple[tuple[str, str], ...]
    groups: tuple[tuple[str, str], ...]


async def read_pass_form(
    kind: Text = "",
    vehicle_class: Text = "",
    plates: Text = "",
    holder_name: Text = "",
    holder_contact: Text = "",
    lot_id: Text = "",
    seller_lot_id: Text = "",
    valid_from: Text = "",
    months: Text = "",
    valid_until: Text = "",
    exempt_as: Text = "",
    reason: Text = "",
) -> PassForm:
    """Read the form as it was sent."""
    return PassForm(
        kind=kind,
        vehicle_class=vehicle_class,
        plates=plates.replace("\r\n", "\n"),
        holder_name=read_line(holder_name),
        holder_contact=read_line(holder_contact),
        lot_id=lot_id,
        seller_lot_id=seller_lot_id,
        valid_from=valid_from,
        months=months,
        valid_until=valid_until,
        exempt_as=exempt_as,
        reason=read_line(reason, 500),
    )


SentPass = Annotated[PassForm, Depends(read_pass_form)]


def blank_form(kind: str, today: date) -> PassForm:
    """Return the form before anything is typed."""
    is_exempt = kind == PassKind.EXEMPT
    return PassForm(
        kind=PassKind.EXEMPT.value if is_exempt else PassKind.MONTHLY.value,
        valid_from=today.isoformat(),
        valid_until=(today + timedelta(days=365)).isoformat() if is_exempt else "",
    )


def read_plate_list(text: str) -> tuple[str, ...]:
    """Return the plates of a text, one a line or with commas between them."""
    return tuple(one for part in BETWEEN_PLATES.split(text) if (one := read_line(part)))


def read_wanted(manager: ManagerContext, form: PassForm) -> PassWanted | dict[str, str]:
    """Return the pass that a form asks for, or its mistakes by field."""
    is_monthly = form.kind != PassKind.EXEMPT
    valid_from, valid_until = _read_day(form.valid_from), _read_day(form.valid_until)
    months = int(form.months) if re.fullmatch(r"[0-9]{1,2}", form.months) else None
    wrong = [
        name
        for name, is_wrong in (
            ("vehicle_class", form.vehicle_class not in {one.value for one in VehicleClass}),
            ("plates", not read_plate_list(form.plates)),
            ("holder_name", not form.holder_name),
            ("lot_id", _is_no_id(form.lot_id)),
            ("seller_lot_id", _is_no_id(form.seller_lot_id)),
            ("valid_from", valid_from is None),
            ("months", is_monthly and months is None),
            ("valid_until", not is_monthly and valid_until is None),
            ("exempt_as", not is_monthly and form.exempt_as not in {g.value for g in ExemptAs}),
            ("reason", not is_monthly and not form.reason),
        )
        if is_wrong
    ]
    if wrong or valid_from is None:
        return {name: say(manager, f"wrong.{name}") for name in wrong}
    lot_id = UUID(form.lot_id) if form.lot_id else None
    seller_id = UUID(form.seller_lot_id) if form.seller_lot_id else None
    return PassWanted(
        kind=PassKind.MONTHLY if is_monthly else PassKind.EXEMPT,
        vehicle_class=VehicleClass(form.vehicle_class),
        plates=read_plate_list(form.plates),
        holder_name=form.holder_name,
        holder_contact=form.holder_contact or None,
        lot_id=lot_id,
        seller_lot_id=seller_id if is_monthly and lot_id is None else None,
        valid_from=valid_from,
        months=months if is_monthly else None,
        valid_until=None if is_monthly else valid_until,
        exempt_as=None if is_monthly else ExemptAs(form.exempt_as),
        reason=None if is_monthly else form.reason,
    )


def place_error(manager: ManagerContext, error: HubError) -> dict[str, str]:
    """Say what is wrong beside its field; above the form where no field is at fault."""
    if not isinstance(error, InvalidRequest):
        return {"": say_error(manager, error)}
    found: dict[str, str] = {}
    for one in error.violations:
        name = FIELD.match(one.field)
        key = f"wrong.{name[1]}" if name else ""
        known = f"passes.{key}" in words_in("vi").texts
        found[name[1] if name and known else ""] = say(manager, key) if known else one.detail
    return found


def say_error(manager: ManagerContext, error: HubError) -> str:
    """Say what went wrong in the words of these pages, or else in those of all."""
    key = f"problem.{error.code}"
    return (
        say(manager, key)
        if f"passes.{key}" in words_in("vi").texts
        else (manager.present_error(error))
    )


def say(manager: ManagerContext, key: str, **values: object) -> str:
    """Say a text of api/manage/words/*/passes.toml."""
    return translate(manager.lang, f"passes.{key}", **values)


async def read_choices(tx: AsyncSession, manager: ManagerContext) -> PassChoices:
    """Read what the form offers: the lots that are open, and the words of the rest."""
    lots = await list_lots(tx, manager.org_id, limit=CHOICES_MAX)
    named = tuple((str(lot.id), lot.name) for lot in lots)
    return PassChoices(
        classes=list_classes(manager.lang),
        lots=(("", say(manager, "all_lots")), *named),
        sellers=(("", say(manager, "seller_none")), *named),
        months=tuple(
            (str(count), say(manager, "months", count=count)) for count in range(1, MONTHS_MAX + 1)
        ),
        groups=tuple((one.value, say(manager, f"exempt_as.{one.value}")) for one in ExemptAs),
    )


def today_of(manager: ManagerContext) -> date:
    """Return the day in Hà Nội."""
    return hanoi_day(manager.now)


def say_day(day: date) -> str:
    """Say a day as people here read it."""
    return f"{day:%d/%m/%Y}"


def say_plates(plates: Sequence[str]) -> str:
    """Say the plates of a pass as one text for a form, one a line."""
    return "\n".join(plates)


def _read_day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _is_no_id(text: str) -> bool:
    try:
        return bool(text) and UUID(text) is None
    except ValueError:
        return True
