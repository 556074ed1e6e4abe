"""Requests served past the router: what finding a route and its dependencies would do otherwise.

The frame around (request id, log line, headers) and the answers to errors are the same as
everywhere.
"""

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from core.errors import BodyTooLarge


async def read_body(receive: Receive, *, bytes_max: int, of: str) -> bytes:
    """Read a body of at most so many bytes; more is refused while it streams.

    Args:
        of: what it is, for the error: "A callback".

    Raises:
        BodyTooLarge
        ClientDisconnect: the sender went away.
    """
    body: bytes = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk: bytes = message.get("body", b"")
        body = body + chunk if body else chunk
        if len(body) > bytes_max:
            raise BodyTooLarge(f"{of} has at most {bytes_max:,} bytes.")
        if not message.get("more_body", False):
            return body


async def answer_error(error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer as the application's own handlers do; the frame answers what they do not know."""
    handlers = scope["app"].exception_handlers
    for kind in type(error).__mro__:
        if kind in handlers:
            response = await handlers[kind](Request(scope, receive), error)
            await response(scope, receive, send)
            return
    raise error
