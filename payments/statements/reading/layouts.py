"""Layouts of Vietnamese banks that somebody has described, as data, each with its source.

None comes from a bank's own document, and no real file was seen: a layout gives a file a name and
settles what its headings leave open. Every reader works without one. What is known of CTG and
Agribank is only which formats they offer, so no file is recognised as theirs.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from payments.statements.reading.cells import fold
from payments.statements.reading.types import ColumnMeaning, StatementFormat


class Evidence(StrEnum):
    """The kind of source that describes a layout. Both are unproven until a bank's file is read."""

    CODE = "code"  # a published program that reads such files
    SECONDARY = "secondary"  # a guide or a list that somebody wrote


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """One layout."""

    code: str
    banks: tuple[str, ...]
    evidence: Evidence
    source: str
    formats: tuple[StatementFormat, ...]
    # Plain words of headings (cells.fold) that are all there; empty: no columns are known.
    headings: frozenset[str] = frozenset()
    sheet_prefix: str | None = None  # in plain words
    thousands_separator: str | None = None  # where the source shows it
    # Where the source names columns by place only: used if the headings say too little.
    positions: Mapping[int, ColumnMeaning] = field(default_factory=dict)


EXCEL: Final = (StatementFormat.XLSX, StatementFormat.XLS)
GUIDE: Final = "billsai.cc, guide to statements of Vietnamese banks"
LIST: Final = "a public README that lists the formats that banks offer"

LAYOUTS: Final = (
    Layout(
        code="vcb_personal",
        banks=("VCB",),
        evidence=Evidence.CODE,
        source="ofxstatement-vn-vietcombank 0.0.3",
        formats=(StatementFormat.XLSX,),
        headings=frozenset({"ngay giao dich", "so tham chieu", "so tien"}),
        thousands_separator=",",
        positions={
            0: ColumnMeaning.TRANSACTED_AT,
            1: ColumnMeaning.REFERENCE,
            2: ColumnMeaning.DIRECTION,
            3: ColumnMeaning.AMOUNT,
            4: ColumnMeaning.MEMO,
        },
    ),
    Layout(
        code="vcb_cashup",
        banks=("VCB",),
        evidence=Evidence.CODE,
        source="a published program that reads CashUp and DigiBiz files",
        formats=(StatementFormat.XLS, StatementFormat.HTML),
        headings=frozenset({"dd mm yyyy docno"}),
        sheet_prefix="vcbaccountdetail",
        thousands_separator=",",
    ),
    Layout(
        code="vcb_mb_guide",
        banks=("VCB", "MB"),
        evidence=Evidence.SECONDARY,
        source=GUIDE,
        formats=EXCEL,
        headings=frozenset({"ngay gd", "so ct", "mo ta", "phat sinh no", "phat sinh co", "so du"}),
    ),
    Layout(
        code="tcb_guide",
        banks=("TCB",),
        evidence=Evidence.SECONDARY,
        source=GUIDE,
        formats=(StatementFormat.CSV, *EXCEL),
        headings=frozenset(
            {"ngay gd", "ma gd", "loai gd", "so ct", "mo ta", "phat sinh no", "phat sinh co"}
        ),
    ),
    Layout(
        code="bidv_guide",
        banks=("BIDV",),
        evidence=Evidence.SECONDARY,
        source=GUIDE,
        formats=(StatementFormat.CSV, StatementFormat.PDF),
        headings=frozenset({"ngay hieu luc", "dien giai", "so tien"}),
    ),
    Layout(
        code="ctg_efast",
        banks=("CTG",),
        evidence=Evidence.SECONDARY,
        source=LIST,
        formats=(*EXCEL, StatementFormat.CSV),
    ),
    Layout(
        code="agribank",
        banks=("AGRIBANK",),
        evidence=Evidence.SECONDARY,
        source=LIST,
        formats=EXCEL,
    ),
)


def find_layout(headings: Iterable[str], sheet: str | None) -> Layout | None:
    """Return the layout that these headings (as they stand) and this sheet's name are of."""
    words = set()
    for heading in headings:
        words |= {fold(part) for part in (heading, *heading.split("/"), *heading.split("\n"))}
    name = fold(sheet or "").replace(" ", "")
    fitting = [
        one
        for one in LAYOUTS
        if (one.headings and one.headings <= words)
        or (one.sheet_prefix and name.startswith(one.sheet_prefix))
    ]
    return max(fitting, key=lambda one: len(one.headings), default=None)
