"""Running the sending and listening processes of a measurement."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

from loadtests.wire import (
    ListeningJob,
    ListeningLog,
    SendingJob,
    SendingLog,
    read,
    write,
)
from ops.processes import ROOT

SENDING_TIMEOUT_S: Final = 300.0
_serial = count(1)


def send(job: SendingJob, folder: Path) -> SendingLog:
    """Send a job's calls from a process of its own and return that process's log."""
    name = f"sender-{next(_serial)}"
    job_path, log_path = folder / f"{name}.job", folder / f"{name}.log"
    write(job_path, job)
    command = [sys.executable, "-m", "loadtests.sender", str(job_path), str(log_path)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=SENDING_TIMEOUT_S)
    return read(log_path, SendingLog)


@dataclass(kw_only=True)
class Listening:
    """A listener that runs; ask for its log once everything was sent."""

    process: subprocess.Popen[str]
    log_path: Path
    timeout_s: float

    def read_log(self) -> ListeningLog:
        """Wait until it received what it expected, or its time is over."""
        self.process.wait(self.timeout_s)
        if self.process.returncode != 0:
            msg = f"the listener ended with code {self.process.returncode}"
            raise RuntimeError(msg)
        return read(self.log_path, ListeningLog)


@contextmanager
def listening(job: ListeningJob, folder: Path) -> Iterator[Listening]:
    """Keep streams open in a process of its own; the block begins once all have said hello."""
    name = f"listener-{next(_serial)}"
    job_path, log_path = folder / f"{name}.job", folder / f"{name}.log"
    write(job_path, job)
    process = subprocess.Popen(
        [sys.executable, "-m", "loadtests.listener", str(job_path), str(log_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            msg = "the listener could not open its streams"
            raise RuntimeError(msg)
        yield Listening(process=process, log_path=log_path, timeout_s=job.timeout_s + 30)
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate()


@contextmanager
def serving(module: str, arguments: list[str], environment: dict[str, str]) -> Iterator[int]:
    """Run a server of ours that prints its port, for the length of a with block."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line.strip().isdigit():
            msg = f"{module} did not start"
            raise RuntimeError(msg)
        yield int(line)
    finally:
        process.terminate()
        process.communicate()  # waits, and closes its output


def first_sent_at_s(log: SendingLog) -> float:
    """Return when the first call of a log was sent."""
    return min(answer.sent_at_s for answer in log.answers)


def last_good_at_s(log: SendingLog) -> float:
    """Return when the last acknowledgement of a log came; infinitely late if there is none."""
    good = [a.answered_at_s for a in log.answers if 200 <= a.status < 300]
    return max(good, default=time.monotonic() + 10**9)


def list_good(log: SendingLog) -> set[int]:
    """Return the calls that were acknowledged."""
    return {answer.call for answer in log.answers if 200 <= answer.status < 300}
