"""`./phopay demo`: everything comes up from one command, and nothing stays behind."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ops.postgres.test_postgres_serve import WAIT_S, family_of
from tests.world.databases import reachable_folder
from tests.world.waits import becomes

ROOT = Path(__file__).parents[3]
pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(not Path("/proc/self").exists(), reason="reads /proc"),
]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def demo() -> Iterator[tuple[subprocess.Popen[str], Path, list[str]]]:
    """A running demo, its data folder, and what it printed before it said how to stop it."""
    with reachable_folder() as folder:
        options = ["--port", str(free_port()), "--sandbox-port", str(free_port())]
        options += ["--data", str(folder), "--no-browser"]
        process = subprocess.Popen(
            [sys.executable, "-m", "ops.cli", "demo", *options],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        try:
            with process.stdout:
                printed = []
                for line in process.stdout:
                    printed.append(line.strip())
                    if "Ctrl-C" in line:
                        break
                yield process, folder, printed
        finally:
            process.kill()
            process.wait()
            assert becomes(lambda: not family_of(folder), within_s=WAIT_S)


def test_it_prints_addresses_that_answer(
    demo: tuple[subprocess.Popen[str], Path, list[str]],
) -> None:
    _, _, printed = demo
    addresses = [word for line in printed for word in line.split() if word.startswith("http://")]
    hub, sandbox = addresses[:2]
    with urllib.request.urlopen(f"{hub}/health/ready", timeout=10) as answer:
        assert answer.status == 200
    with socket.create_connection(("127.0.0.1", int(sandbox.rpartition(":")[2])), timeout=10):
        pass


def test_an_interrupt_to_every_process_at_once_ends_all(
    demo: tuple[subprocess.Popen[str], Path, list[str]],
) -> None:
    process, folder, _ = demo
    for pid in {process.pid, *family_of(folder)}:
        try:
            os.kill(pid, signal.SIGINT)
        except ProcessLookupError:
            continue
    assert process.wait(40) is not None
    assert becomes(lambda: not family_of(folder), within_s=WAIT_S), family_of(folder)


def test_a_killed_demo_leaves_nothing_behind(
    demo: tuple[subprocess.Popen[str], Path, list[str]],
) -> None:
    process, folder, _ = demo
    process.kill()
    process.wait()
    assert becomes(lambda: not family_of(folder), within_s=WAIT_S), family_of(folder)


def test_a_process_that_dies_ends_the_others_and_is_named(
    demo: tuple[subprocess.Popen[str], Path, list[str]],
) -> None:
    process, folder, _ = demo
    hub = next(pid for pid, told in family_of(folder).items() if "ops.hub_process" in told)
    os.kill(hub, signal.SIGKILL)
    assert process.wait(40) == 1
    assert becomes(lambda: not family_of(folder), within_s=WAIT_S), family_of(folder)
