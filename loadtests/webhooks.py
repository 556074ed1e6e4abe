"""Outgoing webhooks: deliveries a second, and what a receiver that never answers costs others.

A real worker process, receivers in a process of their own, events written as payments write them.
How long a delivery takes is from its event's id, which holds when it was written, to its arrival.
"""

import asyncio
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.request import urlopen
from uuid import UUID

import psycopg

from core.audit import SYSTEM
from core.clock import read_clock
from core.db import Database, close_engine, open_database, open_engine
from core.ids import milliseconds_of, new_id
from core.sealing import Sealer
from core.tenancy import open_org_transaction
from identity.organisations.rules import OrgKind
from identity.organisations.service import create_organisation
from loadtests import figures, processes
from loadtests.figures import Figure, find_percentile
from loadtests.installation import HOST, Installation, installed
from ops.console import say
from payments.outbox import service as outbox
from payments.outbox.rules import EventKind, NewEvent
from payments.webhooks import service
from payments.webhooks.types import EndpointRequest

# The bars of the issue.
DELIVERIES_PER_S: Final = 500.0
SLOWER_PERCENT: Final = 10.0

ORG_CODES: Final = ("WHB2", "WHB3", "WHB4", "WHB5", "WHB6", "WHB7", "WHB8", "WHB9")
EVENTS_A_COMMIT: Final = 10
ARRIVED_WITHIN_S: Final = 120.0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much is measured."""

    flood: int  # events at once
    floods: int  # the best counts
    paced: int  # events of one paced round
    rounds: int  # with and without the receiver that never answers, in turns; the best counts
    per_s: float = 100.0


FULL: Final = Plan(flood=10_000, floods=3, paced=2_000, rounds=4)
QUICK: Final = Plan(flood=4_000, floods=2, paced=600, rounds=3)


@dataclass(kw_only=True)
class Run:
    """Organisations with an endpoint each, and what has arrived."""

    database: Database
    url: str
    sealer: Sealer
    orgs: list[UUID]
    lost: int = 0
    doubled: int = 0

    async def write(self, count: int, per_s: float | None = None) -> None:
        """Write events, so many in a commit, in turns for each organisation."""
        began_s = time.monotonic()
        for n in range(0, count, EVENTS_A_COMMIT):
            org_id = self.orgs[n // EVENTS_A_COMMIT % len(self.orgs)]
            events = [_event(n + i) for i in range(min(EVENTS_A_COMMIT, count - n))]
            async with open_org_transaction(self.database, org_id) as session:
                await outbox.record(session, org_id, events, now=read_clock())
            if per_s is not None:
                await asyncio.sleep(max(0, began_s + n / per_s - time.monotonic()))

    async def collect(self, count: int) -> dict[UUID, float]:
        """Wait until so many events have arrived; return when each did, as Unix time."""
        arrived: dict[UUID, float] = {}
        times: Counter[UUID] = Counter()
        end_s = time.monotonic() + ARRIVED_WITHIN_S
        while len(arrived) < count and time.monotonic() < end_s:
            await asyncio.sleep(0.2)
            for event_id, at in await asyncio.to_thread(_read_received, self.url):
                arrived.setdefault(UUID(event_id), at)
                times[UUID(event_id)] += 1
        self.lost += count - len(arrived)
        self.doubled += sum(times.values()) - len(times)
        return arrived


def measure(quick: bool, plan: Plan | None = None, *, history: int = 0) -> list[Figure]:
    """Measure everything in one run on one PostgreSQL.

    Args:
        history: past deliveries of the first endpoint, which must not slow anything down.
    """
    plan = plan or (QUICK if quick else FULL)
    with (
        installed("bench-webhooks") as installation,
        processes.serving("loadtests.webhook_receiver", [], dict(os.environ)) as port,
    ):
        return asyncio.run(_measure(installation, f"http://{HOST}:{port}", plan, history))


async def _measure(installation: Installation, url: str, plan: Plan, history: int) -> list[Figure]:
    engine = open_engine(installation.app_url, installation.settings)
    try:
        database = open_database(engine)
        sealer = Sealer.from_settings(installation.settings)
        run = Run(database=database, url=url, sealer=sealer, orgs=await _found(database))
        for org_id in run.orgs:
            await _add_endpoint(run, org_id, "/in")
        if history:
            _write_history(installation, history)
        command = [sys.executable, "-c", "import worker.app; worker.app.main()"]
        environment = {
            **installation.environment,
            "PHOPAY_WEBHOOK_ORIGINS": ",".join(f"{code}={url}" for code in ORG_CODES),
        }
        installation.running.start("worker", command, environment)
        await run.write(EVENTS_A_COMMIT)
        await run.collect(EVENTS_A_COMMIT)  # the worker is up
        rates = [await _flood(run, plan.flood) for _ in range(plan.floods)]
        alone_ms, beside_ms = await _measure_beside(run, plan)
    finally:
        await close_engine(engine)
    slower_percent = (beside_ms / alone_ms - 1) * 100
    return [
        figures.at_least("deliveries_per_s", max(rates), "1/s", DELIVERIES_PER_S),
        figures.measured("delivery_p95_ms", alone_ms, "ms"),
        figures.measured("delivery_p95_ms_beside_hanging", beside_ms, "ms"),
        figures.at_most("slower_percent", slower_percent, "%", SLOWER_PERCENT),
        figures.at_most("lost", run.lost, "", 0),
        figures.measured("doubled", run.doubled, ""),
    ]


async def _flood(run: Run, count: int) -> float:
    """Return how many events a second arrive that are written as fast as can be."""
    say(f"Flood of {count:,} events, {_load()}")
    _, arrived = await asyncio.gather(run.write(count), run.collect(count))
    times = sorted(arrived.values())
    return len(times) / (times[-1] - min(map(_written_at, arrived)))


async def _measure_beside(run: Run, plan: Plan) -> tuple[float, float]:
    """Return the best p95 beside receivers that answer, and beside some that never do.

    In turns, with as many endpoints and deliveries.
    """
    best = {"/other": float("inf"), "/hang": float("inf")}
    for number in range(plan.rounds):
        say(f"At a steady pace, round {number + 1} of {plan.rounds}, {_load()}")
        for path in best:
            second = [(org_id, await _add_endpoint(run, org_id, path)) for org_id in run.orgs]
            best[path] = min(best[path], await _pace(run, plan))
            for org_id, endpoint_id in second:
                async with open_org_transaction(run.database, org_id) as session:
                    await service.delete_endpoint(
                        session, org_id, endpoint_id, actor=SYSTEM, now=read_clock()
                    )
    return best["/other"], best["/hang"]


async def _pace(run: Run, plan: Plan) -> float:
    _, arrived = await asyncio.gather(run.write(plan.paced, plan.per_s), run.collect(plan.paced))
    took_ms = [(at - _written_at(event_id)) * 1_000 for event_id, at in arrived.items()]
    return find_percentile(took_ms, 95)


async def _found(database: Database) -> list[UUID]:
    orgs = []
    for code in ORG_CODES:
        async with database.begin() as session:
            org = await create_organisation(
                session,
                code=code,
                name=f"Ban quản lý {code}",
                kind=OrgKind.MARKET_BOARD,
                is_live=False,
                actor=SYSTEM,
                now=read_clock(),
            )
            orgs.append(org.id)
    return orgs


async def _add_endpoint(run: Run, org_id: UUID, path: str) -> UUID:
    endpoint_id = new_id()
    async with open_org_transaction(run.database, org_id) as session:
        await service.create_endpoint(
            session,
            org_id,
            EndpointRequest(url=f"{run.url}{path}", events=("bill.*",)),
            allowed_origins=[run.url],
            sealer=run.sealer,
            actor=SYSTEM,
            id_=endpoint_id,
            now=read_clock(),
        )
    return endpoint_id


def _write_history(installation: Installation, deliveries: int) -> None:
    say(f"Writing {deliveries:,} past deliveries, {_load()}")
    with psycopg.connect(installation.owner_url, autocommit=True) as owner:
        owner.execute(
            "INSERT INTO webhook_deliveries (org_id, endpoint_id, event_id, event_kind, status,"
            " attempts, failures, due_at, created_at)"
            " SELECT w.org_id, w.id, md5(n::text)::uuid, 'bill.paid', 'delivered', 1, 0, now(),"
            " now() FROM (SELECT * FROM webhook_endpoints ORDER BY id LIMIT 1) w,"
            " generate_series(1, %s) n",
            [deliveries],
        )
        owner.execute("VACUUM ANALYZE webhook_deliveries")


def _event(number: int) -> NewEvent:
    data = {
        "reference": f"PPWHB2{number:08d}",
        "status": "paid",
        "amount_vnd": 20_000,
        "paid_vnd": 20_000,
        "payer_name": "NGUYEN VAN A",
        "memo": f"PPWHB2{number:08d} gui xe",
    }
    return NewEvent(kind=EventKind.BILL_PAID, data=data)


def _read_received(url: str) -> Sequence[tuple[str, float]]:
    with urlopen(f"{url}/received", timeout=10) as answer:
        found: list[tuple[str, float]] = json.load(answer)
    return found


def _written_at(event_id: UUID) -> float:
    return milliseconds_of(event_id) / 1_000


def _load() -> str:
    return f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
