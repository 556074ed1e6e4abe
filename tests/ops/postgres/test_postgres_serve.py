"""`./phopay serve` with our own PostgreSQL: processes that are killed, and a clean end."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.world.databases import reachable_folder
from tests.world.waits import becomes

ROOT = Path(__file__).parents[3]
WAIT_S = 40.0
pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(not Path("/proc/self").exists(), reason="reads /proc"),
]


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free: int = probe.getsockname()[1]
        return free


@pytest.fixture
def served(port: int) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """A hub of two processes on its own PostgreSQL, ready to serve, and its data folder."""
    with reachable_folder() as folder:
        options = ["--port", str(port), "--data", str(folder), "--workers", "2", "--no-browser"]
        hub = subprocess.Popen([sys.executable, "-m", "ops.cli", "serve", *options], cwd=ROOT)
        try:
            assert becomes(lambda: is_ready(port) or hub.poll() is not None, within_s=WAIT_S)
            assert hub.poll() is None
            yield hub, folder
        finally:
            hub.kill()
            hub.wait()
            assert becomes(lambda: not family_of(folder), within_s=WAIT_S)


def family_of(folder: Path) -> dict[int, str]:
    """Return every process that was started for a data folder: by command line or environment."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            told = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:
            continue
        if os.fsencode(folder) in told:
            found[int(entry.name)] = told.split(b"\0PATH")[0].replace(b"\0", b" ").decode()
    return found


def is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5):
            return True
    except OSError:
        return False


def hub_processes(folder: Path) -> list[int]:
    return [pid for pid, told in family_of(folder).items() if "ops.hub_process" in told]


def test_a_killed_process_of_the_hub_is_replaced(
    served: tuple[subprocess.Popen[bytes], Path], port: int
) -> None:
    _, folder = served
    assert becomes(lambda: len(hub_processes(folder)) == 2, within_s=WAIT_S)
    killed = hub_processes(folder)[0]

    os.kill(killed, signal.SIGKILL)

    assert becomes(
        lambda: len(hub_processes(folder)) == 2 and killed not in hub_processes(folder),
        within_s=WAIT_S,
    )
    assert is_ready(port)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_one_signal_to_the_first_process_ends_all(
    served: tuple[subprocess.Popen[bytes], Path], number: signal.Signals
) -> None:
    hub, folder = served

    hub.send_signal(number)

    assert hub.wait(WAIT_S) == 130
    assert becomes(lambda: not family_of(folder), within_s=WAIT_S), family_of(folder)


def test_an_interrupt_to_every_process_at_once_ends_all(
    served: tuple[subprocess.Popen[bytes], Path],
) -> None:
    hub, folder = served

    for pid in (hub.pid, *family_of(folder)):
        try:
            os.kill(pid, signal.SIGINT)
        except ProcessLookupError:
            continue

    assert hub.wait(WAIT_S) is not None
    assert becomes(lambda: not family_of(folder), within_s=WAIT_S), family_of(folder)


def test_a_killed_first_process_leaves_nothing_behind(
    served: tuple[subprocess.Popen[bytes], Path],
) -> None:
    hub, folder = served

    hub.kill()
    hub.wait()

    assert becomes(lambda: not family_of(folder), within_s=WAIT_S), family_of(folder)
