"""Around every request: an id, one log line, security headers, and a net for the unexpected.

Pure ASGI: BaseHTTPMiddleware would put a task and a queue between a stream and its client.
"""

import re
import time
from collections.abc import Callable
from typing import Final

import structlog
from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.errors import answer_problem, answer_unexpected
from api.http.metrics import observe_request
from api.http.templating import CONTENT_SECURITY_POLICY
from core.errors import BodyTooLarge, InvalidRequest
from core.ids import new_id
from core.masking import mask_path

log = structlog.get_logger()

SECURITY_HEADERS: Final = (
    ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(self), microphone=(), geolocation=(), payment=()"),
)
HSTS: Final = "max-age=31536000; includeSubDomains"
SANE_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{8,64}")
QUIET_PATHS: Final = ("/health/", "/static/")
TOO_LARGE: Final = 413
PATH_CHARS_MAX: Final = 2_048


class RequestFrame:
    """The outermost layer of the hub's own."""

    def __init__(self, app: ASGIApp, *, is_production: bool) -> None:
        self.app = app
        headers = [*SECURITY_HEADERS]
        if is_production:
            headers.append(("Strict-Transport-Security", HSTS))
        self.headers = [(name.lower().encode(), value.encode()) for name, value in headers]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; anything but HTTP passes through."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        request_id = choose_request_id(request.headers.get("x-request-id"))
        request.state.request_id = request_id
        status = 0
        is_replaced = False

        async def send_framed(message: Message) -> None:
            nonlocal status, is_replaced
            if is_replaced:
                return
            if message["type"] == "http.response.start":
                status = message["status"]
                headers: list[tuple[bytes, bytes]] = message.setdefault("headers", [])
                if status == TOO_LARGE and is_plain(headers):
                    too_large = BodyTooLarge("The request body is over this address's limit.")
                    await answer_problem(request, too_large)(scope, receive, send_framed)
                    is_replaced = True
                    return
                observe_request(scope, status=status, took_s=time.perf_counter() - started)
                has = {name.lower() for name, _ in headers}
                headers.append((b"x-request-id", request_id.encode()))
                headers.extend(header for header in self.headers if header[0] not in has)
            await send(message)

        started = time.perf_counter()
        try:
            if refusal := check_address(scope):
                await answer_problem(request, refusal)(scope, receive, send_framed)
            else:
                await self.app(scope, receive, send_framed)
        except Exception as error:
            if status:  # half of an answer is out: let the server close the connection
                path = mask_path(scope["path"])
                log.exception("request.broken_off", path=path, request_id=request_id)
                raise
            answer = answer_unexpected(request, error)
            await answer(scope, receive, send_framed)
        finally:
            self._write_line(request, status, time.perf_counter() - started)

    def _write_line(self, request: Request, status: int, took_s: float) -> None:
        path = request.scope["path"]
        if path.startswith(QUIET_PATHS) and status < 500:
            return
        caller = getattr(request.state, "caller", None)
        # Never the query or a body: they may hold account numbers, memos and tokens.
        log.info(
            "request.answered",
            method=request.method,
            path=mask_path(path[:PATH_CHARS_MAX]),
            status=status,
            code=getattr(request.state, "error_code", None),
            ms=round(took_s * 1_000, 1),
            request_id=request.state.request_id,
            caller=caller and f"{caller.kind}:{caller.id}",
            org=caller and caller.org_code,
            ip=request.client.host if request.client else None,
        )


class StaticHeaders:
    """Let browsers keep what the set-up built; ETag and Last-Modified bring changes in."""

    def __init__(self, app: ASGIApp, *, max_age_s: Callable[[str], int]) -> None:
        self.app = app
        self.max_age_s = max_age_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add Cache-Control to good answers."""

        async def send_cached(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] in (200, 206, 304):
                age_s = self.max_age_s(scope["path"])
                MutableHeaders(scope=message)["Cache-Control"] = f"public, max-age={age_s}"
            await send(message)

        await self.app(scope, receive, send_cached)


def is_plain(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether this is the bare text that Starlette's body limit answers by itself."""
    return any(n == b"content-type" and v.startswith(b"text/plain") for n, v in headers)


def choose_request_id(offered: str | None) -> str:
    """Take a caller's request id when it is harmless in a log, else make one."""
    if offered and SANE_REQUEST_ID.fullmatch(offered):
        return offered
    return str(new_id())


def check_address(scope: Scope) -> InvalidRequest | None:
    """Refuse addresses that no page or client of ours makes: NUL has no place in the database."""
    query: bytes = scope["query_string"]
    if "\0" in scope["path"] or b"%00" in query or b"\0" in query:
        return InvalidRequest("The address holds a NUL character.")
    if len(scope["path"]) > PATH_CHARS_MAX or len(query) > 4 * PATH_CHARS_MAX:
        return InvalidRequest("The address is too long.")
    return None


def no_store(response: Response) -> Response:
    """Mark an answer that holds someone's data or secret as not to be kept anywhere."""
    response.headers["Cache-Control"] = "no-store"
    return response
