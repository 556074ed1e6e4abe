"""Races between processes: what in-process locks cannot win has to be won by the database."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from identity.organisations.rules import OrgFacts
from tests.world.constants import NOON

ROOT = Path(__file__).parents[2]
PROCESSES = 2


class Races:
    """Two or more processes on one database that do things at the same instant."""

    def __init__(self, processes: Sequence["subprocess.Popen[str]"]) -> None:
        self._processes = processes

    def run(
        self,
        org: OrgFacts,
        calls: Sequence[Mapping[str, Any]],
        *,
        now: datetime = NOON,
        **more: Any,
    ) -> list[str]:
        """Run the calls at once, dealt out to the processes in turn; answers in their order."""
        facts = {"id": str(org.id), "code": org.code, "name": org.name, "is_live": org.is_live}
        hands: list[list[Mapping[str, Any]]] = [[] for _ in self._processes]
        for i, call in enumerate(calls):
            hands[i % len(hands)].append({k: _plain(v) for k, v in call.items()})
        for process, hand in zip(self._processes, hands, strict=True):
            race = {"org": facts, "now": now.isoformat(), "calls": hand, **more}
            _write(process, json.dumps(race))
        for process in self._processes:
            said = _read(process)
            assert said == "ready", said
        for process in self._processes:
            _write(process, "go")
        answers = [json.loads(_read(process)) for process in self._processes]
        return [answers[i % len(hands)][i // len(hands)] for i in range(len(calls))]


@contextmanager
def racing(environment: Mapping[str, str], *, processes: int = PROCESSES) -> Iterator[Races]:
    """Run the processes of a database for the length of a with block."""
    with ExitStack() as stack:
        started = []
        for _ in range(processes):
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.concurrency.racer"],
                env={**environment, "PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=ROOT,
            )
            started.append(stack.enter_context(process))
            stack.callback(process.kill)
        yield Races(started)


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value if isinstance(value, str | int | None) else str(value)


def _write(process: "subprocess.Popen[str]", line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def _read(process: "subprocess.Popen[str]") -> str:
    """Read one line; pytest's own timeout bounds the wait."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, "a racing process ended; its standard error says why"
    return line.strip()
