"""Statement files as a bank's internet banking writes them, for tests of what becomes of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

HEADINGS: Final = "Ngày giao dịch,Số tham chiếu,Phát sinh nợ,Phát sinh có,Số dư,Nội dung"


@dataclass(frozen=True, kw_only=True)
class FileLine:
    """A line of a file; money out is below zero."""

    day: date
    amount_vnd: int
    memo: str = "mua rau"
    reference: str = ""


def write_csv(
    account_number: str,
    lines: Sequence[FileLine],
    *,
    opening_vnd: int = 1_000_000,
    closing_vnd: int | None = None,
    footer: str = "",
) -> bytes:
    """Write a file as CSV in UTF-8, in the order given.

    Args:
        closing_vnd: what it states; None: what its lines add up to.
    """
    balance_vnd, rows = opening_vnd, []
    for line in lines:
        balance_vnd += line.amount_vnd
        out_vnd, in_vnd = max(-line.amount_vnd, 0) or "", max(line.amount_vnd, 0) or ""
        day = f"{line.day:%d/%m/%Y}"
        rows.append(f'{day},{line.reference},{out_vnd},{in_vnd},{balance_vnd},"{line.memo}"')
    stated_vnd = balance_vnd if closing_vnd is None else closing_vnd
    head = [
        f"Số tài khoản,{account_number}",
        "Loại tiền,VND",
        f"Số dư đầu kỳ,{opening_vnd}",
        f"Số dư cuối kỳ,{stated_vnd}",
        HEADINGS,
    ]
    return "\n".join([*head, *rows, footer]).encode()
