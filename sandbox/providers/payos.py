"""payOS's signatures and webhook.

Source: payos.vn/docs and the official SDKs. The Python SDK refuses a webhook with an unknown key or
with an optional key left out, so all sixteen keys of `data` are always sent and no others. payOS
publishes no retry schedule; the sandbox assumes five attempts in 36 minutes.
"""

import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import httpx

from sandbox.bank import BANKS
from sandbox.providers.contract import Answer, Message, Subscription, judge_2xx, post, spoil
from sandbox.providers.sepay import local_time

MINUTE_S: Final = 60
ASSUMED_WAITS_S: Final = tuple(minutes * MINUTE_S for minutes in (0, 1, 5, 10, 20))
CREATE_FIELDS: Final = ("amount", "cancelUrl", "description", "orderCode", "returnUrl")


def sign(key: str, data: dict[str, Any]) -> str:
    """Sign an envelope's data: hex HMAC-SHA256 over its sorted `key=value`, joined by "&"."""
    text = "&".join(f"{name}={_as_text(data[name])}" for name in sorted(data))
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


def sign_create(key: str, request: dict[str, Any]) -> str:
    """Sign a create request, which covers five fields only."""
    return sign(key, {name: request.get(name) for name in CREATE_FIELDS})


def _as_text(value: object) -> str:
    if value is None or value in ("null", "undefined"):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        items = [dict(sorted(item.items())) if isinstance(item, dict) else item for item in value]
        return json.dumps(items, separators=(",", ":"), ensure_ascii=False)
    return str(value)


def webhook_data(message: Message) -> dict[str, Any]:
    """Return the sixteen keys of `data`."""
    line = message.line
    counter = BANKS.get(line.counter_bin)
    occurred_at = line.occurred_at + timedelta(seconds=message.clock_skew_s)
    return {
        "orderCode": message.order_code,
        "amount": message.amount_vnd,
        "description": message.memo,
        "accountNumber": line.number,
        "reference": line.reference,
        "transactionDateTime": local_time(occurred_at),
        "currency": "VND",
        "paymentLinkId": message.payment_link_id,
        "code": "00",
        "desc": "Thành công",
        "counterAccountBankId": line.counter_bin,
        "counterAccountBankName": counter.name if counter else "",
        "counterAccountName": line.counter_name,
        "counterAccountNumber": line.counter_number,
        "virtualAccountName": "",
        "virtualAccountNumber": line.virtual_number,
    }


@dataclass(frozen=True)
class PayOs:
    """payOS's sender."""

    name: str = "payos"
    waits_s: tuple[int, ...] = ASSUMED_WAITS_S
    timeout_s: int = 30

    async def call_back(
        self,
        client: httpx.AsyncClient,
        subscription: Subscription,
        message: Message,
        *,
        now: datetime,
    ) -> Answer:
        """Send one attempt. The signature covers no time, so repeats are byte for byte the same."""
        data = webhook_data(message)
        signature = sign(subscription.secret, data)
        if message.is_signature_wrong:
            signature = spoil(signature)
        envelope = {
            "code": "00",
            "desc": "success",
            "success": True,
            "data": data,
            "signature": signature,
        }
        body = json.dumps(envelope, ensure_ascii=False).encode()
        return judge_2xx(await post(client, subscription.url, body, {}, self.timeout_s))
