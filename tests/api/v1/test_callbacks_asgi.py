"""The door answers as the route behind it would: it leaves out work, never a rule."""

import pytest
from fastapi import FastAPI
from httpx import AsyncClient, Response

from api.app import create_app
from api.v1.callbacks.callbacks_asgi import CallbacksASGI
from core.settings import Settings
from tests.world.hubs import running_hub

pytestmark = pytest.mark.anyio

UNKNOWN = "/v1/callbacks/sepay/DXA2-abcdefghijklmnopqrstuv"
REQUESTS: list[tuple[str, str, bytes]] = [
    ("POST", UNKNOWN, b"{}"),
    ("POST", UNKNOWN, b""),
    ("POST", UNKNOWN, b"x" * 70_000),
    ("POST", UNKNOWN, b"x" * 300_000),
    ("POST", f"{UNKNOWN}/", b"{}"),
    ("POST", f"{UNKNOWN}/api/token_generate", b"{}"),
    ("POST", "/v1/callbacks/vietqrvn/DXA2-abc/api/token_generate", b"{}"),
    ("POST", "/v1/callbacks/nobody/DXA2-abc", b"{}"),
    ("POST", "/v1/callbacks/sepay", b"{}"),
    ("POST", "/v1/callbacks/sepay/", b"{}"),
    ("POST", "/v1/callbacks//DXA2-abc", b"{}"),
    ("POST", "/v1/callbacks/", b"{}"),
    ("GET", UNKNOWN, b""),
    ("DELETE", UNKNOWN, b""),
    ("OPTIONS", UNKNOWN, b""),
]


def walled_up(settings: Settings) -> FastAPI:
    """The hub whose router sees every request."""
    app = create_app(settings)
    app.user_middleware = [m for m in app.user_middleware if m.cls is not CallbacksASGI]
    return app


@pytest.mark.slow
async def test_the_door_answers_like_the_route_behind_it(settings: Settings) -> None:
    async with running_hub(settings) as hub, running_hub(settings, build=walled_up) as other:
        for method, path, body in REQUESTS:
            through_door = await ask(hub.client, method, path, body)
            through_router = await ask(other.client, method, path, body)
            assert through_door == through_router, f"{method} {path} with {len(body)} bytes"


async def ask(client: AsyncClient, method: str, path: str, body: bytes) -> tuple[object, ...]:
    """Return what a client sees, but for what differs between any two answers."""
    answer: Response = await client.request(method, path, content=body)
    told = answer.json() if "json" in answer.headers.get("content-type", "") else answer.text
    if isinstance(told, dict):
        told.pop("request_id", None)
        if answer.status_code == 413:  # two layers refuse a large body, each in its words
            told.pop("detail")
    headers = {k: v for k, v in answer.headers.items() if k not in ("date", "x-request-id")}
    headers.pop("content-length", None)
    return answer.status_code, told, headers
