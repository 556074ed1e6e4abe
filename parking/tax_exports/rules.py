"""Rows of the monthly tax export, its columns and its month. Pure."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Any, Final
from uuid import UUID

from core.clock import day_bounds, hanoi_day
from core.errors import InvalidRequest, Violation
from core.spreadsheets import Cell
from core.text import find_text_fault
from parking.plates import mask_plate
from parking.tariffs.pricing import tax_in

KIND: Final = "parking.tax_export"  # of the job
KEPT_FOR: Final = timedelta(days=30)  # the file; what it said in sum is kept for ever
EXPORTS_PER_DAY_MAX: Final = 40  # of an organisation: each file is kept
COLUMNS_MAX: Final = 40
HEAD_CHARS_MAX: Final = 80
MONTH: Final = re.compile(r"(20[0-9]{2})-(0[1-9]|1[0-2])")
# What a column may show. Amounts contain the tax; "buyer" is empty, since nobody asks for it.
FACTS: Final = (
    *("number", "seller_name", "seller_address", "seller_tax_code", "buyer", "kind"),
    *("transaction", "posting", "document", "sold_at", "booked_at", "lot", "lot_address", "item"),
    *("unit", "quantity", "unit_price_vnd", "amount_vnd", "tax_rate", "net_vnd", "tax_vnd"),
    *("rail", "plate"),
)
NEEDED: Final = ("transaction", "sold_at", "amount_vnd")  # without them rows explain nothing

Columns = tuple[tuple[str, str], ...]  # (head, fact)


class FileFormat(StrEnum):
    """What an export is written as."""

    CSV = "csv"
    XLSX = "xlsx"


class RowKind(StrEnum):
    """Why a row is there."""

    SALE = "sale"
    CORRECTION = "correction"  # takes back, or puts back, what another row says
    REFUND = "refund"


class Item(StrEnum):
    """What was sold."""

    STAY = "stay"
    PASS = "pass"  # noqa: S105 (no password)
    DEPOSIT = "deposit"  # of a shift that paid on behalf, where its tickets do not add up to it
    POSTER = "poster"


@dataclass(frozen=True, kw_only=True, slots=True)
class SellerFacts:
    """Who sells the parking, as invoices name them."""

    name: str
    address: str
    tax_code: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Sale:
    """What was paid once for parking, before anybody says whether it was sold or taken back."""

    id: UUID  # the payment, the collection, the match of a poster
    lot_id: UUID
    item: Item
    amount_vnd: int
    sold_at: datetime
    rail: str
    document: str = ""  # number of the cash receipt, or the bill's reference
    vehicle_class: str | None = None
    plate: str | None = None  # whole: it is masked where it is written
    tariff_version_id: UUID | None = None  # that priced it; None: the lot's at that time


@dataclass(frozen=True, kw_only=True, slots=True)
class TaxRow:
    """One row of the export: a sale, or what takes one back (below zero)."""

    kind: RowKind
    transaction_id: UUID  # the sale's, or the refund's
    posting_id: UUID
    sale: Sale
    amount_vnd: int  # with its sign
    booked_at: datetime
    tax_rate_bps: int | None


def check_month(month: str, *, now: datetime) -> date:
    """Return the first day of a month that is over.

    Raises:
        InvalidRequest: it is none, or not over yet.
    """
    found = MONTH.fullmatch(month)
    if found is None:
        raise _invalid("month", "bad_month", "A month is written as 2026-10.")
    first_on = date(int(found[1]), int(found[2]), 1)
    if first_on >= hanoi_day(now).replace(day=1):
        raise _invalid("month", "month_not_over", "The month is not over yet.")
    return first_on


def month_bounds(first_on: date) -> tuple[datetime, datetime]:
    """Return the first instant of a month in Hà Nội, and of the next one."""
    next_on = (first_on + timedelta(days=31)).replace(day=1)
    return day_bounds(first_on)[0], day_bounds(next_on)[0]


def check_columns(columns: Sequence[tuple[str, str]]) -> Columns:
    """Return columns that an export can have.

    Raises:
        InvalidRequest: names what is wrong, column by column.
    """
    faults: list[Violation] = []
    if not 1 <= len(columns) <= COLUMNS_MAX:
        faults.append(_fault("columns", "bad_count", f"One to {COLUMNS_MAX} columns."))
    for place, (head, fact) in enumerate(columns):
        if fact not in FACTS:
            faults.append(_fault(f"columns[{place}].fact", "unknown_fact", "No such fact."))
        if not (0 < len(head) <= HEAD_CHARS_MAX and find_text_fault(head) is None):
            faults.append(_fault(f"columns[{place}].head", "bad_head", "One line of text."))
    facts = [fact for _, fact in columns]
    if len(set(facts)) < len(facts):
        faults.append(_fault("columns", "fact_twice", "Each fact has one column."))
    if missing := [fact for fact in NEEDED if fact not in facts]:
        faults.append(_fault("columns", "fact_needed", f"Needed: {', '.join(missing)}."))
    if faults:
        raise InvalidRequest("The columns are not valid.", violations=faults)
    return tuple(columns)


@cache
def standard_columns() -> Columns:
    """Return the columns of who has saved none (layouts.toml)."""
    columns = _read_toml("layouts.toml")["standard"]["columns"]
    return check_columns([(head, fact) for head, fact in columns])


def sheet_name() -> str:
    """Return what the sheet of an XLSX file is called."""
    name: str = _read_toml("layouts.toml")["standard"]["sheet"]
    return name


def kind_of(cause_kind: str) -> RowKind:
    """Return what a posting's cause makes of a row."""
    if cause_kind in ("refund", "cash_refund"):
        return RowKind.REFUND
    return RowKind.CORRECTION if cause_kind.endswith("_reversal") else RowKind.SALE


def write_facts(
    row: TaxRow, *, number: int, seller: SellerFacts, lot: tuple[str, str]
) -> dict[str, Cell]:
    """Return every fact of a row as its cell.

    Args:
        lot: its name and address.
    """
    words, sale = _read_toml("words.toml"), row.sale
    tax_vnd = tax_in(abs(row.amount_vnd), row.tax_rate_bps)
    sign = -1 if row.amount_vnd < 0 else 1
    vehicle = words["vehicle"].get(sale.vehicle_class or "")
    item = words["item"][sale.item.value]
    return {
        "number": number,
        "seller_name": seller.name,
        "seller_address": seller.address,
        "seller_tax_code": seller.tax_code,
        "buyer": None,
        "kind": words["kind"][row.kind.value],
        "transaction": str(row.transaction_id),
        "posting": str(row.posting_id),
        "document": sale.document,
        "sold_at": sale.sold_at,
        "booked_at": row.booked_at,
        "lot": lot[0],
        "lot_address": lot[1],
        "item": f"{item}: {vehicle}" if vehicle else item,
        "unit": words["unit"][sale.item.value],
        "quantity": sign,
        "unit_price_vnd": abs(row.amount_vnd),
        "amount_vnd": row.amount_vnd,
        "tax_rate": write_rate(row.tax_rate_bps),
        "net_vnd": row.amount_vnd - sign * tax_vnd,
        "tax_vnd": sign * tax_vnd,
        "rail": words["rail"].get(sale.rail, sale.rail),
        "plate": None if sale.plate is None else mask_plate(sale.plate),
    }


def write_rate(rate_bps: int | None) -> str:
    """Return a tax rate as people write it: "8%", "7,5%"; nothing where a tariff names none."""
    if rate_bps is None:
        return ""
    whole, part = divmod(rate_bps, 100)
    return f"{whole}{f',{part:02d}'.rstrip('0') if part else ''}%"


@cache
def _read_toml(name: str) -> Mapping[str, Any]:
    text = resources.files("parking.tax_exports").joinpath(name).read_text("utf-8")
    return tomllib.loads(text)


def _invalid(field: str, code: str, detail: str) -> InvalidRequest:
    return InvalidRequest(detail, violations=[_fault(field, code, detail)])


def _fault(field: str, code: str, detail: str) -> Violation:
    return Violation(field=field, code=code, detail=detail)
