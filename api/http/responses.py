"""JSON answers that routes write themselves, without FastAPI's second validation."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from starlette.responses import Response

JSON_TYPE: Final = "application/json"
_write_json = msgspec.json.Encoder().encode


def answer_json(
    value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Answer plain values, ids and instants as JSON; nobody's data is kept by a cache."""
    known = {"Cache-Control": "no-store"}
    if headers:
        known.update(headers)
    return Response(_write_json(value), status, known, media_type=JSON_TYPE)
