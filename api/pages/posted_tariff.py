"""Words for a posted tariff: its lines, hours, caps and rules, as a driver reads them on a wall."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from api.http.i18n import translate
from core.clock import HANOI
from core.money import format_vnd
from parking.tariffs.posting import PostedTariff, PostedVehicles
from parking.tariffs.structure import (
    DAY_MINUTES,
    BoundaryRule,
    DayRule,
    DayType,
    FreeMinutesRule,
    Ladder,
    RateLine,
    RateLineCollection,
    RateLineType,
    RateTable,
    Tariff,
    write_clock,
)

SPECIAL_DAYS_MAX: Final = 20  # on one sheet


@dataclass(frozen=True, kw_only=True)
class PostedRow:
    """A price with what it is for."""

    name: str  # as the tariff calls it, "" where it does not
    words: str  # "2 giờ đầu, mỗi giờ"
    amount_vnd: int | None  # None: nothing is taken


@dataclass(frozen=True, kw_only=True)
class PostedHours:
    """The prices of some hours of the day."""

    title: str  # "06:00–18:00", "" all day
    rows: tuple[PostedRow, ...]


@dataclass(frozen=True, kw_only=True)
class PostedTable:
    """The prices of some days, or of who comes in some hours."""

    title: str  # "Ngày lễ", "" always
    hours: tuple[PostedHours, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PostedClass:
    """The prices of some vehicles."""

    title: str  # "Xe máy, Máy điện"
    tables: tuple[PostedTable, ...]


@dataclass(frozen=True, kw_only=True)
class PostedWords:
    """A posted tariff, as a sheet or a page shows it."""

    name: str
    legal_basis: str
    since: str  # "Áp dụng từ 01/12/2026"
    classes: tuple[PostedClass, ...]
    notes: tuple[str, ...]


def present_posted(posted: PostedTariff, lang: str, *, timing: str, on: date) -> PostedWords:
    """Say a tariff as it is posted at a lot.

    Args:
        timing: when the lot takes the money, an APDS PaymentTimingEnum.
        on: the day; it only leaves out special days that are over.
    """
    tariff = posted.tariff
    since = _say(lang, "since", day=f"{posted.since.astimezone(HANOI):%d/%m/%Y}")
    if posted.changes_at is not None:
        changes = f"{posted.changes_at.astimezone(HANOI):%H:%M, %d/%m/%Y}"
        since = f"{since} {_say(lang, 'changes', at=changes)}"
    return PostedWords(
        name=(lang == "en" and tariff.name_en) or tariff.name,
        legal_basis=tariff.legal_basis,
        since=since,
        classes=tuple(_present_class(lang, tariff, one) for one in posted.vehicles),
        notes=(_say(lang, f"timing.{timing}"), *_list_notes(lang, posted, on)),
    )


def _present_class(lang: str, tariff: Tariff, vehicles: PostedVehicles) -> PostedClass:
    names = [_say(lang, f"class.{one.value}") for one in vehicles.classes]
    is_alone = len(vehicles.tables) == 1
    return PostedClass(
        title=", ".join(names),
        tables=tuple(
            PostedTable(
                title=_title_of(lang, table, is_alone=is_alone),
                hours=tuple(_list_hours(lang, table)),
                notes=tuple(_list_table_notes(lang, tariff, table)),
            )
            for table in vehicles.tables
        ),
    )


def _title_of(lang: str, table: RateTable, *, is_alone: bool) -> str:
    parts = [_say(lang, f"day.{day.value}") for day in DayType if day in table.days]
    words = ", ".join(parts)
    if table.entry_window:
        window = _write_window(table.entry_window.start, table.entry_window.end)
        words = ", ".join(filter(None, [words, _say(lang, "entered", window=window)]))
    if not words and not is_alone:
        words = _say(lang, "otherwise")
    return words[:1].upper() + words[1:]


def _list_hours(lang: str, table: RateTable) -> Iterable[PostedHours]:
    """Group the hours of a day by what holds in them, as they really hold where windows overlap."""
    windows: dict[int, list[str]] = {}
    ladders: dict[int, Ladder | None] = {}
    for hours in table.hours:
        key = id(hours.ladder)
        ladders[key] = hours.ladder
        if hours.length < DAY_MINUTES:
            window = _write_window(hours.start, hours.start + hours.length)
            windows.setdefault(key, []).append(window)
    for key, ladder in ladders.items():
        unpaid = PostedRow(name="", words=_say(lang, "unpaid"), amount_vnd=None)
        yield PostedHours(
            title=", ".join(windows.get(key, ())),
            rows=(unpaid,) if ladder is None else tuple(_list_rows(lang, ladder)),
        )


def _list_rows(lang: str, ladder: Ladder) -> Iterable[PostedRow]:
    for index, line in enumerate(ladder.lines):
        words, value_vnd = _say_line(lang, line), line.value_vnd * line.blocks
        if line.type is RateLineType.FLAT_RATE_TIER:
            value_vnd = line.value_vnd
        name = (line.name_en or line.name) if lang == "en" else line.name
        yield PostedRow(name=name, words=words, amount_vnd=value_vnd)
        if index == len(ladder.lines) - 1 and line.duration_end is not None:
            after = _say(lang, "no_more", end=_say_duration(lang, line.duration_end))
            yield PostedRow(name="", words=after, amount_vnd=None)


def _say_line(lang: str, line: RateLine) -> str:
    """Say when a price is taken: "Trên 2 giờ đến 4 giờ, mỗi giờ"."""
    once = {RateLineType.PER_UNIT: "each_space", RateLineType.FLAT_RATE_TIER: "whole_stay"}
    span = _say_span(lang, line)
    if line.type is RateLineType.INCREMENTING_RATE:
        often = _say(lang, "each", block=_say_block(lang, line.increment))
    elif span or line.type is RateLineType.PER_UNIT:
        often = _say(lang, once.get(line.type, "once"))
    else:
        often = _say(lang, "each_visit")
    if line.blocks > 1:
        counted = _say(lang, "blocks", count=line.blocks, value=format_vnd(line.value_vnd))
        often = f"{often} ({counted})"
    words = ", ".join(filter(None, [span, often]))
    return words[:1].upper() + words[1:]


def _say_span(lang: str, line: RateLine) -> str:
    span = "stay" if line.type is RateLineType.FLAT_RATE_TIER else "span"
    start, end = line.duration_start, line.duration_end
    if end is None:
        return _say(lang, f"{span}.after", start=_say_duration(lang, start)) if start else ""
    if not start:
        return _say(lang, f"{span}.first", end=_say_duration(lang, end))
    facts = {"start": _say_duration(lang, start), "end": _say_duration(lang, end)}
    return _say(lang, f"{span}.between", **facts)


def _list_table_notes(lang: str, tariff: Tariff, table: RateTable) -> Iterable[str]:
    for collection in table.collections:
        yield from _list_collection_notes(lang, table, collection)
    paid = [hours.ladder for hours in table.hours if hours.ladder]
    has_windows = any(hours.length < DAY_MINUTES for hours in table.hours)
    has_blocks = any(line.increment > 1 for ladder in paid for line in ladder.lines)
    if has_windows and has_blocks and len(paid) > 1:
        is_cut = tariff.boundary_rule is BoundaryRule.CUT
        yield _say(lang, "boundary.cut" if is_cut else "boundary.finish_block")
    for price in table.monthly:
        scope = _say(lang, f"monthly.{price.scope.value}")
        yield _say(lang, "monthly.price", scope=scope, amount=format_vnd(price.value_vnd))


def _list_collection_notes(
    lang: str, table: RateTable, collection: RateLineCollection
) -> Iterable[str]:
    of = ""
    if len(table.collections) > 1:
        own = [hours for hours in table.hours if hours.collection is collection]
        if not own:
            return
        windows = [_write_window(one.start, one.start + one.length) for one in own]
        of = "" if own[0].length == DAY_MINUTES else f"{', '.join(windows)}: "
    name = (collection.name_en or collection.name) if lang == "en" else collection.name
    period, reset = "period.stay", ""
    facts: dict[str, Any] = {}
    if collection.reset_after is not None:
        period, reset = "period.after", "reset.after"
        facts["duration"] = _say_duration(lang, collection.reset_after)
    elif collection.reset_time is not None:
        period, reset = "period.time", "reset.time"
        facts["time"] = write_clock(collection.reset_time)
    if collection.max_value_vnd is not None:
        per = _say(lang, period, **facts)
        cap = _say(lang, "cap", amount=format_vnd(collection.max_value_vnd), period=per)
        named = f"{name[:1].upper()}{name[1:]}: {cap[:1].lower()}{cap[1:]}" if name else cap
        yield f"{of}{named}"
    if reset:
        yield f"{of}{_say(lang, reset, **facts)}"
    if any(hours.length < DAY_MINUTES for hours in table.hours):
        if not collection.restarts_each_window:
            yield f"{of}{_say(lang, 'goes_on')}"
        elif any(
            len(one.lines) > 1 or one.lines[-1].duration_end is not None
            for one in collection.ladders
        ):
            yield f"{of}{_say(lang, 'restarts')}"


def _list_notes(lang: str, posted: PostedTariff, on: date) -> Iterable[str]:
    """Say the rules of the whole tariff, those that matter for what is posted."""
    tariff = posted.tariff
    tables = [table for one in posted.vehicles for table in one.tables]
    lines = [line for t in tables for c in t.collections for one in c.ladders for line in one.lines]
    if any(line.increment > 1 for line in lines):
        yield _say(lang, f"rounding.{tariff.rounding.blocks.value}")
    if any(table.days for table in tables):
        by_clock = tariff.day_rule is DayRule.CLOCK
        yield _say(lang, "day_rule.clock" if by_clock else "day_rule.start")
        yield from _list_special_days(lang, tariff, tables, on)
    if tariff.free_minutes:
        is_rest = tariff.free_minutes_rule is FreeMinutesRule.REST_ONLY
        free = "free.rest_only" if is_rest else "free.whole_stay"
        yield _say(lang, free, duration=_say_duration(lang, tariff.free_minutes))
    if tariff.minimum_vnd:
        yield _say(lang, "minimum", amount=format_vnd(tariff.minimum_vnd))
    if tariff.rounding.amount_step_vnd > 1:
        step = format_vnd(tariff.rounding.amount_step_vnd)
        yield _say(lang, f"amount.{tariff.rounding.amount.value}", step=step)
    if tariff.exit_grace_minutes:
        yield _say(lang, "grace", duration=_say_duration(lang, tariff.exit_grace_minutes))
    if tariff.lost_ticket_vnd is not None:
        lost = format_vnd(tariff.lost_ticket_vnd)
        yield _say(lang, f"lost.{tariff.lost_ticket_rule.value}", amount=lost)
    if tariff.tax_rate_bps:
        percent = f"{tariff.tax_rate_bps / 100:g}".replace(".", "," if lang == "vi" else ".")
        yield _say(lang, "tax", percent=percent)


def _list_special_days(
    lang: str, tariff: Tariff, tables: Sequence[RateTable], on: date
) -> Iterable[str]:
    """Say which days the tariff itself names, as far as they have prices or take a holiday's."""
    priced = {day for table in tables for day in table.days}
    coming = [
        day
        for day in sorted(tariff.special_days, key=lambda day: day.on)
        if day.on >= on and (day.type is None or day.type in priced)
    ]
    for day in coming[:SPECIAL_DAYS_MAX]:
        what = _say(lang, "day.ordinary" if day.type is None else f"day.{day.type.value}")
        named = f"{what} ({day.name})" if day.name else what
        yield f"{day.on:%d/%m/%Y}: {named}."


def _say_block(lang: str, minutes: int) -> str:
    return _say(lang, "one_hour") if minutes == 60 else _say_duration(lang, minutes)


def _say_duration(lang: str, minutes: int) -> str:
    hours, rest = divmod(minutes, 60)
    parts = [translate(lang, "tariff_lines.hours", count=hours)] if hours else []
    if rest or not hours:
        parts.append(translate(lang, "tariff_lines.minutes", count=rest))
    return " ".join(parts)


def _write_window(start: int, end: int) -> str:
    return f"{write_clock(start % DAY_MINUTES)}–{write_clock(end % DAY_MINUTES)}"


def _say(lang: str, key: str, **values: object) -> str:
    return translate(lang, f"posted_tariff.{key}", **values)
