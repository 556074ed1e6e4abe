"""The whole sandbox as one object: banks, subscribers, faults, payment requests and the snapshot.

Everything runs in one event loop and no method awaits between reading and writing, so money moves
all at once or not at all.
"""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from typing import Final

from sandbox import memos
from sandbox.bank import Account, Bank, Key, Line, Payment, Transit
from sandbox.delivery import Delivery, Dispatcher
from sandbox.errors import AlreadyThere, BadRequest, NotFound, SandboxFull
from sandbox.faults import FaultProfile, is_paid_twice
from sandbox.lanes import Lane
from sandbox.memos import Style
from sandbox.payment_requests import PaymentRequests
from sandbox.providers.casso import Casso
from sandbox.providers.contract import Message, Provider, Subscription
from sandbox.providers.payos import PayOs
from sandbox.providers.sepay import SePay
from sandbox.providers.vietqrvn import VietQrVn
from sandbox.settings import PENDING_MAX, SUBSCRIPTIONS_MAX, Settings
from sandbox.toll import TollOperator

PROVIDERS: Final[dict[str, Provider]] = {
    provider.name: provider
    for provider in (PayOs(), SePay("hmac"), SePay("apikey"), Casso(), VietQrVn())
}
# Two people who can pay, at two banks; the second is poor enough to be refused.
DEMO_PAYERS: Final = (
    ("a", "970436", "0011004070001", "NGUYEN VAN A", 200_000_000),
    ("b", "970422", "0345678901", "TRAN THI B", 3_000_000),
)
HONEST: Final = FaultProfile()


def read_clock() -> datetime:
    """Return the instant, aware and in UTC: the one place where the sandbox looks at a clock."""
    return datetime.now(UTC)


class World:
    """One seeded sandbox. `reset` starts it over."""

    def __init__(self, settings: Settings, clock: Callable[[], datetime] = read_clock) -> None:
        self.settings = settings
        self.clock = clock
        self.style = Style.USUAL
        self.subscriptions: dict[str, Subscription] = {}
        self.subscription_faults: dict[str, FaultProfile] = {}
        self.account_faults: dict[Key, FaultProfile] = {}
        self._slow: set[asyncio.Task[None]] = set()
        self.next_subscription = 1
        self.lanes: dict[str, Lane] = {}  # by the id of the lane at its hub
        self.is_changed = False
        self.start_over(settings.seed, settings.time_scale)

    async def reset(self, seed: int, *, keep_setup: bool) -> None:
        """Forget all movements; with `keep_setup` accounts and subscriptions stay as they were set.

        Kept accounts have the balance again that they were opened with.
        """
        await self.close()
        # A payment request's account goes with its request.
        accounts = [
            account
            for account in self.bank.accounts.values()
            if not self.requests.find_by_account(account.number)
        ]
        time_scale = self.dispatcher.time_scale
        self.account_faults.clear()
        self.subscription_faults.clear()
        if not keep_setup:
            self.subscriptions.clear()
            self.next_subscription = 1
        self.start_over(seed, time_scale)
        if keep_setup:
            for account in accounts:
                self._reopen(account)
        self.is_changed = True

    async def close(self) -> None:
        """Stop everything that is under way."""
        for lane in self.lanes.values():
            await lane.stop()
        self.lanes.clear()
        for task in self._slow:
            task.cancel()
        await asyncio.gather(*self._slow, return_exceptions=True)
        await self.dispatcher.close()

    def subscribe(self, subscription: Subscription) -> tuple[Subscription, bool]:
        """Register who is to be called back; its id is given here, in order: sub-1, sub-2, …

        The same provider and address again changes the subscription that is there, so that a hub
        which registers at every start is not called twice. True means that it is new.
        """
        for known in self.subscriptions.values():
            if known.url and (known.provider, known.url) == (
                subscription.provider,
                subscription.url,
            ):
                known.secret, known.username = subscription.secret, subscription.username
                known.accounts, known.send = subscription.accounts, subscription.send
                self.is_changed = True
                return known, False
        if subscription.provider not in PROVIDERS:
            raise BadRequest(f"provider must be one of {', '.join(PROVIDERS)}.")
        if len(self.subscriptions) >= SUBSCRIPTIONS_MAX:
            raise SandboxFull(f"At most {SUBSCRIPTIONS_MAX} subscriptions.")
        if subscription.client_id:
            if any(s.client_id == subscription.client_id for s in self.subscriptions.values()):
                raise AlreadyThere(f"client_id {subscription.client_id!r} is taken.")
        elif subscription.provider == "payos":
            subscription.client_id = f"client-{secrets.token_hex(8)}"
        subscription.api_key = subscription.api_key or f"key-{secrets.token_hex(16)}"
        subscription.id = f"sub-{self.next_subscription}"
        self.next_subscription += 1
        self.subscriptions[subscription.id] = subscription
        self.is_changed = True
        return subscription, True

    def unsubscribe(self, subscription_id: str) -> None:
        """Forget a subscription; its log stays."""
        self.subscription(subscription_id)
        del self.subscriptions[subscription_id]
        self.subscription_faults.pop(subscription_id, None)
        self.is_changed = True

    def subscription(self, subscription_id: str) -> Subscription:
        """Return a subscription by its id."""
        if subscription_id not in self.subscriptions:
            raise NotFound(f"There is no subscription {subscription_id!r}.")
        return self.subscriptions[subscription_id]

    def set_faults(
        self, profile: FaultProfile, *, subscription_id: str = "", account: Key | None = None
    ) -> None:
        """Make one subscription, or every subscription about one account, misbehave.

        A subscription's own profile goes before that of the account.
        """
        if subscription_id:
            self.subscription(subscription_id)
            self.subscription_faults[subscription_id] = profile
            self.dispatcher.keep_silent(subscription_id, profile)
        elif account is not None:
            found = self.bank.look_up(*account)
            self.account_faults[found.key] = profile
            for subscription in self.subscriptions.values():
                if account in subscription.accounts and profile.silent_s:
                    self.dispatcher.keep_silent(subscription.id, profile)
        else:
            raise BadRequest("Name a subscription or an account.")
        self.is_changed = True

    def pay(
        self, payer: Account, bin_: str, number: str, amount_vnd: int, memo: str, after_s: int = 0
    ) -> Payment:
        """Send money from a payer: booked at once, or after (scaled) seconds.

        Raises:
            SandboxError: nothing has moved.
        """
        target = self.bank.look_up(bin_, number)
        profile = self.account_faults.get(target.key, HONEST)
        self.check_room()
        payment = self.bank.send(payer, bin_, number, amount_vnd, memo, at=self.clock())
        self._book(payment, after_s or profile.settle_after_s)
        rng = Random(f"payers:{self.bank.seed}:{payment.ft}")
        can_again = payer.balance_vnd >= amount_vnd
        if is_paid_twice(profile, rng) and can_again:
            again = self.bank.send(payer, bin_, number, amount_vnd, memo, at=self.clock())
            self._book(again, after_s or profile.settle_after_s)
        self.is_changed = True
        return payment

    def check_room(self) -> None:
        """Refuse new money while too many callbacks or slow transfers are under way."""
        if self.dispatcher.pending() + len(self._slow) >= PENDING_MAX:
            raise SandboxFull(f"{PENDING_MAX} callbacks are under way already.")

    def announce(self, line: Line) -> list[Delivery]:
        """Call back every subscriber of the line's account, each with its own faults."""
        deliveries: list[Delivery] = []
        self.requests.record(line)
        for subscription in list(self.subscriptions.values()):
            if not subscription.url or not subscription.covers(line):
                continue
            message = self._message(subscription, line)
            profile = self._profile_for(subscription, line)
            deliveries += self.dispatcher.announce(subscription, profile, message)
        self.is_changed = True
        return deliveries

    def message_again(self, subscription: Subscription, delivery: Delivery) -> Message:
        """Rebuild the message of a logged delivery, to send it again."""
        line = self.bank.lines.get(delivery.line_id)
        if line is None:
            raise NotFound(f"Line {delivery.line_id} is no longer kept.")
        message = self._message(subscription, line)
        return replace(message, amount_vnd=delivery.amount_vnd, memo=delivery.memo)

    def ping_message(self, subscription: Subscription) -> Message:
        """Return a provider's test message: it names no money that ever moved."""
        bin_, number = subscription.accounts[0] if subscription.accounts else ("970422", "12345678")
        line = Line(
            id=0, bin=bin_, number=number, virtual_number="", direction="in", amount_vnd=3000,
            memo="giao dich thu nghiem", typed_memo="", reference="TF230204212323", balance_vnd=0,
            occurred_at=self.clock(), counter_bin="", counter_number="", counter_name="",
        )  # fmt: skip
        is_payos = subscription.provider == "payos"
        return Message(
            line=line, amount_vnd=3000, kind="ping", memo="VQRIO123" if is_payos else line.memo,
            order_code=123 if is_payos else 0,
            payment_link_id="124c33293c43417ab7879e14c8d9eb18" if is_payos else "",
        )  # fmt: skip

    def start_over(self, seed: int, time_scale: float) -> None:
        self.seed = seed
        self.bank = Bank(seed, self._mangle)
        self.requests = PaymentRequests(self.bank, seed, self.settings.public_url)
        self.dispatcher = Dispatcher(
            PROVIDERS, seed=seed, time_scale=time_scale, clock=lambda: self.clock()
        )
        self.toll = TollOperator(lambda: self.clock())
        self._slow = set()
        for payer, bin_, number, holder, balance_vnd in DEMO_PAYERS:
            self.bank.open_account(bin_, number, holder, balance_vnd=balance_vnd, payer=payer)

    def _reopen(self, account: Account) -> None:
        if account.parent:
            self.bank.open_virtual(account.bin, account.number, account.parent, account.holder)
        else:
            self.bank.open_account(
                account.bin,
                account.number,
                account.holder,
                balance_vnd=account.opening_vnd,
                payer=account.payer,
            )

    def _mangle(self, transit: Transit) -> str:
        return memos.mangle(transit, seed=self.seed, style=self.style)

    def _book(self, payment: Payment, after_s: int) -> None:
        if not after_s:
            self.announce(self.bank.settle(payment, at=self.clock()))
            return
        task = asyncio.get_running_loop().create_task(self._book_later(payment, after_s))
        self._slow.add(task)
        task.add_done_callback(self._slow.discard)

    async def _book_later(self, payment: Payment, after_s: int) -> None:
        await asyncio.sleep(after_s * self.dispatcher.time_scale)
        self.announce(self.bank.settle(payment, at=self.clock()))

    def _profile_for(self, subscription: Subscription, line: Line) -> FaultProfile:
        profiles = (
            self.subscription_faults.get(subscription.id),
            self.account_faults.get((line.bin, line.virtual_number.upper())),
            self.account_faults.get((line.bin, line.number.upper())),
        )
        for profile in profiles:
            if profile is None:
                continue
            if profile.lines_left is None:
                return profile
            if profile.lines_left > 0:
                profile.lines_left -= 1
                return profile
        return HONEST

    def _message(self, subscription: Subscription, line: Line) -> Message:
        """Report a line. payOS adds the order that the line's virtual account belongs to.

        Money without an order gets orderCode 0 and a link id of its own: an assumption that lets
        a payOS endpoint receive static codes as well.
        """
        request = self.requests.find_by_account(line.virtual_number)
        if request is not None and request.client_id == subscription.client_id:
            order_code, link_id = request.order_code, request.id
        else:
            link = Random(f"link:{self.seed}:{line.id}").getrandbits(128)
            order_code, link_id = 0, f"{link:032x}"
        return Message(
            line=line,
            amount_vnd=line.amount_vnd,
            memo=line.memo,
            order_code=order_code,
            payment_link_id=link_id,
        )
