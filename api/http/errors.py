"""Errors on the wire: the only place that knows HTTP numbers. One shape, RFC 9457."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

import psycopg
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from api.http.error_page import render_error_page, wants_html
from api.http.problem import Problem
from core.errors import (
    BodyTooLarge,
    Busy,
    HubError,
    InvalidRequest,
    Kind,
    RouteNotFound,
    Unauthenticated,
    Violation,
)
from core.masking import mask_path

log = structlog.get_logger()

VIOLATIONS_MAX: Final = 50
BUSY_RETRY_S: Final = 2


class MethodNotAllowed(HubError):
    """The address exists, but not for this method."""

    kind, code, title = Kind.INVALID, "method_not_allowed", "Method not allowed"


class MediaTypeNotSupported(HubError):
    """The body is of a kind that this address does not read."""

    kind, code, title = Kind.INVALID, "media_type_not_supported", "Media type not supported"


class InternalError(HubError):
    """A mistake of the hub's own. It was logged under the request id."""

    kind, code, title = Kind.UNAVAILABLE, "internal_error", "The hub made a mistake"


STATUS: Final = {
    Kind.INVALID: 422,
    Kind.UNAUTHENTICATED: 401,
    Kind.FORBIDDEN: 403,
    Kind.NOT_FOUND: 404,
    Kind.CONFLICT: 409,
    Kind.TOO_LARGE: 413,
    Kind.TOO_MANY: 429,
    Kind.UNAVAILABLE: 503,
}
_OWN_STATUS: Final[dict[type[HubError], int]] = {
    MethodNotAllowed: 405,
    MediaTypeNotSupported: 415,
    InternalError: 500,
}
_FROM_STATUS: Final[dict[int, tuple[type[HubError], str]]] = {
    401: (Unauthenticated, "Sign in, or send an API key."),
    404: (RouteNotFound, "There is nothing at this address."),
    405: (MethodNotAllowed, "This address does not take this method."),
    413: (BodyTooLarge, "The request body is over the limit of this address."),
    415: (MediaTypeNotSupported, "This address does not read this kind of body."),
}
_INTERNAL: Final = "Something went wrong here, not with you. Please quote the request id."
# What the database says when it is away, full, or could not give a lock in time: try again.
_TRANSIENT: Final = (
    psycopg.OperationalError,  # also lost connections, QueryCanceled and LockNotAvailable
    psycopg.InterfaceError,  # the connection died between two statements
)


def status_of(error: HubError | type[HubError]) -> int:
    """Return the HTTP status of an error."""
    kind = error if isinstance(error, type) else type(error)
    return _OWN_STATUS.get(kind, STATUS[kind.kind])


def may_answer(*errors: type[HubError]) -> dict[int | str, dict[str, Any]]:
    """Declare a route's own errors for OpenAPI: `responses=may_answer(BillNotFound)`.

    What every route may answer (401, 403, 413, 422, 429, 500, 503) is added by api/http/openapi.py.
    """
    by_status: dict[int, list[type[HubError]]] = defaultdict(list)
    for error in errors:
        by_status[status_of(error)].append(error)
    return {
        status: {
            "model": Problem,
            "description": " · ".join(f"`{error.code}`: {error.title}" for error in group),
            "content": {
                "application/problem+json": {"examples": {e.code: example_of(e) for e in group}}
            },
        }
        for status, group in by_status.items()
    }


def example_of(error: type[HubError]) -> dict[str, Any]:
    """Return an OpenAPI example of one error."""
    summary = (error.__doc__ or error.title).strip().split("\n")[0]
    value = {
        "type": f"/problems/{error.code}",
        "title": error.title,
        "status": status_of(error),
        "code": error.code,
        "detail": summary,
        "request_id": "01937c2e-7b1a-7c55-8d0e-3f6f0a5b9c11",
        "violations": [],
    }
    return {"summary": error.title, "value": value}


def describe_problem(error: HubError, request_id: str) -> dict[str, Any]:
    """Return the body of an answer: also used for one item of a batch."""
    return {
        "type": f"/problems/{error.code}",
        "title": error.title,
        "status": status_of(error),
        "code": error.code,
        "detail": _make_encodable(str(error)),
        "request_id": request_id,
        "violations": [
            {"field": _make_encodable(v.field), "code": v.code, "detail": _make_encodable(v.detail)}
            for v in error.violations[:VIOLATIONS_MAX]
        ],
    }


def _make_encodable(text: str) -> str:
    r"""Write what UTF-8 cannot carry as its escape: JSON may name half a pair, "\ud800"."""
    return text.encode(errors="backslashreplace").decode()


def answer_problem(request: Request, error: HubError) -> Response:
    """Answer any HubError: a problem for machines, a page with the next step for browsers."""
    request_id = getattr(request.state, "request_id", "")
    problem = describe_problem(error, request_id)
    request.state.error_code = error.code  # for the log line
    headers = {"Cache-Control": "no-store"}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    if error.kind is Kind.UNAUTHENTICATED:
        headers["WWW-Authenticate"] = 'Bearer realm="phopay"'
    if wants_html(request):
        return render_error_page(request, error.kind, problem, headers)
    return JSONResponse(problem, problem["status"], headers, media_type="application/problem+json")


def install_error_handlers(app: FastAPI) -> None:
    """Let every error of a route leave in the one shape."""
    app.add_exception_handler(HubError, _answer_hub_error)
    app.add_exception_handler(RequestValidationError, _answer_validation)
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_exception_handler(DBAPIError, _answer_database)
    app.add_exception_handler(PoolTimeout, _answer_pool)
    app.add_exception_handler(psycopg.Error, _answer_database)


async def _answer_hub_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HubError)
    return answer_problem(request, error)


async def _answer_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    violations = list_violations(error.errors())
    detail = "; ".join(f"{v.field or 'body'}: {v.detail}" for v in violations[:3])
    return answer_problem(request, InvalidRequest(detail, violations=violations))


def list_violations(found: Sequence[Any], *, within: tuple[int | str, ...] = ()) -> list[Violation]:
    """Say what pydantic found wrong, and where; `within` is where the checked value stands."""
    return [
        # Never `input` or `ctx`: a password or an account number would come back in the answer.
        Violation(field=write_path((*within, *one["loc"])), code=one["type"], detail=one["msg"])
        for one in found[:VIOLATIONS_MAX]
    ]


def write_path(location: tuple[int | str, ...]) -> str:
    """Write where a value stands: ("body", "bills", 3, "amount_vnd") → "bills[3].amount_vnd"."""
    parts = location[1:] if location and location[0] == "body" else location
    path = ""
    for part in parts:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path


async def _answer_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind, detail = _FROM_STATUS.get(
        error.status_code, (InvalidRequest, "The request cannot be understood.")
    )
    answer = answer_problem(request, kind(detail))
    if error.headers and "allow" in {name.lower() for name in error.headers}:
        answer.headers["Allow"] = next(v for k, v in error.headers.items() if k.lower() == "allow")
    return answer


async def _answer_pool(request: Request, error: Exception) -> Response:
    log.warning("database.pool_exhausted", path=mask_path(request.url.path))
    return answer_problem(request, Busy("The hub is busy; try again.", retry_after_s=BUSY_RETRY_S))


async def _answer_database(request: Request, error: Exception) -> Response:
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, _TRANSIENT):
        # The message may quote values; the class and the SQLSTATE say enough.
        log.warning(
            "database.refused",
            error=type(cause).__name__,
            sqlstate=cause.sqlstate,
            path=mask_path(request.url.path),
        )
        busy = Busy("The database is busy or away; try again.", retry_after_s=BUSY_RETRY_S)
        return answer_problem(request, busy)
    if isinstance(cause, psycopg.DataError):
        log.warning(
            "database.value_refused", error=type(cause).__name__, path=mask_path(request.url.path)
        )
        detail = "A value of the request cannot be stored: too large, or not plain text."
        return answer_problem(request, InvalidRequest(detail))
    return answer_unexpected(request, error)


def answer_unexpected(request: Request, error: BaseException) -> Response:
    """Answer 500 for a mistake of our own, and log it in full under the request id."""
    log.error("request.failed", path=mask_path(request.url.path), exc_info=error)
    return answer_problem(request, InternalError(_INTERNAL))
