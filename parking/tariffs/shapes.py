"""Common shapes of prices, which a form can hold: a document taken apart, and put together again.

A rate table that is none of them is kept as it stands, and so is everything else of the document:
nothing is lost by way of the form.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from parking.tariffs.structure import DAY_MINUTES, MonthlyScope, RateLineType, write_clock

STEPS_MAX: Final = 6  # of a ladder in the form
HEAD: Final = (
    *("format", "code", "name", "name_en", "legal_basis", "source", "is_unverified_sample"),
    *("valid_from_on", "payment_timing", "tax_rate_bps", "free_minutes", "exit_grace_minutes"),
    *("lost_ticket_vnd", "lost_ticket_rule", "seller"),
)
TABLES: Final = "rate_tables"


class Shape(StrEnum):
    """How a vehicle is charged."""

    PER_VISIT = "per_visit"  # once, however long it stays
    DAY_NIGHT = "day_night"  # by day, by night, and less for both
    BLOCKS = "blocks"  # each started block the same, perhaps not more than a cap
    LADDER = "ladder"  # blocks whose price changes with the hours
    CUSTOM = "custom"  # kept as it is written


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One price of a group: of a visit, of some hours of the day, of each block until a minute."""

    value_vnd: Any
    increment_minutes: Any = None  # None: once
    until_minutes: Any = None  # of the stay; None: on and on
    window: str | None = None
    name: str = ""
    name_en: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Vehicles that are charged alike."""

    shape: Shape
    vehicle_classes: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    cap_vnd: Any = None  # of each 24 hours from the entry on
    cap_name: str = ""
    cap_name_en: str = ""
    month_vnd: Any = None  # a pass for day and night
    raw: dict[str, Any] | None = None  # of CUSTOM


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """A document as the form shows it."""

    head: dict[str, Any]
    groups: tuple[Group, ...]
    rest: dict[str, Any] = field(default_factory=dict)  # what the form does not show


def take_apart(document: dict[str, Any]) -> Form:
    """Return a document as the form shows it; its faults stay in it."""
    tables = document.get(TABLES)
    tables = tables if isinstance(tables, list) else []
    return Form(
        head={key: document[key] for key in HEAD if key in document},
        groups=tuple(_take_table(one) for one in tables if isinstance(one, dict)),
        rest={k: v for k, v in document.items() if k not in HEAD and k != TABLES},
    )


def put_together(form: Form) -> dict[str, Any]:
    """Return the document that a form describes; whether it is right says build_tariff."""
    head = {key: form.head[key] for key in HEAD if not _is_left_out(form.head.get(key))}
    return {**head, **form.rest, TABLES: [_write_group(one) for one in form.groups]}


def day_and_night(day_from: str, night_from: str) -> tuple[str, str]:
    """Return the windows of day and night."""
    return f"{day_from}-{night_from}", f"{night_from}-{day_from}"


def _take_table(table: dict[str, Any]) -> Group:
    for shape in (Shape.PER_VISIT, Shape.DAY_NIGHT, Shape.BLOCKS, Shape.LADDER):
        group = _try_shape(table, shape)
        # Only what is written back to the same is of this shape.
        if group is not None and _write_group(group) == table:
            return group
    classes = table.get("vehicle_classes")
    known = tuple(map(str, classes)) if isinstance(classes, list) else ()
    return Group(shape=Shape.CUSTOM, vehicle_classes=known, raw=table)


def _try_shape(table: dict[str, Any], shape: Shape) -> Group | None:
    try:
        (collection,) = table["rate_line_collections"]
        lines = collection["rate_lines"]
        steps = tuple(_take_line(line) for line in lines)
        monthly = table.get("monthly_prices", [])
        month_vnd = monthly[0]["value_vnd"] if len(monthly) == 1 else None
        classes = tuple(table.get("vehicle_classes", ()))
        cap_vnd = collection.get("max_value_vnd")
        names = collection.get("name", ""), collection.get("name_en", "")
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    if not _fits(shape, steps):
        return None
    return Group(
        shape=shape,
        vehicle_classes=classes,
        steps=steps,
        cap_vnd=cap_vnd,
        cap_name=names[0],
        cap_name_en=names[1],
        month_vnd=month_vnd,
    )


def _fits(shape: Shape, steps: tuple[Step, ...]) -> bool:
    if shape is Shape.PER_VISIT:
        return len(steps) == 1 and not steps[0].increment_minutes and not steps[0].window
    if shape is Shape.DAY_NIGHT:
        edges = [str(step.window).split("-") for step in steps]
        return (
            len(steps) == 2
            and all(len(edge) == 2 for edge in edges)
            and edges[0] == edges[1][::-1]
            and not any(step.increment_minutes for step in steps)
        )
    is_plain = all(step.increment_minutes and not step.window for step in steps)
    if shape is Shape.BLOCKS:
        return len(steps) == 1 and is_plain and steps[0].until_minutes is None
    return shape is Shape.LADDER and is_plain and 1 <= len(steps) <= STEPS_MAX


def _take_line(line: dict[str, Any]) -> Step:
    is_block = line["type"] == RateLineType.INCREMENTING_RATE
    return Step(
        value_vnd=line["value_vnd"],
        increment_minutes=line["increment_minutes"] if is_block else None,
        until_minutes=line.get("duration_end_minutes"),
        window=line.get("window"),
        name=line.get("name", ""),
        name_en=line.get("name_en", ""),
    )


def _write_group(group: Group) -> dict[str, Any]:
    if group.shape is Shape.CUSTOM:
        return dict(group.raw or {})
    collection: dict[str, Any] = {}
    if group.cap_vnd is not None:
        collection |= {"max_value_vnd": group.cap_vnd, "reset_after_minutes": DAY_MINUTES}
        collection |= _names(group.cap_name, group.cap_name_en)
    collection["rate_lines"] = _write_steps(group.steps)
    table: dict[str, Any] = {}
    if group.vehicle_classes:
        table["vehicle_classes"] = list(group.vehicle_classes)
    if group.month_vnd is not None:
        scope = MonthlyScope.DAY_AND_NIGHT.value
        table["monthly_prices"] = [{"scope": scope, "value_vnd": group.month_vnd}]
    return {**table, "rate_line_collections": [collection]}


def _write_steps(steps: tuple[Step, ...]) -> list[dict[str, Any]]:
    lines = []
    start: Any = None
    for step in steps:
        is_block = step.increment_minutes is not None
        kind = RateLineType.INCREMENTING_RATE if is_block else RateLineType.FLAT_RATE
        line: dict[str, Any] = {"type": kind.value}
        if step.window:
            line["window"] = step.window
        if start is not None:
            line["duration_start_minutes"] = start
        if step.until_minutes is not None:
            line["duration_end_minutes"] = step.until_minutes
        if is_block:
            line["increment_minutes"] = step.increment_minutes
        line["value_vnd"] = step.value_vnd
        lines.append(line | _names(step.name, step.name_en))
        start = None if step.window else step.until_minutes
    return lines


def _is_left_out(value: Any) -> bool:
    return value is None or value is False or value == ""


def _names(name: str, name_en: str) -> dict[str, str]:
    return {key: text for key, text in (("name", name), ("name_en", name_en)) if text}


def clock_of(window: str | None, edge: int, otherwise: int) -> str:
    """Return an edge of a window as the form shows it."""
    edges = (window or "").split("-")
    return edges[edge] if len(edges) == 2 else write_clock(otherwise)
