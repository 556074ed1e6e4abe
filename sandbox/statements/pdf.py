"""Statements as PDF with a text layer: hundreds of pages, memos broken over lines and pages."""

import io
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Any, Final

from reportlab.lib.pagesizes import A4
from reportlab.pdfbase.pdfmetrics import registerFont, stringWidth
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from sandbox.statements import wording
from sandbox.statements.statement import Statement, StatementLine

SIZE: Final = 7.5
LEADING: Final = 11
LEFT: Final = 36
TOP: Final = A4[1] - 48
ROWS_A_PAGE: Final = 62
MEMO_X: Final = 412
MEMO_WIDTH: Final = A4[0] - LEFT - MEMO_X
# Where a column's text begins, or ends where amounts stand to the right.
DATE_X, NUMBER_X = LEFT, 92
DEBIT_X, CREDIT_X, BALANCE_X = 246, 318, 402
HEADER: Final = (
    ("Ngày GD", "Số CT", "Ghi nợ", "Ghi có", "Số dư", "Nội dung"),
    ("Date", "Doc no", "Debit", "Credit", "Balance", "Description"),
)

Cells = tuple[str, str, str, str, str, str]  # date, number, debit, credit, balance, memo


def write_pdf(statement: Statement) -> bytes:
    """Write a page after another: table header on each, totals on the last, a footer below.

    A memo that is too wide goes on in the rows below its line, over the end of a page too.
    """
    rows = [cells for line in statement.lines for cells in _rows(line)]
    debit, credit = wording.grouped(statement.debit_vnd), wording.grouped(statement.credit_vnd)
    rows.append((wording.TOTAL, "", debit, credit, "", ""))
    closing = f"{wording.CLOSING}: {wording.grouped(statement.closing_vnd)} VND"
    rows.append((closing, "", "", "", "", ""))
    pages = list(_pages(rows, first=ROWS_A_PAGE - len(wording.preamble(statement)) - 2))
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=A4, invariant=1)  # no date and no random id: repeatable
    font = _font()
    for number, page in enumerate(pages, 1):
        canvas.setFont(font, SIZE)
        y = _draw_preamble(canvas, statement) if number == 1 else TOP
        for cells in (*HEADER, *page):
            _draw(canvas, y, cells)
            y -= LEADING
        canvas.drawString(LEFT, 24, wording.FOOTER)
        canvas.drawRightString(A4[0] - LEFT, 24, f"Trang {number}/{len(pages)}")
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def _rows(line: StatementLine) -> Iterator[Cells]:
    first, *more = list(_broken(line.memo)) or [""]
    yield (
        f"{line.booked_on:%d/%m/%Y}",
        line.reference,
        wording.debit(line.signed_vnd),
        wording.credit(line.signed_vnd),
        wording.grouped(line.balance_vnd),
        first,
    )
    for part in more:
        yield ("", "", "", "", "", part)


def _broken(memo: str) -> Iterator[str]:
    """Break a memo at spaces, and inside words that are wider than the column."""
    row = ""
    for word in memo.split():
        if row and _width(f"{row} {word}") <= MEMO_WIDTH:
            row = f"{row} {word}"
            continue
        if row:
            yield row
        while _width(word) > MEMO_WIDTH:
            fits = next(n for n in range(len(word), 0, -1) if _width(word[:n]) <= MEMO_WIDTH)
            yield word[:fits]
            word = word[fits:]
        row = word
    if row:
        yield row


def _pages(rows: list[Cells], *, first: int) -> Iterator[list[Cells]]:
    yield rows[:first]
    for start in range(first, len(rows), ROWS_A_PAGE):
        yield rows[start : start + ROWS_A_PAGE]


def _draw_preamble(canvas: Any, statement: Statement) -> float:
    y: float = TOP
    canvas.drawString(LEFT, y, wording.TITLE)
    for name, value in wording.preamble(statement):
        y -= LEADING
        canvas.drawString(LEFT, y, f"{name}: {value}")
    return y - 2 * LEADING


def _draw(canvas: Any, y: float, cells: Cells) -> None:
    date, number, debit, credit, balance, memo = cells
    canvas.drawString(DATE_X, y, date)
    canvas.drawString(NUMBER_X, y, number)
    canvas.drawRightString(DEBIT_X, y, debit)
    canvas.drawRightString(CREDIT_X, y, credit)
    canvas.drawRightString(BALANCE_X, y, balance)
    canvas.drawString(MEMO_X, y, memo)


def _width(text: str) -> float:
    return float(stringWidth(text, _font(), SIZE))


@cache
def _font() -> str:
    """Register the font that comes as a package and has all Vietnamese letters."""
    file = resources.files("fontpkg_be_vietnam_pro") / "files" / "BeVietnamPro-Regular.ttf"
    registerFont(TTFont("BeVietnamPro", str(file)))
    return "BeVietnamPro"
