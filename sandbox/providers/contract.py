"""The contract of a provider module: what it offers to the dispatcher, and what it is given."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, Literal, Protocol

import httpx
import msgspec

from sandbox.bank import Line
from sandbox.settings import REPLY_BYTES_MAX


class Subscription(msgspec.Struct, kw_only=True):
    """Who is called back for which accounts, where, and with which secrets."""

    id: str
    provider: str
    url: str = ""  # payOS has none until its webhook is confirmed
    secret: str = ""  # checksum key, HMAC secret, API key in the header, or password
    username: str = ""  # VietQR.vn's Basic login
    client_id: str = ""  # payOS merchant API
    is_linked: bool = True  # payOS: its account is linked, so descriptions may have 25 characters
    api_key: str = ""  # payOS merchant API, SePay's and Casso's pull API
    accounts: list[tuple[str, str]] = msgspec.field(default_factory=list)
    send: Literal["in", "all"] = "in"

    def covers(self, line: Line) -> bool:
        """Tell whether the subscriber is called back for this line."""
        if self.send == "in" and line.direction != "in":
            return False
        named = {(line.bin, line.number.upper()), (line.bin, line.virtual_number.upper())}
        return any((bin_, number.upper()) in named for bin_, number in self.accounts)


@dataclass(frozen=True, kw_only=True)
class Message:
    """One callback to be sent: a line as the provider reports it, faults and all."""

    line: Line
    amount_vnd: int
    memo: str
    kind: Literal["credit", "ping"] = "credit"
    is_signature_wrong: bool = False
    clock_skew_s: int = 0  # how far the provider's clock is ahead of ours
    # Facts of the payOS payment request that the line pays: orderCode, paymentLinkId.
    order_code: int = 0
    payment_link_id: str = ""


class Outcome(StrEnum):
    """What the sender makes of an answer."""

    DONE = "done"
    RETRY = "retry"
    GIVE_UP = "give_up"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back: status 0 means that nothing did, and `error` says why."""

    status: int
    body: bytes = b""
    error: str = ""
    outcome: Outcome = field(default=Outcome.RETRY)


class Provider(Protocol):
    """A provider's way of calling back. `waits_s` has one wait before each attempt, first 0."""

    @property
    def name(self) -> str: ...
    @property
    def waits_s(self) -> tuple[int, ...]: ...
    @property
    def timeout_s(self) -> int: ...

    async def call_back(
        self,
        client: httpx.AsyncClient,
        subscription: Subscription,
        message: Message,
        *,
        now: datetime,
    ) -> Answer:
        """Send one attempt and judge its answer. Never raises for what the receiver does."""
        ...


# Answers of a receiver that does not exist or does not speak HTTP.
UNREACHABLE: Final = (httpx.HTTPError, httpx.InvalidURL, ValueError)


async def post(
    client: httpx.AsyncClient, url: str, body: bytes, headers: dict[str, str], timeout_s: int
) -> Answer:
    """POST a JSON body and read at most 64 KiB of the answer. Redirects are not followed."""
    sent = {"Content-Type": "application/json", "User-Agent": "phopay-sandbox", **headers}
    try:
        async with client.stream(
            "POST", url, content=body, headers=sent, timeout=timeout_s
        ) as response:
            received = bytearray()
            async for chunk in response.aiter_bytes():
                received += chunk
                if len(received) > REPLY_BYTES_MAX:
                    return Answer(status=response.status_code, error="answer over 64 KiB")
            return Answer(status=response.status_code, body=bytes(received))
    except UNREACHABLE as error:
        return Answer(status=0, error=f"{type(error).__name__}: {error}"[:200])


def judge_2xx(answer: Answer) -> Answer:
    """Call every 2xx done and everything else worth another attempt."""
    is_done = 200 <= answer.status < 300 and not answer.error
    outcome = Outcome.DONE if is_done else Outcome.RETRY
    return Answer(status=answer.status, body=answer.body, error=answer.error, outcome=outcome)


def spoil(signature: str) -> str:
    """Change the last character of a signature, so that it is well-formed and wrong."""
    return signature[:-1] + ("0" if signature[-1:] != "0" else "1")
