"""Entries and exits served past the router: a city's peaks come by the hundred a second.

The routes are declared for OpenAPI beside their handlers, and served in the same way where this
middleware is not installed.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from api.http.direct import answer_error, read_body
from api.http.metrics import ROUTE_KEY
from api.v1.lots.entries import ENTRY_BYTES_MAX, take_entry
from api.v1.parking_sessions.exits import EXIT_BYTES_MAX, take_exit

Take = Callable[[Request, str, bytes], Awaitable[tuple[int, Any]]]

PREFIX: Final = "/v1/lots/"
UUID_CHARS: Final = 36
_SUFFIX_AT: Final = len(PREFIX) + UUID_CHARS
# What follows the lot → (handler, most bytes of a body, what a body is called).
SERVED: Final[dict[str, tuple[Take, int, str]]] = {
    "/entries": (take_entry, ENTRY_BYTES_MAX, "An entry"),
    "/exits": (take_exit, EXIT_BYTES_MAX, "An exit"),
}
_write_json = msgspec.json.Encoder().encode


class EntriesASGI:
    """Serves POST /v1/lots/{lot_id}/entries and …/exits, and hands everything else on."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if (
            scope["type"] != "http"
            or scope["method"] != "POST"
            or not (path := scope["path"]).startswith(PREFIX)
            or (served := SERVED.get(path[_SUFFIX_AT:])) is None
        ):
            await self.app(scope, receive, send)
            return
        take, bytes_max, called = served
        scope[ROUTE_KEY] = f"{PREFIX}{{lot_id}}{path[_SUFFIX_AT:]}"
        lot = path[len(PREFIX) : _SUFFIX_AT]
        try:
            sent = await read_body(receive, bytes_max=bytes_max, of=called)
            status, answer = await take(Request(scope, receive), lot, sent)
        except ClientDisconnect:
            return
        except Exception as error:
            await answer_error(error, scope, receive, send)
            return
        body = _write_json(answer)
        headers = [
            (b"content-length", str(len(body)).encode()),
            (b"content-type", b"application/json"),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
