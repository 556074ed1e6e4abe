"""Casso's webhook v2: one transaction as an object, signed with HMAC-SHA512 and a time in ms.

Source: github CassoHQ/casso-webhook-v2-verify-signature. Its retry schedule is not published; the
sandbox assumes that of Casso's Bank Hub (17 retries, Fibonacci from 30 s, none after 24 hours).
"""

import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any, Final

import httpx

from sandbox.bank import BANKS, Line
from sandbox.providers.contract import Answer, Message, Subscription, judge_2xx, post, spoil
from sandbox.providers.sepay import local_time

DAY_S: Final = 86_400
TEST_REFERENCE: Final = "MA_GIAO_DICH_THU_NGHIEM"


def _assumed_waits_s() -> tuple[int, ...]:
    steps = [30, 30]
    while len(steps) < 17:
        steps.append(steps[-1] + steps[-2])
    elapsed = accumulate(steps)
    return (0, *(step for step, total in zip(steps, elapsed, strict=True) if total <= DAY_S))


def webhook_body(message: Message) -> dict[str, Any]:
    """Return the v2 body; a test delivery has id 0 and a fixed reference."""
    line = message.line
    is_ping = message.kind == "ping"
    signed_vnd = message.amount_vnd if line.direction == "in" else -message.amount_vnd
    counter = BANKS.get(line.counter_bin)
    return {
        "error": 0,
        "data": {
            "id": 0 if is_ping else line.id,
            "reference": TEST_REFERENCE if is_ping else line.reference,
            "description": "giao dich thu nghiem" if is_ping else message.memo,
            "amount": signed_vnd,
            "runningBalance": line.balance_vnd,
            "transactionDateTime": local_time(
                line.occurred_at + timedelta(seconds=message.clock_skew_s)
            ),
            "accountNumber": line.number,
            "bankName": BANKS[line.bin].name,
            "bankAbbreviation": BANKS[line.bin].casso,
            "virtualAccountNumber": line.virtual_number,
            "virtualAccountName": "",
            "counterAccountName": line.counter_name,
            "counterAccountNumber": line.counter_number,
            "counterAccountBankId": line.counter_bin,
            "counterAccountBankName": counter.name if counter else "",
        },
    }


def signature_header(key: str, body: dict[str, Any], unix_ms: int) -> str:
    """Sign a body: t=<ms>,v1=<hex HMAC-SHA512(key, t + "." + JSON with keys sorted)>."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    digest = hmac.new(key.encode(), f"{unix_ms}.{text}".encode(), hashlib.sha512).hexdigest()
    return f"t={unix_ms},v1={digest}"


@dataclass(frozen=True)
class Casso:
    """Casso's sender."""

    name: str = "casso"
    waits_s: tuple[int, ...] = _assumed_waits_s()
    timeout_s: int = 30

    async def call_back(
        self,
        client: httpx.AsyncClient,
        subscription: Subscription,
        message: Message,
        *,
        now: datetime,
    ) -> Answer:
        """Send one attempt, signed at the moment of sending."""
        body = webhook_body(message)
        unix_ms = int(now.timestamp() * 1000) + message.clock_skew_s * 1000
        header = signature_header(subscription.secret, body, unix_ms)
        if message.is_signature_wrong:
            header = spoil(header)
        sent = json.dumps(body, ensure_ascii=False).encode()
        headers = {"X-Casso-Signature": header}
        return judge_2xx(await post(client, subscription.url, sent, headers, self.timeout_s))


def pull_row(line: Line) -> dict[str, Any]:
    """Return one record of GET /v2/transactions."""
    counter = BANKS.get(line.counter_bin)
    signed_vnd = line.amount_vnd if line.direction == "in" else -line.amount_vnd
    return {
        "id": line.id,
        "tid": line.reference,
        "description": line.memo,
        "amount": signed_vnd,
        "cusumBalance": line.balance_vnd,
        "when": local_time(line.occurred_at),
        "bankSubAccId": line.number,
        "subAccId": line.number,
        "virtualAccount": line.virtual_number,
        "virtualAccountName": "",
        "corresponsiveName": line.counter_name,
        "corresponsiveAccount": line.counter_number,
        "corresponsiveBankId": line.counter_bin,
        "corresponsiveBankName": counter.name if counter else "",
    }
