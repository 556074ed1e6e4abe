"""The search over bills, credits, lines of banks, parking sessions and refunds."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final
from uuid import UUID

import psycopg
from sqlalchemy import TextClause
from sqlalchemy.exc import DBAPIError

from city.search import queries
from city.search.rules import (
    FOUND_MAX,
    KIND_WITHIN_MS,
    RECENT_MEMOS,
    RECENT_ROWS,
    FoundKind,
    Wanted,
)
from core.clock import HANOI
from core.db import Database
from core.tenancy import open_org_transaction
from parking.plates import PlateError, format_plate, mask_plate

STATEMENTS: Final[Mapping[FoundKind, TextClause]] = {
    FoundKind.BILL: queries.FIND_BILLS,
    FoundKind.CREDIT: queries.FIND_CREDITS,
    FoundKind.STATEMENT_LINE: queries.FIND_LINES,
    FoundKind.PARKING_SESSION: queries.FIND_STAYS,
    FoundKind.REFUND: queries.FIND_REFUNDS,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """One thing that a search found."""

    kind: FoundKind
    id: UUID
    at: datetime  # when it happened; of a line the first instant of its booking day
    amount_vnd: int | None
    is_out: bool  # money that went out
    reference: str  # a bill's, a bank's, or a plate
    words: str  # purpose, memo, lot or reason
    status: str
    name: str  # of a payee or a counterparty
    statement_id: UUID | None = None  # of a line
    line_no: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundOfKind:
    """What was found of one kind, newest first."""

    kind: FoundKind
    rows: tuple[Found, ...]
    has_more: bool  # only the newest are here
    is_cut: bool  # it took too long, and nothing of this kind is here


async def search(
    database: Database,
    org_id: UUID,
    wanted: Wanted,
    kinds: Collection[FoundKind],
    *,
    sees_plates: bool,
) -> list[FoundOfKind]:
    """Look for what a text may mean, kind by kind, each within a time of its own.

    Args:
        kinds: those that the caller may read.
        sees_plates: else they are masked.
    """
    if wanted.is_empty:
        return []
    return [
        await _search_kind(database, org_id, kind, values, sees_plates)
        for kind in FoundKind
        if kind in kinds and (values := _values_of(kind, org_id, wanted))
    ]


async def _search_kind(
    database: Database, org_id: UUID, kind: FoundKind, values: dict[str, Any], sees_plates: bool
) -> FoundOfKind:
    try:
        async with open_org_transaction(database, org_id) as session:
            await session.execute(queries.SET_LIMIT, {"within_ms": str(KIND_WITHIN_MS)})
            answer = await session.execute(STATEMENTS[kind], values)
            rows = [dict(row) for row in answer.mappings()]
    except DBAPIError as error:
        if not isinstance(error.orig, psycopg.errors.QueryCanceled):
            raise
        return FoundOfKind(kind=kind, rows=(), has_more=False, is_cut=True)
    shown = tuple(_present(kind, row, sees_plates) for row in rows[:FOUND_MAX])
    return FoundOfKind(kind=kind, rows=shown, has_more=len(rows) > FOUND_MAX, is_cut=False)


def _values_of(kind: FoundKind, org_id: UUID, wanted: Wanted) -> dict[str, Any]:
    """Return the values of a kind's statement; {} where nothing of what is wanted is of it."""
    whole: dict[str, Any] = {"org_id": org_id, "limit": FOUND_MAX + 1}
    if kind is FoundKind.PARKING_SESSION:
        return {**whole, "plate": wanted.plate} if wanted.plate else {}
    whole |= {"codes": list(wanted.codes), "amount_vnd": wanted.amount_vnd, "recent": RECENT_ROWS}
    references, words = list(wanted.references), list(wanted.words)
    if kind is FoundKind.BILL:
        return {**whole, "references": references}
    if kind is FoundKind.STATEMENT_LINE:
        return {**whole, "words": words, "recent_memos": RECENT_MEMOS}
    if kind is FoundKind.CREDIT:
        return {**whole, "words": words, "recent_memos": RECENT_MEMOS}
    return {**whole, "references": references, "words": words}


def _present(kind: FoundKind, row: Mapping[str, Any], sees_plates: bool) -> Found:
    if kind is FoundKind.PARKING_SESSION:
        return Found(
            kind=kind,
            id=row["id"],
            at=row["at"],
            amount_vnd=row["price_vnd"],
            is_out=False,
            reference=_write_plate(row["plate"], sees_plates),
            words=row["lot"],
            status=row["status"],
            name="",
        )
    is_line = kind is FoundKind.STATEMENT_LINE
    return Found(
        kind=kind,
        id=row["id"],
        at=_first_instant(row["booked_on"]) if is_line else row["at"],
        amount_vnd=row["amount_vnd"],
        is_out=row.get("direction") == "out" or kind is FoundKind.REFUND,
        reference=row.get("reference") or row.get("bank_reference") or "",
        words=row.get("memo") or row.get("purpose") or row.get("reason") or "",
        status=row.get("status") or "",
        name=row.get("payee") or row.get("counterparty_name") or "",
        statement_id=row.get("statement_id"),
        line_no=row.get("line_no"),
    )


def _write_plate(plate: str, sees_plates: bool) -> str:
    if not sees_plates:
        return mask_plate(plate)
    try:
        return format_plate(plate)
    except PlateError:
        return plate


def _first_instant(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=HANOI).astimezone(UTC)
