"""Child processes that live no longer than their parent, started and stopped together."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ops.console import say
from ops.errors import CannotStart

ROOT = Path(__file__).parent.parent
PR_SET_PDEATHSIG = 1  # linux/prctl.h
# The hub closes its streams and ends its requests within 5 s of the signal.
STOP_TIMEOUT_S = 10.0
LAST_LINES = 20
# A process may be killed now and then; one that cannot run would only fill the log.
RESTARTS_MAX = 10
RESTARTS_WITHIN_S = 60.0


class Stopped(KeyboardInterrupt):
    """A signal came: the same way out as Ctrl-C."""


@dataclass
class _Signals:
    have_come: bool = False


_signals = _Signals()


def stop_on_signals() -> None:
    """Let SIGTERM and SIGHUP unwind the program as Ctrl-C does; call it in the main thread."""
    _signals.have_come = False

    def unwind(number: int, frame: object) -> None:
        # Python swallows what is raised where it collects garbage: `pause` raises it again.
        _signals.have_come = True
        raise Stopped

    # A shell starts background jobs with SIGINT ignored; it stops us all the same.
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, unwind)


def pause(seconds: float) -> None:
    """Sleep, unless the program is to stop.

    Raises:
        Stopped: a signal came, now or before.
    """
    if _signals.have_come:
        raise Stopped
    time.sleep(seconds)


@dataclass(kw_only=True)
class Child:
    """One process of a family."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path | None  # None: it writes where we write


class Family:
    """Processes that are stopped together; use as a context manager.

    A child also gets SIGTERM from the kernel when this process dies in any way (Linux).
    """

    def __init__(self, log_dir: Path | None = None) -> None:
        """Prepare; with a folder each child writes to a log of its own in it."""
        self.children: list[Child] = []
        self._log_dir = log_dir

    def __enter__(self) -> "Family":
        """Start with no children."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop all children, whatever happened."""
        self.stop()

    def start(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        pass_fds: Sequence[int] = (),
    ) -> Child:
        """Start one process, with the project's code on its path."""
        log = None
        if self._log_dir is not None:
            self._log_dir.mkdir(parents=True, exist_ok=True)
            log = self._log_dir / f"{name}.log"
        with contextlib.ExitStack() as stack:
            output = stack.enter_context(log.open("wb")) if log else None
            process = subprocess.Popen(
                command,
                env={**os.environ, **environment, "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=pass_fds,
                process_group=0,  # Ctrl-C is for us; the children are stopped in order
                preexec_fn=_die_with(os.getpid()),
            )
        child = Child(name=name, process=process, log=log)
        self.children.append(child)
        return child

    def find_ended(self) -> Child | None:
        """Return a child that has ended, or None while all run."""
        return next((c for c in self.children if c.process.poll() is not None), None)

    def watch(self) -> None:
        """Wait until a child ends, which none should.

        Raises:
            CannotStart: with the child's last lines.
        """
        while (ended := self.find_ended()) is None:
            pause(0.2)
        pause(0.5)  # everybody may be stopped at once: then our own signal comes now
        raise CannotStart(describe_end(ended))

    def stop(self) -> None:
        """Ask all children to end, wait, and kill what is left."""
        running = [c.process for c in self.children if c.process.poll() is None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + STOP_TIMEOUT_S
        for process in running:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.children.clear()


@contextlib.contextmanager
def family(log_dir: Path | None = None) -> Iterator[Family]:
    """Run a family for the length of a with block."""
    with Family(log_dir) as running:
        yield running


def describe_end(child: Child) -> str:
    """Say that a child has ended and what it said last."""
    text = f"The process {child.name!r} ended by itself (code {child.process.returncode})."
    if child.log is None:
        return text
    with contextlib.suppress(OSError):
        lines = child.log.read_text(encoding="utf-8", errors="replace").splitlines()
        last = "\n".join(f"  {line}" for line in lines[-LAST_LINES:])
        text += f" It said last:\n{last}\nAll of it is in {child.log}"
    return text


def restart_ended(running: Family, restart: Callable[[Child], None]) -> None:
    """Replace children that end, for ever.

    Raises:
        CannotStart: they keep ending, RESTARTS_MAX times within RESTARTS_WITHIN_S.
    """
    restarted: deque[float] = deque(maxlen=RESTARTS_MAX)
    while True:
        ended = running.find_ended()
        if ended is not None:
            pause(0.5)  # as in watch
            now = time.monotonic()
            if len(restarted) == RESTARTS_MAX and now - restarted[0] < RESTARTS_WITHIN_S:
                raise CannotStart(f"{describe_end(ended)}\nIt keeps ending: giving up.")
            restarted.append(now)
            say(f"{describe_end(ended)} Starting it again")
            running.children.remove(ended)
            restart(ended)
        pause(0.2)


def _die_with(parent_pid: int) -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)

    def ask_kernel() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent_pid:  # it died in between
            os._exit(1)

    return ask_kernel
