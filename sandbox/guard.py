"""Checks of every request and answer, whatever the route."""

from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "media-src 'self' blob:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
SAFE_METHODS: Final = {"GET", "HEAD", "OPTIONS"}


class Guard:
    """Strict headers on every answer; no unsafe request from another site's page.

    The sandbox has no login, so a page that somebody happens to visit must not be able to drive
    it through their browser. Older browsers send no Sec-Fetch-Site but Origin, which must be ours;
    programs send neither and pass.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse cross-site writes, then add the headers."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = POLICY
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "same-origin"
            await send(message)

        if scope["method"] not in SAFE_METHODS and not _is_own_page(Headers(scope=scope)):
            await send_guarded({"type": "http.response.start", "status": 403, "headers": []})
            await send_guarded({"type": "http.response.body", "body": b"cross-site request"})
            return
        await self.app(scope, receive, send_guarded)


def _is_own_page(headers: Headers) -> bool:
    """Whether one of our own pages, or no page at all, sent a request."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("none", "same-origin")
    origin = headers.get("origin")
    # An Origin of "null" (a sandboxed frame, a file) has no host either, so it is nobody's.
    return origin is None or urlsplit(origin).netloc == headers.get("host", "-")
