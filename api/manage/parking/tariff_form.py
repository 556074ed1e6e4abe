"""The tariff editor's form: fields out of a document, a document out of fields, faults in place.

What a person typed stays in its field until it can be read; what the form does not show travels
along in hidden fields, so that nothing of a document is lost.
"""

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.datastructures import FormData

from api.manage.page_context import read_line
from core.errors import Violation
from core.text import STROKED_D
from parking.tariffs.reading import FORMAT
from parking.tariffs.shapes import (
    STEPS_MAX,
    Form,
    Group,
    Shape,
    Step,
    clock_of,
    day_and_night,
    put_together,
)

GROUPS_MAX: Final = 12
TEXTS: Final = ("code", "name", "name_en", "legal_basis", "source", "valid_from_on")
NUMBERS: Final = ("free_minutes", "exit_grace_minutes", "lost_ticket_vnd", "tax_rate_bps")
SELLER: Final = ("name", "address", "tax_code")
DAY_FROM, NIGHT_FROM = 360, 1080
BLOCK_MINUTES: Final = 60
_NUMBER: Final = re.compile(r"\d{1,3}(?:[., \u00a0]\d{3})+|\d{1,12}")
_HOURS: Final = re.compile(r"(\d{1,4})(?::([0-5]\d)|[.,](5))?\s*(?:h|giờ|gio)?", re.IGNORECASE)
_PLACE: Final = re.compile(
    r"rate_tables\[(\d+)\]\.(?:rate_line_collections\[0\]\.)?(?:rate_lines\[(\d+)\]\.)?(.+)"
)
# Key of a group or of one of its steps → what its field ends with.
_FIELDS: Final = {
    "vehicle_classes": "classes",
    "monthly_prices[0].value_vnd": "month",
    "max_value_vnd": "cap",
    "value_vnd": "vnd",
    "increment_minutes": "block",
    "duration_end_minutes": "until",
    "duration_start_minutes": "until",
    "window": "window",
    "name": "name",
    "name_en": "name_en",
}


@dataclass(frozen=True, kw_only=True)
class StepFields:
    """The fields of one price, each under its name in the form."""

    prefix: str  # "g0_s1_"
    vnd: str
    block: str
    until: str
    name: str
    name_en: str


@dataclass(frozen=True, kw_only=True)
class GroupFields:
    """The fields of vehicles that are charged alike."""

    prefix: str  # "g0_"
    shape: str
    classes: frozenset[str]
    steps: tuple[StepFields, ...]
    day_from: str
    night_from: str
    cap: str
    cap_name: str
    cap_name_en: str
    month: str
    raw: str  # JSON of a table that the form does not take apart


@dataclass(frozen=True, kw_only=True)
class FormFields:
    """All fields, as texts."""

    head: Mapping[str, str]
    is_verified: bool
    groups: tuple[GroupFields, ...]
    rest: str  # JSON
    has_rest: bool


def show_form(form: Form) -> FormFields:
    """Return the fields of a document that was taken apart."""
    head = {key: _show(form.head.get(key)) for key in (*TEXTS, *NUMBERS, "payment_timing")}
    seller = form.head.get("seller")
    seller = seller if isinstance(seller, dict) else {}
    head |= {f"seller_{key}": _show(seller.get(key)) for key in SELLER}
    head["lost_ticket_rule"] = _show(form.head.get("lost_ticket_rule"))
    return FormFields(
        head=head,
        is_verified=not form.head.get("is_unverified_sample"),
        groups=tuple(_show_group(n, one) for n, one in enumerate(form.groups[:GROUPS_MAX])),
        rest=json.dumps(form.rest, ensure_ascii=False),
        has_rest=bool(form.rest),
    )


def read_form(sent: FormData) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the document that a sent form describes, and what could not be read, by field.

    A field that could not be read is in the document as it was typed, so it stays on the screen.
    """
    wrong: dict[str, str] = {}
    head: dict[str, Any] = {"format": FORMAT}
    for key in TEXTS:
        if text := read_line(_text(sent, key), 300):
            head[key] = text
    head["code"] = head.get("code") or make_code(str(head.get("name", "")))
    for key in NUMBERS:
        if (value := _read_number(sent, key, wrong)) is not None:
            head[key] = value
    head["payment_timing"] = _text(sent, "payment_timing")
    head["lost_ticket_rule"] = _text(sent, "lost_ticket_rule")
    head["is_unverified_sample"] = not sent.get("is_verified")
    head["seller"] = {key: read_line(_text(sent, f"seller_{key}"), 300) for key in SELLER}
    groups: list[Group] = []
    while len(groups) < GROUPS_MAX and f"g{len(groups)}_shape" in sent:
        groups.append(_read_group(sent, f"g{len(groups)}_", wrong))
    form = Form(head=head, groups=tuple(groups), rest=_read_json(_text(sent, "rest")))
    return put_together(form), wrong


def place_faults(
    violations: tuple[Violation, ...], groups: tuple[GroupFields, ...]
) -> tuple[dict[str, Violation], list[Violation]]:
    """Return which fault stands at which field, and those that no field shows."""
    placed: dict[str, Violation] = {}
    others = []
    for one in violations:
        name = _field_of(one.field, groups)
        if name is None:
            others.append(one)
        else:
            placed.setdefault(name, one)
    return placed, others


def change_groups(document: dict[str, Any], wish: str) -> dict[str, Any]:
    """Return a document with a group or a step more, or one less, as a button wishes."""
    tables = list(document.get("rate_tables", ()))
    kind, _, rest = wish.partition(":")
    if kind == "add_group" and len(tables) < GROUPS_MAX:
        tables.append(
            {"rate_line_collections": [{"rate_lines": [{"type": "flatRate", "value_vnd": ""}]}]}
        )
    elif kind == "drop_group" and rest.isdecimal() and int(rest) < len(tables) > 1:
        del tables[int(rest)]
    elif kind in ("add_step", "drop_step") and rest.isdecimal() and int(rest) < len(tables):
        lines = tables[int(rest)]["rate_line_collections"][0]["rate_lines"]
        if kind == "add_step" and len(lines) < STEPS_MAX:
            lines[-1].setdefault("duration_end_minutes", "")
            lines.append(
                {
                    "type": "incrementingRate",
                    "duration_start_minutes": lines[-1]["duration_end_minutes"],
                    "increment_minutes": lines[-1].get("increment_minutes", BLOCK_MINUTES),
                    "value_vnd": "",
                }
            )
        elif kind == "drop_step" and len(lines) > 1:
            del lines[-1]
            lines[-1].pop("duration_end_minutes", None)
    return {**document, "rate_tables": tables}


def make_code(name: str) -> str:
    """Return a tariff's code from its name: small letters, digits and hyphens."""
    plain = unicodedata.normalize("NFD", name.translate(STROKED_D)).encode("ascii", "ignore")
    return re.sub(r"[^a-z0-9]+", "-", plain.decode().lower()).strip("-")[:60].strip("-") or "gia"


def write_hours(minutes: Any) -> str:
    """Write minutes as the form shows hours: 120 → "2", 90 → "1:30"; else as it was typed."""
    if type(minutes) is not int:
        return _show(minutes)
    hours, rest = divmod(minutes, 60)
    return f"{hours}:{rest:02}" if rest else str(hours)


def read_hours(typed: str) -> int | str | None:
    """Read hours as minutes: "2" → 120, "1:30" or "1,5" → 90; nothing is None, else as typed."""
    typed = typed.strip()
    if not typed:
        return None
    found = _HOURS.fullmatch(typed)
    if found is None:
        return typed[:40]
    half = 30 if found[3] else int(found[2] or 0)
    return int(found[1]) * 60 + half


def _show_group(n: int, group: Group) -> GroupFields:
    prefix = f"g{n}_"
    window = group.steps[0].window if group.steps else None
    return GroupFields(
        prefix=prefix,
        shape=group.shape.value,
        classes=frozenset(group.vehicle_classes),
        steps=tuple(_show_step(f"{prefix}s{m}_", step) for m, step in enumerate(group.steps)),
        day_from=clock_of(window, 0, DAY_FROM),
        night_from=clock_of(window, 1, NIGHT_FROM),
        cap=_show(group.cap_vnd),
        cap_name=group.cap_name,
        cap_name_en=group.cap_name_en,
        month=_show(group.month_vnd),
        raw=json.dumps(group.raw, ensure_ascii=False) if group.raw is not None else "",
    )


def _show_step(prefix: str, step: Step) -> StepFields:
    return StepFields(
        prefix=prefix,
        vnd=_show(step.value_vnd),
        block=write_hours(step.increment_minutes),
        until=write_hours(step.until_minutes),
        name=step.name,
        name_en=step.name_en,
    )


def _read_group(sent: FormData, prefix: str, wrong: dict[str, str]) -> Group:
    written = _text(sent, f"{prefix}shape")
    shape = Shape(written) if written in set(Shape) else Shape.PER_VISIT
    classes = tuple(str(one)[:40] for one in sent.getlist(f"{prefix}classes"))
    if shape is Shape.CUSTOM and (raw := _read_json(_text(sent, f"{prefix}raw"))):
        return Group(shape=shape, vehicle_classes=classes, raw=raw)
    if shape is Shape.CUSTOM:
        shape = Shape.PER_VISIT
    cap_vnd = None
    if shape is not Shape.PER_VISIT:
        cap_vnd = _read_number(sent, f"{prefix}cap", wrong)
    return Group(
        shape=shape,
        vehicle_classes=classes,
        steps=_read_steps(sent, prefix, shape, wrong),
        cap_vnd=cap_vnd,
        cap_name=read_line(_text(sent, f"{prefix}cap_name"), 300),
        cap_name_en=read_line(_text(sent, f"{prefix}cap_name_en"), 300),
        month_vnd=_read_number(sent, f"{prefix}month", wrong),
    )


def _read_steps(
    sent: FormData, prefix: str, shape: Shape, wrong: dict[str, str]
) -> tuple[Step, ...]:
    count = 2 if shape is Shape.LADDER else 1  # of one step a ladder is blocks
    while shape is Shape.LADDER and count < STEPS_MAX and f"{prefix}s{count}_vnd" in sent:
        count += 1
    windows: tuple[str | None, ...] = (None,) * STEPS_MAX
    if shape is Shape.DAY_NIGHT:
        count = 2
        day_from = _text(sent, f"{prefix}day_from") or "06:00"
        night_from = _text(sent, f"{prefix}night_from") or "18:00"
        windows = day_and_night(day_from, night_from)
    return tuple(
        _read_step(sent, f"{prefix}s{n}_", shape, windows[n], wrong, is_last=n == count - 1)
        for n in range(count)
    )


def _read_step(
    sent: FormData,
    prefix: str,
    shape: Shape,
    window: str | None,
    wrong: dict[str, str],
    *,
    is_last: bool,
) -> Step:
    value_vnd = _read_number(sent, f"{prefix}vnd", wrong)
    increment: Any = None
    until: Any = None
    if shape in (Shape.BLOCKS, Shape.LADDER):
        increment = read_hours(_text(sent, f"{prefix}block")) or BLOCK_MINUTES
    if shape is Shape.LADDER:
        until = read_hours(_text(sent, f"{prefix}until"))
        until = "" if until is None and not is_last else until
    return Step(
        value_vnd="" if value_vnd is None else value_vnd,
        increment_minutes=increment,
        until_minutes=until,
        window=window,
        name=read_line(_text(sent, f"{prefix}name"), 300),
        name_en=read_line(_text(sent, f"{prefix}name_en"), 300),
    )


def _field_of(path: str, groups: tuple[GroupFields, ...]) -> str | None:
    if path in (*TEXTS, *NUMBERS, "payment_timing", "lost_ticket_rule"):
        return path
    if path.startswith("seller."):
        return path.replace(".", "_")
    found = _PLACE.fullmatch(path)
    if found is None or int(found[1]) >= len(groups):
        return None
    group = groups[int(found[1])]
    ending = _FIELDS.get(found[3])
    if ending is None or group.shape == Shape.CUSTOM:
        return None
    if found[2] is None:
        ending = {"name": "cap_name", "name_en": "cap_name_en"}.get(ending, ending)
        return f"{group.prefix}{ending}"
    if ending == "window":
        return f"{group.prefix}day_from"
    return f"{group.prefix}s{found[2]}_{ending}"


def _read_number(sent: FormData, key: str, wrong: dict[str, str]) -> int | str | None:
    typed = _text(sent, key).replace("₫", "").replace("đ", "").strip()
    if not typed:
        return None
    if _NUMBER.fullmatch(typed):
        return int(re.sub(r"\D", "", typed))
    wrong[key] = "number"
    return typed[:40]


def _read_json(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        found = {}
    return found if isinstance(found, dict) else {}


def _text(sent: FormData, key: str) -> str:
    value = sent.get(key, "")
    return value if isinstance(value, str) else ""


def _show(value: Any) -> str:
    if value is None:
        return ""
    if type(value) is int:
        return f"{value:,}".replace(",", ".") if value >= 10_000 else str(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
