"""Requests to providers' pull APIs, and reading of their responses.

Pure like the adapters that use it. Each row of a response is written as the callback about it would
have been, so that one reader finds one identity in both, whichever comes first.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import msgspec

from payments.providers.errors import (
    Fault,
    ProviderDidNotRespond,
    ProviderRefusedToken,
    UnreadableNotice,
)
from payments.providers.fields import parse_object
from payments.providers.types import EndpointSecrets

# What every provider answers a wrong, expired or withdrawn token with.
REFUSED: Final = frozenset({401, 403})
# Seconds to wait, in HTTP's own word (RFC 9110 §10.2.3) and in SePay's.
RETRY_AFTER: Final = ("retry-after", "x-sepay-userapi-retry-after")
TOO_MANY_WAIT_S: Final = 60  # after a 429 that names no wait
ROWS_MAX: Final = 100  # in one response; the most that Casso gives

_KEY: Final = re.compile(r"[!-~]{1,500}", re.ASCII)  # it travels in a header


@dataclass(frozen=True, kw_only=True, slots=True)
class PullCredentials:
    """Credentials for a provider's pull API."""

    token: str
    client_id: str | None = None  # payOS needs both

    def __repr__(self) -> str:
        """Show nothing: this object is near log lines and tracebacks."""
        return "PullCredentials()"


@dataclass(frozen=True, kw_only=True, slots=True)
class PullQuery:
    """What is looked up at one provider."""

    account_number: str
    order_ids: tuple[str, ...]  # what the bills in question are called at this provider
    since: datetime
    # A window that is read to its end, page by page; None: only what came last.
    until: datetime | None = None
    cursor: str | None = None  # of the page in question, as the adapter wrote it; None: the first
    credentials: PullCredentials
    secrets: EndpointSecrets  # of the endpoint: payOS signs its responses with them too


@dataclass(frozen=True, kw_only=True, slots=True)
class PullRequest:
    """One GET below the provider's own address."""

    path: str
    params: Mapping[str, str | int] = field(default_factory=dict)
    headers: Mapping[str, str] = field(repr=False)  # with the token
    order_id: str = ""  # the order that it is about, if it is about one


@dataclass(frozen=True, kw_only=True, slots=True)
class PullResponse:
    """A response, whatever its status."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)  # lower-case names


@dataclass(frozen=True, kw_only=True, slots=True)
class PullPage:
    """What one response says."""

    bodies: tuple[bytes, ...] = ()  # as callbacks about the same transactions
    unreadable: int = 0  # rows that break the provider's own contract
    next_request: PullRequest | None = None
    next_cursor: str | None = None  # of a window's next page; None: this was its last one
    stuck_at: UnreadableNotice | None = None  # there is a next page, and nothing says where


def is_usable_key(text: str) -> bool:
    """Decide whether a token or client id can travel in a header: 1 to 500 visible ASCII signs."""
    return _KEY.fullmatch(text) is not None


def open_response(response: PullResponse) -> dict[str, Any]:
    """Return the JSON object of a response, or raise as Pull.read says.

    A redirect is a response that cannot be read: the token goes to no second address.
    """
    if response.status in REFUSED:
        raise ProviderRefusedToken
    if response.status == 429:
        problem = ProviderDidNotRespond(
            "The provider limits how often it can be checked. Try again in a minute."
        )
        problem.retry_after_s = _read_retry_after(response) or TOO_MANY_WAIT_S
        raise problem
    if response.status >= 500:
        problem = ProviderDidNotRespond(
            "The provider is out of order. Try again, or look into the bank's app."
        )
        problem.retry_after_s = _read_retry_after(response)
        raise problem
    if not 200 <= response.status < 300:
        raise UnreadableNotice(Fault.STATUS, f"HTTP {response.status}")
    return parse_object(response.body)


def _read_retry_after(response: PullResponse) -> int | None:
    """Read how long a provider wants to be left alone; a date, which HTTP allows, says nothing."""
    for name in RETRY_AFTER:
        text = response.headers.get(name, "")
        if text.isascii() and text.isdigit() and len(text) <= 9:
            return int(text)
    return None


def rewrite_rows(
    rows: object,
    rewrite: Callable[[dict[str, Any]], bytes | None],
    *,
    rows_max: int = ROWS_MAX,
) -> tuple[tuple[bytes, ...], int]:
    """Write rows as callbacks; return them, and how many rows are in no known form.

    Args:
        rewrite: row → callback, or None for one that is left out. Raises UnreadableNotice.

    Raises:
        UnreadableNotice: there is no list.
    """
    if type(rows) is not list:
        raise UnreadableNotice(Fault.BODY, "no list of transactions")
    written, unreadable = [], 0  # one odd row, whatever is odd about it, hides no other
    for row in rows[:rows_max]:
        try:
            if type(row) is not dict:
                raise UnreadableNotice(Fault.BODY, "a transaction is not an object")
            if (body := rewrite(row)) is not None:
                written.append(body)
        except (UnreadableNotice, ValueError, OverflowError, RecursionError):
            unreadable += 1
    return tuple(written), unreadable


def write_callback(facts: Mapping[str, Any]) -> bytes:
    """Write a callback's JSON; half an emoji stays half, as callbacks have it (parse_json).

    Raises:
        ValueError, OverflowError, RecursionError: a value that JSON has no form for.
    """
    try:
        return msgspec.json.encode(facts)
    except UnicodeEncodeError:
        return json.dumps(facts).encode()
