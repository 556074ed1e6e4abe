"""`./phopay statement`: a bank's statement, read as the hub reads it; needs no hub.

Lines, row errors and the summary are printed as they come, for people or as JSON lines. The exit
code is 0 where the statement can be taken as it is, and 1 where it cannot.
"""

import sys
from typing import TYPE_CHECKING, Any, Final, TextIO

from ops.cli.options import add_command, add_group

if TYPE_CHECKING:
    from ops.cli.json_lines import Answer
    from ops.cli.options import Options, Parsers
    from payments.statements.reading.types import (
        Item,
        Place,
        Problem,
        ReadingOptions,
        RowError,
        StatementLine,
        StatementSummary,
    )

MEMO_CHARS: Final = 60  # of a line for people; --json has all of it


def add_statement(commands: "Parsers") -> "Parsers":
    """Add the group of commands; what is returned takes more of them."""
    statement = add_group(commands, "statement", "read statements of banks")
    read = add_command(statement, "read", _read, "lines, errors by row and column, and the sums")
    read.add_argument("file", metavar="FILE", help="CSV, XLSX, XLS, or HTML saved as .xls")
    read.add_argument("--json", action="store_true", dest="as_json", help="as JSON lines")
    read.add_argument("--account", metavar="NUMBER", help="the account that it must be of")
    read.add_argument(
        "--map", metavar="COLUMN=MEANING", action="append", default=[], dest="columns",
        help="such as A=transacted_at; for a table whose headings are not known",
    )  # fmt: skip
    read.add_argument(
        "--first-row", metavar="N", type=int, default=1, help="of lines, with --map (%(default)s)"
    )
    read.add_argument(
        "--thousands", choices=[",", "."], help="what separates thousands, where no cell says it"
    )
    read.add_argument("--pasted", action="store_true", help="FILE has rows from a clipboard")
    return statement


def run_statement_read(
    file: str, options: "ReadingOptions", out: TextIO, *, as_json: bool = False
) -> int:
    """Print what a file says: lines and row errors in its order, then the summary.

    Returns:
        0; 1 where there are row errors or problems, or nothing can be read.
    """
    from ops.cli.json_lines import make_error, write_line
    from payments.statements.reading.errors import StatementError
    from payments.statements.reading.formats import read_statement
    from payments.statements.reading.types import StatementSummary

    is_acceptable = False
    try:
        with open(file, "rb") as opened:
            for item in read_statement(opened, options):
                if isinstance(item, StatementSummary):
                    is_acceptable = item.is_acceptable
                if as_json:
                    if not write_line(out, _describe(item)):
                        break
                else:
                    out.writelines(f"{line}\n" for line in _word(item))
    except StatementError as error:
        refused = make_error(error.code, str(error))
        refused["error"] |= {"reason": error.reason.value, "facts": dict(error.facts)}
        if as_json:
            write_line(out, refused)
        else:
            out.write(f"{error} Nothing of it may be kept.\n")
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or "that is no name of a file"
        detail = f"{file[:200]!r} cannot be read: {reason}."
        if as_json:
            write_line(out, make_error("file_unreadable", detail))
        else:
            out.write(f"{detail}\n")
    return 0 if is_acceptable else 1


def _read(options: "Options") -> int:
    from payments.statements.reading.types import ReadingOptions

    given = ReadingOptions(
        account_number=options.account,
        mapping=_read_mapping(options.columns, options.first_row),
        thousands_separator=options.thousands,
        is_pasted=options.pasted,
    )
    return run_statement_read(options.file, given, sys.stdout, as_json=options.as_json)


def _read_mapping(columns: list[str], first_row: int) -> Any:
    from ops.errors import CannotStart
    from payments.statements.reading.cells import index_of
    from payments.statements.reading.types import ColumnMapping, ColumnMeaning

    meanings = {}
    for given in columns:
        name, _, meaning = given.partition("=")
        index = index_of(name.strip().upper())
        if index is None or meaning not in [*ColumnMeaning]:
            known = ", ".join(ColumnMeaning)
            raise CannotStart(f"{given!r} is not COLUMN=MEANING, such as A=amount. Known: {known}")
        meanings[index] = ColumnMeaning(meaning)
    return ColumnMapping(columns=meanings, first_row=first_row) if meanings else None


def _describe(item: "Item") -> "Answer":
    from dataclasses import asdict

    from payments.statements.reading.types import RowError, StatementSummary

    kind = "line"
    if isinstance(item, RowError):
        kind = "row_error"
    described = {name: _plain(value) for name, value in asdict(item).items()}
    if isinstance(item, StatementSummary):
        kind = "summary"
        described |= {"is_acceptable": item.is_acceptable, "is_chained": item.is_chained}
    return {"kind": kind, **described}


def _plain(value: Any) -> Any:
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def _word(item: "Item") -> list[str]:
    from payments.statements.reading.types import RowError, StatementLine

    if isinstance(item, StatementLine):
        return [_word_line(item)]
    return [_word_error(item)] if isinstance(item, RowError) else _word_summary(item)


def _word_line(line: "StatementLine") -> str:
    sign = "+" if line.direction == "in" else "-"
    balance = "" if line.balance_after_vnd is None else f"  = {_vnd(line.balance_after_vnd)}"
    memo = " ".join(line.memo.split())
    shown = memo if len(memo) <= MEMO_CHARS else memo[: MEMO_CHARS - 1] + "…"
    reference = line.bank_reference or "-"
    amount = f"{sign}{_vnd(line.amount_vnd)}"
    return f"{_word_place(line.place)}  {line.booked_on}  {amount}{balance}  {reference}  {shown}"


def _word_error(error: "RowError") -> str:
    column = f", column {error.column}" if error.column else ""
    meaning = f" ({error.meaning})" if error.meaning else ""
    facts = _word_facts(error.facts)
    return f"{_word_place(error.place)}{column}{meaning}: {error.fault}{facts}"


def _word_summary(summary: "StatementSummary") -> list[str]:
    layout = f", layout {summary.layout} (unproven)" if summary.layout else ""
    chained = {
        None: "not known: opening or closing balance is missing",
        True: "opening + lines = closing",
        False: "BROKEN: opening + lines ≠ closing",
    }[summary.is_chained]
    return [
        "",
        f"format    {summary.format}{layout}",
        f"account   {summary.account_number or 'not named'}, {summary.currency or 'no currency'}",
        f"period    {summary.period_from or '?'} to {summary.period_to or '?'}",
        f"lines     {summary.lines} (+{_vnd(summary.in_vnd)}, -{_vnd(summary.out_vnd)})",
        f"opening   {_word_balance(summary.opening_vnd, summary.is_opening_stated)}",
        f"closing   {_word_balance(summary.closing_vnd, summary.is_closing_stated)}",
        f"totals    {chained}",
        f"errors    {summary.row_errors} in rows, {len(summary.problems)} of the whole",
        *(_word_problem(one) for one in summary.problems),
    ]


def _word_problem(problem: "Problem") -> str:
    place = f" at {_word_place(problem.place)}" if problem.place else ""
    return f"problem   {problem.code}{place}{_word_facts(problem.facts)}"


def _word_balance(vnd: int | None, is_stated: bool) -> str:
    if vnd is None:
        return "not known"
    return _vnd(vnd) + ("" if is_stated else " (by the running balances)")


def _word_place(place: "Place") -> str:
    sheet = f"{place.sheet} " if place.sheet else ""
    page = f"page {place.page} " if place.page else ""
    return f"{sheet}{page}row {place.row}"


def _word_facts(facts: Any) -> str:
    return "".join(f"; {name} {value!r}" for name, value in facts.items())


def _vnd(amount_vnd: int) -> str:
    from core.money import format_vnd

    return format_vnd(amount_vnd)
