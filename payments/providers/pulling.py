"""How a provider is asked what came in: which requests, and what their answers say.

Pure like the adapters that it belongs to. What an answer tells is written as the callback about it
would have been, so that one reader finds one identity in both, whichever comes first.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import msgspec

from payments.providers.errors import ProviderDidNotRespond, ProviderRefusedToken, UnreadableNotice
from payments.providers.fields import parse_object
from payments.providers.types import EndpointSecrets, Fault

# What every provider answers a wrong, expired or withdrawn token with.
REFUSED: Final = frozenset({401, 403})
ROWS_MAX: Final = 100  # in one answer; the most that Casso gives

_KEY: Final = re.compile(r"[!-~]{1,500}", re.ASCII)  # it travels in a header


@dataclass(frozen=True, kw_only=True, slots=True)
class PullCredentials:
    """What a provider wants to see before it answers."""

    token: str
    client_id: str | None = None  # payOS asks for both

    def __repr__(self) -> str:
        """Show nothing: this object is near log lines and tracebacks."""
        return "PullCredentials()"


@dataclass(frozen=True, kw_only=True, slots=True)
class PullQuery:
    """What is asked about."""

    account_number: str
    order_ids: tuple[str, ...]  # what the bills in question are called at this provider
    since: datetime
    keys: PullCredentials
    secrets: EndpointSecrets  # of the endpoint: payOS signs its answers with them too


@dataclass(frozen=True, kw_only=True, slots=True)
class PullRequest:
    """One GET below the provider's own address."""

    path: str
    params: Mapping[str, str | int] = field(default_factory=dict)
    headers: Mapping[str, str] = field(repr=False)  # with the token
    order_id: str = ""  # the one that it is about, if it is about one


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What came back, whatever its status."""

    status: int
    body: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What one answer says."""

    bodies: tuple[bytes, ...] = ()  # as callbacks about the same transactions
    unreadable: int = 0  # rows that break the provider's own contract
    more: PullRequest | None = None  # the next page


def is_usable_key(text: str) -> bool:
    """Tell whether a token or client id can travel in a header: 1 to 500 visible ASCII signs."""
    return _KEY.fullmatch(text) is not None


def open_response(answer: Answer) -> dict[str, Any]:
    """Return the JSON object of an answer, or raise as Asking.read says.

    A redirect is an answer that cannot be read: the token goes to no second address.
    """
    if answer.status in REFUSED:
        raise ProviderRefusedToken
    if answer.status == 429:
        raise ProviderDidNotRespond("The provider was asked too often. Try again in a minute.")
    if answer.status >= 500:
        raise ProviderDidNotRespond(
            "The provider is out of order. Try again, or look into the bank's app."
        )
    if not 200 <= answer.status < 300:
        raise UnreadableNotice(Fault.STATUS, f"HTTP {answer.status}")
    return parse_object(answer.body)


def rewrite_rows(
    rows: object, rewrite: Callable[[dict[str, Any]], bytes | None]
) -> tuple[tuple[bytes, ...], int]:
    """Write rows as callbacks; return them, and how many rows are in no known form.

    Args:
        rewrite: row → callback, or None for one that is not asked for. Raises UnreadableNotice.

    Raises:
        UnreadableNotice: there is no list.
    """
    if type(rows) is not list:
        raise UnreadableNotice(Fault.BODY, "no list of transactions")
    written, unreadable = [], 0  # one odd row, whatever is odd about it, hides no other
    for row in rows[:ROWS_MAX]:
        try:
            if type(row) is not dict:
                raise UnreadableNotice(Fault.BODY, "a transaction is not an object")
            if (body := rewrite(row)) is not None:
                written.append(body)
        except (UnreadableNotice, ValueError, OverflowError, RecursionError):
            unreadable += 1
    return tuple(written), unreadable


def write_callback(told: Mapping[str, Any]) -> bytes:
    """Write a callback's JSON; half an emoji stays half, as callbacks have it (parse_json).

    Raises:
        ValueError, OverflowError, RecursionError: a value that JSON has no form for.
    """
    try:
        return msgspec.json.encode(told)
    except UnicodeEncodeError:
        return json.dumps(told).encode()
