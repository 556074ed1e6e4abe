"""The command line: what it offers, refuses and says."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ops.checks import choose_marks, run_tests
from ops.cli.__main__ import build_parser, main
from ops.errors import CannotStart
from ops.processes import Family
from ops.serving import bind

ROOT = Path(__file__).parents[3]
COMMANDS = ["demo", "test", "serve", "worker", "sandbox", "migrate", "seed", "bench", "check"]
COMMANDS += ["backup", "restore"]
WAIT_S = 20.0

# A parent that starts one child and waits; prints the child's process id.
PARENT = """
import sys, time
from pathlib import Path
from ops.processes import Family
from ops.serving import bind
child = Family().start("child", [sys.executable, "-c", "import time; time.sleep(600)"], {})
print(child.process.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        build_parser().parse_args([command, "--help"])
    assert ended.value.code == 0
    assert f"./phopay {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["no-such-command"],
        ["demo", "--port", "0"],
        ["serve", "--port", "65536"],
        ["serve", "--workers", "none"],
        ["migrate", "--unknown"],
        ["test", "--quick", "--drills"],
        ["test", "--postgres", "../15"],
        ["bench", "payments"],
        ["backup"],
        ["restore", "--advance-serials", "--lost-since", "2026-11-28T09:30:00"],
        ["reference", "make"],
        ["plate"],
        ["plate", "parse", "--class", "spaceship"],
    ],
)
def test_a_wrong_command_line_ends_with_two(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


def test_the_tests_take_the_arguments_of_pytest() -> None:
    options, rest = build_parser().parse_known_args(["test", "tests/unit", "-k", "vietqr", "-x"])
    assert options.takes_rest
    assert rest == ["tests/unit", "-k", "vietqr", "-x"]


def test_the_tests_are_chosen_by_their_marks() -> None:
    def chosen(**given: bool) -> str:
        all_ = {"quick": False, "drills": False, "needs_database": False, "has_browser": True}
        return choose_marks(**{**all_, **given})

    assert chosen() == "not drill"
    assert chosen(has_browser=False) == "not drill and not browser"
    assert chosen(drills=True) == "drill"
    assert chosen(quick=True, has_browser=False) == (
        "not drill and not faults and not slow and not browser"
    )
    assert (
        chosen(needs_database=True, has_browser=False) == "not drill and database and not browser"
    )


def test_a_postgresql_that_is_not_there_is_named() -> None:
    with pytest.raises(CannotStart, match="PostgreSQL 7 "):
        run_tests([], postgres="7")


@pytest.mark.parametrize(
    "command",
    [
        pytest.param("demo", marks=pytest.mark.slow),
        pytest.param("serve", marks=pytest.mark.slow),
        "sandbox",
    ],
)
def test_a_busy_port_is_named_with_its_option(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        options = ["--port", str(port), "--data", str(tmp_path), "--no-browser"]
        started = subprocess.run(
            [sys.executable, "-m", "ops.cli", command, *options],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
    assert started.returncode == 1
    assert f"Port {port} for the " in started.stderr
    assert f"--port {port + 1}" in started.stderr
    assert "Traceback" not in started.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="needs the parent-death signal of Linux")
def test_children_do_not_outlive_a_killed_parent() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + WAIT_S
    while _is_running(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _is_running(child)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such option")
def test_a_connection_to_a_phone_that_is_gone_ends_within_a_minute() -> None:
    """Else its streams hold their places for a quarter of an hour: nothing is said goodbye to."""
    with (
        bind("127.0.0.1", 0, used_for="a test", option="--port") as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as accepted,
    ):
        gives_up_ms = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)

    assert 0 < gives_up_ms <= 45_000  # and 15 s at most until a stream says something


def test_a_child_that_ends_by_itself_is_reported_with_its_last_words(tmp_path: Path) -> None:
    with Family(tmp_path) as running:
        other = running.start("other", [sys.executable, "-c", "import time; time.sleep(600)"], {})
        running.start("weak", [sys.executable, "-c", "print('no more'); raise SystemExit(3)"], {})
        with pytest.raises(CannotStart, match=r"'weak' ended by itself \(code 3\)[\s\S]*no more"):
            running.watch()
    assert other.process.returncode == -signal.SIGTERM


def test_a_child_that_does_not_listen_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ops.processes.STOP_TIMEOUT_S", 0.3)
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True);"
    with Family(tmp_path) as running:
        child = running.start("deaf", [sys.executable, "-c", f"{deaf} time.sleep(600)"], {})
        assert child.log is not None
        deadline = time.monotonic() + WAIT_S
        while "deaf" not in child.log.read_text(encoding="utf-8"):
            assert time.monotonic() < deadline
            time.sleep(0.02)
    assert child.process.returncode == -signal.SIGKILL


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    return stat.rpartition(")")[2].split()[0] != "Z"
