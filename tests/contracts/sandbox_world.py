"""A sandbox and a receiver of its callbacks, both served over real HTTP on loopback."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from sandbox.main import create_app
from sandbox.settings import Settings

DEADLINE_S = 8.0
VCB, MB, ACB = "970436", "970422", "970416"
STALL = {"bin": MB, "number": "0988000111", "holder": "HO KINH DOANH QUAY 7"}
STALL_KEY = {"bin": STALL["bin"], "number": STALL["number"]}


@contextmanager
def serve(app: ASGIApp) -> Iterator[str]:
    """Run an application in a thread on a free port; yields its address."""
    config = uvicorn.Config(app, port=0, log_level="error", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
    thread.start()
    until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(timeout=DEADLINE_S)
        assert not thread.is_alive()


@contextmanager
def a_sandbox(**facts: Any) -> Iterator[httpx.Client]:
    """Serve a sandbox whose banks change no memos and whose minutes last 6 ms."""
    app = create_app(Settings(**{"time_scale": 0.0001, **facts}))
    with serve(app) as url, httpx.Client(base_url=url, trust_env=False, timeout=5) as client:
        client.post("/control/pace", json={"memo_style": "as_typed"}).raise_for_status()
        client.post("/control/accounts", json=STALL).raise_for_status()
        yield client


@dataclass
class PullResult:
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
    heard: list[PullResult] = field(default_factory=list)
    statuses: list[int] = field(default_factory=lambda: [200])
    answer: Any = field(default_factory=lambda: {"success": True})
    token: str = "t0ken"

    async def hear(self, request: Request) -> Response:
        body = await request.body()
        self.heard.append(
            PullResult(request.url.path, dict(request.headers), body, time.monotonic())
        )
        if request.url.path.endswith("/api/token_generate"):
            return JSONResponse({"access_token": self.token, "token_type": "Bearer"})
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return JSONResponse(self.answer, status)

    def wait_for(self, count: int) -> list[PullResult]:
        until(lambda: len(self.heard) >= count)
        return self.heard


@contextmanager
def a_receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    app = Starlette(routes=[Route("/{path:path}", receiver.hear, methods=["POST"])])
    with serve(app) as url:
        receiver.url = url
        yield receiver


def until(is_so: Callable[[], object]) -> None:
    """Look again every 10 ms until it is so, at most for the deadline."""
    end = time.monotonic() + DEADLINE_S
    while not is_so():
        assert time.monotonic() < end, "not so within the deadline"
        time.sleep(0.01)


def subscribe(client: httpx.Client, provider: str, url: str, **facts: Any) -> dict[str, Any]:
    """Register a subscription about the stall's account."""
    wanted = {
        "provider": provider, "url": url, "secret": "s3cret-of-the-test",
        "accounts": [STALL_KEY], **facts,
    }  # fmt: skip
    answer = client.post("/control/subscriptions", json=wanted)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def credit(client: httpx.Client, amount_vnd: int = 20_000, **facts: Any) -> dict[str, Any]:
    """Book money on the stall's account; returns the statement line."""
    wanted = {**STALL_KEY, "amount_vnd": amount_vnd, "memo": "PPMOXA234567K", **facts}
    answer = client.post("/control/transfer", json=wanted)
    assert answer.status_code == 201, answer.text
    line: dict[str, Any] = answer.json()["line"]
    return line


def log_of(client: httpx.Client) -> dict[str, Any]:
    """Return the sender's own log once nothing is under way."""
    until(lambda: client.get("/control/log").json()["counts"]["pending"] == 0)
    told: dict[str, Any] = client.get("/control/log").json()
    return told
