"""Reader of ISO 20022 camt.053, entry by entry, in the versions 001.02 to 001.13.

No camt.053 file of a Vietnamese bank was found: this profile is unproven. Elements are taken by
their local names (ISO 20022, BankToCustomerStatement); where versions differ, both forms are read:
a status is text or a code in an element, a party has its name at once or below "Pty".
"""

from collections.abc import Iterator
from typing import Any, BinaryIO, Final

from payments.providers.types import Direction
from payments.statements.reading.amounts import read_vnd
from payments.statements.reading.camt_elements import currency_of, read_elements, text_at
from payments.statements.reading.camt_entries import (
    DECIMAL_MARK_IS_POINT,
    DIRECTIONS,
    Details,
    read_details,
    take_entry,
)
from payments.statements.reading.cells import quote
from payments.statements.reading.chained import ChainedStatements, check_size
from payments.statements.reading.days import Moment, read_moment
from payments.statements.reading.errors import Refusal, StatementError
from payments.statements.reading.types import (
    ColumnMeaning,
    Item,
    Place,
    ReadingOptions,
    RowFault,
    StatedTotals,
    StatementFormat,
)

DETAILS_MAX: Final = 100_000  # of one batch
OPENING: Final = ("OPBD", "PRCD")  # booked at the opening; or the closing balance of before
CLOSING: Final = "CLBD"


class Message:
    """The statements of one message, and the one that is being read."""

    def __init__(self, options: ReadingOptions) -> None:
        self.statements = ChainedStatements(StatementFormat.CAMT053, options)
        self.details: list[Details] = []  # of the entry that is being read
        self.entries = 0
        self.finished = 0
        self.has_batches = False
        self._totals: list[StatedTotals] = []
        self._has_opening = False
        self._closing_vnd: int | None = None

    @property
    def place(self) -> Place:
        """Where the reading stands: entries are counted from 1."""
        return Place(row=max(self.entries, 1))

    def take(self, name: str, element: Any) -> Iterator[Item]:
        """Take one finished element; entries and unreadable balances yield something."""
        if name == "TxDtls":
            if len(self.details) >= DETAILS_MAX:
                raise StatementError(Refusal.TOO_MANY_ROWS, rows_max=DETAILS_MAX)
            self.details.append(read_details(element))
        elif name == "Ntry":
            self.entries += 1
            self.has_batches |= len(self.details) > 1
            yield from take_entry(element, self.details, self.place, self.statements)
            self.details = []
        elif name == "Acct":
            _take_account(element, self.place, self.statements)
        elif name == "FrToDt":
            _take_period(element, self.statements)
        elif name == "Bal":
            yield from self._take_balance(element)
        elif name == "TxsSummry":
            self._totals.append(_read_totals(element))
        elif name == "Stmt":
            self.finished += 1
            if self._closing_vnd is not None:
                self.statements.close(self._closing_vnd, self.place)
            self._closing_vnd, self._has_opening = None, False

    def stated(self) -> StatedTotals:
        """Return what all statements say together; nothing where one of them says nothing."""
        if not self._totals or len(self._totals) != self.finished:
            return StatedTotals()
        return StatedTotals(
            in_vnd=_sum([one.in_vnd for one in self._totals]),
            out_vnd=_sum([one.out_vnd for one in self._totals]),
            # A batch is one entry and several lines.
            lines=None if self.has_batches else _sum([one.lines for one in self._totals]),
        )

    def _take_balance(self, element: Any) -> Iterator[Item]:
        code = text_at(element, "Tp/CdOrPrtry/Cd")
        is_opening = code in OPENING and not self._has_opening
        if not is_opening and code != CLOSING:
            return
        currency = currency_of(element)
        if currency:
            self.statements.name_currency(currency, self.place)
        amount_vnd = read_vnd(text_at(element, "Amt"), DECIMAL_MARK_IS_POINT)
        mark = text_at(element, "CdtDbtInd")
        if not isinstance(amount_vnd, int) or mark not in DIRECTIONS:
            yield from self.statements.refuse(
                RowFault.BALANCE_UNREADABLE, self.place, "Bal", ColumnMeaning.BALANCE,
                value=quote(text_at(element, "Amt")),
            )  # fmt: skip
            return
        balance_vnd = amount_vnd if DIRECTIONS[mark] is Direction.IN else -amount_vnd
        if is_opening:
            self._has_opening = True
            self.statements.open(balance_vnd, self.place)
        else:
            self._closing_vnd = balance_vnd


def read_camt053(file: BinaryIO, options: ReadingOptions) -> Iterator[Item]:
    """Yield the lines of all statements of a message, then one summary.

    An entry with several transactions whose amounts add up to its own is a line for each; else it
    is one line. What is not booked yet (pending, information) is left out. A reversal's direction
    is the way the money went, as the standard has it.
    """
    check_size(file)
    message = Message(options)
    for name, element in read_elements(file):
        yield from message.take(name, element)
    if not message.finished:
        raise StatementError(Refusal.UNKNOWN_FORMAT)
    yield message.statements.sum_up(stated=message.stated(), encoding=None)


def _take_account(element: Any, place: Place, statements: ChainedStatements) -> None:
    if number := text_at(element, "Id/Othr/Id", "Id/IBAN"):
        statements.name_account(number, place)
    if currency := text_at(element, "Ccy"):
        statements.name_currency(currency, place)


def _take_period(element: Any, statements: ChainedStatements) -> None:
    first, last = (read_moment(text_at(element, f"{at}DtTm", f"{at}Dt")) for at in ("Fr", "To"))
    if isinstance(first, Moment) and isinstance(last, Moment):
        statements.name_period(first.day, last.day)


def _read_totals(element: Any) -> StatedTotals:
    count = text_at(element, "TtlNtries/NbOfNtries")
    return StatedTotals(
        in_vnd=_whole(read_vnd(text_at(element, "TtlCdtNtries/Sum"), DECIMAL_MARK_IS_POINT)),
        out_vnd=_whole(read_vnd(text_at(element, "TtlDbtNtries/Sum"), DECIMAL_MARK_IS_POINT)),
        lines=int(count) if count.isascii() and count.isdigit() and len(count) < 10 else None,
    )


def _whole(amount: object) -> int | None:
    return amount if isinstance(amount, int) else None


def _sum(parts: list[int | None]) -> int | None:
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None
