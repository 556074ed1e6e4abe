"""Words for a price: each line as an accountant would write it, in the reader's language."""

from collections.abc import Mapping
from typing import Any

from api.http.i18n import translate
from core.money import format_vnd
from parking.tariffs.pricing import LineCode, PriceLine

# A line whose text is its label, and how often its price was taken.
_COUNTED = {LineCode.VISITS, LineCode.BLOCKS, LineCode.TIER, LineCode.UNITS}


def present_line(lang: str, line: PriceLine) -> str:
    """Say what a line of a price is for; its amount stands beside it."""
    values = {name: _present_fact(lang, name, value) for name, value in line.facts.items()}
    if lang != "vi" and "name_en" in line.facts:
        values["name"] = line.facts["name_en"]
    if line.code not in _COUNTED:
        form = _form_of(line.code, line.facts)
        return translate(lang, f"tariff_lines.{form}", **values)
    label = str(values.get("name") or translate(lang, _label_of(line), **values))
    if "window" in line.facts:
        label = f"{label} ({values['window']})"
    units = line.facts.get("units", 1)
    count = line.facts["count"] * units
    if count == 1:
        return label
    return f"{label}: {count} × {format_vnd(line.facts['value_vnd'])}"


def _label_of(line: PriceLine) -> str:
    label: str = line.code
    if line.code is LineCode.BLOCKS and line.facts["block_minutes"] == 60:
        label = "hours"
    elif line.code is LineCode.TIER and not line.facts["from_minutes"]:
        label = "first_tier" if "to_minutes" in line.facts else LineCode.VISITS
    return f"tariff_lines.label.{label}"


def _form_of(code: LineCode, facts: Mapping[str, Any]) -> str:
    if code is LineCode.LOST_TICKET and "at_least_vnd" in facts:
        return "lost_ticket_at_least"
    if code is not LineCode.CAP:
        return code
    if "name" in facts:
        return "cap_named"
    if "reset_after_minutes" in facts:
        return "cap_each"
    return "cap_daily" if "reset_time" in facts else code


def _present_fact(lang: str, name: str, value: Any) -> object:
    if name.endswith("_vnd"):
        return format_vnd(value)
    if name == "minutes" or name.endswith("_minutes"):
        return _present_duration(lang, value)
    if name == "window":
        return value.replace("-", "–")
    return value


def _present_duration(lang: str, minutes: int) -> str:
    if minutes and minutes % 60 == 0:
        return translate(lang, "tariff_lines.hours", count=minutes // 60)
    return translate(lang, "tariff_lines.minutes", count=minutes)
