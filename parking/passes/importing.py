"""Passes from a table, as spreadsheets copy or save them: all of its rows are stored, or none."""

import csv
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor
from core.errors import HubError, InvalidRequest, Violation
from core.ids import new_id
from core.text import tidy_line
from parking.passes.rules import ExemptAs, PassKind
from parking.passes.service import add_pass
from parking.passes.types import PassWanted
from parking.vehicles import VehicleClass

ROWS_MAX: Final = 2_000
FAULTS_MAX: Final = 100
CELL_CHARS_MAX: Final = 500
CSV_CHARS_MAX: Final = 500_000
NEEDED: Final = ("kind", "vehicle_class", "plates", "holder_name", "valid_from")
OPTIONAL: Final = (
    *("holder_contact", "lot_id", "seller_lot_id"),
    *("months", "valid_until", "exempt_as", "reason"),
)
BETWEEN_PLATES: Final = re.compile(r"[|\n]")
DELIMITERS: Final = "\t;,"


async def import_passes(
    session: AsyncSession,
    org_id: UUID,
    text: str,
    *,
    lot_id: UUID | None = None,
    actor: Actor,
    now: datetime,
) -> list[UUID]:
    """Sell and give passes by a table; return their ids, in the order of its rows.

    Args:
        text: rows with commas, semicolons or tabs between the cells; the first row names the
            columns. Several plates of a row have | between them.
        lot_id: of rows that name none; None: those are for all lots.

    Raises:
        InvalidRequest: with up to 100 faults, each with its row; nothing is stored then.
    """
    rows = _read_table(text)
    faults: list[Violation] = []
    ids: list[UUID] = []
    for number, row in enumerate(rows, start=2):  # the number a spreadsheet shows
        try:
            wanted = read_row(row)
            if wanted.lot_id is None:
                wanted = replace(wanted, lot_id=lot_id)
            pass_id = new_id()
            await add_pass(session, org_id, wanted, id_=pass_id, actor=actor, now=now)
            ids.append(pass_id)
        except HubError as error:
            faults += _name_row(error, number)
            if len(faults) >= FAULTS_MAX:
                break
    if faults:
        detail = f"{len(faults)} things are wrong with the table; nothing was stored."
        raise InvalidRequest(detail, violations=faults[:FAULTS_MAX])
    return ids


def read_row(row: dict[str, str]) -> PassWanted:
    """Read one row. Days are written 2026-12-01 or 01/12/2026.

    Raises:
        InvalidRequest: with every column that cannot be read.
    """
    faults: list[Violation] = []

    def read(name: str, reader: Callable[[str], Any], *, is_needed: bool = False) -> Any:
        written = row.get(name, "")
        try:
            if written or is_needed:
                return reader(written)
        except ValueError:
            detail = f"The {name} cannot be read."
            faults.append(Violation(field=name, code="bad_value", detail=detail))
        return None

    facts = {
        "kind": read("kind", PassKind, is_needed=True),
        "vehicle_class": read("vehicle_class", VehicleClass, is_needed=True),
        "plates": tuple(
            one for cell in BETWEEN_PLATES.split(row["plates"]) if (one := cell.strip())
        ),
        "holder_name": read("holder_name", _read_text, is_needed=True),
        "holder_contact": read("holder_contact", _read_text),
        "lot_id": read("lot_id", UUID),
        "seller_lot_id": read("seller_lot_id", UUID),
        "valid_from": read("valid_from", _read_day, is_needed=True),
        "months": read("months", _read_months),
        "valid_until": read("valid_until", _read_day),
        "exempt_as": read("exempt_as", ExemptAs),
        "reason": read("reason", _read_text),
    }
    if faults:
        raise InvalidRequest("The row cannot be read.", violations=faults)
    return PassWanted(**facts)


def _read_table(text: str) -> list[dict[str, str]]:
    lines = text.lstrip("\ufeff").splitlines()
    if len(text) > CSV_CHARS_MAX or len(lines) > 2 * ROWS_MAX:
        _refuse("too_long", f"The table has at most {ROWS_MAX:,} rows.")
    first = lines[0] if lines else ""
    delimiter = max(DELIMITERS, key=first.count)
    table = [
        [cell.strip() for cell in cells]
        for cells in csv.reader(lines, delimiter=delimiter)
        if any(cell.strip() for cell in cells)
    ]
    names = [name.lower() for name in table[0]] if table else []
    if missing := [name for name in NEEDED if name not in names]:
        _refuse("missing", f"The first row must name the columns; missing: {', '.join(missing)}.")
    if unknown := [name for name in names if name not in (*NEEDED, *OPTIONAL)]:
        _refuse("unknown", f"There is no column {unknown[0][:40]!r}.")
    if len(set(names)) < len(names):
        _refuse("repeated", "A column stands twice.")
    if not 1 <= len(table) - 1 <= ROWS_MAX:
        _refuse("out_of_range", f"The table has 1 to {ROWS_MAX:,} rows below the first.")
    return [dict(zip(names, [*cells, *[""] * len(names)], strict=False)) for cells in table[1:]]


def _name_row(error: HubError, number: int) -> list[Violation]:
    """Return what is wrong with a row, under its number."""
    at = f"rows[{number}]"
    if not error.violations:
        return [Violation(field=at, code=error.code, detail=str(error))]
    return [
        Violation(field=f"{at}.{one.field}", code=one.code, detail=one.detail)
        for one in error.violations
    ]


def _read_day(text: str) -> date:
    if found := re.fullmatch(r"(\d{1,2})/(\d{1,2})/(\d{4})", text, re.ASCII):
        return date(int(found[3]), int(found[2]), int(found[1]))
    return date.fromisoformat(text)


def _read_months(text: str) -> int:
    if not re.fullmatch(r"\d{1,2}", text, re.ASCII):
        raise ValueError(text)
    return int(text)


def _read_text(text: str) -> str:
    line = tidy_line(text)
    if not 0 < len(line) <= CELL_CHARS_MAX:
        raise ValueError("no line of text")
    return line


def _refuse(code: str, detail: str) -> None:
    raise InvalidRequest(detail, violations=[Violation(field="csv", code=code, detail=detail)])
