"""Callbacks served past the router, because banks send them by the thousand.

Finding the route and its dependencies costs three times what verifying and storing a callback
costs. What is left out here is only that: the frame around (request id, log line, headers)
and the answers to errors are the same as everywhere. `api/v1/callbacks/routes.py` declares the
route for OpenAPI, and serves it in the same way where this middleware is not installed.
"""

from typing import Final

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from api.http.direct import answer_error, read_body
from api.http.metrics import ROUTE_KEY
from api.services import services_of
from core.clock import read_clock
from core.errors import BodyTooLarge, RouteNotFound
from payments.callbacks.metrics import count_too_large
from payments.providers.types import BODY_BYTES_MAX, Acknowledgement

PREFIX: Final = "/v1/callbacks/"
ROUTE: Final = "/v1/callbacks/{provider}/{address}"
ADDRESS_CHARS_MAX: Final = 64
SUBPATH_CHARS_MAX: Final = 64


class CallbacksASGI:
    """Serves POST /v1/callbacks/{provider}/{address}[/…] and hands everything else on."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await self.app(scope, receive, send)
            return
        parts = scope["path"][len(PREFIX) :].split("/", 2)
        if scope["method"] != "POST" or len(parts) < 2 or not parts[0] or not parts[1]:
            await self.app(scope, receive, send)
            return
        provider, address, *subpath = parts
        scope[ROUTE_KEY] = ROUTE
        try:
            answer = await take_callback(
                scope, receive, provider=provider, address=address, subpath="".join(subpath)
            )
        except ClientDisconnect:
            return
        except Exception as error:
            await answer_error(error, scope, receive, send)
            return
        headers = [
            (b"content-length", str(len(answer.body)).encode()),
            (b"content-type", answer.content_type.encode()),
        ]
        start = {"type": "http.response.start", "status": answer.status, "headers": headers}
        await send(start)
        await send({"type": "http.response.body", "body": answer.body})


async def take_callback(
    scope: Scope, receive: Receive, *, provider: str, address: str, subpath: str
) -> Acknowledgement:
    """Verify and store a callback; committed when this returns.

    Raises:
        RouteNotFound: no such provider.
        BodyTooLarge: more than any provider may send.
        Busy: too many wait to be stored.
        ClientDisconnect: the sender went away.
    """
    try:
        body = await read_body(receive, bytes_max=BODY_BYTES_MAX, of="A callback")
    except BodyTooLarge:
        count_too_large(provider)
        raise
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    answer = await services_of(scope).receiver.receive(
        provider,
        address[:ADDRESS_CHARS_MAX],
        subpath[:SUBPATH_CHARS_MAX],
        headers=headers,
        body=body,
        now=read_clock(),
    )
    if answer is None:
        raise RouteNotFound(f"No provider is called {provider[:40]!r}.")
    return answer
