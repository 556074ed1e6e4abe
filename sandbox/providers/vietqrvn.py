"""VietQR.vn's callback: fetch a bearer token from the receiver, then push the transaction.

Source: api.vietqr.vn's documents and the code of one sending server. `url` of a subscription is the
receiver's base: `/api/token_generate` and `/bank/api/transaction-sync` are appended.
"""

import base64
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import httpx
import msgspec

from sandbox.providers.contract import (
    Answer,
    Message,
    Outcome,
    Subscription,
    judge_2xx,
    post,
    spoil,
)

# Ten attempts: the second to fifth after 1 to 4 seconds, the sixth to tenth after a minute.
WAITS_S: Final = (0, 1, 2, 3, 4, 60, 60, 60, 60, 60)
ACK_KEYS: Final = {"error", "errorReason", "toastMessage", "object"}
TOKEN_PATH: Final = "/api/token_generate"  # noqa: S105
SYNC_PATH: Final = "/bank/api/transaction-sync"


def sync_body(message: Message) -> dict[str, Any]:
    """Return the transaction as VietQR.vn pushes it (lower-case field names)."""
    line = message.line
    unix_ms = int(line.occurred_at.timestamp() * 1000) + message.clock_skew_s * 1000
    return {
        "transactionid": f"VQR{line.id}",
        "transactiontime": unix_ms,
        "referencenumber": line.reference,
        "amount": message.amount_vnd,
        "content": message.memo,
        "bankaccount": line.number,
        "transType": "C" if line.direction == "in" else "D",
        "orderId": "",
        "sign": "",
        "terminalCode": "",
        "urlLink": "",
        "subTerminalCode": "",
        "serviceCode": "",
    }


@dataclass(frozen=True)
class VietQrVn:
    """VietQR.vn's sender. It asks for a new token before every push."""

    name: str = "vietqrvn"
    waits_s: tuple[int, ...] = WAITS_S
    timeout_s: int = 30

    async def call_back(
        self,
        client: httpx.AsyncClient,
        subscription: Subscription,
        message: Message,
        *,
        now: datetime,
    ) -> Answer:
        """Send one attempt: token, then transaction. A refused token counts as the attempt."""
        base = subscription.url.rstrip("/")
        login = f"{subscription.username}:{subscription.secret}".encode()
        basic = {"Authorization": f"Basic {base64.b64encode(login).decode()}"}
        granted = await post(client, base + TOKEN_PATH, b"{}", basic, self.timeout_s)
        token = _token_in(granted)
        if token is None:
            return replace(granted, error=granted.error or "no access_token", outcome=Outcome.RETRY)
        if message.kind == "ping":
            # No test transaction is documented: a test fetches a token and pushes nothing.
            return replace(granted, outcome=Outcome.DONE)
        if message.is_signature_wrong:
            token = spoil(token)
        body = msgspec.json.encode(sync_body(message))
        bearer = {"Authorization": f"Bearer {token}"}
        return judge(await post(client, base + SYNC_PATH, body, bearer, self.timeout_s))


def judge(answer: Answer) -> Answer:
    """Call a 2xx with the four keys done, 400 final, and everything else worth another attempt."""
    if answer.status == 400:
        return replace(answer, outcome=Outcome.GIVE_UP)
    judged = judge_2xx(answer)
    if judged.outcome is Outcome.DONE and not _has_ack_keys(answer.body):
        return replace(judged, error="2xx without the four keys", outcome=Outcome.RETRY)
    return judged


def _token_in(granted: Answer) -> str | None:
    if granted.error or not 200 <= granted.status < 300:
        return None
    try:
        answer = msgspec.json.decode(granted.body)
    except msgspec.DecodeError:
        return None
    token = answer.get("access_token") if isinstance(answer, dict) else None
    return token if isinstance(token, str) and token else None


def _has_ack_keys(body: bytes) -> bool:
    try:
        answer = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return False
    return isinstance(answer, dict) and answer.keys() >= ACK_KEYS
