"""A receiving account's statement: what its bank booked, day by day, balances chained."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime
from itertools import accumulate

from sandbox.bank import BANKS, Account, Bank, Line
from sandbox.errors import BadRequest, NotFound
from sandbox.ft_numbers import booking_day


@dataclass(frozen=True, kw_only=True)
class StatementLine:
    """One booked line. Money in is positive."""

    booked_on: date
    occurred_at: datetime
    reference: str
    signed_vnd: int
    balance_vnd: int  # after this line
    memo: str
    counter_bin: str
    counter_number: str
    counter_name: str
    virtual_number: str


@dataclass(frozen=True, kw_only=True)
class StatementDay:
    """What was booked on one day. The totals are the bank's own, and a fault may change them."""

    booked_on: date
    opening_vnd: int
    closing_vnd: int
    debit_vnd: int
    credit_vnd: int
    lines: tuple[StatementLine, ...]


@dataclass(frozen=True, kw_only=True)
class Statement:
    """An account's days, of which there is at least one; a day without lines is left out."""

    bin: str
    bank_code: str
    bank_name: str
    number: str
    holder: str
    from_on: date
    to_on: date
    days: tuple[StatementDay, ...]

    @property
    def opening_vnd(self) -> int:
        """The balance before the first line."""
        return self.days[0].opening_vnd

    @property
    def closing_vnd(self) -> int:
        """The balance after the last line."""
        return self.days[-1].closing_vnd

    @property
    def debit_vnd(self) -> int:
        """Everything that went out."""
        return sum(day.debit_vnd for day in self.days)

    @property
    def credit_vnd(self) -> int:
        """Everything that came in."""
        return sum(day.credit_vnd for day in self.days)

    @property
    def lines(self) -> tuple[StatementLine, ...]:
        """The lines of all days."""
        return tuple(line for day in self.days for line in day.lines)


def draw_up(bank: Bank, bin_: str, number: str, from_on: date, to_on: date) -> Statement:
    """Draw up a receiving account's statement from one booking day to another, both included.

    A line stands under the day it was booked on (`booking_day`), so what was paid late in the
    evening or on a Sunday is called back before any statement has it. Money to a virtual account
    is on the statement of the account it collects for.

    Raises:
        BadRequest: the days are in the wrong order, or the account pays: what a payer sends is
            not kept line by line.
        NotFound: no such account, or lines of these days are no longer kept.
    """
    if to_on < from_on:
        raise BadRequest(f"The last day, {to_on}, is before the first, {from_on}.")
    account = bank.find(bin_, number)
    if account is None:
        raise NotFound(f"Bank {bin_} has no account {number}.")
    if account.payer or account.parent:
        raise BadRequest(f"{number} is a payer's or a virtual account: it has no statement.")
    by_day: dict[date, list[Line]] = defaultdict(list)
    for line in sorted(bank.lines_of([account.key]), key=lambda line: line.id):
        by_day[booking_day(line.occurred_at)].append(line)
    later_vnd = sum(_signed(line) for on, ls in by_day.items() if on > to_on for line in ls)
    wanted = {on: by_day[on] for on in sorted(by_day) if from_on <= on <= to_on} or {to_on: []}
    moved_vnd = sum(_signed(line) for lines in wanted.values() for line in lines)
    opening_vnd = account.balance_vnd - later_vnd - moved_vnd
    _check_kept(account, [line for lines in by_day.values() for line in lines], from_on)
    days = []
    for on, lines in wanted.items():
        days.append(_day(on, opening_vnd, lines))
        opening_vnd = days[-1].closing_vnd
    facts = BANKS[account.bin]
    return Statement(
        bin=account.bin, bank_code=facts.code, bank_name=facts.name, number=account.number,
        holder=account.holder, from_on=from_on, to_on=to_on, days=tuple(days),
    )  # fmt: skip


def _signed(line: Line) -> int:
    return line.amount_vnd if line.direction == "in" else -line.amount_vnd


def _check_kept(account: Account, lines: list[Line], from_on: date) -> None:
    """Refuse days of which lines were forgotten: those up to the oldest kept line's own."""
    known_vnd = account.balance_vnd - sum(_signed(line) for line in lines)
    if known_vnd == account.opening_vnd:
        return
    oldest = min((booking_day(line.occurred_at) for line in lines), default=None)
    if oldest is None or from_on <= oldest:
        raise NotFound("Lines of these days are no longer kept (docs/sandbox.md, bounds).")


def _day(on: date, opening_vnd: int, lines: list[Line]) -> StatementDay:
    amounts = [_signed(line) for line in lines]
    balances = list(accumulate(amounts, initial=opening_vnd))
    return StatementDay(
        booked_on=on,
        opening_vnd=opening_vnd,
        closing_vnd=balances[-1],
        debit_vnd=sum(-amount for amount in amounts if amount < 0),
        credit_vnd=sum(amount for amount in amounts if amount > 0),
        lines=tuple(
            StatementLine(
                booked_on=on, occurred_at=line.occurred_at, reference=line.reference,
                signed_vnd=_signed(line), balance_vnd=balance_vnd, memo=line.memo,
                counter_bin=line.counter_bin, counter_number=line.counter_number,
                counter_name=line.counter_name, virtual_number=line.virtual_number,
            )
            for line, balance_vnd in zip(lines, balances[1:], strict=True)
        ),
    )  # fmt: skip
