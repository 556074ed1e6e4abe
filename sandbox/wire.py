"""Reading requests and writing answers: JSON in, JSON out, one error shape."""

from collections.abc import Mapping
from typing import Any, TypeVar, cast

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from sandbox.errors import BadRequest, SandboxError
from sandbox.world import World

T = TypeVar("T")


def world_of(request: Request) -> World:
    """Return the sandbox that this application runs."""
    return cast(World, request.app.state.world)


async def read_json(request: Request, shape: type[T]) -> T:
    """Read a request's body as one documented shape.

    Raises:
        BadRequest: the body is no JSON, or not of this shape; it says where.
    """
    try:
        return msgspec.json.decode(await request.body() or b"{}", type=shape)
    except msgspec.DecodeError as error:
        raise BadRequest(str(error)) from error


def answer_json(content: Any, status: int = 200) -> Response:
    """Answer with JSON."""
    return Response(msgspec.json.encode(content), status, media_type="application/json")


async def answer_error(request: Request, error: Exception) -> Response:
    """Answer a refusal: {"code", "detail"} under its own status."""
    assert isinstance(error, SandboxError)
    return answer_json({"code": error.code, "detail": str(error)}, error.status)


def read_whole(values: Mapping[str, str], name: str, default: int, *, upto: int) -> int:
    """Read a whole number of 0 to `upto` from a query."""
    text = values.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise BadRequest(f"{name} must be a whole number.")
    return min(int(text), upto)
