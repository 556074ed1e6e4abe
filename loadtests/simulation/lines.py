"""The model of statement lines: which credit proves each, and what is asked after a deadline.

Plain Python, without any code of the product, as model.py is (docs/reconciliation.md).
"""

from dataclasses import dataclass, field
from datetime import date, timedelta

from loadtests.simulation.model import Account, Credit, Item

LINE_DEADLINE = timedelta(days=1)
# A credit's line is booked so long after it at the latest.
BOOKED_AFTER = timedelta(days=4)


@dataclass(kw_only=True, eq=False)
class BookedLine:
    """A line of an accepted statement: what its bank booked for a credit."""

    credit: Credit
    booked_on: date
    is_proved: bool = False
    is_asked: bool = False  # listed as a line without its credit

    @property
    def is_provable(self) -> bool:
        """Whether the hub knows its credit, with the bank's amount."""
        return self.credit.reported_vnd == self.credit.amount_vnd


@dataclass(kw_only=True, eq=False)
class AccountLines:
    """The lines of an account, and the days that its statements had."""

    account: Account
    lines: list[BookedLine] = field(default_factory=list)
    days: set[date] = field(default_factory=set)
    asked_days: set[date] = field(default_factory=set)

    @property
    def proved_vnd(self) -> int:
        """What moved from bank clearing to the bank."""
        return sum(line.credit.amount_vnd for line in self.lines if line.is_proved)

    def has_open(self) -> bool:
        """Whether a line waits for its credit."""
        return any(not line.is_proved for line in self.lines)

    def prove(self, items: list[Item]) -> None:
        """Every line whose credit is known is proved; what was asked about both is answered."""
        for line in self.lines:
            if line.is_proved or not line.is_provable:
                continue
            line.is_proved = True
            for item in items:
                if item.credit is line.credit and item.is_of_line:
                    item.is_open = False

    def ask(self, today: date, credits_: list[Credit], items: list[Item]) -> None:
        """Lines past their deadline, and credits of days that no later line can be of, are listed.

        Each is asked about once; what is reported of a day afterwards is not.
        """
        for line in self.lines:
            is_due = line.booked_on + LINE_DEADLINE <= today
            if is_due and not line.is_proved and not line.is_asked:
                line.is_asked = True
                items.append(_item("line_without_credit", line.credit.amount_vnd, line.credit))
        due = {day for day in self.days if day + BOOKED_AFTER <= max(self.days)} - self.asked_days
        self.asked_days |= due
        proved = {id(line.credit) for line in self.lines if line.is_proved}
        for credit in credits_:
            if credit.account is not self.account or id(credit) in proved:
                continue
            if credit.reported_vnd is not None and credit.day in due:
                items.append(_item("credit_without_line", credit.reported_vnd, credit))


def _item(kind: str, amount_vnd: int, credit: Credit) -> Item:
    return Item(kind=kind, amount_vnd=amount_vnd, org=credit.org, credit=credit)
