"""Runs the hub: a bound socket and the processes that serve it."""

import os
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from ops.console import say
from ops.database import open_database
from ops.errors import CannotStart, PortBusy
from ops.frontend import ensure_frontend
from ops.processes import Child, Family, describe_end, family, pause, restart_ended

BACKLOG = 2048
# A phone that left its network sends no goodbye: what was sent to it and not confirmed for so long
# ends the connection, and with it the stream that holds a place. TCP's own default is 15 minutes.
# Streams say something every 15 s.
UNCONFIRMED_MS = 40_000
READY_TIMEOUT_S = 60.0
METRICS_PORT = "PHOPAY_METRICS_PORT"


def bind(host: str, port: int, *, used_for: str, option: str) -> socket.socket:
    """Bind a listening socket now, so that a busy port is known before anything is started.

    Raises:
        PortBusy: somebody else has it.
        CannotStart: the address cannot be bound for another reason.
    """
    family_of = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family_of, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if sys.platform == "linux":  # accepted connections take it over
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNCONFIRMED_MS)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as problem:
        listener.close()
        if problem.errno in (98, 48):  # EADDRINUSE of Linux and macOS
            raise PortBusy(port, used_for=used_for, option=option) from None
        raise CannotStart(f"Cannot listen on {host} port {port}: {problem.strerror}") from problem
    return listener


def start_hub(
    running: Family,
    listener: socket.socket,
    environment: Mapping[str, str],
    *,
    name: str = "hub",
    number: int = 1,
    module: str = "ops.hub_process",
    tls: tuple[Path, Path] | None = None,
) -> Child:
    """Start one process of the hub on a bound socket.

    Args:
        number: of the processes that this machine's hub has, from 1: its metrics have the port so
            many after the one that is set.
        tls: files of its certificate and of the key, where it is to speak TLS by itself.
    """
    descriptor = listener.fileno()
    command = [sys.executable, "-m", module, str(descriptor), *map(str, tls or ())]
    its_environment = {**environment, "PHOPAY_PROCESS_NAME": name, **find_metrics_port(number)}
    return running.start(name, command, its_environment, pass_fds=[descriptor])


def wait_until_ready(url: str, running: Family, *, is_any_answer_enough: bool = False) -> None:
    """Wait until an address answers 2xx, or anything at all where that is enough.

    Raises:
        CannotStart: a process of the family ended, or it took too long.
    """
    deadline = time.monotonic() + READY_TIMEOUT_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310 (our own address)
                return
        except OSError as problem:  # URLError and HTTPError are OSErrors
            if is_any_answer_enough and isinstance(problem, urllib.error.HTTPError):
                return
            if (ended := running.find_ended()) is not None:
                raise CannotStart(describe_end(ended)) from problem
            if time.monotonic() > deadline:
                raise CannotStart(f"{url} does not answer: {problem}") from problem
        pause(0.1)


def serve(*, host: str, port: int, workers: int, data_dir: Path, postgres_port: int | None) -> None:
    """Serve the hub with a number of processes, replacing any that ends, until stopped."""
    from ops.first_administrator import word_invitation  # it needs the hub, the demo's start not

    with ExitStack() as stack:
        listener = stack.enter_context(bind(host, port, used_for="the hub", option="--port"))
        ensure_frontend()
        environment = stack.enter_context(
            open_database(
                data_dir,
                may_prepare=False,
                postgres_port=postgres_port,
                public_url=f"http://127.0.0.1:{port}",
            )
        )
        running = stack.enter_context(family())
        for number in range(workers):
            start_hub(running, listener, environment, name=f"hub-{number + 1}", number=number + 1)
        wait_until_ready(f"http://{_reachable(host)}:{port}/health/live", running)
        say(f"The hub listens on http://{host}:{port} ({workers} processes); Ctrl-C stops it")
        for line in word_invitation(environment):
            say(line)

        def replace(ended: Child) -> None:
            number = int(ended.name.rpartition("-")[2])
            start_hub(running, listener, environment, name=ended.name, number=number)

        restart_ended(running, replace)


def find_metrics_port(number: int) -> dict[str, str]:
    """Return the port of a process's metrics, as its variable; {} where none is set."""
    first = os.environ.get(METRICS_PORT, "")
    return {METRICS_PORT: str(int(first) + number)} if first.isascii() and first.isdigit() else {}


def _reachable(host: str) -> str:
    """Return where this machine reaches a listener of all addresses."""
    if host in ("0.0.0.0", "::"):  # noqa: S104 (compared, not bound)
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host
