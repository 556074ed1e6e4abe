"""Receivers of a sandbox's callbacks, over real HTTP on loopback."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.world.servers import serve
from tests.world.waits import wait_until


@dataclass
class ReceivedCallback:
    """One request that the receiver got."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """A receiver that answers from a list of statuses, the last of them for ever."""

    url: str = ""
    received: list[ReceivedCallback] = field(default_factory=list)
    statuses: list[int] = field(default_factory=lambda: [200])
    answer: Any = field(default_factory=lambda: {"success": True})
    headers: dict[str, str] = field(default_factory=dict)  # of each answer
    token: str = "t0ken"

    async def receive(self, request: Request) -> Response:
        body = await request.body()
        self.received.append(
            ReceivedCallback(request.url.path, dict(request.headers), body, time.monotonic())
        )
        if request.url.path.endswith("/api/token_generate"):
            return JSONResponse({"access_token": self.token, "token_type": "Bearer"})
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return JSONResponse(self.answer, status, self.headers)

    def wait_for(self, count: int) -> list[ReceivedCallback]:
        wait_until(lambda: len(self.received) >= count)
        return self.received


@contextmanager
def a_receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    app = Starlette(routes=[Route("/{path:path}", receiver.receive, methods=["POST"])])
    with serve(app) as url:
        receiver.url = url
        yield receiver
