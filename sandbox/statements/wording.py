"""Words, amounts and letters of statements, as Vietnamese banks write them."""

import unicodedata
from typing import Final

from sandbox.statements.statement import Statement

TITLE: Final = "SAO KÊ TÀI KHOẢN / STATEMENT OF ACCOUNT"
TOTAL: Final = "Tổng số/Total"
CLOSING: Final = "Số dư cuối kỳ/Closing balance"
FOOTER: Final = "Chứng từ này được in từ hệ thống và không cần đóng dấu."
# Windows-1258 keeps five tones as marks of their own, after the letter.
_TONES: Final = {"\u0300", "\u0301", "\u0303", "\u0309", "\u0323"}
_D: Final = str.maketrans({"đ": "d", "Đ": "D"})


def preamble(statement: Statement) -> list[tuple[str, str]]:
    """Return the lines above the table, each a name in two languages and a value."""
    return [
        ("Ngân hàng/Bank", statement.bank_name),
        ("Số tài khoản/Account number", statement.number),
        ("Chủ tài khoản/Account name", statement.holder),
        ("Loại tiền/Currency", "VND"),
        ("Từ ngày/From", f"{statement.from_on:%d/%m/%Y}"),
        ("Đến ngày/To", f"{statement.to_on:%d/%m/%Y}"),
        ("Số dư đầu kỳ/ Opening balance", f"{grouped(statement.opening_vnd)} VND"),
    ]


def grouped(amount_vnd: int, separator: str = ",") -> str:
    """Write an amount in groups of three: 1234567 → 1,234,567."""
    return f"{amount_vnd:,}".replace(",", separator)


def debit(signed_vnd: int) -> str:
    """Write what went out, "" for money in."""
    return grouped(-signed_vnd) if signed_vnd < 0 else ""


def credit(signed_vnd: int) -> str:
    """Write what came in, "" for money out."""
    return grouped(signed_vnd) if signed_vnd > 0 else ""


def encode(text: str, encoding: str) -> bytes:
    """Encode a text; letters that the encoding lacks become question marks."""
    if encoding == "windows-1258":
        text = "".join(_with_tone_apart(char) for char in text)
    return text.encode(encoding, "replace")


def without_marks(text: str) -> str:
    """Write Vietnamese without its marks: "Tiền đang về" → "Tien dang ve"."""
    apart = unicodedata.normalize("NFD", text.translate(_D))
    return "".join(char for char in apart if not unicodedata.combining(char))


def _with_tone_apart(char: str) -> str:
    """Take a letter's tone off, but leave those that Windows-1258 has as one character."""
    if len(char.encode("cp1258", "ignore")) == 1:
        return char
    apart = unicodedata.normalize("NFD", char)
    letter = "".join(mark for mark in apart if mark not in _TONES)
    tone = "".join(mark for mark in apart if mark in _TONES)
    return unicodedata.normalize("NFC", letter) + tone
