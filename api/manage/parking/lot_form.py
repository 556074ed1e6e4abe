"""The form of a lot: its facts as texts, and back, with what is wrong beside each field."""

import re
from dataclasses import fields
from datetime import date
from typing import Any, Final
from uuid import UUID

from starlette.datastructures import FormData

from api.http.i18n import translate, words_in
from api.manage.page_context import ManagerContext, read_line
from core.errors import HubError
from parking.places.models import Lot
from parking.places.rules import LotKind, PaymentTiming
from parking.places.service import LotFacts

LINES: Final = ("name", "address", "zone", "licence_number", "licence_issuer")
NEEDED: Final = ("name", "address")
NUMBERS: Final = {"offline_cash_max_vnd": 100_000_000, "unconfirmed_exits_max": 1_000}
DEFAULTS: Final = {
    "kind": LotKind.OFF_STREET.value,
    "payment_timing": PaymentTiming.PAY_PRIOR_TO_EXIT.value,
    "offline_cash_max_vnd": "2000000",
    "unconfirmed_exits_max": "20",
}
KEYS: Final = (
    *("operator_id", "payee_id", "kind", "payment_timing", "position", "licence_from"),
    *("licence_until", "is_crowd_mode", "photo_required", *LINES, *NUMBERS),
)
_DEGREES: Final = re.compile(r"(\d{1,3})(?:\.(\d{1,9}))?\s*[,;]\s*(\d{1,3})(?:\.(\d{1,9}))?")
_FIELD_OF: Final = {"latitude_e6": "position", "longitude_e6": "position"}


def show_lot(lot: Lot | None) -> dict[str, str]:
    """Return the form's fields of a lot, or those of a new one."""
    if lot is None:
        return dict.fromkeys(KEYS, "") | DEFAULTS
    facts = {field.name: getattr(lot, field.name) for field in fields(LotFacts)}
    form = {name: _show(value) for name, value in facts.items()}
    form["position"] = _show_position(lot.latitude_e6, lot.longitude_e6)
    return form


def read_lot(manager: ManagerContext, sent: FormData) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the facts of LotFacts that a sent form says, and what is wrong by field."""
    facts: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for name in LINES:
        facts[name] = read_line(_text(sent, name), 300 if name == "address" else 120) or None
        if name in NEEDED and facts[name] is None:
            errors[name] = manager.say("error.needed")
    for name in ("operator_id", "payee_id"):
        try:
            facts[name] = UUID(_text(sent, name))
        except ValueError:
            errors[name] = manager.say("error.needed")
    kind, timing = _text(sent, "kind"), _text(sent, "payment_timing")
    facts["kind"] = LotKind(kind) if kind in set(LotKind) else LotKind.OFF_STREET
    facts["payment_timing"] = (
        PaymentTiming(timing) if timing in set(PaymentTiming) else PaymentTiming.PAY_PRIOR_TO_EXIT
    )
    for name in ("is_crowd_mode", "photo_required"):
        facts[name] = bool(_text(sent, name))
    for name in ("licence_from", "licence_until"):
        try:
            facts[name] = date.fromisoformat(_text(sent, name)) if _text(sent, name) else None
        except ValueError:
            errors[name] = manager.say("error.bad_day")
    for name, most in NUMBERS.items():
        digits = re.sub(r"[., ]", "", _text(sent, name)) or "0"
        if digits.isdecimal() and len(digits) < 12 and int(digits) <= most:
            facts[name] = int(digits)
        else:
            errors[name] = manager.say("error.bad_number")
    position = _text(sent, "position").strip()
    found = _DEGREES.fullmatch(position)
    facts["latitude_e6"] = facts["longitude_e6"] = None
    if found is not None:
        facts["latitude_e6"] = _millionths(found[1], found[2])
        facts["longitude_e6"] = _millionths(found[3], found[4])
    elif position:
        errors["position"] = say_fault(manager, "bad_position")
    return facts, errors


def keep_form(sent: FormData) -> dict[str, str]:
    """Return what a person typed, to be shown again."""
    return {name: _text(sent, name)[:300] for name in KEYS}


def place_error(manager: ManagerContext, error: HubError) -> dict[str, str]:
    """Return an error of the lot's service by the fields that it is about."""
    placed = {}
    for one in error.violations:
        name = one.field.rpartition(".")[2]
        placed[_FIELD_OF.get(name, name)] = say_fault(manager, one.code, one.detail)
    return placed or {"": manager.present_error(error)}


def say_fault(manager: ManagerContext, code: str, otherwise: str = "") -> str:
    """Say what is wrong with a fact."""
    key = f"lots.fault.{code}"
    return translate(manager.lang, key) if key in words_in("vi").texts else otherwise


def _millionths(whole: str, part: str | None) -> int:
    return int(whole) * 1_000_000 + int(f"{part or '0':0<6}"[:6])


def _show(value: object) -> str:
    if value is None or value is False:
        return ""
    if isinstance(value, date):
        return value.isoformat()
    return "yes" if value is True else str(value)


def _show_position(latitude_e6: int | None, longitude_e6: int | None) -> str:
    if latitude_e6 is None or longitude_e6 is None:
        return ""
    parts = (f"{one // 1_000_000}.{one % 1_000_000:06}" for one in (latitude_e6, longitude_e6))
    return ", ".join(parts)


def _text(sent: FormData, key: str) -> str:
    value = sent.get(key, "")
    return value if isinstance(value, str) else ""
