"""Entries of camt.053 and the transactions inside them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from core.clock import HANOI
from payments.providers.types import Direction
from payments.statements.reading.amounts import read_vnd
from payments.statements.reading.camt_elements import currency_of, find, name_of, text_at
from payments.statements.reading.cells import BAD_CHARACTERS, quote
from payments.statements.reading.chained import VND, ChainedStatements
from payments.statements.reading.days import Moment, read_moment
from payments.statements.reading.types import (
    AMOUNT_VND_MAX,
    CELL_CHARS_MAX,
    ColumnMeaning,
    Item,
    Place,
    RowFault,
    StatementLine,
)

DECIMAL_MARK_IS_POINT: Final = ","  # what separates thousands, were they separated
BOOKED: Final = "BOOK"
DIRECTIONS: Final = {"CRDT": Direction.IN, "DBIT": Direction.OUT}
Part = tuple["Details | None", Direction, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Details:
    """One transaction of an entry; texts as they stand, "" where there is none."""

    amount: str
    currency: str
    mark: str  # CRDT, DBIT or ""
    reference: str
    memo: str
    happened_at: str
    parties: dict[Direction, tuple[str, str, str]]  # who is across: account, name, bank


def read_details(element: Any) -> Details:
    amount = find(element, "Amt")
    if amount is None:
        amount = find(element, "AmtDtls/TxAmt/Amt")
    texts = find(element, "RmtInf")
    memo = [] if texts is None else [str(c.text or "") for c in texts if name_of(c) == "Ustrd"]
    return Details(
        amount="" if amount is None else str(amount.text or "").strip(),
        currency="" if amount is None else str(amount.get("Ccy", "")),
        mark=text_at(element, "CdtDbtInd"),
        reference=text_at(element, "Refs/AcctSvcrRef"),
        memo=" ".join(memo)[: CELL_CHARS_MAX + 1]
        or text_at(element, "RmtInf/Strd/CdtrRefInf/Ref", "AddtlTxInf"),
        happened_at=text_at(element, "RltdDts/TxDtTm", "RltdDts/AccptncDtTm"),
        # Money in came from its debtor, money out went to its creditor.
        parties={Direction.IN: _party(element, "Dbtr"), Direction.OUT: _party(element, "Cdtr")},
    )


def _party(element: Any, side: str) -> tuple[str, str, str]:
    account = text_at(element, f"RltdPties/{side}Acct/Id/Othr/Id", f"RltdPties/{side}Acct/Id/IBAN")
    name = text_at(element, f"RltdPties/{side}/Pty/Nm", f"RltdPties/{side}/Nm")
    agent = f"RltdAgts/{side}Agt/FinInstnId"
    bank = text_at(
        element, f"{agent}/BICFI", f"{agent}/BIC", f"{agent}/ClrSysMmbId/MmbId", f"{agent}/Nm"
    )
    return account, name, bank


def take_entry(
    element: Any, details: list[Details], place: Place, statements: ChainedStatements
) -> Iterator[Item]:
    """Yield an entry's lines, or what is wrong with it."""
    if text_at(element, "Sts/Cd", "Sts") != BOOKED:
        return
    if (currency := currency_of(element)) and currency != VND:
        meaning, value = ColumnMeaning.CURRENCY, quote(currency)
        yield from statements.refuse(RowFault.OTHER_CURRENCY, place, "Amt", meaning, value=value)
        return
    mark = text_at(element, "CdtDbtInd")
    if mark not in DIRECTIONS:
        meaning, fault = ColumnMeaning.DIRECTION, RowFault.DIRECTION_UNREADABLE
        yield from statements.refuse(fault, place, "CdtDbtInd", meaning, value=quote(mark))
        return
    amount = text_at(element, "Amt")
    amount_vnd = _read_amount(amount)
    if isinstance(amount_vnd, RowFault):
        facts: dict[str, str | int] = {"value": quote(amount)}
        if amount_vnd is RowFault.AMOUNT_TOO_LARGE:
            facts["vnd_max"] = AMOUNT_VND_MAX
        yield from statements.refuse(amount_vnd, place, "Amt", ColumnMeaning.AMOUNT, **facts)
        return
    written = text_at(element, "BookgDt/DtTm", "BookgDt/Dt", "ValDt/DtTm", "ValDt/Dt")
    booked = read_moment(written)
    if not isinstance(booked, Moment):
        fault = booked or RowFault.DATE_MISSING
        meaning = ColumnMeaning.BOOKED_ON
        yield from statements.refuse(fault, place, "BookgDt", meaning, value=quote(written))
        return
    for details_of_part, direction, part_vnd in _split(details, DIRECTIONS[mark], amount_vnd):
        line = _line(element, details_of_part, booked, direction, part_vnd, place)
        texts = (line.memo, line.bank_reference, line.counterparty_account, line.counterparty_name)
        if any(len(text or "") > CELL_CHARS_MAX for text in texts):
            too_long, limit = RowFault.CELL_TOO_LONG, CELL_CHARS_MAX
            yield from statements.refuse(too_long, place, "Ntry", chars_max=limit)
        elif any(BAD_CHARACTERS.search(text or "") for text in texts):
            yield from statements.refuse(RowFault.BAD_CHARACTERS, place, "Ntry")
        else:
            yield from statements.add(line)


def _line(
    element: Any,
    details: Details | None,
    booked: Moment,
    direction: Direction,
    amount_vnd: int,
    place: Place,
) -> StatementLine:
    account, name, bank = details.parties[direction] if details else ("", "", "")
    happened = read_moment(details.happened_at) if details else None
    at = happened if isinstance(happened, Moment) and happened.time else booked
    transacted_at = _instant(at)
    own_reference = details.reference if details else ""
    memo = details.memo if details else ""
    return StatementLine(
        place=place,
        booked_on=booked.day,
        transacted_at=transacted_at,
        is_date_only=transacted_at is None,
        direction=direction,
        amount_vnd=amount_vnd,
        balance_after_vnd=None,
        bank_reference=own_reference or text_at(element, "AcctSvcrRef", "NtryRef") or None,
        line_id=None,
        memo=memo or text_at(element, "AddtlNtryInf"),
        counterparty_account=account or None,
        counterparty_name=name or None,
        counterparty_bank=bank or None,
        is_reversal=text_at(element, "RvslInd") in ("true", "1"),
    )


def _split(details: list[Details], direction: Direction, amount_vnd: int) -> list[Part]:
    """Part a batch into its transactions, where their amounts add up to the entry's."""
    whole: list[Part] = [(details[0] if len(details) == 1 else None, direction, amount_vnd)]
    if len(details) < 2:
        return whole
    parts: list[Part] = []
    sum_vnd = 0
    for one in details:
        part_vnd = _read_amount(one.amount)
        if isinstance(part_vnd, RowFault) or one.currency not in ("", VND):
            return whole
        part_direction = DIRECTIONS.get(one.mark, direction)
        sum_vnd += part_vnd if part_direction is direction else -part_vnd
        parts.append((one, part_direction, part_vnd))
    return parts if sum_vnd == amount_vnd else whole


def _read_amount(text: str) -> int | RowFault:
    amount_vnd = read_vnd(text, DECIMAL_MARK_IS_POINT)
    if amount_vnd is None:
        return RowFault.AMOUNT_MISSING
    if isinstance(amount_vnd, int) and amount_vnd <= 0:
        return RowFault.AMOUNT_NEGATIVE if amount_vnd else RowFault.AMOUNT_ZERO
    return amount_vnd


def _instant(moment: Moment) -> datetime | None:
    """Return when it happened, aware and in UTC; None where only a day is known."""
    if moment.time is None:
        return None
    return datetime.combine(moment.day, moment.time, HANOI).astimezone(UTC)
