"""F26, live: bills paid by two parts reported close together, at three hubs, on a grown table.

No worker runs: what a batch does not find, nobody rematches.
"""

import asyncio
import random
from pathlib import Path

import pytest
from sqlalchemy import text

from core.clock import read_clock
from core.db import Database
from core.settings import Settings
from core.tenancy import open_org_transaction
from loadtests import processes
from loadtests.city import Market, open_market_bills
from loadtests.city import Stall as Place
from loadtests.wire import Call, SendingJob
from payments.bills.references import ALPHABET
from tests.payments.invariants import find_violations
from tests.world.constants import CALLBACK_SECRET
from tests.world.databases import FreshDatabase
from tests.world.grown_tables import grow_bills
from tests.world.installation import HOST, Installation, Process, wait_until_settled, wait_until_up
from tests.world.notices import sepay_body
from tests.world.reads import read_ledger
from tests.world.stalls import CallableStall, a_callable_stall

pytestmark = [pytest.mark.anyio, pytest.mark.faults]
DRILL = [pytest.mark.drill, pytest.mark.timeout(600)]

HUBS = 3
CONNECTIONS = 40  # to each hub
PARTS_VND = (8_000, 12_000)
RACES = [  # seed of the order, bills, old bills beside them
    (1, 400, 24_000),
    *(pytest.param(seed, 8_000, 60_000, marks=DRILL) for seed in (2, 3, 4)),
]
_codes = (f"PRT{char}" for char in ALPHABET)


@pytest.fixture(scope="module")
def hubs(installation: Installation) -> list[Process]:
    return [installation.start_hub() for _ in range(HUBS)]


async def open_bills_at(database: Database, to: CallableStall, number: int) -> list[str]:
    """Open bills that the two parts pay exactly; return their references."""
    place = Place(
        payee_id=to.payee_id,
        account_id=to.account_id,
        account_number=to.account_number,
    )
    market = Market(
        org=to.org,
        endpoint_id=to.endpoint_id,
        address=to.address,
        secret=CALLBACK_SECRET,
        keys=(),
        reference="",
        stalls=[place],
    )
    amounts_vnd = [sum(PARTS_VND)] * number
    bills = await open_market_bills(database, market, amounts_vnd, now=read_clock())
    return [bill.reference for bill in bills]


def tell(to: CallableStall, reference: str, amount_vnd: int) -> Call:
    body = sepay_body(to, amount_vnd=amount_vnd, memo=reference, occurred_at=read_clock())
    return Call(path=to.path, headers="", body=body, secret=CALLBACK_SECRET)


async def report_all(calls: list[list[Call]], hubs: list[Process], folder: Path) -> None:
    """Send each hub its calls, all at once, as fast as they are acknowledged."""
    jobs = [
        SendingJob(
            host=HOST,
            port=int(hub.url.rpartition(":")[2]),
            connections=CONNECTIONS,
            calls=calls_of_hub,
        )
        for hub, calls_of_hub in zip(hubs, calls, strict=True)
    ]
    logs = await asyncio.gather(*(asyncio.to_thread(processes.send, job, folder) for job in jobs))
    for job, log in zip(jobs, logs, strict=True):
        assert len(processes.list_good(log)) == len(job.calls)


@pytest.mark.parametrize(("seed", "bills_count", "grown"), RACES)
async def test_two_parts_reported_close_together_at_three_hubs_pay_every_bill(
    hubs: list[Process],
    app_database: Database,
    settings: Settings,
    fresh_database: FreshDatabase,
    tmp_path: Path,
    seed: int,
    bills_count: int,
    grown: int,
) -> None:
    await wait_until_up(*hubs)
    to = await a_callable_stall(app_database, settings, code=next(_codes))
    grow_bills(fresh_database.owner_url, to, rows=grown)
    references = await open_bills_at(app_database, to, bills_count)
    chance = random.Random(seed)
    calls: list[list[Call]] = [[] for _ in hubs]
    for reference in references:
        parts = chance.sample(PARTS_VND, len(PARTS_VND))
        for hub, amount_vnd in zip(chance.sample(range(HUBS), 2), parts, strict=True):
            calls[hub].append(tell(to, reference, amount_vnd))

    await report_all(calls, hubs, tmp_path)
    await wait_until_settled(app_database, to)

    async with open_org_transaction(app_database, to.org.id) as session:
        query = text("""
            SELECT status, count(*) FROM bills WHERE reference = ANY(CAST(:references AS text[]))
            GROUP BY status
        """)
        statuses = dict(list(await session.execute(query, {"references": references})))
        verdicts = text("SELECT verdict, count(*) FROM matches GROUP BY verdict")
        judged = dict(list(await session.execute(verdicts)))
    assert statuses == {"paid": bills_count}
    assert judged == {"part": bills_count, "settle": bills_count}
    assert (await read_ledger(app_database, to))["takings"] == bills_count * sum(PARTS_VND)
    assert find_violations(fresh_database.owner_url) == []
