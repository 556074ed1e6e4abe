"""SePay's webhook: JSON with the transaction, by HMAC or by an API key in a header.

Source: developer.sepay.vn, "xac-thuc" (signature over "{timestamp}." + raw body, five minutes) and
"xu-ly-loi" (eight attempts in 33 minutes, 2xx is success, 30 s for an answer).
"""

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import httpx
import msgspec

from sandbox.bank import BANKS, Line
from sandbox.ft_numbers import VIETNAM
from sandbox.providers.contract import Answer, Message, Subscription, judge_2xx, post, spoil

MINUTE_S: Final = 60
WAITS_S: Final = tuple(minutes * MINUTE_S for minutes in (0, 1, 1, 2, 3, 5, 8, 13))
# SePay documents no test delivery; one from its own sandbox was seen with these two marks.
TEST_ACCOUNT: Final = "SBSEPAY0OUMVNGTUSIX"
TEST_REFERENCE: Final = "SB7703EF77157F"
# SePay finds a payment code by a structure that the merchant sets up: here 2 to 5 letters and
# digits behind them, as a whole word of the memo.
CODE: Final = re.compile(r"(?<![A-Z0-9])PP[A-Z0-9]{11}(?![A-Z0-9])")


def webhook_body(message: Message) -> dict[str, Any]:
    """Return the webhook's fields in the order of a delivery seen from SePay's own sandbox."""
    line = message.line
    is_ping = message.kind == "ping"
    code = CODE.search(message.memo.upper())
    return {
        "gateway": BANKS[line.bin].gateway,
        "transactionDate": local_time(line.occurred_at + timedelta(seconds=message.clock_skew_s)),
        "accountNumber": line.number,
        "subAccount": TEST_ACCOUNT if is_ping else line.virtual_number or None,
        "code": code[0] if code else None,
        "content": message.memo,
        "transferType": line.direction,
        "description": f"BankAPINotify {message.memo}",
        "transferAmount": message.amount_vnd,
        "referenceCode": TEST_REFERENCE if is_ping else line.reference,
        "accumulated": line.balance_vnd,
        "id": line.id,
    }


def local_time(at: datetime) -> str:
    """Write an instant as providers do: Việt Nam's time without an offset."""
    return f"{at.astimezone(VIETNAM):%Y-%m-%d %H:%M:%S}"


def hmac_headers(secret: str, body: bytes, unix_s: int) -> dict[str, str]:
    """Sign a body: sha256=<hex HMAC-SHA256(secret, "{timestamp}." + body)>."""
    signed = str(unix_s).encode() + b"." + body
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return {"X-SePay-Timestamp": str(unix_s), "X-SePay-Signature": f"sha256={digest}"}


@dataclass(frozen=True)
class SePay:
    """SePay's sender, in one of its two ways to prove who it is."""

    auth: Literal["hmac", "apikey"]
    waits_s: tuple[int, ...] = WAITS_S
    timeout_s: int = 30

    @property
    def name(self) -> str:
        """`sepay` signs with the HMAC, `sepay_apikey` sends a key."""
        return "sepay" if self.auth == "hmac" else "sepay_apikey"

    async def call_back(
        self,
        client: httpx.AsyncClient,
        subscription: Subscription,
        message: Message,
        *,
        now: datetime,
    ) -> Answer:
        """Send one attempt. Each attempt is signed anew: SePay does not say what it does."""
        body = msgspec.json.encode(webhook_body(message))
        if self.auth == "hmac":
            unix_s = int(now.timestamp()) + message.clock_skew_s
            headers = hmac_headers(subscription.secret, body, unix_s)
            if message.is_signature_wrong:
                headers["X-SePay-Signature"] = spoil(headers["X-SePay-Signature"])
        else:
            key = spoil(subscription.secret) if message.is_signature_wrong else subscription.secret
            headers = {"Authorization": f"Apikey {key}"}
        return judge_2xx(await post(client, subscription.url, body, headers, self.timeout_s))


def pull_row(line: Line) -> dict[str, Any]:
    """Return one row of the pull API: decimals are strings with two places."""
    is_in = line.direction == "in"
    code = CODE.search(line.memo.upper())
    return {
        "id": str(line.id),
        "bank_brand_name": BANKS[line.bin].gateway,
        "account_number": line.number,
        "transaction_date": local_time(line.occurred_at),
        "amount_out": "0.00" if is_in else f"{line.amount_vnd}.00",
        "amount_in": f"{line.amount_vnd}.00" if is_in else "0.00",
        "accumulated": f"{line.balance_vnd}.00",
        "transaction_content": line.memo,
        "reference_number": line.reference,
        "code": code[0] if code else None,
        "sub_account": line.virtual_number or None,
        "bank_account_id": str(int(line.bin)),
    }
