"""The cost of a bill paid by VietQR: opened, called back, settled, shown (docs/benchmarks.md)."""

import asyncio
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import psycopg

from core.clock import read_clock
from core.db import open_database, open_engine
from core.sealing import Sealer
from loadtests import figures, integrity, processes
from loadtests.bills import BillRounds
from loadtests.city import ORGANISATIONS, Market, found_market, open_market_bills
from loadtests.figures import Figure, find_percentile
from loadtests.flood import AMOUNTS_VND, write_flood
from loadtests.floor import Floor
from loadtests.history import write_history
from loadtests.installation import HOST, Installation, installed
from loadtests.owner_hub import OWNER_KIND
from loadtests.owners import await_owners
from loadtests.pages import Pages
from loadtests.screens import await_payments
from loadtests.wire import SendingJob, SendingLog
from ops.console import say
from ops.environment import DATABASE
from payments.bills.rules import BillFacts

# One hub process: on two cores that also run PostgreSQL and the sender, a second one only halves
# the notices that share a commit.
HUB_PROCESSES: Final = 1
CONNECTIONS: Final = 128
SETTLING_TIMEOUT_S: Final = 120.0

# The bars of the issue.
FLOOR_SHARE: Final = 0.9
HISTORY_SHARE: Final = 0.8  # of the rate without a history
PLAIN_ORM_TIMES: Final = 2.0
SCREEN_P99_MS: Final = 150.0
SCREEN_FLOOR_TIMES: Final = 6.0  # or so many times as long as the floor's own
COUNTER_TIMES: Final = 2.0  # with a history, beside without
LIST_P95_MS: Final = 300.0
HUB_RSS_MIB: Final = 250.0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much is measured."""

    floods: int  # of a run; the best counts, as of the floor's rounds
    payments_a_flood: int
    floor_transactions: int  # for each number of clients, in each of two rounds
    bill_rounds: int  # peer, hub, peer, hub, …; the medians count
    bills_a_round: int
    screen_payments: int
    owner_payments: int
    counter_pages: int
    list_rounds: int
    screen_payments_per_s: float = 100.0
    warm_up_payments: int = 500


FULL: Final = Plan(
    floods=2,
    payments_a_flood=20_000,
    floor_transactions=5_000,
    bill_rounds=3,
    bills_a_round=3_000,
    screen_payments=3_000,
    owner_payments=1_000,
    counter_pages=400,
    list_rounds=20,
)
QUICK: Final = Plan(
    floods=2,
    payments_a_flood=4_000,
    floor_transactions=1_500,
    bill_rounds=3,
    bills_a_round=1_000,
    screen_payments=1_000,
    owner_payments=300,
    counter_pages=100,
    list_rounds=10,
)


@dataclass(frozen=True, kw_only=True)
class FloodResult:
    """One flood: its pace, and what became of it."""

    acknowledged_per_s: float
    settled_per_s: float  # distinct payments, from the first sent to the last settled
    drain_s: float  # from the last acknowledgement to the last settled


@dataclass(kw_only=True)
class Counts:
    """What was lost or doubled in any part of the run."""

    lost: int = 0
    doubled: int = 0

    def add(self, account: integrity.Account) -> None:
        """Count one part."""
        self.lost += account.lost
        self.doubled += account.doubled


@dataclass(frozen=True, kw_only=True)
class WithHistory:
    """What was measured once there was a past."""

    floods: list[FloodResult]
    counter_p95_ms: float
    lists_p95_ms: dict[str, float]  # by page


@dataclass(kw_only=True)
class City:
    """The organisations of a run and the unpaid bills that it will use, flood by flood."""

    markets: list[Market]
    stocks: list[list[tuple[Market, list[BillFacts]]]] = field(default_factory=list)
    owned: list[tuple[Market, list[BillFacts]]] = field(default_factory=list)

    def take(self) -> list[tuple[Market, list[BillFacts]]]:
        """Take the next stock of bills."""
        return self.stocks.pop(0)


def measure(quick: bool, plan: Plan | None = None, *, history: int = 0) -> list[Figure]:
    """Measure everything in one run on one PostgreSQL.

    Args:
        history: past payments; floods, counters and lists are measured again once they are there.
    """
    plan = plan or (QUICK if quick else FULL)
    counts = Counts()
    with installed() as installation:
        say("Preparing organisations and bills")
        city = asyncio.run(found_city(installation, plan, has_history=history > 0))
        pages = Pages(installation, city.markets[0])
        asyncio.run(pages.sign_in())
        ceiling_per_s = measure_sender(installation, city, plan)
        floor = Floor(
            owner_url=installation.owner_url,
            app_url=installation.app_url,
            bin_dir=installation.cluster.place.bin_dir,
            folder=installation.folder,
        )
        floor.prepare()
        say(f"Floor, {_load()}")
        floor.measure(transactions=plan.floor_transactions)
        with installation.serving_hub(HUB_PROCESSES):
            run_flood(installation, city, counts)  # warm-up, counted but not timed
            bills = BillRounds(installation, city.markets, connections=CONNECTIONS)
            results = run_floods(installation, city, plan, counts)
            say(f"Bills, {_load()}")
            bills.measure(rounds=plan.bill_rounds, bills_a_round=plan.bills_a_round)
            counts.add(bills.count())
            say(f"Screens, {_load()}")
            delays_ms = measure_screens(installation, city, plan, counts)
            times_ms = floor.measure_times(
                transactions=plan.screen_payments, per_s=plan.screen_payments_per_s
            )
            say(f"Counters, {_load()}")
            counter_p95_ms = pages.measure_counter(requests=plan.counter_pages)
            past = None
            if history:
                past = measure_history(installation, city, plan, counts, pages, history)
            rss_mib = installation.read_peak_rss_mib()
        say(f"Owners, {_load()}")
        owner_delays_ms = measure_owners(installation, city, plan, counts)
        if not history:  # afterwards its tables are others
            say(f"Floor again, {_load()}")
            floor.measure(transactions=plan.floor_transactions)
    best = max(results, key=lambda result: result.settled_per_s)
    floor_per_s = max(floor.best_per_s.values())
    plain_per_s = statistics.median(bills.plain_per_s)
    hub_per_s = statistics.median(bills.hub_per_s)
    p50_ms, p99_ms = find_percentile(delays_ms, 50), find_percentile(delays_ms, 99)
    floor_p99_ms = find_percentile(times_ms, 99)
    screen_bar_ms = max(SCREEN_P99_MS, SCREEN_FLOOR_TIMES * floor_p99_ms)
    settled = best.settled_per_s
    return [
        figures.at_least("bills_created_per_s", hub_per_s, "1/s", PLAIN_ORM_TIMES * plain_per_s),
        figures.measured("plain_orm_bills_per_s", plain_per_s, "1/s"),
        figures.at_least("callbacks_acknowledged_per_s", best.acknowledged_per_s, "1/s", settled),
        figures.at_least("callbacks_settled_per_s", settled, "1/s", FLOOR_SHARE * floor_per_s),
        figures.measured("floor_settled_per_s", floor_per_s, "1/s"),
        figures.measured("settled_to_floor", settled / floor_per_s, "×"),
        figures.measured("drain_s", best.drain_s, "s"),
        figures.measured("callback_to_screen_p50_ms", p50_ms, "ms"),
        figures.at_most("callback_to_screen_p99_ms", p99_ms, "ms", screen_bar_ms),
        figures.measured("floor_p99_ms", floor_p99_ms, "ms"),
        figures.measured("callback_to_owner_p50_ms", find_percentile(owner_delays_ms, 50), "ms"),
        figures.measured("callback_to_owner_p99_ms", find_percentile(owner_delays_ms, 99), "ms"),
        *judge_history(past, settled_per_s=settled, counter_p95_ms=counter_p95_ms),
        figures.below("hub_rss_mib", rss_mib, "MiB", HUB_RSS_MIB),
        figures.at_most("lost", counts.lost, "", 0),
        figures.at_most("doubled", counts.doubled, "", 0),
        figures.measured("sender_ceiling_per_s", ceiling_per_s, "1/s"),
    ]


def judge_history(
    past: WithHistory | None, *, settled_per_s: float, counter_p95_ms: float
) -> list[Figure]:
    """Hold what was measured with a history against what was measured without."""
    name = "counter_page_p95_ms_at_20"
    if past is None:
        return [figures.measured(name, counter_p95_ms, "ms")]
    with_it_per_s = max(result.settled_per_s for result in past.floods)
    slowest = sorted(past.lists_p95_ms.items(), key=lambda page: page[1], reverse=True)
    note = ", ".join(f"{page} {p95_ms:.0f} ms" for page, p95_ms in slowest[:3])
    bar_per_s = HISTORY_SHARE * settled_per_s
    return [
        figures.at_least("callbacks_settled_with_history_per_s", with_it_per_s, "1/s", bar_per_s),
        figures.measured("counter_page_without_history_p95_ms", counter_p95_ms, "ms"),
        figures.at_most(name, past.counter_p95_ms, "ms", COUNTER_TIMES * counter_p95_ms),
        figures.below("slowest_pages", slowest[0][1], "ms", LIST_P95_MS, note=note),
    ]


def measure_history(
    installation: Installation,
    city: City,
    plan: Plan,
    counts: Counts,
    pages: Pages,
    payments: int,
) -> WithHistory:
    """Write a past, and measure floods, the counter's pages and every list with it."""
    say(f"Writing {payments:,} past payments, {_load()}")
    org_ids = [market.org.id for market in city.markets]
    write_history(installation.cluster.dsn(dbname=DATABASE), org_ids, payments)
    say(f"Counters with a history, {_load()}")
    counter_p95_ms = pages.measure_counter(requests=plan.counter_pages)
    say(f"Lists with a history, {_load()}")
    lists_p95_ms = pages.measure_lists(rounds=plan.list_rounds)
    floods = run_floods(installation, city, plan, counts)
    return WithHistory(floods=floods, counter_p95_ms=counter_p95_ms, lists_p95_ms=lists_p95_ms)


def run_floods(
    installation: Installation, city: City, plan: Plan, counts: Counts
) -> list[FloodResult]:
    """Run the plan's floods, one after the other."""
    results = []
    for number in range(plan.floods):
        say(f"Flood {number + 1} of {plan.floods}, {_load()}")
        results.append(run_flood(installation, city, counts))
    return results


async def found_city(installation: Installation, plan: Plan, *, has_history: bool) -> City:
    """Make the organisations and one stock of bills for each flood and for the screens."""
    settings = installation.settings
    engine = open_engine(installation.app_url, settings)
    try:
        database, sealer, now = open_database(engine), Sealer.from_settings(settings), read_clock()
        city = City(
            markets=[
                await found_market(database, sealer, number, now=now)
                for number in range(ORGANISATIONS)
            ]
        )
        floods = [plan.payments_a_flood] * plan.floods
        sizes = [plan.warm_up_payments, *floods, plan.screen_payments]
        for size in [*sizes, *(floods if has_history else [])]:
            stock = []
            for market in city.markets:
                each = size // len(city.markets)
                amounts_vnd = [AMOUNTS_VND[n % len(AMOUNTS_VND)] for n in range(each)]
                bills = await open_market_bills(database, market, amounts_vnd, now=now)
                stock.append((market, bills))
            city.stocks.append(stock)
        for market in city.markets:
            each = plan.owner_payments // len(city.markets)
            owned = await open_market_bills(
                database, market, [AMOUNTS_VND[0]] * each, owner_kind=OWNER_KIND, now=now
            )
            city.owned.append((market, owned))
    finally:
        await engine.dispose()
    with psycopg.connect(installation.owner_url, autocommit=True) as owner:
        owner.execute("VACUUM (ANALYZE)")
    return city


def measure_sender(installation: Installation, city: City, plan: Plan) -> float:
    """Return how many calls a second the sender manages against a server that does nothing."""
    calls = write_flood(city.stocks[1], seed=0, now=read_clock()).calls
    with processes.serving("loadtests.trivial_server", [], dict(os.environ)) as port:
        job = SendingJob(host=HOST, port=port, connections=CONNECTIONS, calls=calls)
        log = processes.send(job, installation.folder)
    return len(calls) / (processes.last_good_at_s(log) - processes.first_sent_at_s(log))


def run_flood(installation: Installation, city: City, counts: Counts) -> FloodResult:
    """Send one stock of payments as fast as they are acknowledged, and wait for the last."""
    flood = write_flood(city.take(), seed=len(city.stocks), now=read_clock())
    job = SendingJob(host=HOST, port=installation.port, connections=CONNECTIONS, calls=flood.calls)
    log = processes.send(job, installation.folder)
    settled_at_s = wait_until_settled(installation, city)
    good = processes.list_good(log)
    account = integrity.count_payments(installation.owner_url, flood.payments, good)
    counts.add(account)
    started_at_s, acknowledged_at_s = processes.first_sent_at_s(log), processes.last_good_at_s(log)
    return FloodResult(
        acknowledged_per_s=len(good) / (acknowledged_at_s - started_at_s),
        settled_per_s=account.acknowledged / (settled_at_s - started_at_s),
        drain_s=max(0.0, settled_at_s - acknowledged_at_s),
    )


def wait_until_settled(installation: Installation, city: City) -> float:
    """Wait until no notice is unhandled; return when that was seen (monotonic)."""
    org_ids = [market.org.id for market in city.markets]
    deadline_s = time.monotonic() + SETTLING_TIMEOUT_S
    with psycopg.connect(installation.owner_url, autocommit=True) as owner:
        while integrity.count_unhandled(owner, org_ids):
            if time.monotonic() > deadline_s:
                say("The flood was not settled in time: what is missing counts as lost")
                break
            time.sleep(0.02)
    return time.monotonic()


def measure_screens(
    installation: Installation, city: City, plan: Plan, counts: Counts
) -> list[float]:
    """Return, for each payment, how long it took from its callback to the vendor's screen, in ms.

    A payment that the right screen never received counts as lost.
    """
    flood = write_flood(city.take(), seed=99, now=read_clock(), has_repeats=False)
    streams = [
        (f"/counter/events?payee={stall.payee_id}", f"Authorization: Bearer {key}\r\n")
        for market in city.markets
        for stall, key in zip(market.stalls, _share(market.keys, market.stalls), strict=True)
    ]
    received, log = await_payments(
        installation, flood, streams, calls_per_s=plan.screen_payments_per_s
    )
    wait_until_settled(installation, city)
    good = processes.list_good(log)
    counts.add(integrity.count_payments(installation.owner_url, flood.payments, good))
    sent_at_s = _list_sent(log)
    missing = [call for call in good if call not in received]
    counts.lost += len(missing)
    return [(received[call] - sent_at_s[call]) * 1_000 for call in received] or [float("inf")]


def measure_owners(
    installation: Installation, city: City, plan: Plan, counts: Counts
) -> list[float]:
    """Return, for each payment, how long it took from its callback to its bill's owner, in ms.

    The owner's transaction is committed then. A payment of which no owner learned counts as lost.
    """
    flood = write_flood(city.owned, seed=98, now=read_clock(), has_repeats=False)
    with installation.serving_hub(HUB_PROCESSES, module="loadtests.owner_hub"):
        notified, log = await_owners(installation, flood, calls_per_s=plan.screen_payments_per_s)
        good = processes.list_good(log)
        counts.add(integrity.count_payments(installation.owner_url, flood.payments, good))
    counts.lost += len([call for call in good if call not in notified])
    sent_at_s = _list_sent(log)
    return [(notified[call] - sent_at_s[call]) * 1_000 for call in notified] or [float("inf")]


def _list_sent(log: SendingLog) -> dict[int, float]:
    """List when each call was first sent, in monotonic seconds."""
    sent_at_s: dict[int, float] = defaultdict(lambda: float("inf"))
    for answer in log.answers:
        sent_at_s[answer.call] = min(sent_at_s[answer.call], answer.sent_at_s)
    return sent_at_s


def _share(keys: Sequence[str], stalls: Sequence[object]) -> list[str]:
    """Give each stall's screen one of the keys: a caller may have twelve streams open."""
    return [keys[i % len(keys)] for i in range(len(stalls))]


def _load() -> str:
    return f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
