"""Entries served past the router: a city's morning peak comes by the hundred a second.

`api/v1/lots/routes.py` declares the route for OpenAPI, and serves it in the same way where this
middleware is not installed.
"""

from typing import Final

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from api.http.direct import answer_error, read_body
from api.v1.lots.entries import ENTRY_BYTES_MAX, take_entry

PREFIX: Final = "/v1/lots/"
SUFFIX: Final = "/entries"
UUID_CHARS: Final = 36
_PATH_CHARS: Final = len(PREFIX) + UUID_CHARS + len(SUFFIX)
_write_json = msgspec.json.Encoder().encode


class EntriesASGI:
    """Serves POST /v1/lots/{lot_id}/entries and hands everything else on."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if (
            scope["type"] != "http"
            or scope["method"] != "POST"
            or len(path := scope["path"]) != _PATH_CHARS
            or not path.startswith(PREFIX)
            or not path.endswith(SUFFIX)
        ):
            await self.app(scope, receive, send)
            return
        lot = path[len(PREFIX) : -len(SUFFIX)]
        try:
            sent = await read_body(receive, bytes_max=ENTRY_BYTES_MAX, of="An entry")
            status, answer = await take_entry(Request(scope, receive), lot, sent)
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
