"""The model: what should be true after each step. Plain Python, without any code of the product.

It knows what the bank did and what people said, and keeps what follows by the rules that the
documentation promises (docs/ledger.md, docs/refunds.md). Where it and the hub differ, one is wrong.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone

OWED = ("open", "part_paid")
# What a refund posts, and what holds its money against a second one.
POSTED = ("instructed", "unknown", "returned")
LIVE = ("requested", "approved", *POSTED)
DOUBTED_AFTER = timedelta(days=3)
# What statements ask: a line's or a credit's other side. Only a proof answers it.
OF_LINES = ("line_without_credit", "credit_without_line")
HANOI = timezone(timedelta(hours=7))


@dataclass(kw_only=True, eq=False)
class Account:
    """A receiving account, of one stall or shared by several."""

    id: str
    number: str
    payees: list["Payee"] = field(default_factory=list)


@dataclass(kw_only=True, eq=False)
class Payee:
    """A stall, or a lot's owner."""

    number: int  # within the town, for the log
    id: str
    account: Account
    org: int
    shift_takings_vnd: int = 0  # in cash, of shifts that were closed


@dataclass(kw_only=True, eq=False)
class Payment:
    """What one credit, or one cash payment, pays of a bill."""

    bill: "Bill"
    amount_vnd: int
    credit: "Credit | None" = None  # None: cash
    refunds: list["Refund"] = field(default_factory=list)

    @property
    def refundable_vnd(self) -> int:
        """What no refund holds."""
        return self.amount_vnd - sum(r.amount_vnd for r in self.refunds if r.status in LIVE)


@dataclass(kw_only=True, eq=False)
class Bill:
    """What somebody owes."""

    number: int
    id: str
    payee: Payee
    reference: str
    amount_vnd: int
    expires_at: datetime
    is_of_stay: bool = False
    status: str = "open"  # as it is stored; see `status_at`
    received_vnd: int = 0
    is_late: bool = False
    payments: list[Payment] = field(default_factory=list)

    @property
    def paid_vnd(self) -> int:
        """What was applied to it."""
        return sum(payment.amount_vnd for payment in self.payments)

    @property
    def missing_vnd(self) -> int:
        """What it needs yet."""
        return self.amount_vnd - self.paid_vnd

    @property
    def is_owed(self) -> bool:
        """Whether money still pays it, be its time over or not."""
        return self.status in OWED

    def status_at(self, now: datetime) -> str:
        """How the API shows it: unpaid and past its time is expired."""
        return "expired" if self.is_owed and now >= self.expires_at else self.status


@dataclass(kw_only=True, eq=False)
class Credit:
    """Money that came to an account: what the bank booked, and what was reported to the hub."""

    number: int
    line_id: int
    reference: str  # the bank's
    account: Account
    org: int
    amount_vnd: int
    memo: str  # on the bank's own statement
    occurred_at: datetime
    meant: Bill | None = None  # what its payer paid
    reported_vnd: int | None = None  # None: not yet
    reported_memo: str = ""
    verdict: str = ""
    payment: Payment | None = None
    bill: Bill | None = None  # that it names or pays
    payee: Payee | None = None
    by_person: bool = False  # a person said what it is
    is_memo_added: bool = False  # a later report named a bill, and the hub could not follow it
    is_contradicted: bool = False
    refunds: list["Refund"] = field(default_factory=list)

    @property
    def day(self) -> date:
        """When it was, in Hà Nội."""
        return self.occurred_at.astimezone(HANOI).date()

    @property
    def applied_vnd(self) -> int:
        """What of it is explained."""
        if self.payment is not None:
            return self.payment.amount_vnd
        return (self.reported_vnd or 0) if self.verdict in ("counter_sale", "not_takings") else 0

    @property
    def rest_vnd(self) -> int:
        """What of it waits in unapplied cash, before refunds."""
        return (self.reported_vnd or 0) - self.applied_vnd


@dataclass(kw_only=True, eq=False)
class Item:
    """What the hub must show on its list: a break of this kind about this money."""

    kind: str
    amount_vnd: int | None
    org: int
    credit: Credit | None = None
    bill: Bill | None = None
    is_open: bool = True
    is_held: bool = False  # a refund of it is under way

    @property
    def is_of_line(self) -> bool:
        """Whether it is about a line without its credit, or the other way round."""
        return self.kind in OF_LINES


@dataclass(kw_only=True, eq=False)
class Refund:
    """Money that goes back."""

    number: int
    id: str
    org: int
    amount_vnd: int
    payment: Payment | None = None
    credit: Credit | None = None  # what came too much
    is_cash: bool = False
    status: str = "requested"
    instructed_at: datetime | None = None
    item: Item | None = None  # that it follows
    question: Item | None = None  # what became of it, while nobody knows


@dataclass(kw_only=True)
class Model:
    """All that the simulation knows."""

    payees: list[Payee] = field(default_factory=list)
    bills: list[Bill] = field(default_factory=list)
    credits: list[Credit] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    refunds: list[Refund] = field(default_factory=list)

    def report(self, credit: Credit, amount_vnd: int, memo: str) -> None:
        """A callback or a poll reports a credit to the hub, rightly or wrongly."""
        if credit.reported_vnd is None:
            credit.reported_vnd, credit.reported_memo = amount_vnd, memo
            self._explain(credit)
            return
        if amount_vnd != credit.reported_vnd:  # kept as evidence; the first report stands
            if not any(i.kind == "contradiction" and i.credit is credit
                       and i.amount_vnd == amount_vnd for i in self.items):  # fmt: skip
                self._open_item("contradiction", amount_vnd, credit, always=True)
            return
        named = self._named(credit, memo)
        if named is None or self._named(credit, credit.reported_memo) is not None:
            return
        self._name_later(credit, memo)

    def take_cash(self, bill: Bill) -> None:
        """The rest of a part-paid bill came in cash."""
        rest_vnd = bill.missing_vnd
        bill.received_vnd += rest_vnd
        bill.payments.append(Payment(bill=bill, amount_vnd=rest_vnd))
        bill.status = "paid"

    def cancel(self, bill: Bill) -> None:
        """A bill is cancelled; what it was paid is to be given back."""
        bill.status = "cancelled"
        if bill.paid_vnd:
            item = Item(kind="refund_due", amount_vnd=bill.paid_vnd, org=bill.payee.org, bill=bill)
            self.items.append(item)

    def assign(self, credit: Credit, payee: Payee) -> None:
        """A person says whose sale a credit is."""
        self._close_items(credit)
        credit.verdict, credit.payee, credit.by_person = "counter_sale", payee, True
        credit.bill = None

    def confirm(self, credit: Credit, bill: Bill) -> None:
        """A person says that a sale, or money of nobody's, paid a bill."""
        self._close_items(credit)
        credit.by_person = True
        self._pay(credit, bill)

    def mark_not_takings(self, credit: Credit) -> None:
        """A vendor's own money."""
        credit.verdict, credit.by_person = "not_takings", True

    def mark_takings(self, credit: Credit) -> None:
        """It was a sale after all."""
        credit.verdict, credit.by_person = "counter_sale", True

    def step_refund(self, refund: Refund, status: str) -> None:
        """A refund comes to a status."""
        was, refund.status = refund.status, status
        item = refund.item
        if item is not None:
            item.is_held = status in ("requested", "approved", "instructed", "unknown")
            if status == "returned":
                item.is_open = False
            elif was == "returned":
                item.is_open = True
        if refund.question is not None:
            refund.question.is_open = False
        if status == "unknown":
            refund.question = Item(
                kind="stuck",
                amount_vnd=refund.amount_vnd,
                org=refund.org,
                credit=refund.credit,
                bill=None if refund.payment is None else refund.payment.bill,
                is_held=True,
            )
            self.items.append(refund.question)
        if refund.payment is not None and (was == "returned") != (status == "returned"):
            self._give_back(refund.payment.bill)

    def doubt_refunds(self, now: datetime) -> None:
        """The hub asks what became of refunds of which nobody has said it for three days."""
        for refund in self.refunds:
            since = refund.instructed_at
            if refund.status == "instructed" and since is not None and now - since > DOUBTED_AFTER:
                self.step_refund(refund, "unknown")

    def takings_vnd(self, payee: Payee) -> int:
        """What a payee took, and did not give back."""
        paid = sum(b.paid_vnd for b in self.bills if b.payee is payee)
        sold = sum(
            credit.applied_vnd
            for credit in self.credits
            if credit.verdict == "counter_sale" and credit.payee is payee
        )
        back = sum(
            refund.amount_vnd
            for refund in self.refunds
            if refund.payment is not None
            and refund.payment.bill.payee is payee
            and refund.status in POSTED
        )
        return paid + sold + payee.shift_takings_vnd - back

    def unapplied_vnd(self, account: Account) -> int:
        """What came to an account and has no reason yet."""
        rest = sum(c.rest_vnd for c in self.credits if c.account is account)
        back = sum(
            refund.amount_vnd
            for refund in self.refunds
            if refund.credit is not None
            and refund.credit.account is account
            and refund.status in POSTED
        )
        return rest - back

    def in_transit_vnd(self, account: Account) -> int:
        """What the bank was instructed to send back from an account."""
        return sum(
            refund.amount_vnd
            for refund in self.refunds
            if not refund.is_cash
            and refund.status in POSTED
            and self._account_of(refund) is account
        )

    def reported_vnd(self, account: Account) -> int:
        """What was reported of an account: its bank clearing until lines prove it."""
        return sum(c.reported_vnd or 0 for c in self.credits if c.account is account)

    def not_takings_vnd(self, payee: Payee) -> int:
        """What a vendor said is no takings."""
        return sum(
            credit.applied_vnd
            for credit in self.credits
            if credit.verdict == "not_takings" and credit.payee is payee
        )

    def open_items(self, kind: str, org: int | None = None) -> Iterator[Item]:
        """Yield what stands on the list, the oldest first."""
        for item in self.items:
            if item.kind == kind and item.is_open and org in (None, item.org):
                yield item

    def unreported(self) -> list[Credit]:
        """List what was not reported to the hub."""
        return [credit for credit in self.credits if credit.reported_vnd is None]

    def _explain(self, credit: Credit) -> None:
        """Say what a credit is by what was reported."""
        named = self._named(credit, credit.reported_memo)
        assert credit.reported_vnd is not None
        if named is None:
            credit.bill = None
            if len(credit.account.payees) == 1:
                credit.verdict, credit.payee = "counter_sale", credit.account.payees[0]
            else:
                credit.verdict = "unassigned"
                self._open_item("unassigned", credit.reported_vnd, credit)
        elif named.payee.account is not credit.account:
            credit.verdict = "wrong_account"
            self._open_item("wrong_account", credit.reported_vnd, credit)
        else:
            self._pay(credit, named)

    def _pay(self, credit: Credit, bill: Bill) -> None:
        """Apply a credit to a bill: as much as it needs, nothing if it needs none."""
        assert credit.reported_vnd is not None
        credit.bill, credit.payee = bill, bill.payee
        bill.received_vnd += credit.reported_vnd
        if not bill.is_owed:
            credit.verdict = "closed_bill"
            self._open_item("refund_due", credit.reported_vnd, credit)
            return
        missing_vnd = bill.missing_vnd
        taken_vnd = min(credit.reported_vnd, missing_vnd)
        credit.payment = Payment(bill=bill, amount_vnd=taken_vnd, credit=credit)
        bill.payments.append(credit.payment)
        bill.is_late = bill.is_late or credit.occurred_at > bill.expires_at
        if credit.reported_vnd < missing_vnd:
            credit.verdict, bill.status = "part", "part_paid"
        elif credit.reported_vnd == missing_vnd:
            credit.verdict, bill.status = "settle", "paid"
        else:
            credit.verdict, bill.status = "over", "over_paid"
            self._open_item("refund_due", credit.reported_vnd - missing_vnd, credit)

    def _name_later(self, credit: Credit, memo: str) -> None:
        """A later report names a bill that the first did not: followed, unless a person spoke."""
        if credit.by_person:
            is_said = self._named(credit, memo) is credit.bill  # what the person said, too
            if not credit.is_memo_added and not is_said:
                self._open_item("contradiction", credit.reported_vnd, credit, always=True)
            credit.is_memo_added = True
            return
        self._close_items(credit)
        credit.reported_memo, credit.payee = memo, None
        self._explain(credit)

    def _named(self, credit: Credit, memo: str) -> Bill | None:
        """Return the bill whose reference stands in a memo, however the bank wrote it."""
        bill = credit.meant
        return bill if bill is not None and bill.reference in squeeze(memo) else None

    def _open_item(
        self, kind: str, amount_vnd: int | None, credit: Credit, *, always: bool = False
    ) -> None:
        known = [i for i in self.items if i.kind == kind and i.credit is credit]
        if known and not always:
            known[0].is_open, known[0].amount_vnd = True, amount_vnd
            return
        item = Item(kind=kind, amount_vnd=amount_vnd, org=credit.org, credit=credit)
        self.items.append(item)

    def _close_items(self, credit: Credit) -> None:
        """What is explained now stands on the list no more; evidence stays until somebody looks."""
        for item in self.items:
            if item.credit is credit and item.kind not in ("contradiction", *OF_LINES):
                item.is_open = False

    def _give_back(self, bill: Bill) -> None:
        if bill.status == "cancelled":
            return
        back_vnd = sum(
            refund.amount_vnd
            for payment in bill.payments
            for refund in payment.refunds
            if refund.status == "returned"
        )
        if back_vnd == 0:
            bill.status = "over_paid" if bill.received_vnd > bill.paid_vnd else "paid"
        else:
            bill.status = "refunded" if back_vnd == bill.paid_vnd else "part_refunded"

    def _account_of(self, refund: Refund) -> Account:
        if refund.credit is not None:
            return refund.credit.account
        assert refund.payment is not None
        return refund.payment.bill.payee.account


def squeeze(memo: str) -> str:
    """Return the letters and digits of a memo, in upper case."""
    return "".join(char for char in memo.upper() if char.isascii() and char.isalnum())
