"""Answers that routes write themselves: JSON without a second validation, and pictures."""

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, Final

import msgspec
from anyio import to_thread
from fastapi import Request
from markupsafe import Markup
from starlette.responses import Response

from payments.vietqr.images import render_svg

JSON_TYPE: Final = "application/json"
_NOT_MODIFIED: Final = {"description": "The client has this picture already (If-None-Match)."}
# `responses=PICTURE_RESPONSES["image/png"]` declares a picture for OpenAPI.
PICTURE_RESPONSES: Final[dict[str, dict[int | str, dict[str, Any]]]] = {
    media_type: {
        200: {"description": "The picture.", "content": {media_type: {}}},
        304: _NOT_MODIFIED,
    }
    for media_type in ("image/svg+xml", "image/png")
}
_write_json = msgspec.json.Encoder().encode


def answer_json(
    value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Answer plain values, ids and instants as JSON; nobody's data is kept by a cache."""
    known = {"Cache-Control": "no-store"}
    if headers:
        known.update(headers)
    return Response(_write_json(value), status, known, media_type=JSON_TYPE)


async def answer_picture(
    request: Request, draw: Callable[[], bytes], *, facts: str, media_type: str, max_age_s: int = 0
) -> Response:
    """Answer a picture that is drawn when it is asked for, or 304 if the client has it.

    Args:
        facts: everything that the picture shows; its hash is the ETag, so that a picture that is
            known need not be drawn at all.
        max_age_s: how long a browser may keep it without asking; a bill's code changes when the
            bill is paid in part.
    """
    etag = f'"{sha256(facts.encode()).hexdigest()[:32]}"'
    headers = {
        "ETag": etag,
        "Cache-Control": f"private, max-age={max_age_s}" if max_age_s else "private, no-cache",
    }
    if etag in (request.headers.get("if-none-match") or ""):
        return Response(status_code=304, headers=headers)
    # In a thread: 7 ms of drawing would hold up every other request of the process.
    return Response(await to_thread.run_sync(draw), headers=headers, media_type=media_type)


async def draw_inline(payload: str) -> Markup:
    """Draw a code as a part of a page: a picture of its own could fail where the page came."""
    svg = await to_thread.run_sync(render_svg, payload)
    return Markup(svg.decode())  # noqa: S704 (digits and our own tags: render_svg)
