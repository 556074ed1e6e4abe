"""A hub that is told to stop does so at once, open screens or not."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.world.databases import FreshDatabase

pytestmark = pytest.mark.faults
STOPS_WITHIN_S = 30  # half of what uvicorn waits for open requests, below

SERVE = """
import sys, uvicorn
from fastapi import Request
from api.http.deps import public
from api.live.streams import stream_events
from api.app import create_app
from api.services import read_services
from uuid import UUID
app = create_app()
@app.get("/live", dependencies=[public])
async def live(request: Request):
    return await stream_events(request, org_id=UUID(int=1))
@app.get("/held", dependencies=[public])
async def hold(request: Request):
    lanes = read_services(request).lanes
    with lanes._held(lanes._controllers, UUID(int=1)) as event:
        print("held", flush=True)
        await event.wait()
    return {}
uvicorn.run(app, port=int(sys.argv[1]), proxy_headers=False, timeout_graceful_shutdown=60)
"""


@contextlib.contextmanager
def serving(fresh_database: FreshDatabase) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Run a hub of its own process until it is ready."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(port)],
        cwd=Path(__file__).parents[2],
        env={**os.environ, **fresh_database.environment},
        stderr=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{url}/health/ready").status_code == 200:
                    break
            time.sleep(0.1)
        yield process, url
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_open_screens_do_not_keep_a_hub_from_stopping(
    fresh_database: FreshDatabase, how: signal.Signals
) -> None:
    with serving(fresh_database) as (process, url), httpx.stream("GET", f"{url}/live") as screen:
        lines = screen.iter_lines()
        assert next(lines).startswith("retry:")
        process.send_signal(how)
        rest = list(lines)

        process.wait(timeout=STOPS_WITHIN_S)
        told = {line.removeprefix("event: ") for line in rest if line.startswith("event: ")}
        assert told <= {"hello", "caught-up", "tick"}
    with psycopg.connect(fresh_database.owner_url, autocommit=True) as owner:
        for _ in range(100):  # a server's process ends a moment after its client
            left = owner.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND usename = 'phopay_app'"
            ).fetchone()
            if left == (0,):
                break
            time.sleep(0.1)
    assert left == (0,)


def test_a_barrier_that_waits_for_a_command_does_not_keep_a_hub_from_stopping(
    fresh_database: FreshDatabase,
) -> None:
    with serving(fresh_database) as (process, url), ThreadPoolExecutor(1) as barrier:
        held = barrier.submit(httpx.get, f"{url}/held", timeout=60)
        assert process.stdout is not None
        for line in process.stdout:  # until it waits
            if line == b"held\n":
                break
        process.send_signal(signal.SIGTERM)

        assert held.result().status_code == 200
        process.wait(timeout=STOPS_WITHIN_S)
