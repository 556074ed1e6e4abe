"""A hub that is told to stop does so at once, open screens or not."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.world.databases import FreshDatabase

pytestmark = pytest.mark.faults

SERVE = """
import sys, uvicorn
from fastapi import Request
from api.http.deps import public
from api.live.streams import stream_events
from api.app import create_app
from uuid import UUID
app = create_app()
@app.get("/live", dependencies=[public])
async def live(request: Request):
    return await stream_events(request, org_id=UUID(int=1))
uvicorn.run(app, port=int(sys.argv[1]), proxy_headers=False, timeout_graceful_shutdown=20)
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
        stdout=subprocess.DEVNULL,
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


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_open_screens_do_not_keep_a_hub_from_stopping(
    fresh_database: FreshDatabase, how: signal.Signals
) -> None:
    with serving(fresh_database) as (process, url), httpx.stream("GET", f"{url}/live") as screen:
        lines = screen.iter_lines()
        assert next(lines).startswith("retry:")
        started = time.monotonic()
        process.send_signal(how)
        rest = list(lines)

        process.wait(timeout=10)
        assert time.monotonic() - started < 5
        told = {line.removeprefix("event: ") for line in rest if line.startswith("event: ")}
        assert told <= {"hello", "caught-up", "tick"}
    with psycopg.connect(fresh_database.owner_url) as owner:
        left = owner.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND usename = 'phopay_app'"
        ).fetchone()
    assert left == (0,)
