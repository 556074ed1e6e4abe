"""Our own protocol with a toll operator: charge, look up, reverse. docs/toll.md has its page.

Requests are signed with HMAC-SHA256, and answers too: an answer that is not signed proves nothing.
Each function is one call with its own time-out.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

import httpx
import msgspec

from payments.rails.calls import RailResponse, call
from payments.rails.protocol import ResultUnknown
from payments.rails.toll.rules import AccountKind, TollProblem

PATH: Final = "/toll/v1/charges"
CHARGE_ID_CHARS_MAX: Final = 80
# Nobody has signed them: whatever stands between may have said so, and the charge be made.
KEYS_NOT_TAKEN: Final = frozenset({401, 403})


class KeysDoubted(ResultUnknown):
    """Somebody answered that our key is not taken; it proves nothing, but a person has to look."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TollChannel:
    """Where requests go, and with which key; opened for one call, never kept."""

    url: str
    client_id: str
    key: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class ChargeOrder:
    """A charge as the operator is to carry it out."""

    request_id: UUID
    account_kind: AccountKind
    account: str  # the compact plate, or the tag's number
    amount_vnd: int
    reference: str  # of the bill
    expires_at: datetime  # not carried out later


class SignedAnswer(msgspec.Struct):
    """What comes back: a text and who signed it."""

    answer: str
    signature: str


class TollAnswer(msgspec.Struct, kw_only=True):
    """What an operator says of a charge."""

    request_id: UUID
    status: Literal["charged", "pending", "declined", "absent", "reversed", "refused"]
    amount_vnd: int = 0
    problem: str = ""
    charge_id: str = ""
    charged_at: datetime | None = None

    def read_problem(self) -> TollProblem:
        """Return why it was declined, in our words."""
        try:
            return TollProblem(self.problem)
        except ValueError:
            return TollProblem.REFUSED


async def charge(
    client: httpx.AsyncClient, channel: TollChannel, order: ChargeOrder, *, now: datetime
) -> TollAnswer:
    """Ask for a charge. The same request id again is the same charge.

    Raises:
        ResultUnknown: no answer, or none that is signed and about this charge.
        KeysDoubted: of those, one that says that our key is not taken.
    """
    body = {
        "request_id": str(order.request_id),
        "account": {"kind": order.account_kind.value, "value": order.account},
        "amount_vnd": order.amount_vnd,
        "reference": order.reference,
        "expires_at": order.expires_at.isoformat(),
    }
    answer = await _send(client, channel, "POST", PATH, body, order.request_id, now=now)
    return _check(answer, order.amount_vnd, {"charged", "pending", "declined"})


async def find_charge(
    client: httpx.AsyncClient,
    channel: TollChannel,
    request_id: UUID,
    *,
    amount_vnd: int,
    now: datetime,
) -> TollAnswer:
    """Look up what became of a charge.

    Raises:
        ResultUnknown, KeysDoubted
    """
    answer = await _send(client, channel, "GET", f"{PATH}/{request_id}", None, request_id, now=now)
    return _check(answer, amount_vnd, {"charged", "pending", "declined", "absent"})


async def reverse(
    client: httpx.AsyncClient,
    channel: TollChannel,
    request_id: UUID,
    *,
    refund_vnd: int,
    now: datetime,
) -> TollAnswer:
    """Ask for money back, of one charge once; the same again is the same refund.

    Raises:
        ResultUnknown, KeysDoubted
    """
    path = f"{PATH}/{request_id}/reversal"
    body = {"amount_vnd": refund_vnd}
    answer = await _send(client, channel, "POST", path, body, request_id, now=now)
    if answer.status == "reversed" and answer.amount_vnd != refund_vnd:
        raise ResultUnknown("another amount was refunded")
    if answer.status not in ("reversed", "pending", "refused"):
        raise ResultUnknown(f"a refund is answered with {answer.status}")
    return answer


def sign_request(key: bytes, at_s: int, method: str, path: str, body: bytes) -> str:
    """Sign a request: its time, what it asks, and its whole body."""
    return hmac.digest(key, f"{at_s}.{method}.{path}.".encode() + body, "sha256").hex()


def sign_answer(key: bytes, answer: str) -> str:
    """Sign an answer, which names its request."""
    return hmac.digest(key, b"answer." + answer.encode(), "sha256").hex()


async def _send(
    client: httpx.AsyncClient,
    channel: TollChannel,
    method: str,
    path: str,
    content: Mapping[str, object] | None,
    request_id: UUID,
    *,
    now: datetime,
) -> TollAnswer:
    body = b"" if content is None else msgspec.json.encode(content)
    at_s = int(now.timestamp())
    headers = {
        "X-Toll-Client": channel.client_id,
        "X-Toll-Time": str(at_s),
        "X-Toll-Signature": sign_request(channel.key, at_s, method, path, body),
    }
    response = await call(client, method, channel.url + path, headers=headers, body=body or None)
    return _read(response, channel.key, request_id)


def _read(response: RailResponse, key: bytes, request_id: UUID) -> TollAnswer:
    if response.status in KEYS_NOT_TAKEN:
        raise KeysDoubted(f"HTTP {response.status}")
    if response.status != 200:
        raise ResultUnknown(f"HTTP {response.status}")
    try:
        signed = msgspec.json.decode(response.body, type=SignedAnswer)
        is_ours = hmac.compare_digest(
            sign_answer(key, signed.answer).encode(), signed.signature.encode()
        )
        if not is_ours:
            raise ResultUnknown("the answer is not signed by the operator")
        answer = msgspec.json.decode(signed.answer, type=TollAnswer)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise ResultUnknown("the answer cannot be read") from error
    if answer.request_id != request_id:
        raise ResultUnknown("it is about another charge")
    return answer


def _check(answer: TollAnswer, amount_vnd: int, known: set[str]) -> TollAnswer:
    """Hold what was charged to what was asked for."""
    if answer.status not in known:
        raise ResultUnknown(f"a charge is answered with {answer.status}")
    if answer.status == "charged":
        if answer.amount_vnd != amount_vnd:
            raise ResultUnknown("another amount was charged")
        if answer.charged_at is None or answer.charged_at.tzinfo is None:
            raise ResultUnknown("it does not say when it was charged")
    return answer
