"""Real hub processes that die of SIGKILL at a named point, as if the power went there.

Nothing of this is in the hub: the points are put around its functions from outside, then it serves
as always. Run by tests/world/installation.py as `python -m tests.faults.dying_hub`: it loads the
hub's code once and forks a process for each line "start POINT", answering "pid port"; "wait PID"
answers with how that process ended.
"""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from api.app import create_app  # loaded before the forks, which then take no time
from ops import hub_process, processes
from payments.bills import queries_owners, queries_payments, queries_settling, settling
from payments.bills.owners import OwnersInbox
from payments.bills.owners_rules import Change
from payments.callbacks import queries as notice_queries
from payments.callbacks.receiver import NoticeReceiver
from payments.credits import queries_matches, queries_transactions
from payments.credits.processor import NoticeProcessor
from payments.ledger import queries as ledger_queries
from payments.outbox import queries as outbox_queries
from payments.rails import queries as rail_queries
from payments.rails.service import RailService
from registry import REGISTRY

DIES_WITHIN_S = 20.0

# point → (owner, name of its function, whether the function runs before the process dies)
POINTS: dict[str, tuple[Any, str, bool]] = {
    "before the notice is stored": (NoticeReceiver, "_store", False),
    "between commit and acknowledgement": (NoticeReceiver, "_store", True),
    "between acknowledgement and processing": (NoticeProcessor, "_process_batch", False),
    "after the notices are locked": (notice_queries, "lock_due_notices", True),
    "after the credit is stored": (queries_transactions, "insert_credits_once", True),
    "after the bill is locked": (settling, "lock_named_bills", True),
    "after the bill is changed": (queries_settling, "update_bills", True),
    "after the payment is written": (queries_payments, "insert_payments", True),
    "after the match is written": (queries_matches, "insert_matches", True),
    "after the money is posted": (ledger_queries, "insert_postings", True),
    "after the event is recorded": (outbox_queries, "insert_events", True),
    "before the processing commits": (notice_queries, "finish_notices", True),
    "after the processing has committed": (NoticeProcessor, "_process_batch", True),
}
# Between the three steps of a bill on a rail (tests/faults/test_killed_on_rails.py).
RAIL_POINTS: dict[str, tuple[Any, str, bool]] = {
    "before the rail's request is committed": (rail_queries, "insert_request_once", True),
    "after the request is committed": (RailService, "_call", False),
    "after the provider has answered": (RailService, "_call", True),
    "after the code is written": (rail_queries, "store_opened", True),
    "after the result is committed": (RailService, "_store", True),
}
# Between the two transactions of a change that an owner is to be notified of.
OWNER_POINTS: dict[str, tuple[Any, str, bool]] = {
    "before the owner hears": (OwnersInbox, "_handle_next", False),
    "after the owner heard and before it commits": (queries_owners, "mark_handled", True),
}
OWNER_KIND = "owner_of_the_tests"
IS_ACKNOWLEDGED = frozenset(POINTS | OWNER_POINTS) - {
    "before the notice is stored",
    "between commit and acknowledgement",
}


async def note_change(session: AsyncSession, change: Change, *, now: datetime) -> None:
    """Write down what an owner received, in the change's own transaction."""
    await session.execute(
        text(
            "INSERT INTO audit_log (org_id, id, actor_kind, actor_name, action, object_kind,"
            " object_id, request_id, recorded_at) VALUES (:org, :id, 'system', 'owner',"
            " 'owner.notified', 'bill', :subject, '', :now)"
        ),
        {"org": change.org_id, "id": change.id, "subject": change.subject_id, "now": now},
    )


WITH_OWNER = replace(REGISTRY, bill_owners={OWNER_KIND: note_change})


def die() -> None:
    """End without a word: no handler runs, no buffer is flushed, no connection is closed."""
    os.kill(os.getpid(), signal.SIGKILL)


def plant(point: str) -> None:
    """Let the process die at a point."""
    owner, name, runs_first = (POINTS | RAIL_POINTS | OWNER_POINTS)[point]
    planted: Callable[..., Awaitable[Any]] = getattr(owner, name)

    async def run_and_die(*args: Any, **facts: Any) -> None:
        if point in IS_ACKNOWLEDGED:
            await asyncio.sleep(0.2)  # the acknowledgement reaches its sender first
        if runs_first:
            await planted(*args, **facts)
        die()

    setattr(owner, name, run_and_die)


def start(point: str) -> tuple[int, int]:
    """Fork a hub that will die at a point; return its process id and port."""
    end_with_us = processes._die_with(os.getpid())
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        port: int = listener.getsockname()[1]
        pid = os.fork()
        if pid:
            return pid, port
        if end_with_us is not None:
            end_with_us()
        os.dup2(2, 1)  # standard output is the parent's to answer on
        plant(point)
        hub_process.main(listener.detach(), partial(create_app, registry=WITH_OWNER))
        os._exit(0)


def wait(pid: int) -> str:
    """Return how a process ended; one that will not die in time is ended, and "alive" returned."""
    end = time.monotonic() + DIES_WITHIN_S
    while time.monotonic() < end:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return str(os.waitstatus_to_exitcode(status))
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return "alive"


def main() -> None:
    """Do as the lines on standard input say, until they end; leave nothing behind."""
    running: set[int] = set()
    for line in sys.stdin:
        word, _, rest = line.strip().partition(" ")
        if word == "start":
            pid, port = start(rest)
            running.add(pid)
            print(pid, port, flush=True)
        else:
            assert word == "wait"
            pid = int(rest)
            print(wait(pid), flush=True)
            running.discard(pid)
    for pid in running:
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
