"""The base of every error the hub raises on purpose: a fact, its kind and its public code."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar


class Kind(StrEnum):
    """What the caller can do about it: fix the request, sign in, give up, or come back."""

    INVALID = "invalid"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    TOO_LARGE = "too_large"
    TOO_MANY = "too_many"
    UNAVAILABLE = "unavailable"  # worth retrying unchanged, after a pause


@dataclass(frozen=True, kw_only=True)
class Violation:
    """One thing wrong with one field of a request."""

    field: str  # a path such as "bills[3].amount_vnd"
    code: str
    detail: str


class HubError(Exception):
    """Base of every error. Its message is written for its reader and holds no secrets."""

    kind: ClassVar[Kind]
    code: ClassVar[str]  # public and stable: clients match on it, docs/errors.md lists it
    title: ClassVar[str]  # a short name for people, the same for every occurrence

    def __init__(self, detail: str, *, violations: Sequence[Violation] = ()) -> None:
        super().__init__(detail)
        self.violations = tuple(violations)
        self.retry_after_s: int | None = None


class InvalidRequest(HubError):
    """The request cannot be understood or breaks a documented limit."""

    kind, code, title = Kind.INVALID, "invalid_request", "The request is not valid"


class Unauthenticated(HubError):
    """The caller is not signed in, or is unknown."""

    kind, code, title = Kind.UNAUTHENTICATED, "unauthenticated", "Sign in first"


class Forbidden(HubError):
    """The caller is known and may not do this."""

    kind, code, title = Kind.FORBIDDEN, "forbidden", "Not allowed"


class RouteNotFound(HubError):
    """No such address."""

    kind, code, title = Kind.NOT_FOUND, "not_found", "Nothing here"


class BodyTooLarge(HubError):
    """The request body is over its limit."""

    kind, code, title = Kind.TOO_LARGE, "body_too_large", "The request is too large"


class TooManyRequests(HubError):
    """A rate limit was passed; `retry_after_s` says when to come back."""

    kind, code, title = Kind.TOO_MANY, "too_many_requests", "Too many requests"

    def __init__(self, detail: str, *, retry_after_s: int) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class Busy(HubError):
    """A queue is full or a lock could not be acquired in time: nothing was done, try again."""

    kind, code, title = Kind.UNAVAILABLE, "busy", "Busy, try again"

    def __init__(self, detail: str, *, retry_after_s: int = 1) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s
