"""The rail "payOS": a payment request at payOS, paid by the code that payOS makes for it.

Source: PyPI payos 1.1.0, npm @payos/node 2.0.5 and payos.vn/docs (POST /v2/payment-requests, GET
and POST …/{orderCode}/cancel). Only the answer to the creation holds the code: GET has none.
"""

import hmac
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import httpx
import msgspec

from payments.bills.references import BASE, PREFIX, VALUE_OF
from payments.providers.errors import UnreadableNotice
from payments.providers.fields import parse_object
from payments.providers.payos.webhook import find_key, sign_body
from payments.rails.calls import RailResponse, call
from payments.rails.protocol import (
    Channel,
    OpenedOrder,
    Order,
    OrderExists,
    OrderState,
    RailProblem,
    RequestRefused,
    ResultUnknown,
)
from payments.vietqr import parse
from payments.vietqr.errors import VietQrError

ORDER_CODE_MAX: Final = 2**53 - 1  # what JavaScript's numbers hold
# Above the numbers that shops' own software gives its orders (counters, milliseconds, dates).
ORDER_STEP: Final = 10**15
# payOS takes 25 characters, and 9 where the channel's account is not linked through payOS.
SHORT_DESCRIPTION_CHARS: Final = 9
CLOCKS_DIFFER: Final = timedelta(minutes=10)

SUCCESS: Final = "00"
BAD_REQUEST, ABSENT, EXISTS, UNAUTHORIZED = "20", "101", "231", "401"
CREATE_FIELDS: Final = ("amount", "cancelUrl", "description", "orderCode", "returnUrl")
IS_OVER: Final = frozenset({"CANCELLED", "EXPIRED", "FAILED"})
STATE_OF: Final = {
    "PENDING": OrderState.WAITING,
    "PROCESSING": OrderState.WAITING,
    "UNDERPAID": OrderState.PART_PAID,
    "PAID": OrderState.PAID,
}


@dataclass(frozen=True)
class PayOSRequests:
    """payOS's payment requests."""

    provider: str = "payos"

    def number_order(self, reference: str, n: int) -> str:
        """Write a reference's ten characters as a number, behind n: an orderCode of 16 digits.

        No two bills of a hub share a reference, so none share an orderCode, whichever channel.
        """
        value = 0
        for char in reference[len(PREFIX) : -1]:  # the check character tells nothing new
            value = value * BASE + VALUE_OF[char]
        order_code = n * ORDER_STEP + value
        assert order_code <= ORDER_CODE_MAX
        return str(order_code)

    async def open(self, client: httpx.AsyncClient, channel: Channel, order: Order) -> OpenedOrder:
        """Create the payment request; with a short description where the long one is refused."""
        try:
            data = await self._create(client, channel, order, order.reference)
        except _Refused as refused:
            if refused.code != BAD_REQUEST:
                raise _to_problem(refused) from None
            # Nothing was opened, so asking again cannot open a second one.
            short = order.reference[-SHORT_DESCRIPTION_CHARS:]
            try:
                data = await self._create(client, channel, order, short)
            except _Refused as again:
                raise _to_problem(again) from None
        return _read_opened(data, order)

    async def find(self, client: httpx.AsyncClient, channel: Channel, order: Order) -> OrderState:
        """Read how an order stands, by its orderCode."""
        path = f"/v2/payment-requests/{order.order_id}"
        response = await call(client, "GET", channel.url + path, headers=_keys(channel))
        try:
            data = _open_envelope(response, channel)
        except _Refused as refused:
            if refused.code == ABSENT:
                return OrderState.ABSENT
            if refused.code == UNAUTHORIZED:
                raise _to_problem(refused) from None
            raise ResultUnknown(f"payOS answered a question with {refused.code}") from None
        return _read_state(data, order)

    async def cancel(self, client: httpx.AsyncClient, channel: Channel, order: Order) -> None:
        """Cancel an order that was found waiting."""
        signed = {"cancellationReason": "closed"}
        body = msgspec.json.encode(
            {**signed, "signature": sign_body(signed, _checksum_key(channel))}
        )
        path = f"/v2/payment-requests/{order.order_id}/cancel"
        response = await call(client, "POST", channel.url + path, headers=_keys(channel), body=body)
        try:
            data = _open_envelope(response, channel)
        except _Refused as refused:  # paid or cancelled just now: its state is read again
            raise ResultUnknown(f"payOS answered a cancellation with {refused.code}") from None
        if _read_state(data, order) is not OrderState.GONE:
            raise ResultUnknown("payOS has not cancelled")

    async def _create(
        self, client: httpx.AsyncClient, channel: Channel, order: Order, description: str
    ) -> dict[str, Any]:
        signed: dict[str, Any] = {
            "orderCode": int(order.order_id),
            "amount": order.amount_vnd,
            "description": description,
            "cancelUrl": order.pay_url,
            "returnUrl": order.pay_url,
        }
        body = {
            **signed,
            "expiredAt": int(order.valid_until.timestamp()),
            "signature": sign_create(signed, _checksum_key(channel)),
        }
        response = await call(
            client,
            "POST",
            f"{channel.url}/v2/payment-requests",
            headers=_keys(channel),
            body=msgspec.json.encode(body),
        )
        return _open_envelope(response, channel)


@dataclass(frozen=True)
class PayOSRail:
    """The rail."""

    name: str = "payos"
    remote: PayOSRequests = field(default_factory=PayOSRequests)


class _Refused(Exception):
    """A code of payOS's other than success."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def sign_create(signed: dict[str, Any], key: bytes) -> str:
    """Sign a creation, which covers five fields, nothing escaped; ours hold no "&"."""
    message = "&".join(f"{name}={signed[name]}" for name in CREATE_FIELDS)
    return hmac.digest(key, message.encode(), "sha256").hex()


def _to_problem(refused: _Refused) -> Exception:
    """Return what a creation's answer means."""
    if refused.code == EXISTS:
        return OrderExists()
    if refused.code == UNAUTHORIZED:
        return RequestRefused(RailProblem.KEYS_REFUSED)
    return RequestRefused(RailProblem.ORDER_REFUSED)


def _checksum_key(channel: Channel) -> bytes:
    return channel.secrets.keys[0].encode()


def _keys(channel: Channel) -> dict[str, str]:
    credentials = channel.credentials
    return {"x-client-id": credentials.client_id or "", "x-api-key": credentials.token}


def _open_envelope(response: RailResponse, channel: Channel) -> dict[str, Any]:
    """Return the signed data of an answer.

    Raises:
        ResultUnknown: out of order, called too often, or not payOS's form, or not signed by it.
        _Refused: payOS has understood, and said something else than success.
    """
    if response.status >= 500 or response.status in (408, 429):
        raise ResultUnknown(f"HTTP {response.status}")
    try:
        envelope = parse_object(response.body)
        code = envelope.get("code")
        if response.status in (401, 403):
            raise _Refused(UNAUTHORIZED)
        if type(code) is str and code != SUCCESS:
            raise _Refused(code[:20])
        data, signature = envelope.get("data"), envelope.get("signature")
        if code != SUCCESS or type(data) is not dict or type(signature) is not str:
            raise ResultUnknown("no signed data")
        if find_key(data, signature, channel.secrets) is None:
            raise ResultUnknown("the checksum key has not signed this answer")
    except UnreadableNotice as error:
        raise ResultUnknown(f"the answer cannot be read: {error}") from error
    return data


def _read_opened(data: dict[str, Any], order: Order) -> OpenedOrder:
    """Read what pays the order, and see that its code asks for this bill's amount."""
    texts = [data.get(n) for n in ("paymentLinkId", "checkoutUrl", "qrCode", "bin")]
    texts.append(data.get("accountNumber"))
    if not all(type(text) is str and 0 < len(text) <= 1_000 for text in texts):
        raise ResultUnknown("a field of the opened order is missing")
    request_id, checkout_url, payload, bin_, account_number = (str(text) for text in texts)
    try:
        code = parse(payload)
    except VietQrError as error:
        raise ResultUnknown(f"the order's code cannot be read: {error}") from error
    if str(data.get("orderCode")) != order.order_id:
        raise ResultUnknown("it is about another order")
    if not data.get("amount") == code.amount_vnd == order.amount_vnd:
        raise ResultUnknown("the opened order asks for another amount")
    if not checkout_url.startswith(("https://", "http://")):
        raise ResultUnknown("the checkout address is none")
    return OpenedOrder(
        request_id=request_id,
        checkout_url=checkout_url,
        payload=payload,
        bin=bin_,
        account_number=account_number,
    )


def _read_state(data: dict[str, Any], order: Order) -> OrderState:
    """Read how an order stands; one of another amount, or of before, is somebody else's."""
    if str(data.get("orderCode")) != order.order_id:
        raise ResultUnknown("it is about another order")
    if data.get("amount") != order.amount_vnd or _is_of_before(data.get("createdAt"), order):
        return OrderState.FOREIGN
    status = data.get("status")
    if status in IS_OVER:
        return OrderState.GONE
    if status in STATE_OF:
        return STATE_OF[status]
    raise ResultUnknown("payOS names a status that nobody knows")


def _is_of_before(created_at: object, order: Order) -> bool:
    try:
        made_at = datetime.fromisoformat(str(created_at))
    except ValueError:
        return False
    return made_at.tzinfo is not None and made_at < order.requested_at - CLOCKS_DIFFER
