"""Words of statements: states, problems with what to do about them, row errors, conflicts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from api.finance.page_context import FinanceContext
from api.http.i18n import translate, words_in
from core.money import format_vnd
from payments.statements.errors import StatementNotChained, StatementOverlaps
from payments.statements.reading.types import ColumnMeaning
from payments.statements.rules import StatementFacts, StatementStatus
from payments.statements.views import Conflicts

# Icon and tone of each status.
STATES: Final = {
    StatementStatus.UPLOADED: ("clock", "plain"),
    StatementStatus.STAGED: ("info", "attention"),
    StatementStatus.REFUSED: ("cross", "bad"),
    StatementStatus.ACCEPTED: ("clock", "plain"),
    StatementStatus.VISIBLE: ("check", "good"),
    StatementStatus.DISCARDED: ("stop", "plain"),
}
DAYS_NAMED: Final = 40  # of a conflict; the rest are counted


@dataclass(frozen=True, kw_only=True)
class ProblemWords:
    """What is wrong with a file as a whole, and what to do."""

    title: str
    next_step: str


@dataclass(frozen=True, kw_only=True)
class RowErrorWords:
    """What is wrong with one row."""

    place: str
    column: str
    fault: str


@dataclass(frozen=True, kw_only=True)
class DayApart:
    """A day of which two statements say something else: (lines, in_vnd, out_vnd) of each."""

    day: str
    own: tuple[int, int, int]
    other: tuple[int, int, int]
    other_path: str


@dataclass(frozen=True, kw_only=True)
class ConflictWords:
    """What keeps a statement from being accepted, with the days that it is about."""

    title: str
    next_step: str
    days: tuple[DayApart, ...] = ()
    more_days: int = 0


def say_status(finance: FinanceContext, status: StatementStatus) -> tuple[str, str, str]:
    """Return (word, icon, tone) of a status."""
    icon, tone = STATES[status]
    return translate(finance.lang, f"statements.status.{status.value}"), icon, tone


def say_day(day: date | None) -> str:
    """Say a day as people here write it."""
    return "" if day is None else f"{day:%d/%m/%Y}"


def say_period(found: StatementFacts) -> str:
    """Say the days that a statement speaks of."""
    first, last = say_day(found.period_from), say_day(found.period_to)
    return first if first == last else f"{first} – {last}"


def say_meaning(finance: FinanceContext, meaning: str | None) -> str:
    """Say what a column is."""
    if meaning is None:
        return ""
    return translate(finance.lang, f"statements.meaning.{ColumnMeaning(meaning).value}")


def say_problem(finance: FinanceContext, problem: Mapping[str, Any]) -> ProblemWords:
    """Say a problem of a statement: of the reader, of the import, or why nothing can be read."""
    facts = _write_facts(problem["facts"])
    place = problem.get("place")
    facts["place"] = "" if place is None else _say_place(finance, place)
    code = problem["code"]
    if f"statements.problem.{code}.title" not in words_in("vi").texts:
        code = "other"
        facts["code"] = problem["code"]
    title = translate(finance.lang, f"statements.problem.{code}.title", **facts)
    if (
        place is not None
        and "{place}" not in words_in("vi").texts[f"statements.problem.{code}.title"]
    ):
        title = f"{title} ({facts['place']})"
    return ProblemWords(
        title=title, next_step=translate(finance.lang, f"statements.problem.{code}.next", **facts)
    )


def say_row_error(finance: FinanceContext, error: Mapping[str, Any]) -> RowErrorWords:
    """Say what is wrong with one row, by its row and column."""
    facts = {"value": "", **_write_facts(error["facts"])}
    column = error["column"] or ""
    if meaning := say_meaning(finance, error["meaning"]):
        column = f"{column} · {meaning}" if column else meaning
    return RowErrorWords(
        place=_say_place(finance, error["place"]),
        column=column or translate(finance.lang, "statements.whole_row"),
        fault=translate(finance.lang, f"statements.fault.{error['fault']}", **facts),
    )


def say_conflicts(finance: FinanceContext, found: Conflicts) -> list[ConflictWords]:
    """Say what accepting a staged statement would meet."""

    def say(key: str, **values: object) -> str:
        return translate(finance.lang, f"statements.conflict.{key}", **values)

    said = []
    if found.is_being_written:
        said.append(ConflictWords(title=say("writing"), next_step=say("writing_next")))
    if apart := found.days_apart:
        days = tuple(
            DayApart(
                day=say_day(one.day),
                own=one.own,
                other=one.other,
                other_path=finance.path(f"/statements/{one.other_id}"),
            )
            for one in apart[:DAYS_NAMED]
        )
        said.append(
            ConflictWords(
                title=say("overlaps", count=len(apart)),
                next_step=say("overlaps_next"),
                days=days,
                more_days=max(0, len(apart) - DAYS_NAMED),
            )
        )
    elif found.broken is not None:
        said.append(_say_broken(finance, *found.broken))
    return said


def say_refusal(finance: FinanceContext, error: Exception) -> str:
    """Say why accepting was refused, with the days where it names some."""
    if isinstance(error, StatementOverlaps):
        return translate(
            finance.lang,
            "statements.conflict.lines_apart",
            repeats=error.repeats,
            extra=error.extra,
            missing=error.missing,
        )
    if isinstance(error, StatementNotChained):
        return _say_broken(finance, error.own, error.other).title
    return ""


def _say_broken(
    finance: FinanceContext, own: tuple[date, int], other: tuple[date, int]
) -> ConflictWords:
    facts = {
        "own_day": say_day(own[0]),
        "own": format_vnd(own[1]),
        "other_day": say_day(other[0]),
        "other": format_vnd(other[1]),
    }
    return ConflictWords(
        title=translate(finance.lang, "statements.conflict.not_chained", **facts),
        next_step=translate(finance.lang, "statements.conflict.not_chained_next", **facts),
    )


def _say_place(finance: FinanceContext, place: Mapping[str, Any]) -> str:
    said = translate(finance.lang, "statements.row", row=place["row"])
    if place.get("page") is not None:
        said = f"{translate(finance.lang, 'statements.page', page=place['page'])}, {said}"
    return f"{place['sheet']}, {said}" if place.get("sheet") else said


def _write_facts(facts: Mapping[str, Any]) -> dict[str, str]:
    written = {}
    for name, value in facts.items():
        if name.endswith("_vnd") and isinstance(value, int):
            written[name] = format_vnd(value)
        elif name in ("booked_on", "first", "last") and _is_day(value):
            written[name] = say_day(date.fromisoformat(str(value)))
        elif name in ("bytes", "bytes_max") and isinstance(value, int):
            written[name] = f"{-(-value // 1024**2)} MiB"
        else:
            written[name] = str(value)
    return written


def _is_day(value: object) -> bool:
    try:
        date.fromisoformat(str(value))
    except ValueError:
        return False
    return True


def list_meanings(finance: FinanceContext) -> Sequence[tuple[str, str]]:
    """List what a column may be, to choose from; first that it is not used."""
    offered = [one for one in ColumnMeaning if one not in (ColumnMeaning.IGNORED,)]
    return [
        ("", translate(finance.lang, "statements.meaning.ignored")),
        *((one.value, say_meaning(finance, one.value)) for one in offered),
    ]
