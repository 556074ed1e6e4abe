"""Sandboxes that play banks and providers, in a thread or as a process, and steps at one."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from sandbox.main import create_app
from sandbox.settings import Settings
from tests.world.constants import MB
from tests.world.servers import serve, wait_until_served
from tests.world.waits import wait_until

SANDBOX_ACCOUNT = {"bin": MB, "number": "0988000111", "holder": "HO KINH DOANH QUAY 7"}
SANDBOX_ACCOUNT_KEY = {"bin": SANDBOX_ACCOUNT["bin"], "number": SANDBOX_ACCOUNT["number"]}
SECRET = "s3cret-of-the-test"  # of subscriptions, and of endpoints that are polled


@contextmanager
def a_sandbox(**facts: Any) -> Iterator[httpx.Client]:
    """Serve a sandbox whose banks change no memos and whose minutes last 6 ms."""
    app = create_app(Settings(**{"time_scale": 0.0001, **facts}))
    with serve(app) as url, httpx.Client(base_url=url, trust_env=False, timeout=5) as client:
        client.post("/control/pace", json={"memo_style": "as_typed"}).raise_for_status()
        client.post("/control/accounts", json=SANDBOX_ACCOUNT).raise_for_status()
        yield client


@contextmanager
def a_sandbox_process(*, time_scale: float = 0.0001) -> Iterator[httpx.Client]:
    """Run a sandbox that changes no memos, for what waits in this thread; yields a client of it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "sandbox", "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--time-scale", str(time_scale)], stdout=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until_served(f"{url}/", process)
        with httpx.Client(base_url=url, trust_env=False, timeout=10) as client:
            client.post("/control/pace", json={"memo_style": "as_typed"}).raise_for_status()
            yield client
    finally:
        process.terminate()
        process.wait(10)


def tell(sandbox: httpx.Client, what: str, facts: dict[str, Any]) -> Any:
    """Set something up at a sandbox; return its answer."""
    answer = sandbox.post(f"/control/{what}", json=facts)
    answer.raise_for_status()
    return answer.json() if answer.content else None


def subscribe(client: httpx.Client, provider: str, url: str, **facts: Any) -> dict[str, Any]:
    """Register a subscription about the stall's account."""
    wanted = {
        "provider": provider, "url": url, "secret": SECRET,
        "accounts": [SANDBOX_ACCOUNT_KEY], **facts,
    }  # fmt: skip
    answer = client.post("/control/subscriptions", json=wanted)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def book_transfer(client: httpx.Client, amount_vnd: int = 20_000, **facts: Any) -> dict[str, Any]:
    """Book money on the stall's account; returns the statement line."""
    wanted = {**SANDBOX_ACCOUNT_KEY, "amount_vnd": amount_vnd, "memo": "PPMOXA234567K", **facts}
    answer = client.post("/control/transfer", json=wanted)
    assert answer.status_code == 201, answer.text
    line: dict[str, Any] = answer.json()["line"]
    return line


def read_callback_log(client: httpx.Client) -> dict[str, Any]:
    """Return the sender's own log once nothing is under way."""
    wait_until(lambda: client.get("/control/log").json()["counts"]["pending"] == 0)
    told: dict[str, Any] = client.get("/control/log").json()
    return told
