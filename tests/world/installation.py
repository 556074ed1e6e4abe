"""An installation of real processes for tests that kill them: hubs, workers, and a sender.

Every hub has a port of its own, so that a test can say which process hears what. What is killed is
killed by SIGKILL and by its own process id.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
from sqlalchemy import text

from core.clock import read_clock
from core.db import Database
from core.tenancy import open_org_transaction
from ops.processes import Child, Family
from ops.serving import bind, start_hub
from tests.world.callbacks import sepay_callback
from tests.world.constants import CALLBACK_SECRET
from tests.world.stalls import CallableStall, PayableStall

HOST = "127.0.0.1"
ROOT = Path(__file__).parents[2]
START_TIMEOUT_S = 120.0  # a machine that has other work starts them slowly
# A backlog must be swept within this after a crash; tests stop waiting then.
SWEPT_WITHIN_S = 60.0
# As often as a provider repeats, with its minutes made short.
PAUSES_S = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2, 2.0, 3.0, 5.0)


@dataclass(kw_only=True)
class Process:
    """One process of the installation; `url` is empty for a worker."""

    url: str
    child: Child

    @property
    def is_running(self) -> bool:
        return self.child.process.poll() is None

    def kill(self) -> None:
        """Kill it as the kernel would when memory is short, and wait until it is gone."""
        self.child.process.send_signal(signal.SIGKILL)
        self.wait_until_killed()

    def wait_until_killed(self) -> None:
        """Wait for its end, which must have been by SIGKILL."""
        assert self.child.process.wait(START_TIMEOUT_S) == -signal.SIGKILL

    def read_log(self) -> str:
        assert self.child.log is not None
        return self.child.log.read_text(encoding="utf-8", errors="replace")


@dataclass(kw_only=True)
class DyingHub:
    """A hub that dies at a point of its own."""

    url: str
    pid: int
    nursery: "subprocess.Popen[str]"

    is_running = True

    def wait_until_killed(self) -> None:
        """Wait for its end, which must have been by SIGKILL."""
        assert _ask(self.nursery, f"wait {self.pid}").strip() == str(-signal.SIGKILL)


class Installation:
    """Processes on one database; start as many as needed."""

    def __init__(self, running: Family, environment: Mapping[str, str]) -> None:
        self._family = running
        self._environment = dict(environment)
        self._count = 0
        self._nursery: subprocess.Popen[str] | None = None

    def close(self) -> None:
        """End the process that dying hubs come from, and those that did not die."""
        if self._nursery is not None:
            self._nursery.communicate(timeout=START_TIMEOUT_S)

    def start_hub(self, **settings: str) -> Process:
        """Start a hub; `wait_for` waits until it answers."""
        self._count += 1
        # Closed here once it is inherited: nobody but the process must hold its port.
        with bind(HOST, 0, used_for="a hub", option="--port") as listener:
            url = f"http://{HOST}:{listener.getsockname()[1]}"
            environment = {**self._environment, **settings}
            child = start_hub(self._family, listener, environment, name=f"hub-{self._count}")
            return Process(url=url, child=child)

    def start_dying_hub(self, point: str) -> "DyingHub":
        """Start a hub that dies at a point of tests/faults/dying_hub.py."""
        if self._nursery is None:
            self._nursery = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.dying_hub"],
                env={**os.environ, **self._environment, "PYTHONPATH": str(ROOT)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        pid, port = _ask(self._nursery, f"start {point}").split()
        return DyingHub(url=f"http://{HOST}:{port}", pid=int(pid), nursery=self._nursery)

    def start_worker(self) -> Process:
        """Start a worker."""
        self._count += 1
        command = [sys.executable, "-c", "import worker.app; worker.app.main()"]
        child = self._family.start(f"worker-{self._count}", command, self._environment)
        return Process(url="", child=child)

    def stop(self, process: Process) -> None:
        """Stop a process in order, and forget it."""
        process.child.process.terminate()
        process.child.process.wait(START_TIMEOUT_S)
        self._family.children.remove(process.child)


def _ask(process: "subprocess.Popen[str]", line: str) -> str:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()
    return process.stdout.readline()


@contextmanager
def running_installation(environment: Mapping[str, str], log_dir: Path) -> Iterator[Installation]:
    """Run an installation for the length of a with block."""
    with Family(log_dir) as running:
        installation = Installation(running, environment)
        try:
            yield installation
        finally:
            installation.close()


async def wait_until_up(*processes: Process | DyingHub) -> None:
    """Wait until hubs answer."""
    end = time.monotonic() + START_TIMEOUT_S
    async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
        for process in processes:
            while True:
                try:
                    if (await client.get(f"{process.url}/health/live")).is_success:
                        break
                except httpx.TransportError:
                    pass
                assert process.is_running, f"{process.url} ended before it answered"
                assert time.monotonic() < end, "a hub does not answer"
                await asyncio.sleep(0.05)


@dataclass(kw_only=True)
class SentNotice:
    """What a sender knows of one notice."""

    statuses: list[int]  # of each attempt; 0: no answer came
    body: bytes = b""  # of the last answer

    @property
    def is_acknowledged(self) -> bool:
        return self.statuses[-1] == 200


async def deliver(
    client: httpx.AsyncClient, to: CallableStall, hubs: Sequence[Process | DyingHub], body: bytes
) -> SentNotice:
    """Call as SePay does: signed anew each time, until a 200 comes; each time the next hub."""
    done = SentNotice(statuses=[])
    for attempt, pause_s in enumerate(PAUSES_S):
        await asyncio.sleep(pause_s)
        hub = hubs[attempt % len(hubs)]
        headers = dict(sepay_callback(body, key=CALLBACK_SECRET, at=read_clock()).headers)
        try:
            answer = await client.post(f"{hub.url}{to.path}", content=body, headers=headers)
        except httpx.TransportError:
            done.statuses.append(0)
            continue
        done.statuses.append(answer.status_code)
        done.body = answer.content
        if done.is_acknowledged:
            assert json.loads(answer.content) == {"success": True}
            break
    return done


def new_client() -> httpx.AsyncClient:
    """Return a client with room for a flood."""
    limits = httpx.Limits(max_connections=60)
    return httpx.AsyncClient(trust_env=False, timeout=20, limits=limits)


async def wait_until_settled(
    database: Database, stall: PayableStall, *, within_s: float = SWEPT_WITHIN_S
) -> timedelta:
    """Wait until no notice of the organisation waits; return how long it took."""
    start = time.monotonic()
    query = text("SELECT count(*) FROM notices WHERE handled_at IS NULL")
    while True:
        async with open_org_transaction(database, stall.org.id) as session:
            if not await session.scalar(query):
                return timedelta(seconds=time.monotonic() - start)
        assert time.monotonic() - start < within_s, "the backlog is not swept"
        await asyncio.sleep(0.05)
