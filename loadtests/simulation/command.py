"""`./phopay simulate`: runs on a PostgreSQL of their own, one seed after another."""

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Iterator, Sequence
from typing import Final

import psycopg
import structlog
from psycopg import sql
from pydantic import SecretStr

from core.settings import Settings
from loadtests.installation import Installation, installed
from loadtests.simulation.run import DAYS_MAX, Plan, Result, describe, simulate
from ops.console import say
from ops.environment import DATABASE, OWNER, build_environment, embedded_owner_url
from ops.errors import CannotStart
from ops.processes import stop_on_signals

SHOWN_EVERY: Final = 100  # steps
UNSAFE: Final = {"fsync": "off"}  # nothing is killed here, and what is safe takes ten times as long


def main(plans: Sequence[Plan]) -> int:
    """Run plans one after the other; 0 if hub and model agreed in each, else 1.

    Raises:
        CannotStart: too many days, or PostgreSQL cannot be started.
    """
    if any(not 1 <= plan.days <= DAYS_MAX or plan.bills < 1 or plan.orgs < 1 for plan in plans):
        raise CannotStart(f"A run has 1 to {DAYS_MAX} days, a bill or more, and an organisation.")
    # What the hub warns of is what the simulation does to it; errors are news.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    failed = []
    with installed("simulation", postgres=UNSAFE) as installation:
        for plan in plans:
            began_s = time.monotonic()
            with _a_database(installation, plan) as settings:
                result = _play(settings, plan)
            for line in describe(result):
                print(line, flush=True)
            say(f"Seed {plan.seed} took {time.monotonic() - began_s:.0f} s")
            if not result.is_good:
                failed.append(plan.seed)
    if len(plans) > 1:
        print(
            f"{len(plans) - len(failed)} of {len(plans)} seeds agreed; failed: {failed or 'none'}"
        )
    return 1 if failed else 0


def _play(settings: Settings, plan: Plan) -> Result:
    """Simulate until the end, or until a signal comes.

    Raises:
        KeyboardInterrupt: one came; everything is closed.
    """

    async def play() -> Result:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, task.cancel)
        return await simulate(settings, plan, say=_Progress(plan))

    try:
        return asyncio.run(play())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    finally:
        stop_on_signals()  # the loop's own handlers went with it


class _Progress:
    """Every hundredth step on standard error; the last ones before `until`, all of them."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._number = 0

    def __call__(self, step: str) -> None:
        self._number += 1
        until = self._plan.until
        if self._number % SHOWN_EVERY == 0 or (until and self._number > until - SHOWN_EVERY):
            say(step)


@contextlib.contextmanager
def _a_database(installation: Installation, plan: Plan) -> Iterator[Settings]:
    """Clone the migrated database for a run, and drop it afterwards."""
    name = f"phopay_seed_{plan.seed}"
    names = {
        "name": sql.Identifier(name),
        "template": sql.Identifier(DATABASE),
        "owner": sql.Identifier(OWNER),
    }
    with psycopg.connect(installation.cluster.dsn(), autocommit=True) as superuser:
        make = "CREATE DATABASE {name} OWNER {owner} TEMPLATE {template}"
        superuser.execute(sql.SQL(make).format(**names))
        key = installation.environment["PHOPAY_SECRET_KEY"]
        owner_url = embedded_owner_url(installation.cluster, key, database=name)
        environment = build_environment(owner_url, key, installation.folder)
        try:
            yield installation.settings.model_copy(
                update={
                    "database_url": SecretStr(owner_url),
                    "app_database_url": SecretStr(environment["PHOPAY_APP_DATABASE_URL"]),
                    "gate_database_url": SecretStr(environment["PHOPAY_GATE_DATABASE_URL"]),
                    "worker_database_url": SecretStr(environment["PHOPAY_WORKER_DATABASE_URL"]),
                }
            )
        finally:
            superuser.execute(sql.SQL("DROP DATABASE {name} WITH (FORCE)").format(**names))
