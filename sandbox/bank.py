"""Banks, accounts and transfers: money moves exactly, in whole đồng, or not at all.

The sum of all balances, the money in flight and the outside world is zero at every moment
(`Bank.total_vnd`): raw credits come from the outside, they are not made.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple

import msgspec

from core.money import TRANSFER_VND_MAX
from sandbox.errors import (
    AccountUnknown,
    AlreadyThere,
    BadRequest,
    NotEnoughMoney,
    OverNapasLimit,
    SandboxFull,
)
from sandbox.ft_numbers import ft_number
from sandbox.settings import ACCOUNTS_MAX, LINES_MAX


class BankInfo(NamedTuple):
    """One bank: its NAPAS BIN, the code and the names that apps and providers show."""

    bin: str
    code: str
    name: str
    gateway: str  # how SePay writes it
    casso: str  # how Casso abbreviates it


BANKS: Final[dict[str, BankInfo]] = {
    bank.bin: bank
    for bank in (
        BankInfo("970436", "VCB", "Vietcombank", "Vietcombank", "VCB"),
        BankInfo("970422", "MB", "MB Bank", "MBBank", "MBB"),
        BankInfo("970418", "BIDV", "BIDV", "BIDV", "BIDV"),
        BankInfo("970415", "VTB", "VietinBank", "VietinBank", "CTG"),
        BankInfo("970416", "ACB", "ACB", "ACB", "ACB"),
        BankInfo("970407", "TCB", "Techcombank", "Techcombank", "TCB"),
    )
}

Key = tuple[str, str]  # (BIN, account number in upper case)


class Account(msgspec.Struct, kw_only=True):
    """One account. A virtual account has a parent at the same bank and no money of its own."""

    bin: str
    number: str
    holder: str
    balance_vnd: int = 0
    opening_vnd: int = 0  # what it was opened with, to which a reset returns it
    parent: str = ""  # number of the account that a virtual one collects for
    payer: str = ""  # how a payer is picked in the app and in /api/pay; "" receives only
    is_closed: bool = False

    @property
    def key(self) -> Key:
        """How the bank finds it: apps change the case of alphanumeric accounts."""
        return (self.bin, self.number.upper())


class Line(msgspec.Struct, kw_only=True, frozen=True):
    """One line on a receiving account's statement, as the receiving bank writes it."""

    id: int
    bin: str
    number: str
    virtual_number: str  # "" when the money came to the account itself
    direction: Literal["in", "out"]
    amount_vnd: int
    memo: str  # after the banks had their way with it
    typed_memo: str  # as the payer sent it
    reference: str
    balance_vnd: int  # after this line
    occurred_at: datetime
    counter_bin: str
    counter_number: str
    counter_name: str


class Payment(msgspec.Struct, kw_only=True):
    """What a payer sent: the receipt in the app."""

    ft: str
    payer: str
    payer_bin: str
    payer_number: str
    bin: str
    number: str  # as addressed, virtual or not
    holder: str
    amount_vnd: int
    memo: str  # as typed
    sent_at: datetime
    line_id: int = 0  # 0 while the money is in flight


MemoRule = Callable[["Transit"], str]


class Transit(msgspec.Struct, kw_only=True, frozen=True):
    """One transfer on its way, as the memo rules see it."""

    ordinal: int
    memo: str
    payer_bin: str
    payer_number: str
    payer_name: str
    bin: str
    number: str
    holder: str
    reference: str
    at: datetime


class Bank:
    """All accounts of all banks, and every transfer between them."""

    def __init__(self, seed: int, mangle: MemoRule) -> None:
        self.seed = seed
        self.mangle = mangle
        self.accounts: dict[Key, Account] = {}
        self.lines: dict[int, Line] = {}
        self.payments: dict[str, Payment] = {}
        self.outside_vnd = 0
        self.in_flight_vnd = 0
        self.next_ordinal = 1
        self.lines_seen = 0

    def open_account(
        self, bin_: str, number: str, holder: str, *, balance_vnd: int = 0, payer: str = ""
    ) -> Account:
        """Open an account, or return it when it is open under the same holder's name.

        Raises:
            BadRequest: no such bank, or a number that NAPAS does not carry.
            AlreadyThere: the number belongs to somebody else.
        """
        account = Account(
            bin=bin_,
            number=number,
            holder=holder,
            balance_vnd=balance_vnd,
            opening_vnd=balance_vnd,
            payer=payer,
        )
        return self._add(account)

    def open_virtual(self, bin_: str, number: str, parent: str, holder: str = "") -> Account:
        """Open a virtual account that collects for `parent` at the same bank."""
        owner = self.find(bin_, parent)
        if owner is None or owner.parent:
            msg = f"No account {parent} at {bin_} that a virtual account could collect for."
            raise AccountUnknown(msg)
        virtual = Account(
            bin=bin_, number=number, holder=holder or owner.holder, parent=owner.number
        )
        return self._add(virtual)

    def find(self, bin_: str, number: str) -> Account | None:
        """Return an account, virtual or not, or None."""
        return self.accounts.get((bin_, number.upper()))

    def look_up(self, bin_: str, number: str) -> Account:
        """Return the account a bank app may send to, as its name look-up would."""
        account = self.find(bin_, number)
        if account is None or account.is_closed:
            raise AccountUnknown(f"Bank {bin_} has no open account {number}.")
        return account

    def payer(self, name: str) -> Account:
        """Return a payer's account by its short name; "" takes the first one."""
        for account in self.accounts.values():
            if account.payer and name in ("", account.payer):
                return account
        raise AccountUnknown(f"There is no payer {name!r}.")

    def payers(self) -> list[Account]:
        """Return the accounts that can pay, in the order they were opened."""
        return [account for account in self.accounts.values() if account.payer]

    def send(
        self, payer: Account, bin_: str, number: str, amount_vnd: int, memo: str, *, at: datetime
    ) -> Payment:
        """Take the money from the payer; it is in flight until `settle` books it.

        Raises:
            OverNapasLimit, AccountUnknown, NotEnoughMoney: nothing has moved.
        """
        if not 1 <= amount_vnd <= TRANSFER_VND_MAX:
            raise OverNapasLimit(f"A transfer is 1 to {TRANSFER_VND_MAX} ₫, not {amount_vnd}.")
        target = self.look_up(bin_, number)
        if payer.balance_vnd < amount_vnd:
            raise NotEnoughMoney(f"{payer.holder} has {payer.balance_vnd} ₫, not {amount_vnd} ₫.")
        ft = ft_number(self._take_ordinal(), at, self.seed)
        payer.balance_vnd -= amount_vnd
        self.in_flight_vnd += amount_vnd
        payment = Payment(
            ft=ft, payer=payer.payer, payer_bin=payer.bin, payer_number=payer.number,
            bin=target.bin, number=target.number, holder=target.holder,
            amount_vnd=amount_vnd, memo=memo, sent_at=at,
        )  # fmt: skip
        _keep_newest(self.payments, ft, payment)
        return payment

    def settle(self, payment: Payment, *, at: datetime) -> Line:
        """Book a sent payment on the receiving account and write its statement line."""
        assert payment.line_id == 0, "a payment is booked once"
        target = self.accounts[(payment.bin, payment.number.upper())]
        payer = self.find(payment.payer_bin, payment.payer_number)
        ordinal = self._take_ordinal()
        transit = Transit(
            ordinal=ordinal, memo=payment.memo, payer_bin=payment.payer_bin,
            payer_number=payment.payer_number, payer_name=payer.holder if payer else "",
            bin=payment.bin, number=payment.number, holder=payment.holder,
            reference=payment.ft, at=at,
        )  # fmt: skip
        self.in_flight_vnd -= payment.amount_vnd
        line = self._book(
            target, payment.amount_vnd, self.mangle(transit), payment.memo,
            reference=payment.ft, counter=(payment.payer_bin, payment.payer_number),
            counter_name=transit.payer_name, ordinal=ordinal, at=at,
        )  # fmt: skip
        payment.line_id = line.id
        return line

    def book_raw(
        self,
        bin_: str,
        number: str,
        amount_vnd: int,
        memo: str,
        *,
        direction: Literal["in", "out"] = "in",
        reference: str = "",
        counter: Key = ("970407", "19036000000888"),
        counter_name: str = "NGUYEN VAN A",
        at: datetime,
    ) -> Line:
        """Book money from or to the outside world with exactly this memo.

        Raises:
            AccountUnknown, BadRequest, NotEnoughMoney: nothing has moved.
        """
        target = self.look_up(bin_, number)
        if amount_vnd < 1:
            raise BadRequest("amount_vnd must be at least 1.")
        owner = self._owner(target)
        if direction == "out" and owner.balance_vnd < amount_vnd:
            raise NotEnoughMoney(f"{owner.number} has {owner.balance_vnd} ₫.")
        ordinal = self._take_ordinal()
        signed_vnd = amount_vnd if direction == "in" else -amount_vnd
        self.outside_vnd -= signed_vnd
        return self._book(
            target, signed_vnd, memo, memo,
            reference=reference or ft_number(ordinal, at, self.seed),
            counter=counter, counter_name=counter_name, ordinal=ordinal, at=at,
        )  # fmt: skip

    def total_vnd(self) -> int:
        """Return the sum of everything, which is zero unless money was made or lost."""
        held_vnd = sum(account.balance_vnd for account in self.accounts.values())
        return held_vnd + self.in_flight_vnd + self.outside_vnd

    def lines_of(self, keys: Iterable[Key]) -> list[Line]:
        """Return the kept lines of some accounts, oldest first."""
        wanted = {(bin_, number.upper()) for bin_, number in keys}
        return [line for line in self.lines.values() if (line.bin, line.number.upper()) in wanted]

    def _add(self, account: Account) -> Account:
        if account.bin not in BANKS:
            raise BadRequest(f"The sandbox has no bank with BIN {account.bin}: {', '.join(BANKS)}.")
        if not (account.number.isascii() and account.number.isalnum()) or len(account.number) > 19:
            raise BadRequest(f"{account.number!r} is no account number (1 to 19 of A-Z a-z 0-9).")
        if known := self.accounts.get(account.key):
            same = (known.holder, known.parent) == (account.holder, account.parent)
            if same and not known.is_closed:
                return known
            raise AlreadyThere(f"Account {account.number} at {account.bin} is {known.holder}'s.")
        if len(self.accounts) >= ACCOUNTS_MAX:
            raise SandboxFull(f"The sandbox holds at most {ACCOUNTS_MAX} accounts.")
        self.accounts[account.key] = account
        self.outside_vnd -= account.balance_vnd
        return account

    def _owner(self, account: Account) -> Account:
        return self.accounts[(account.bin, account.parent.upper())] if account.parent else account

    def _take_ordinal(self) -> int:
        ordinal = self.next_ordinal
        self.next_ordinal += 1
        return ordinal

    def _book(
        self,
        target: Account,
        signed_vnd: int,
        memo: str,
        typed_memo: str,
        *,
        reference: str,
        counter: Key,
        counter_name: str,
        ordinal: int,
        at: datetime,
    ) -> Line:
        owner = self._owner(target)
        owner.balance_vnd += signed_vnd
        line = Line(
            id=100_000 + ordinal, bin=owner.bin, number=owner.number,
            virtual_number=target.number if target.parent else "",
            direction="in" if signed_vnd > 0 else "out", amount_vnd=abs(signed_vnd),
            memo=memo, typed_memo=typed_memo, reference=reference,
            balance_vnd=owner.balance_vnd, occurred_at=at.astimezone(UTC),
            counter_bin=counter[0], counter_number=counter[1], counter_name=counter_name,
        )  # fmt: skip
        self.lines_seen += 1
        _keep_newest(self.lines, line.id, line)
        return line


def _keep_newest(kept: dict[Any, Any], key: object, value: object) -> None:
    kept[key] = value
    if len(kept) > LINES_MAX:
        del kept[next(iter(kept))]
