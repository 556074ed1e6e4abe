"""Headings of tables in Vietnamese or English, with or without marks: which column means what.

A heading is compared as plain words (cells.fold), as a whole and then by its parts, since banks
write both languages in one cell: "Số tiền ghi nợ/Debit".
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from payments.statements.reading.cells import Cell, fold
from payments.statements.reading.types import ColumnMeaning

HEADING_CHARS_MAX: Final = 150

# Plain words, as cells.fold writes them; one meaning a line or two.
WORDS: Final[Mapping[ColumnMeaning, str]] = {
    ColumnMeaning.BOOKED_ON: "ngay hach toan|ngay ghi so|ngay but toan|posting date|post date"
    "|booking date|booked date|accounting date|ngay hach toan he thong",
    ColumnMeaning.TRANSACTED_AT: "ngay giao dich|ngay gd|ngay|ngay gio giao dich|ngay gio"
    "|ngay gio gd|thoi gian giao dich|thoi gian|thoi gian gd|ngay thang|ngay thuc hien"
    "|ngay phat sinh"
    "|transaction date|tran date|trans date|txn date|date|date time|transaction time"
    "|transaction date time|requesting date|ngay ct|ngay chung tu",
    ColumnMeaning.VALUE_ON: "ngay hieu luc|ngay gia tri|effective date|value date",
    ColumnMeaning.TIME: "gio|gio giao dich|gio gd|time",
    ColumnMeaning.DATE_AND_REFERENCE: "dd mm yyyy docno|dd mm yyyy doc no",
    ColumnMeaning.REFERENCE: "so tham chieu|ma tham chieu|so ct|so chung tu|so but toan|so gd"
    "|so giao dich|reference|reference no|reference number|ref|ref no|doc no|docno"
    "|document no|document number|transaction no|transaction number|ft no|so ref|ma ct",
    ColumnMeaning.LINE_ID: "ma gd|ma giao dich|transaction id|trans id|tran id|txn id",
    ColumnMeaning.DEBIT: "phat sinh no|ghi no|so tien ghi no|so tien no|debit|debit amount|debits"
    "|withdrawal|withdrawals|tien ra|so tien ra|rut ra|chi|money out|phat sinh giam|tien chi"
    "|ghi no vnd|no vnd|ps no|so tien chi",
    ColumnMeaning.CREDIT: "phat sinh co|ghi co|so tien ghi co|so tien co|credit|credit amount"
    "|credits|deposit|deposits|tien vao|so tien vao|gui vao|thu|money in|phat sinh tang"
    "|tien thu|ghi co vnd|co vnd|ps co|so tien thu",
    ColumnMeaning.AMOUNT: "so tien|so tien gd|so tien giao dich|amount|transaction amount"
    "|gia tri giao dich|so tien vnd|amount vnd",
    ColumnMeaning.DIRECTION: "no co|ghi no ghi co|debit credit|dr cr|d c|c d|co no|dau|thay doi"
    "|loai phat sinh|credit debit|cr dr|phat sinh no co",
    ColumnMeaning.BALANCE: "so du|balance|running balance|so du sau giao dich|so du sau gd"
    "|so du luy ke|so du cuoi|so du vnd|balance after|account balance|ledger balance"
    "|so du tai khoan|balance vnd",
    ColumnMeaning.MEMO: "noi dung|noi dung giao dich|noi dung gd|dien giai|dien giai giao dich"
    "|mo ta|mo ta giao dich|noi dung chi tiet|chi tiet giao dich|chi tiet|description"
    "|transaction description|details|transaction details|detail|particulars|remarks"
    "|transaction remarks|remark|narrative|narration|content|memo|noi dung thanh toan"
    "|noi dung chuyen khoan|noi dung ck",
    ColumnMeaning.COUNTERPARTY_ACCOUNT: "tai khoan doi ung|so tai khoan doi ung|tk doi ung"
    "|so tk doi ung|tai khoan doi tac|so tai khoan doi tac|counter account|counterparty account"
    "|counter account number|counterparty account number|corresponsive account"
    "|tai khoan nguoi chuyen|so tai khoan nguoi chuyen|remitter account|remitter account number"
    "|beneficiary account|tai khoan thu huong|so tai khoan thu huong|offset account",
    ColumnMeaning.COUNTERPARTY_NAME: "ten doi ung|ten tai khoan doi ung|ten tk doi ung|ten doi tac"
    "|counterparty name|counterparty|counter account name|corresponsive name|doi tac"
    "|nguoi chuyen|ten nguoi chuyen|remitter|remitter name|beneficiary|beneficiary name"
    "|don vi thu huong|nguoi thu huong|ten nguoi thu huong|offset name|doi tuong",
    ColumnMeaning.COUNTERPARTY_BANK: "ngan hang doi tac|ngan hang doi ung|counterparty bank"
    "|counter bank|remitter bank|beneficiary bank|corresponsive bank|ngan hang"
    "|ngan hang thu huong|ngan hang nguoi chuyen|offset bank",
    ColumnMeaning.ACCOUNT: "so tai khoan|tai khoan|account number|account no|account|so tk",
    ColumnMeaning.CURRENCY: "loai tien|loai tien te|tien te|don vi tien te|currency|ccy",
    ColumnMeaning.ROW_NUMBER: "stt|so thu tu|so tt|seq|seq no|serial no|line no|row|tt",
}
MEANINGS: Final = {word: meaning for meaning, said in WORDS.items() for word in said.split("|")}
DATES: Final = frozenset(
    {
        ColumnMeaning.BOOKED_ON,
        ColumnMeaning.TRANSACTED_AT,
        ColumnMeaning.VALUE_ON,
        ColumnMeaning.DATE_AND_REFERENCE,
    }
)
AMOUNTS: Final = (ColumnMeaning.DEBIT, ColumnMeaning.CREDIT, ColumnMeaning.AMOUNT)
IN_BRACKETS: Final = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")
PARTS: Final = re.compile(r"[/\n\r|]+| - ")
SIGNS: Final = frozenset({"+/-", "-/+", "+/−", "+ / -", "+-", "±"})
Meanings = dict[int, ColumnMeaning]


def read_heading(cell: Cell) -> ColumnMeaning | None:
    """Return what a column under this heading means; None where no bank is known to write it."""
    if not isinstance(cell, str) or not cell or len(cell) > HEADING_CHARS_MAX:
        return None
    if cell.strip() in SIGNS:
        return ColumnMeaning.DIRECTION
    bare = IN_BRACKETS.sub(" ", cell)
    whole = fold(bare)
    if whole in ("no", "co"):
        return _read_no_or_co(bare)
    if meaning := MEANINGS.get(whole):
        return meaning
    found = {MEANINGS[part] for part in map(fold, PARTS.split(bare)) if part in MEANINGS}
    if len(found) == 1:
        return found.pop()
    if len(found) == 2 and ColumnMeaning.REFERENCE in found and found & DATES:
        return ColumnMeaning.DATE_AND_REFERENCE
    # Both languages with nothing but a space between them: "Ngày giao dịch Transaction date".
    words = whole.split()
    for at in range(1, len(words)):
        meaning = MEANINGS.get(" ".join(words[:at]))
        if meaning is not None and meaning is MEANINGS.get(" ".join(words[at:])):
            return meaning
    return None


def read_headings(cells: Iterable[Cell]) -> Meanings:
    """Return the meanings of a row's cells by index, as far as they are headings."""
    found = {}
    for index, cell in enumerate(cells):
        meaning = read_heading(cell)
        if meaning is not None:
            found[index] = meaning
    # "No" is nợ without its marks only beside a "Co" and no other debit; else the English number.
    is_debit = ColumnMeaning.CREDIT in found.values() and ColumnMeaning.DEBIT not in found.values()
    for index, meaning in found.items():
        if meaning is ColumnMeaning.IGNORED:
            found[index] = ColumnMeaning.DEBIT if is_debit else ColumnMeaning.ROW_NUMBER
    return found


def is_table(meanings: Iterable[ColumnMeaning]) -> bool:
    """Whether columns of these meanings make lines: a day, and an amount."""
    known = set(meanings)
    return not known.isdisjoint(DATES) and not known.isdisjoint(AMOUNTS)


def settle(meanings: Meanings) -> Meanings:
    """Give each meaning to one column: the first, where several have the same heading."""
    kept: Meanings = {}
    for index, meaning in sorted(meanings.items()):
        if meaning is ColumnMeaning.AMOUNT and {*meanings.values()} & {
            ColumnMeaning.DEBIT,
            ColumnMeaning.CREDIT,
        }:
            continue  # the heading above both of them, or their sum
        if meaning not in kept.values() or meaning is ColumnMeaning.IGNORED:
            kept[index] = meaning
    if ColumnMeaning.REFERENCE not in kept.values():
        for index, meaning in kept.items():
            if meaning is ColumnMeaning.LINE_ID:
                kept[index] = ColumnMeaning.REFERENCE
    return kept


def _read_no_or_co(bare: str) -> ColumnMeaning:
    if fold(bare) == "co":
        return ColumnMeaning.CREDIT
    return ColumnMeaning.IGNORED if bare.isascii() else ColumnMeaning.DEBIT
