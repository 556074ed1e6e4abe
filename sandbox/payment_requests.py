"""payOS's payment requests: an order, a virtual account of its own, and what was paid to it."""

from binascii import crc_hqx
from datetime import datetime
from random import Random
from typing import Final, Literal

import msgspec

from sandbox.bank import Bank, Line
from sandbox.errors import AlreadyThere, NotFound, SandboxFull
from sandbox.providers.contract import Subscription
from sandbox.settings import PAYMENT_REQUESTS_MAX

Status = Literal["PENDING", "CANCELLED", "UNDERPAID", "PAID", "EXPIRED"]
TOKEN_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"  # noqa: S105


class PaymentRequest(msgspec.Struct, kw_only=True):
    """One order of one payOS merchant."""

    id: str
    client_id: str
    order_code: int
    amount_vnd: int
    description: str  # as payOS rewrote it: its token, then the merchant's text without - and #
    bin: str
    number: str  # the virtual account
    holder: str
    created_at: datetime
    expires_at: datetime | None = None
    cancelled_at: datetime | None = None
    cancellation_reason: str | None = None
    return_url: str = ""
    cancel_url: str = ""
    lines: list[Line] = msgspec.field(default_factory=list)
    qr_code: str = ""

    @property
    def paid_vnd(self) -> int:
        """What arrived, whenever it did."""
        return sum(line.amount_vnd for line in self.lines)

    def status(self, now: datetime) -> Status:
        """Return the status at an instant: expiry needs no clock of its own."""
        if self.cancelled_at:
            return "CANCELLED"
        if self._paid_in_time_vnd() >= self.amount_vnd:
            return "PAID"
        if self.expires_at and now >= self.expires_at:
            return "EXPIRED"
        return "UNDERPAID" if self.lines else "PENDING"

    def _paid_in_time_vnd(self) -> int:
        """Sum what arrived before the order expired: payOS does not open an expired one again."""
        return sum(
            line.amount_vnd
            for line in self.lines
            if self.expires_at is None or line.occurred_at < self.expires_at
        )


class PaymentRequests:
    """All payment requests, found by id, by order code and by virtual account."""

    def __init__(self, bank: Bank, seed: int, public_url: str) -> None:
        self._bank = bank
        self._seed = seed
        self._public_url = public_url
        self.by_id: dict[str, PaymentRequest] = {}
        self._by_order: dict[tuple[str, int], PaymentRequest] = {}
        self._by_account: dict[str, PaymentRequest] = {}

    def create(
        self,
        merchant: Subscription,
        *,
        order_code: int,
        amount_vnd: int,
        description: str,
        expires_at: datetime | None,
        return_url: str,
        cancel_url: str,
        now: datetime,
    ) -> PaymentRequest:
        """Open an order with a virtual account at the bank of the merchant's first account.

        Raises:
            AlreadyThere: the merchant used the order code before.
            NotFound: the merchant has no account that could receive.
        """
        if (merchant.client_id, order_code) in self._by_order:
            raise AlreadyThere(f"Order {order_code} exists.")
        if not merchant.accounts:
            raise NotFound("The merchant has no receiving account.")
        if len(self.by_id) >= PAYMENT_REQUESTS_MAX:
            raise SandboxFull(f"At most {PAYMENT_REQUESTS_MAX} payment requests.")
        bin_, parent = merchant.accounts[0]
        # A generator per order, so that a restart does not hand out the same ids again.
        rng = Random(f"payos:{self._seed}:{len(self.by_id)}")
        number = self._virtual_number(bin_, rng)
        virtual = self._bank.open_virtual(bin_, number, parent)
        token = "CS" + _letters(rng, 9)
        text = description.replace("-", "").replace("#", "")
        request = PaymentRequest(
            id=f"{rng.getrandbits(128):032x}", client_id=merchant.client_id,
            order_code=order_code, amount_vnd=amount_vnd, description=f"{token} {text}".strip(),
            bin=bin_, number=virtual.number, holder=virtual.holder, created_at=now,
            expires_at=expires_at, return_url=return_url, cancel_url=cancel_url,
        )  # fmt: skip
        request.qr_code = qr_text(bin_, virtual.number, amount_vnd, request.description)
        self._enter(request)
        return request

    def get(self, merchant: Subscription, key: str) -> PaymentRequest:
        """Return a merchant's order by its id or its order code."""
        request = self.by_id.get(key)
        if request is None and key.isascii() and key.isdigit():
            request = self._by_order.get((merchant.client_id, int(key)))
        if request is None or request.client_id != merchant.client_id:
            raise NotFound(f"There is no payment request {key!r}.")
        return request

    def record(self, line: Line) -> PaymentRequest | None:
        """Attach a line to the order whose virtual account it was paid to.

        Money for an expired or cancelled order is attached as well: the payer did pay.
        """
        request = self.find_by_account(line.virtual_number)
        if request is not None and line.direction == "in":
            request.lines.append(line)
        return request

    def find_by_account(self, number: str) -> PaymentRequest | None:
        """Return the order of a virtual account, or None."""
        return self._by_account.get(number.upper())

    def restore(self, requests: list[PaymentRequest]) -> None:
        """Take orders over from a snapshot."""
        for request in requests:
            self._enter(request)

    def checkout_url(self, request: PaymentRequest) -> str:
        """Return the page where the order can be paid."""
        return f"{self._public_url}/web/{request.id}"

    def _enter(self, request: PaymentRequest) -> None:
        self.by_id[request.id] = request
        self._by_order[(request.client_id, request.order_code)] = request
        self._by_account[request.number.upper()] = request

    def _virtual_number(self, bin_: str, rng: Random) -> str:
        """Return a free number in the form seen at MB (VQRQ…, 13) or ACB (LOCCASS…, 16)."""
        while True:
            if bin_ == "970416":
                number = "LOCCASS" + "".join(rng.choices("0123456789", k=9))
            else:
                number = "VQRQ" + _letters(rng, 9)
            if self._bank.find(bin_, number) is None:
                return number


def qr_text(bin_: str, number: str, amount_vnd: int, purpose: str) -> str:
    """Return a dynamic VietQR, written here on its own so that it checks the hub's reader.

    The purpose may pass 25 characters, as payOS's own does.
    """
    account = _tlv("00", bin_) + _tlv("01", number)
    napas = _tlv("00", "A000000727") + _tlv("01", account) + _tlv("02", "QRIBFTTA")
    text = (
        _tlv("00", "01") + _tlv("01", "12") + _tlv("38", napas) + _tlv("53", "704")
        + _tlv("54", str(amount_vnd)) + _tlv("58", "VN") + _tlv("62", _tlv("08", purpose))
        + "6304"
    )  # fmt: skip
    return text + f"{crc_hqx(text.encode(), 0xFFFF):04X}"


def _letters(rng: Random, count: int) -> str:
    return "".join(rng.choices(TOKEN_LETTERS, k=count))


def _tlv(tag: str, value: str) -> str:
    return f"{tag}{len(value):02d}{value}"
