"""Odd answers of providers: they hide nothing else, are passed over in the end, and are said."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial

import httpx
import pytest
from sqlalchemy import text

from core.clock import read_clock
from core.db import Database
from core.sealing import Sealer
from ops.postgres.supervisor import Cluster
from payments.bills.rules import BillFacts
from payments.outages.jobs import report_outages
from payments.outages.views import OutageRead, OutageState
from payments.polling.rules import PASSED_AFTER, UNANSWERED_AFTER
from tests.world.bills import a_bill
from tests.world.databases import Template, a_template
from tests.world.outages import OutageWorker, an_outage, an_outage_worker, read_outages
from tests.world.polling import PolledStall, a_polled_endpoint, sepay_listing, sepay_row
from tests.world.reads import list_breaks, read_status
from tests.world.receivers import a_receiver
from tests.world.sandboxes import a_sandbox
from tests.world.stalls import PayableStall, a_payable_stall

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

TOKEN, CLIENT = "t0ken-of-the-test", "shop-of-the-test"


@pytest.fixture(scope="module")
def stall_template(cluster: Cluster) -> Iterator[Template[PayableStall]]:
    with a_template(cluster, partial(a_payable_stall, is_live=False)) as template:
        yield template


@dataclass(kw_only=True)
class Wire(httpx.AsyncHTTPTransport):
    """The way to a provider, on which some paths are answered otherwise."""

    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        for end, (status, body) in self.answers.items():
            if request.url.path.endswith(end):
                return httpx.Response(status, stream=httpx.ByteStream(body))
        return await super().handle_async_request(request)


@dataclass(kw_only=True)
class Outage:
    """A stall, its worker, and what is on the way between."""

    database: Database
    owner: Database
    stall: PayableStall
    worker: OutageWorker
    wire: Wire

    async def begin(self) -> None:
        await an_outage(self.database, self.owner)
        await self.worker.plan()

    async def poll(self) -> int:
        await self.worker.let_time_pass()
        return await self.worker.poll()

    async def run(self, statement: str, **values: object) -> None:
        async with self.owner.begin() as session:
            await session.execute(text(statement), values)

    async def end(self) -> OutageRead:
        await self.worker.process()
        await report_outages(self.worker.databases, now=read_clock())
        (outage,) = await read_outages(self.database, self.stall)
        return outage

    async def status(self, bill: BillFacts) -> str:
        return (await read_status(self.database, self.stall, bill))[0]


@asynccontextmanager
async def a_wired_outage(
    app: Database, worker: Database, owner: Database, sealer: Sealer, stall: PayableStall
) -> AsyncIterator[Outage]:
    wire = Wire()
    async with httpx.AsyncClient(transport=wire) as client:
        made = an_outage_worker(app, worker, owner, sealer, client)
        yield Outage(database=app, owner=owner, stall=stall, worker=made, wire=wire)
        await made.poller.processor.close()


@pytest.fixture
async def sepay(
    app_database: Database,
    worker_database: Database,
    owner_database: Database,
    sealer: Sealer,
    stall: PayableStall,
) -> AsyncIterator[Outage]:
    stall = await a_polled_endpoint(app_database, sealer, stall, "http://127.0.0.1:9")
    async with a_wired_outage(
        app_database, worker_database, owner_database, sealer, stall
    ) as outage:
        yield outage


@pytest.fixture
async def payos(
    app_database: Database,
    worker_database: Database,
    owner_database: Database,
    sealer: Sealer,
    stall: PayableStall,
) -> AsyncIterator[tuple[Outage, PolledStall]]:
    with a_sandbox() as sandbox, a_receiver() as receiver:
        url = str(sandbox.base_url).rstrip("/")
        stall = await a_polled_endpoint(
            app_database,
            sealer,
            replace(stall, provider="payos"),
            url,
            token=TOKEN,
            client_id=CLIENT,
        )
        place = PolledStall(
            database=app_database,
            owner=owner_database,
            sealer=sealer,
            sandbox=sandbox,
            receiver=receiver,
            stall=stall,
            token=TOKEN,
            client_id=CLIENT,
        )
        place.introduce()
        async with a_wired_outage(
            app_database, worker_database, owner_database, sealer, stall
        ) as outage:
            yield outage, place


async def read_order(owner: Database, bill: BillFacts) -> str:
    async with owner.begin() as session:
        query = text("SELECT provider_order_id FROM bills WHERE id = :id")
        return str(await session.scalar(query, {"id": bill.id}))


@pytest.mark.parametrize(
    ("answer", "times"),
    [
        pytest.param((200, b"<html>"), PASSED_AFTER, id="unreadable"),
        pytest.param((500, b""), UNANSWERED_AFTER, id="500"),
    ],
)
async def test_an_odd_answer_about_one_order_hides_no_other_and_is_passed_over(
    payos: tuple[Outage, PolledStall], answer: tuple[int, bytes], times: int
) -> None:
    outage, place = payos
    bills = []
    for _ in range(6):
        bill, number = await place.open_bill()
        place.pay(bill, number)
        bills.append(bill)
    odd = bills[2]
    outage.wire.answers[await read_order(outage.owner, odd)] = answer
    await outage.begin()

    assert await outage.poll() == 4
    await outage.worker.process()
    assert [await outage.status(bill) for bill in bills[:5]].count("paid") == 4
    for _ in range(times - 1):
        assert await list_breaks(outage.database, outage.stall) == []
        await outage.poll()
    assert await outage.worker.count_unread() == 0

    read = await outage.end()
    assert [bill for bill in bills if await outage.status(bill) != "paid"] == [odd]
    assert await list_breaks(outage.database, outage.stall) == ["poll_incomplete"]
    assert read.state is OutageState.WAITING_FOR_STATEMENT
    assert [one.problem for one in read.waiting_for_statement] == ["answer_passed"]


async def test_a_page_that_does_not_say_where_the_next_one_begins_counts_all_the_same(
    sepay: Outage,
) -> None:
    bill = await a_bill(sepay.database, sepay.stall, now=read_clock())
    rows = [
        sepay_row(sepay.stall, memo=bill.reference if n == 7 else "CK", id_=str(770_000 + n))
        for n in range(50)
    ]
    rows[0]["transaction_date"] = ""
    sepay.wire.answers["/list"] = (200, sepay_listing(*rows))
    await sepay.begin()

    assert await sepay.poll() == 49
    await sepay.worker.process()
    assert await sepay.status(bill) == "paid"
    for _ in range(PASSED_AFTER - 1):
        await sepay.poll()

    read = await sepay.end()
    assert await sepay.worker.count_unread() == 0
    assert "poll_incomplete" in await list_breaks(sepay.database, sepay.stall)
    assert [one.problem for one in read.waiting_for_statement] == ["answer_passed"]


async def test_rows_that_cannot_be_read_are_said(sepay: Outage) -> None:
    row = sepay_row(sepay.stall, memo="CK")
    sepay.wire.answers["/list"] = (200, sepay_listing(row, {**row, "amount_in": "twenty"}))
    await sepay.begin()

    assert await sepay.poll() == 1

    read = await sepay.end()
    assert "poll_incomplete" in await list_breaks(sepay.database, sepay.stall)
    assert read.state is OutageState.WAITING_FOR_STATEMENT
    assert [one.problem for one in read.waiting_for_statement] == ["unreadable_rows"]


async def test_a_bill_that_was_paid_in_cash_meanwhile_is_asked_about_at_payos(
    payos: tuple[Outage, PolledStall],
) -> None:
    outage, place = payos
    paid_twice, number = await place.open_bill()
    place.pay(paid_twice, number)
    paid_before, _ = await place.open_bill()
    booked, number = await place.open_bill()
    await place.push(place.pay(booked, number))
    for bill, at in ((paid_twice, timedelta()), (paid_before, timedelta(hours=3))):
        await outage.run(
            "INSERT INTO payments (org_id, id, bill_id, rail, source_kind, source_id, amount_vnd,"
            " occurred_at, recorded_at, refundable_vnd) VALUES (:org_id, gen_random_uuid(), :id,"
            " 'cash', 'cash', gen_random_uuid(), 20000, :at, :at, 20000)",
            org_id=outage.stall.org.id,
            id=bill.id,
            at=read_clock() - at,
        )
        await outage.run("UPDATE bills SET status = 'paid' WHERE id = :id", id=bill.id)
    asked = []
    outage.worker.poller.client.event_hooks["request"].append(lambda request: note(asked, request))
    await outage.begin()

    assert await outage.poll() == 1

    assert asked == [await read_order(outage.owner, paid_twice)]


async def note(asked: list[str], request: httpx.Request) -> None:
    asked.append(request.url.path.rpartition("/")[2])


async def test_an_outage_of_long_ago_whose_token_is_refused_ends_with_its_problem(
    sepay: Outage,
) -> None:
    sepay.wire.answers["/list"] = (401, b"")
    await sepay.begin()
    await sepay.poll()
    assert await sepay.worker.count_unread() == 1
    await sepay.run("UPDATE poll_windows SET until_at = now() - interval '8 days'")

    await sepay.poll()

    read = await sepay.end()
    assert read.state is OutageState.WAITING_FOR_STATEMENT
    assert read.reported_at is not None
    assert [one.problem for one in read.waiting_for_statement] == ["provider_refused_token"]


async def test_an_outage_of_long_ago_whose_token_was_withdrawn_ends_with_its_problem(
    sepay: Outage,
) -> None:
    await sepay.begin()
    await sepay.run("UPDATE callback_endpoints SET sealed_pull_token = NULL")
    await sepay.poll()
    assert await sepay.worker.count_unread() == 1
    await sepay.run("UPDATE poll_windows SET until_at = now() - interval '8 days'")

    await sepay.poll()

    read = await sepay.end()
    assert [one.problem for one in read.waiting_for_statement] == ["no_token"]
    assert read.reported_at is not None


async def test_a_window_that_fails_goes_behind_the_connections_others(sepay: Outage) -> None:
    sepay.wire.answers["/list"] = (401, b"")
    await sepay.begin()
    await an_outage(sepay.database, sepay.owner)
    await sepay.worker.plan()
    tried = []
    for _ in range(2):
        await sepay.run("UPDATE endpoint_polls SET next_request_at = now()")
        await sepay.run("UPDATE poll_windows SET next_attempt_at = least(next_attempt_at, now())")
        await sepay.worker.poll()
        async with sepay.owner.begin() as session:
            query = text("SELECT count(*) FROM poll_windows WHERE problem IS NOT NULL")
            tried.append(await session.scalar(query))

    assert tried == [1, 2]
