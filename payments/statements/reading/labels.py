"""Labels with a value that stand around a table: account, currency, period, balances, totals.

"Số tài khoản/Account number: 0123" in one cell, or the label in one cell and the value in the
next; the same above the table and below it.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from datetime import date
from enum import StrEnum
from typing import Final

from payments.statements.reading.cells import Cell, fold, text_of
from payments.statements.reading.days import Moment, read_moment
from payments.statements.reading.headings import IN_BRACKETS

LABEL_CHARS_MAX: Final = 400


class Label(StrEnum):
    """What a value around the table is."""

    ACCOUNT = "account"
    CURRENCY = "currency"
    OPENING = "opening"
    CLOSING = "closing"
    TOTAL_IN = "total_in"
    TOTAL_OUT = "total_out"
    COUNT = "count"


WORDS: Final = {
    Label.ACCOUNT: "so tai khoan|tai khoan|account number|account no|account|so tk|tk|acc no"
    "|tai khoan so|so tai khoan thanh toan",
    Label.CURRENCY: "loai tien|loai tien te|tien te|don vi tien te|currency|ccy|don vi tinh",
    Label.OPENING: "so du dau ky|so du dau|so du ban dau|opening balance|beginning balance"
    "|balance brought forward|so du dau ngay|so du ky truoc|previous balance",
    Label.CLOSING: "so du cuoi ky|so du cuoi|closing balance|ending balance|so du cuoi ngay"
    "|balance carried forward",
    Label.TOTAL_IN: "tong ghi co|tong so tien ghi co|tong phat sinh co|tong tien vao|tong co"
    "|total credit|total credits|total credit amount|cong phat sinh co|tong so tien vao"
    "|total deposits",
    Label.TOTAL_OUT: "tong ghi no|tong so tien ghi no|tong phat sinh no|tong tien ra|tong no"
    "|total debit|total debits|total debit amount|cong phat sinh no|tong so tien ra"
    "|total withdrawals",
    Label.COUNT: "tong so giao dich|so luong giao dich|number of transactions|total transactions"
    "|so giao dich phat sinh",
}
LABELS: Final = {word: label for label, said in WORDS.items() for word in said.split("|")}
# The row of a table's sums: its first words. Companies are called "Tổng công ty …", too.
SUM: Final = re.compile(
    r"(?:(?:tong|cong)(?: so| cong)?(?: tien)?(?: phat sinh| giao dich)?(?: trong ky)?|sum)"
    r"(?: total\w*)?\Z|(?:grand )?totals?(?: amount)?\Z"
)
ACCOUNT: Final = re.compile(r"[0-9A-Za-z]{3,}(?:[ .-]?\d{2,})*", re.ASCII)
CODE: Final = re.compile(r"\b[A-Z]{3}\b", re.ASCII)
DONG: Final = frozenset({"vnd", "dong", "d", "viet nam dong", "dong viet nam", "vnd dong"})
DAY: Final = r"(\d{1,2}[/.-]\d{1,2}[/.-]\d{4}|\d{4}-\d{2}-\d{2})"
FROM: Final = re.compile(rf"\b(?:tu ngay|from date|from|tu)\b[^\d]{{0,30}}{DAY}")
TO: Final = re.compile(rf"\b(?:den ngay|to date|to|den)\b[^\d]{{0,30}}{DAY}")


def read_labels(cells: Sequence[Cell]) -> Iterator[tuple[Label, Cell]]:
    """Yield the labels of a row with their values; None where a label stands alone."""
    for index, cell in enumerate(cells):
        if not isinstance(cell, str) or not cell or len(cell) > LABEL_CHARS_MAX:
            continue
        for text in cell.splitlines():
            head, mark, tail = unicodedata.normalize("NFKC", text).partition(":")
            label = _find_label(head)
            if label is None:
                continue
            value: Cell = tail.strip() if mark and tail.strip() else _next_value(cells, index)
            yield label, value


def is_sum_row(cells: Sequence[Cell]) -> bool:
    """Whether the row's first words say that it adds up the table."""
    for cell in cells:
        if text_of(cell).strip():
            return SUM.match(fold(text_of(cell)[:LABEL_CHARS_MAX])) is not None
    return False


def find_period(cells: Sequence[Cell]) -> tuple[date | None, date | None]:
    """Return the first and last day that a row names as the statement's period."""
    text = " ".join(text_of(cell) for cell in cells if cell is not None)
    if not any(one.isdigit() for one in text) or len(text) > LABEL_CHARS_MAX:
        return None, None
    plain = "".join(
        one
        for one in unicodedata.normalize("NFKD", text.lower().replace("đ", "d"))
        if not unicodedata.combining(one)
    )
    return _day_after(FROM, plain), _day_after(TO, plain)


def read_account(value: Cell) -> str | None:
    """Return an account's number without spaces, dots and dashes; None where there is none."""
    match = ACCOUNT.match(text_of(value).strip())
    if match is None:
        return None
    number = re.sub(r"[ .-]", "", match[0])
    return number if 4 <= len(number) <= 25 and any(one.isdigit() for one in number) else None


def read_currency(value: Cell) -> str | None:
    """Return "VND" or another currency's code; None where the text names none."""
    text = text_of(value)[:LABEL_CHARS_MAX]
    if fold(text) in DONG or re.search(r"\bVN[DĐ]\b", text.upper()):
        return "VND"
    match = CODE.search(text.upper()) if len(text) <= 30 else None
    return match[0] if match else None


def is_same_account(one: str, other: str) -> bool:
    """Whether two numbers are one account: Excel drops the zeros at the front of a number."""
    bare_one, bare_other = (re.sub(r"[^0-9A-Z]", "", each.upper()) for each in (one, other))
    return bare_one.lstrip("0") == bare_other.lstrip("0")


def _find_label(head: str) -> Label | None:
    bare = IN_BRACKETS.sub(" ", head)
    if label := LABELS.get(fold(bare)):
        return label
    found = {LABELS[part] for part in map(fold, re.split(r"[/|]| - ", bare)) if part in LABELS}
    return found.pop() if len(found) == 1 else None


def _next_value(cells: Sequence[Cell], index: int) -> Cell:
    for cell in cells[index + 1 :]:
        text = text_of(cell).strip()
        if text and text != ":":
            return text.lstrip(": ") if isinstance(cell, str) else cell
    return None


def _day_after(pattern: re.Pattern[str], text: str) -> date | None:
    match = pattern.search(text)
    moment = read_moment(match[1]) if match else None
    return moment.day if isinstance(moment, Moment) else None
