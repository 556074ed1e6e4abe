"""The cost of an entry: asked by a device, decided, stored, acknowledged (docs/benchmarks.md)."""

import asyncio
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final
from uuid import UUID

import psycopg

from core.clock import read_clock
from core.db import open_database, open_engine
from loadtests import exits, figures, lots, processes
from loadtests.entries_floor import EntriesFloor
from loadtests.entries_history import write_history
from loadtests.exits import Attendant
from loadtests.figures import Figure, find_percentile
from loadtests.installation import HOST, Installation, installed
from loadtests.lots import Arrival, BenchLot
from loadtests.wire import Call, SendingJob, SendingLog
from ops.console import say
from ops.environment import DATABASE
from ops.maintenance import maintain

HUB_PROCESSES: Final = 2
CONNECTIONS: Final = 256
BATCH_CONNECTIONS: Final = 8
PACE_PER_S: Final = 300.0

# The bars of the issue.
PLAIN_ORM_TIMES: Final = 8.0
FLOOR_TIMES: Final = 1.0
HOT_LOT_SHARE: Final = 0.7
HISTORY_SHARE: Final = 0.8
EXITS_SHARE: Final = 0.4
BATCH_FLOOR_TIMES: Final = 1.8
P99_MS: Final = 60.0
P99_FLOOR_TIMES: Final = 6.0
HUB_RSS_MIB: Final = 350.0

# A tenth of the city's vehicles in paid parking: three times the peak hour's 95 a second, half of
# them coming in and half going out.
CITY_BURST_PER_S: Final = 285.0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much is measured."""

    floods: int  # of each kind; the best counts, as of the floor's rounds
    entries_a_flood: int
    peer_entries: int
    floor_transactions: int  # for each number of clients, in each of two rounds
    paced_entries: int
    batches: int
    warm_up: int = 1_000


FULL: Final = Plan(
    floods=3,
    entries_a_flood=40_000,
    peer_entries=4_000,
    floor_transactions=12_000,
    paced_entries=6_000,
    batches=40,
)
QUICK: Final = Plan(
    floods=2,
    entries_a_flood=10_000,
    peer_entries=1_500,
    floor_transactions=4_000,
    paced_entries=1_800,
    batches=12,
)


@dataclass(kw_only=True)
class Run:
    """The lots of a run, and what was acknowledged."""

    installation: Installation
    lots: list[BenchLot]
    attendants: dict[UUID, Attendant]
    tokens: dict[UUID, str] = field(default_factory=dict)
    acknowledged: list[Arrival] = field(default_factory=list)
    left: list[Arrival] = field(default_factory=list)
    seed: int = 0

    def renew_tokens(self) -> None:
        """Make tokens that outlast the next part."""
        self.tokens = lots.make_tokens(self.installation.settings, self.lots, now=read_clock())

    def send(
        self,
        count: int,
        at: Sequence[BenchLot],
        *,
        per_s: float | None = None,
        is_counted: bool = True,
    ) -> SendingLog:
        """Send so many vehicles to these lots, and remember which were acknowledged."""
        self.renew_tokens()
        self.seed += 1
        calls, arrivals = lots.write_arrivals(at, self.tokens, count, seed=self.seed)
        return self.send_calls(calls, arrivals if is_counted else [], per_s=per_s)

    def send_calls(
        self,
        calls: list[Call],
        arrivals: Sequence[Arrival],
        *,
        per_s: float | None = None,
        connections: int = CONNECTIONS,
        each: int = 1,
    ) -> SendingLog:
        """Send calls, each of which brings so many vehicles."""
        job = SendingJob(
            host=HOST,
            port=self.installation.port,
            connections=connections,
            calls=calls,
            calls_per_s=per_s,
        )
        log = processes.send(job, self.installation.folder)
        good = processes.list_good(log)
        if len(good) < len(calls):
            say(f"{len(calls) - len(good)} of {len(calls)} calls were not acknowledged")
        if arrivals:
            for call in good:
                self.acknowledged += arrivals[call * each : (call + 1) * each]
        return log

    def let_out(self, arrivals: Sequence[Arrival]) -> float:
        """Let vehicles that have paid leave; return how many did, a second."""
        exits.pay_all(self.installation.owner_url, self.attendants, arrivals)
        tokens = exits.make_tokens(
            self.installation.settings, self.lots, self.attendants, now=read_clock()
        )
        log = self.send_calls(exits.write_exits(arrivals, tokens), [])
        left = exits.list_left(log)
        if len(left) < len(arrivals):
            say(f"{len(arrivals) - len(left)} of {len(arrivals)} vehicles did not leave")
        self.left += [arrivals[call] for call in left]
        return len(left) / (max(left.values()) - processes.first_sent_at_s(log))


def measure(quick: bool, plan: Plan | None = None, *, history: int = 0) -> list[Figure]:
    """Measure everything in one run on one PostgreSQL.

    Args:
        history: past stays in six month partitions; floods are measured again once they are there.
    """
    plan = plan or (QUICK if quick else FULL)
    with installed() as installation:
        maintain(installation.owner_url, now=read_clock())
        found, attendants = asyncio.run(_found(installation))
        exits.open_accounts(installation.owner_url, found)
        run = Run(installation=installation, lots=found, attendants=attendants)
        _analyse(installation)
        floor = EntriesFloor(
            owner_url=installation.owner_url,
            app_url=installation.environment["PHOPAY_GATE_DATABASE_URL"],
            bin_dir=installation.cluster.place.bin_dir,
            folder=installation.folder,
        )
        floor.prepare()
        ceiling_per_s = _measure_sender(run, plan)
        say(f"Floor, {_load()}")
        floor.measure(transactions=plan.floor_transactions)
        say(f"Plain ORM, {_load()}")
        plain_per_s = _measure_peer(run, plan)
        with installation.serving_hub(HUB_PROCESSES, module="loadtests.no_database_hub"):
            say(f"Without a database, {_load()}")
            bare_per_s = _rate(run.send(plan.entries_a_flood, run.lots, is_counted=False))
        with installation.serving_hub(HUB_PROCESSES):
            run.send(plan.warm_up, run.lots)
            spread_per_s, hot_per_s, exits_per_s = _measure_floods(run, plan)
            say(f"Batches, {_load()}")
            batch_per_s = _measure_batches(run, plan)
            say(f"At a steady pace, {_load()}")
            paced = run.send(plan.paced_entries, run.lots, per_s=PACE_PER_S)
            rss_mib = installation.read_peak_rss_mib()
        floor_ms = floor.measure_times(transactions=plan.paced_entries, per_s=PACE_PER_S)
        say(f"Floor again, {_load()}")
        floor.measure(transactions=plan.floor_transactions)
        past_per_s = _measure_history(run, plan, history) if history else None
        lost, doubled = _count_lost(run)
    times_ms = [(a.answered_at_s - a.sent_at_s) * 1_000 for a in paced.answers]
    floor_per_s = max(floor.best_per_s.values())
    floor_p99_ms = find_percentile(floor_ms, 99)
    p99_bar_ms = max(P99_MS, P99_FLOOR_TIMES * floor_p99_ms)
    entries_bar = max(PLAIN_ORM_TIMES * plain_per_s, FLOOR_TIMES * floor_per_s)
    return [
        figures.at_least("entries_per_s", spread_per_s, "1/s", entries_bar),
        figures.measured("plain_orm_entries_per_s", plain_per_s, "1/s"),
        figures.measured("floor_entries_per_s", floor_per_s, "1/s"),
        figures.measured("entries_to_floor", spread_per_s / floor_per_s, "×"),
        figures.measured("entries_to_plain_orm", spread_per_s / plain_per_s, "×"),
        figures.measured("no_database_entries_per_s", bare_per_s, "1/s"),
        figures.at_least("hot_lot_entries_per_s", hot_per_s, "1/s", HOT_LOT_SHARE * spread_per_s),
        figures.at_least(
            "batch_movements_per_s", batch_per_s, "1/s", BATCH_FLOOR_TIMES * floor_per_s
        ),
        figures.at_least("exits_per_s", exits_per_s, "1/s", EXITS_SHARE * spread_per_s),
        figures.measured("exits_to_entries", exits_per_s / spread_per_s, "×"),
        judge_city_burst(spread_per_s, exits_per_s),
        figures.measured("entry_p50_ms_at_300", find_percentile(times_ms, 50), "ms"),
        figures.at_most("entry_p99_ms_at_300", find_percentile(times_ms, 99), "ms", p99_bar_ms),
        figures.measured("floor_p99_ms_at_300", floor_p99_ms, "ms"),
        *_judge_history(past_per_s, spread_per_s),
        figures.at_most("hub_rss_mib", rss_mib, "MiB", HUB_RSS_MIB),
        figures.at_most("lost", lost, "", 0),
        figures.at_most("doubled", doubled, "", 0),
        figures.measured("sender_ceiling_per_s", ceiling_per_s, "1/s"),
    ]


def judge_city_burst(entries_per_s: float, exits_per_s: float) -> Figure:
    """Hold a city's burst against what the hub does when as many vehicles come in as go out."""
    both_per_s = 2 / (1 / entries_per_s + 1 / exits_per_s)
    margin = figures.at_least("city_burst_margin", both_per_s / CITY_BURST_PER_S, "×", 1.0)
    note = f"{both_per_s:,.0f} entries and exits a second, of {CITY_BURST_PER_S:.0f} in a burst"
    return replace(margin, note=note)


def _judge_history(past_per_s: float | None, spread_per_s: float) -> list[Figure]:
    if past_per_s is None:
        return []
    name = "entries_with_history_per_s"
    return [figures.at_least(name, past_per_s, "1/s", HISTORY_SHARE * spread_per_s)]


async def _found(installation: Installation) -> tuple[list[BenchLot], dict[UUID, Attendant]]:
    engine = open_engine(installation.app_url, installation.settings)
    database, now = open_database(engine), read_clock()
    try:
        found = await lots.found_lots(database, now=now)
        return found, await exits.begin_evening(database, found, now=now)
    finally:
        await engine.dispose()


def _measure_sender(run: Run, plan: Plan) -> float:
    """Return how many calls a second the sender manages against a server that does nothing."""
    run.renew_tokens()
    calls, _ = lots.write_arrivals(run.lots, run.tokens, plan.entries_a_flood, seed=0)
    with processes.serving("loadtests.trivial_server", [], dict(os.environ)) as port:
        job = SendingJob(host=HOST, port=port, connections=CONNECTIONS, calls=calls)
        return _rate(processes.send(job, run.installation.folder))


def _measure_peer(run: Run, plan: Plan) -> float:
    """Return what a plain route manages: the median of three."""
    environment = {**os.environ, **run.installation.environment}
    rates = []
    module = "loadtests.peers.plain_orm_entries"
    with processes.serving(module, [run.installation.owner_url], environment) as port:
        run.installation.port = port
        for _ in range(3):
            rates.append(_rate(run.send(plan.peer_entries, run.lots)))
    return statistics.median(rates)


def _measure_floods(run: Run, plan: Plan) -> tuple[float, float, float]:
    """Return the best rates of entries over 200 lots and at one, and of exits, taken in turns."""
    spread, hot, out = [], [], []
    for number in range(plan.floods):
        say(f"Flood {number + 1} of {plan.floods}, {_load()}")
        known = len(run.acknowledged)
        spread.append(_rate(run.send(plan.entries_a_flood, run.lots)))
        leaving = run.acknowledged[known:]
        del run.acknowledged[known:]
        hot.append(_rate(run.send(plan.entries_a_flood, run.lots[:1])))
        out.append(run.let_out(leaving))
    return max(spread), max(hot), max(out)


def _measure_batches(run: Run, plan: Plan) -> float:
    """Return how many movements a second are verified, decided and stored."""
    run.renew_tokens()
    calls, arrivals = lots.write_batches(run.lots, run.tokens, plan.batches, now=read_clock())
    log = run.send_calls(
        calls, arrivals, connections=BATCH_CONNECTIONS, each=lots.MOVEMENTS_A_BATCH
    )
    return _rate(log) * lots.MOVEMENTS_A_BATCH


def _measure_history(run: Run, plan: Plan, stays: int) -> float:
    """Write a past, and return the best rate with it."""
    say(f"Writing {stays:,} past stays, {_load()}")
    write_history(run.installation.cluster.dsn(dbname=DATABASE), stays)
    with run.installation.serving_hub(HUB_PROCESSES):
        run.send(plan.warm_up, run.lots)
        say(f"Floods with a history, {_load()}")
        return max(_rate(run.send(plan.entries_a_flood, run.lots)) for _ in range(plan.floods))


def _count_lost(run: Run) -> tuple[int, int]:
    """Return how many acknowledged entries and exits are lost, and doubled."""
    lost, doubled = lots.count_lost(run.installation.owner_url, run.acknowledged)
    not_left, left_twice = exits.count_lost_exits(run.installation.owner_url, run.left)
    return lost + not_left, doubled + left_twice


def _rate(log: SendingLog) -> float:
    good = processes.list_good(log)
    return len(good) / (processes.last_good_at_s(log) - processes.first_sent_at_s(log))


def _analyse(installation: Installation) -> None:
    with psycopg.connect(installation.owner_url, autocommit=True) as owner:
        owner.execute("VACUUM (ANALYZE)")


def _load() -> str:
    return f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
