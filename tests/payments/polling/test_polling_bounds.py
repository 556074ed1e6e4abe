"""Bounds of polling, however odd, slow or repeated an answer is: time, rows, other tenants."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial

import httpx
import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from core.clock import read_clock
from core.db import Database
from core.errors import Busy
from core.ids import new_id
from core.sealing import Sealer
from core.settings import Settings
from core.tenancy import open_org_transaction
from ops.postgres.supervisor import Cluster
from payments.connections.service import EndpointRequest, create_endpoint
from payments.credits.processor import NoticeProcessor
from payments.polling.client import PollTarget, open_client, poll_target
from payments.polling.service import ProviderPoller
from payments.providers import find_pull
from payments.providers.errors import ProviderResponseUnreadable
from payments.providers.pulling import PullCredentials, PullQuery
from payments.providers.types import EndpointSecrets
from tests.world.bills import a_bill
from tests.world.constants import MANAGER
from tests.world.databases import Template, a_template
from tests.world.polling import a_polled_endpoint, poll, sepay_listing, sepay_row
from tests.world.reads import count_rows, list_breaks, read_status
from tests.world.servers import a_server, answering
from tests.world.stalls import PayableStall, a_payable_stall

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

PROMISED_S = 5.0
BUSY_S = 3.0  # what a busy machine may add; without the limit it would be ten times as long


@pytest.fixture(scope="module")
def stall_template(cluster: Cluster) -> Iterator[Template[PayableStall]]:
    with a_template(cluster, partial(a_payable_stall, is_live=False)) as template:
        yield template


async def test_half_an_emoji_in_one_memo_hides_nobodys_money(
    app_database: Database, sealer: Sealer, stall: PayableStall
) -> None:
    bill, other = await a_bill(app_database, stall), await a_bill(app_database, stall)
    body = sepay_listing(
        sepay_row(stall, memo=f"{bill.reference} \ud83d"),
        sepay_row(stall, memo=other.reference, id_="770002"),
    )
    async with a_server(answering("200 OK", body)) as (url, _):
        await a_polled_endpoint(app_database, sealer, stall, url)
        assert (await poll(app_database, sealer, stall)).rows == 2

    assert (await read_status(app_database, stall, bill))[0] == "paid"
    assert (await read_status(app_database, stall, other))[0] == "paid"


async def test_what_nobody_foresaw_at_one_endpoint_takes_no_other_with_it(
    app_database: Database, sealer: Sealer, stall: PayableStall
) -> None:
    bill = await a_bill(app_database, stall)
    body = sepay_listing(sepay_row(stall, memo=bill.reference))

    def break_down(request: httpx.Request) -> httpx.Response:
        raise ZeroDivisionError

    async with a_server(answering("200 OK", body)) as (url, _):
        await a_polled_endpoint(
            app_database, sealer, replace(stall, provider="casso"), "http://odd.test:1"
        )
        with capture_logs() as logs:
            odd = {"http://odd.test": httpx.MockTransport(break_down)}
            async with httpx.AsyncClient(trust_env=False, mounts=odd) as client:
                with pytest.raises(ProviderResponseUnreadable):
                    await poll(app_database, sealer, stall, client=client)
                await a_polled_endpoint(app_database, sealer, stall, url)
                asked = await poll(app_database, sealer, stall, client=client)

    assert asked.providers == ("sepay",)
    assert (await read_status(app_database, stall, bill))[0] == "paid"
    failed = [one for one in logs if one["event"] == "polling.failed"]
    assert [one["surprises"] for one in failed] == [["ZeroDivisionError"]] * 2
    assert {one["provider"] for one in failed} == {"casso"}


async def test_who_goes_away_while_asking_ends_the_target() -> None:
    is_pulled = asyncio.Event()

    async def be_silent(writer: asyncio.StreamWriter) -> None:
        is_pulled.set()
        await asyncio.sleep(PROMISED_S)

    async with a_server(be_silent) as (url, _), httpx.AsyncClient(trust_env=False) as client:
        pull = find_pull("sepay")
        assert pull is not None
        target = PollTarget(
            endpoint_id=new_id(),
            provider="sepay",
            pull=pull,
            url=url,
            query=PullQuery(
                account_number="0988000111",
                order_ids=(),
                since=read_clock(),
                credentials=PullCredentials(token="t0ken"),
                secrets=EndpointSecrets(keys=("s3cret",)),
            ),
        )
        deadline_s = asyncio.get_running_loop().time() + PROMISED_S
        asking = asyncio.create_task(poll_target(client, target, deadline_s))
        await is_pulled.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking


async def test_a_cookie_in_one_tenants_answer_goes_with_no_target_of_another(
    monkeypatch: pytest.MonkeyPatch, app_database: Database, sealer: Sealer, stall: PayableStall
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    neighbour = await a_payable_stall(app_database, code="CHDX", is_live=False)
    heads: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        body = sepay_listing()
        cookie = b"Set-Cookie: session=of-the-first; Path=/\r\n"
        head = b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\nConnection: close\r\n\r\n"
        writer.write(head % (cookie, len(body)) + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server, open_client() as client:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for one, token in ((stall, "t0ken-a"), (neighbour, "t0ken-b")):
            await a_polled_endpoint(app_database, sealer, one, url, token=token)
            await poll(app_database, sealer, one, client=client)

    assert [b"t0ken-a" in heads[0], b"t0ken-b" in heads[1]] == [True, True]
    assert not any(b"cookie" in head.lower() for head in heads)


async def test_a_contradicted_amount_is_kept_once_however_often_it_is_reported(
    app_database: Database, sealer: Sealer, stall: PayableStall
) -> None:
    bill = await a_bill(app_database, stall)
    first, changed = (
        sepay_listing(sepay_row(stall, memo=bill.reference, amount_vnd=vnd))
        for vnd in (20_000, 90_000)
    )
    answers = [first, changed, changed, changed]
    async with a_server(lambda writer: answering("200 OK", answers.pop(0))(writer)) as (url, _):
        await a_polled_endpoint(app_database, sealer, stall, url)
        for _ in range(4):
            await poll(app_database, sealer, stall)

    assert await count_rows(app_database, stall, "notices", "source = 'pulled'") == 2
    assert await list_breaks(app_database, stall) == ["contradiction"]


async def test_simulated_money_in_a_live_organisation_is_one_break_however_often_it_is_reported(
    app_database: Database, sealer: Sealer
) -> None:
    stall = await a_payable_stall(app_database)
    simulated = {**sepay_row(stall, memo="pho"), "reference_number": "SB0123456789AB"}
    body = sepay_listing(simulated)
    sepay = httpx.MockTransport(lambda _: httpx.Response(200, stream=httpx.ByteStream(body)))
    async with open_org_transaction(app_database, stall.org.id) as session:
        await create_endpoint(
            session,
            stall.org,
            EndpointRequest(
                provider="sepay", name="SePay", account_ids=[stall.account_id], pull_token="t0ken"
            ),
            sealer=sealer,
            actor=MANAGER,
            now=read_clock(),
        )
    async with httpx.AsyncClient(transport=sepay) as client:
        for _ in range(3):
            await poll(app_database, sealer, stall, client=client)

    assert await count_rows(app_database, stall, "notices", "source = 'pulled'") == 1
    assert await list_breaks(app_database, stall) == ["simulated_in_live"]


async def test_what_waits_for_its_account_is_kept_once(
    app_database: Database, owner_database: Database, sealer: Sealer, stall: PayableStall
) -> None:
    bill = await a_bill(app_database, stall)
    body = sepay_listing(sepay_row(stall, memo=bill.reference))
    set_approved = text("UPDATE receiving_accounts SET approved_at = :at WHERE id = :id")
    async with owner_database.begin() as session:
        await session.execute(set_approved, {"at": None, "id": stall.account_id})
    async with a_server(answering("200 OK", body)) as (url, _):
        await a_polled_endpoint(app_database, sealer, stall, url)
        for _ in range(3):
            await poll(app_database, sealer, stall)

    assert await count_rows(app_database, stall, "notices", "source = 'pulled'") == 1
    assert await list_breaks(app_database, stall) == ["unknown_account"]


async def test_the_same_row_on_two_pages_is_kept_once(
    app_database: Database, sealer: Sealer, stall: PayableStall
) -> None:
    told = sepay_row(stall, memo="pho")
    async with a_server(answering("200 OK", sepay_listing(told, told))) as (url, _):
        await a_polled_endpoint(app_database, sealer, stall, url)
        assert (await poll(app_database, sealer, stall)).rows == 2

    assert await count_rows(app_database, stall, "notices", "source = 'pulled'") == 1


async def test_a_locked_database_keeps_no_vendor_longer_and_loses_nothing(
    app_database: Database, owner_database: Database, sealer: Sealer, stall: PayableStall
) -> None:
    bill = await a_bill(app_database, stall)
    processor = NoticeProcessor(app_database, read_clock=read_clock)

    async def answer_late(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(2.5)
        await answering("200 OK", sepay_listing(sepay_row(stall, memo=bill.reference)))(writer)

    async with a_server(answer_late) as (url, _):
        await a_polled_endpoint(app_database, sealer, stall, url)
        async with httpx.AsyncClient(trust_env=False) as client:
            async with owner_database.begin() as session:
                await session.execute(text("LOCK TABLE notices IN EXCLUSIVE MODE"))
                began = time.monotonic()
                poller = ProviderPoller(
                    database=app_database, processor=processor, sealer=sealer, client=client
                )
                asked = await poller.poll(
                    stall.org, stall.account_id, payee_id=stall.payee_id, now=read_clock()
                )
                assert time.monotonic() - began < PROMISED_S + BUSY_S
                assert (await read_status(app_database, stall, bill))[0] == "open"
            await processor.close()

    assert asked.rows == 1
    assert (await read_status(app_database, stall, bill))[0] == "paid"


async def test_without_a_free_connection_asking_says_busy_in_time(
    app_database: Database, settings: Settings, sealer: Sealer, stall: PayableStall
) -> None:
    await a_polled_endpoint(app_database, sealer, stall, "http://127.0.0.1:1")
    async with AsyncExitStack() as taken:
        for _ in range(settings.database_pool_size):
            session = await taken.enter_async_context(app_database.begin())
            await session.connection()
        began = time.monotonic()
        with pytest.raises(Busy):
            await poll(app_database, sealer, stall)
        assert time.monotonic() - began < PROMISED_S + BUSY_S
    assert (
        await count_rows(app_database, stall, "notices", "source = 'pulled'") == 0
    )  # the pool is whole again
