"""One question to one endpoint's provider over the network: sent, answered in time, and read.

Whatever a provider answers, nothing but a cancellation leaves this module as an exception: what
went wrong with one endpoint is a fact about that endpoint, and never another's.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final
from uuid import UUID

import httpx

from payments.providers import PROVIDERS
from payments.providers.errors import (
    NoOrderToPoll,
    PollFailed,
    ProviderDidNotRespond,
    ProviderResponseUnreadable,
    UnreadableNotice,
)
from payments.providers.protocol import Asking
from payments.providers.pulling import Answer, PullQuery, PullRequest, Told
from payments.providers.types import Direction

RESPONSE_TIMEOUT_S: Final = 4.0  # leaves some of the five seconds for storing and settling
RESPONSE_BYTES_MAX: Final = 1_000_000
REQUESTS_MAX: Final = 12  # to one endpoint for one question, with the pages that follow


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """What one endpoint's provider is asked about one account."""

    endpoint_id: UUID
    provider: str
    asking: Asking
    url: str  # the provider's own, or a sandbox's that the operator allows
    inquiry: PullQuery


@dataclass(frozen=True, kw_only=True, slots=True)
class TransactionRow:
    """One transaction that a provider told of when asked."""

    transaction_id: str
    amount_vnd: int
    body: bytes  # as its callback would have been


@dataclass(kw_only=True, slots=True)
class PullResult:
    """What became of one question."""

    rows: list[TransactionRow] = field(default_factory=list)
    answers: int = 0
    unreadable: int = 0  # rows that the provider's own contract does not know
    problems: list[PollFailed] = field(default_factory=list)

    @property
    def is_answered(self) -> bool:
        """Whether the provider has told something, be it that nothing came."""
        return self.answers > 0 and (bool(self.rows) or not self.unreadable)


def open_client() -> httpx.AsyncClient:
    """Open the one client that asks for all tenants: it keeps connections, and nothing else.

    No cookie is kept: one that came in the answer to a tenant's token would go with another's.
    """
    policy = DefaultCookiePolicy(allowed_domains=[])
    return httpx.AsyncClient(follow_redirects=False, cookies=CookieJar(policy))


async def poll_target(
    client: httpx.AsyncClient, question: Question, deadline_s: float
) -> PullResult:
    """Send the requests of a question, then those for further pages; what failed is noted.

    Args:
        deadline_s: for all of them together, on the clock of the loop.
    """
    heard = PullResult()
    try:
        await _ask_all(client, question, heard, deadline_s)
    except Exception as error:  # nobody foresaw it; what was heard before still counts
        heard.problems.append(_name_surprise(error))
        heard.unreadable += 1  # so that silence about it is not taken for "nothing came"
    return heard


async def _ask_all(
    client: httpx.AsyncClient, question: Question, heard: PullResult, deadline_s: float
) -> None:
    waiting = list(question.asking.ask(question.inquiry))[:REQUESTS_MAX]
    if not waiting:
        heard.problems.append(NoOrderToPoll())
    sent = 0
    while waiting:
        sent += len(waiting)
        answers = await asyncio.gather(
            *(_ask_once(client, question, request, deadline_s) for request in waiting)
        )
        waiting = []
        for told in answers:
            if isinstance(told, PollFailed):
                heard.problems.append(told)
                continue
            heard.answers += 1
            heard.unreadable += told.unreadable
            _read_rows(question, told.bodies, heard)
            if told.more is not None and sent + len(waiting) < REQUESTS_MAX:
                waiting.append(told.more)


async def _ask_once(
    client: httpx.AsyncClient, question: Question, request: PullRequest, deadline_s: float
) -> Told | PollFailed:
    """Ask one thing; return what was told or what went wrong, before the deadline."""
    try:
        async with asyncio.timeout_at(deadline_s):
            answer = await _read_answer(client, question.url, request)
        return question.asking.read(answer, request, question.inquiry)
    except PollFailed as problem:
        return problem
    except UnreadableNotice as problem:
        return ProviderResponseUnreadable(f"The provider's answer cannot be read: {problem}.")
    except (httpx.HTTPError, TimeoutError):
        return ProviderDidNotRespond(
            "The provider did not answer within 5 seconds. Try again, or look into the bank's app."
        )
    except Exception as error:  # the other requests of the question are heard all the same
        return _name_surprise(error)


def _name_surprise(error: Exception) -> ProviderResponseUnreadable:
    """Name what nobody foresaw; its cause is for the log."""
    problem = ProviderResponseUnreadable("The provider's answer cannot be read.")
    problem.__cause__ = error
    return problem


async def _read_answer(client: httpx.AsyncClient, url: str, request: PullRequest) -> Answer:
    """Read an answer of at most RESPONSE_BYTES_MAX; what is longer is not taken into memory.

    Raises:
        ProviderResponseUnreadable: it is longer.
        httpx.HTTPError: no answer.
    """
    body = bytearray()
    async with client.stream(
        "GET",
        f"{url}{request.path}",
        params=dict(request.params),
        # Not compressed: a small body could unpack into gigabytes.
        headers={**request.headers, "Accept-Encoding": "identity"},
        timeout=RESPONSE_TIMEOUT_S,
        follow_redirects=False,  # the token goes to this address and to no other
    ) as response:
        async for part in response.aiter_raw():
            body += part
            if len(body) > RESPONSE_BYTES_MAX:
                raise ProviderResponseUnreadable("The provider's answer is too large.")
    return Answer(status=response.status_code, body=bytes(body))


def _read_rows(question: Question, bodies: Sequence[bytes], heard: PullResult) -> None:
    """Read rows as the settler will read them; keep the money that came to this account."""
    number = question.inquiry.account_number.upper()
    for body in bodies:
        try:
            reading = PROVIDERS[question.provider].read(body)
        except UnreadableNotice:
            heard.unreadable += 1
            continue
        for told in reading.transactions:
            names = {told.account_number.upper(), (told.virtual_account or "").upper()}
            if told.direction is Direction.IN and number in names:
                heard.rows.append(
                    TransactionRow(
                        transaction_id=told.provider_transaction_id,
                        amount_vnd=told.amount_vnd,
                        body=body,
                    )
                )
