"""`./phopay bench NAME`: measures, prints a table, writes JSON, fails where a bar does not hold."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from loadtests.figures import Figure, print_table, write_json
from ops.console import say
from ops.errors import CannotStart

# Name → module with `measure(quick, history=N) -> list[Figure]`.
BENCHES: Final = {
    "entries": "loadtests.entries",
    "payments": "loadtests.payments",
    "reconcile": "loadtests.reconcile",
    "webhooks": "loadtests.webhooks",
}


def main(name: str, quick: bool, json_path: Path | None, *, history: int = 0) -> int:
    """Run one bench; 0 if every bar holds, else 1.

    Args:
        history: past payments, written before a second half of the run.

    Raises:
        CannotStart: no such bench, another one is running, or PostgreSQL cannot be started.
    """
    if name not in BENCHES:
        raise CannotStart(f"There is no bench {name!r}. There is: {', '.join(sorted(BENCHES))}")
    measure: Callable[..., list[Figure]] = importlib.import_module(BENCHES[name]).measure
    figures = measure(quick, history=history)
    print_table(figures)
    if json_path is not None:
        write_json(figures, json_path)
    failed = [figure.name for figure in figures if not figure.holds]
    if failed:
        say(f"Does not hold: {', '.join(failed)}")
    return 1 if failed else 0
