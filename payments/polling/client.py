"""HTTP client of providers' pull APIs: requests sent, responses read, within a deadline.

Whatever a provider answers, nothing but a cancellation leaves this module as an exception: one
endpoint's failure is a fact about that endpoint and does not affect the others.
"""

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
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
from payments.providers.protocol import Pull
from payments.providers.pulling import PullPage, PullQuery, PullRequest, PullResponse
from payments.providers.types import Direction

RESPONSE_TIMEOUT_S: Final = 4.0  # leaves some of the five seconds for storing and processing
RESPONSE_BYTES_MAX: Final = 1_000_000
REQUESTS_MAX: Final = 12  # to one endpoint in one poll, with the pages that follow


@dataclass(frozen=True, kw_only=True, slots=True)
class PollTarget:
    """One endpoint's provider, and what is looked up there about one account."""

    endpoint_id: UUID
    provider: str
    pull: Pull
    url: str  # the provider's own, or a sandbox's that the operator allows
    query: PullQuery


@dataclass(frozen=True, kw_only=True, slots=True)
class TransactionRow:
    """One transaction in a provider's responses."""

    transaction_id: str
    amount_vnd: int
    body: bytes  # as its callback would have been


@dataclass(kw_only=True, slots=True)
class PullResult:
    """What polling one target found."""

    rows: list[TransactionRow] = field(default_factory=list)
    pages: int = 0  # responses that could be read
    unreadable: int = 0  # rows that the provider's own contract does not know
    problems: list[PollFailed] = field(default_factory=list)
    requests: int = 0  # sent
    next_cursor: str | None = None  # of a window's next page; None: it is read

    @property
    def is_answered(self) -> bool:
        """Whether the provider has said something, be it that nothing came."""
        return self.pages > 0 and (bool(self.rows) or not self.unreadable)


def open_client() -> httpx.AsyncClient:
    """Open the one client that polls for all tenants: it keeps connections, and nothing else.

    No cookie is kept: one set for a tenant's token would travel with another's.
    """
    policy = DefaultCookiePolicy(allowed_domains=[])
    return httpx.AsyncClient(
        verify=_read_authorities(), follow_redirects=False, cookies=CookieJar(policy)
    )


async def poll_target(
    client: httpx.AsyncClient, target: PollTarget, deadline_s: float
) -> PullResult:
    """Send a target's requests, then those for further pages; failures are noted in the result.

    Args:
        deadline_s: for all of them together, on the clock of the loop.
    """
    result = PullResult()
    try:
        await _request_all(client, target, result, deadline_s)
    except Exception as error:  # not foreseen; what was read before still counts
        result.problems.append(_name_surprise(error))
        result.unreadable += 1  # so that silence about it is not taken for "nothing came"
    return result


async def _request_all(
    client: httpx.AsyncClient, target: PollTarget, result: PullResult, deadline_s: float
) -> None:
    waiting = list(target.pull.list_requests(target.query))[:REQUESTS_MAX]
    if not waiting:
        result.problems.append(NoOrderToPoll())
    sent = 0
    while waiting:
        sent += len(waiting)
        result.requests = sent
        pages = await asyncio.gather(
            *(_request_once(client, target, request, deadline_s) for request in waiting)
        )
        waiting = []
        for page in pages:
            if isinstance(page, PollFailed):
                result.problems.append(page)
                continue
            result.pages += 1
            result.unreadable += page.unreadable
            result.next_cursor = page.next_cursor
            if page.stuck_at is not None:
                result.problems.append(_wrap_unreadable(page.stuck_at))
            _read_rows(target, page.bodies, result)
            if page.next_request is not None and sent + len(waiting) < REQUESTS_MAX:
                waiting.append(page.next_request)


async def _request_once(
    client: httpx.AsyncClient, target: PollTarget, request: PullRequest, deadline_s: float
) -> PullPage | PollFailed:
    """Send one request; return its page or what went wrong, before the deadline."""
    try:
        async with asyncio.timeout_at(deadline_s):
            response = await _read_response(client, target.url, request)
        return target.pull.read(response, request, target.query)
    except PollFailed as problem:
        return problem
    except UnreadableNotice as problem:
        return _wrap_unreadable(problem)
    except (httpx.HTTPError, TimeoutError):
        return ProviderDidNotRespond(
            "The provider did not answer within 5 seconds. Try again, or look into the bank's app."
        )
    except Exception as error:  # the other requests are read all the same
        return _name_surprise(error)


def _wrap_unreadable(problem: UnreadableNotice) -> ProviderResponseUnreadable:
    return ProviderResponseUnreadable(f"The provider's answer cannot be read: {problem}.")


def _name_surprise(error: Exception) -> ProviderResponseUnreadable:
    """Wrap an unforeseen error; its cause is for the log."""
    problem = ProviderResponseUnreadable("The provider's answer cannot be read.")
    problem.__cause__ = error
    return problem


async def _read_response(client: httpx.AsyncClient, url: str, request: PullRequest) -> PullResponse:
    """Read a response of at most RESPONSE_BYTES_MAX; what is longer is not taken into memory.

    Raises:
        ProviderResponseUnreadable: it is longer.
        httpx.HTTPError: no response.
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
    headers = {name.lower(): value for name, value in response.headers.items()}
    return PullResponse(status=response.status_code, body=bytes(body), headers=headers)


def _read_rows(target: PollTarget, bodies: Sequence[bytes], result: PullResult) -> None:
    """Read rows as processing will read them; keep the money that came to this account."""
    number = target.query.account_number.upper()
    for body in bodies:
        try:
            reading = PROVIDERS[target.provider].read(body)
        except UnreadableNotice:
            result.unreadable += 1
            continue
        for one in reading.transactions:
            names = {one.account_number.upper(), (one.virtual_account or "").upper()}
            if one.direction is Direction.IN and number in names:
                result.rows.append(
                    TransactionRow(
                        transaction_id=one.provider_transaction_id,
                        amount_vnd=one.amount_vnd,
                        body=body,
                    )
                )


@cache  # reading them takes 25 ms, the same for each hub that a process starts
def _read_authorities() -> ssl.SSLContext:
    return httpx.create_ssl_context()
