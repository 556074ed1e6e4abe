"""Statements of banks: kept, read, looked at, accepted, and each line counted once."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text

from core.clock import hanoi_day, read_clock
from core.db import Database
from core.ids import new_id
from core.jobs.service import queue_job
from payments.statements import jobs, service
from payments.statements.reading.types import ReadingOptions
from payments.statements.reading_process import read_in_process
from registry import REGISTRY
from tests.core.jobs.steps import ended, running
from tests.world.cities import add_market
from tests.world.markets import Market
from tests.world.statement_files import FileLine, write_csv

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

TODAY = hanoi_day(read_clock())
D1, D2, D3 = (TODAY - timedelta(days=n) for n in (3, 2, 1))


@pytest.fixture
async def clerk(market: Market) -> httpx.AsyncClient:
    """Somebody of the market's finance."""
    return await market.staff("ke-toan", "finance")


@pytest.fixture
async def worker(market: Market, worker_database: Database) -> AsyncIterator[None]:
    """A worker that runs jobs of statements."""
    database = market.hub.services.database
    handlers = {kind: make(database) for kind, make in REGISTRY.job_handlers.items()}
    async with running(worker_database, handlers):
        yield


async def send(
    clerk: httpx.AsyncClient, content: bytes, *, id_: UUID | None = None, **facts: Any
) -> httpx.Response:
    return await clerk.post(
        "/v1/statements",
        params={"id": str(id_ or new_id()), **facts},
        content=content,
        headers={"Content-Type": "application/octet-stream"},
    )


async def job_of(market: Market, statement: Any) -> Any:
    """Wait until the job that works on a statement has ended, well or not."""
    return await ended(
        market.hub.services.database, UUID(statement["job_id"]), org_id=market.stall.org.id
    )


async def wait_until_empty(database: Database) -> None:
    """Wait until no line is staged any more."""
    end = asyncio.get_running_loop().time() + 30
    while (await rows(database, "SELECT count(*) FROM staged_lines")) != [(0,)]:
        assert asyncio.get_running_loop().time() < end
        await asyncio.sleep(0.05)


async def wait_for_job(market: Market, clerk: httpx.AsyncClient, statement: Any) -> Any:
    """Wait until the job that works on a statement has ended; return the statement."""
    job = await job_of(market, statement)
    assert job.status == "done", job
    return (await clerk.get(f"/v1/statements/{statement['id']}")).json()


async def read(market: Market, clerk: httpx.AsyncClient, content: bytes, **facts: Any) -> Any:
    """Send a file, and wait until it is read."""
    answer = await send(clerk, content, **facts)
    assert answer.status_code == 201, answer.text
    return await wait_for_job(market, clerk, answer.json())


async def accept(market: Market, clerk: httpx.AsyncClient, statement: Any) -> Any:
    answer = await clerk.post(f"/v1/statements/{statement['id']}/accept")
    assert answer.status_code == 200, answer.text
    return await wait_for_job(market, clerk, answer.json())


async def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    async with database.begin() as session:
        return [tuple(row) for row in await session.execute(text(query))]


def file_of(market: Market, *lines: tuple[date, int] | FileLine, **facts: Any) -> bytes:
    """Write a file of the stall's account."""
    written = [
        one if isinstance(one, FileLine) else FileLine(day=one[0], amount_vnd=one[1])
        for one in lines
    ]
    return write_csv(market.stall.account_number, written, **facts)


DAYS = "SELECT day, line_count, in_vnd, out_vnd, closing_vnd FROM statement_days ORDER BY day"
LINES = "SELECT booked_on, direction, amount_vnd, open_vnd FROM statement_lines ORDER BY id"


async def test_a_file_is_kept_read_looked_at_and_accepted_for_each_day_of_its_account(
    market: Market, clerk: httpx.AsyncClient, worker: None, owner_database: Database
) -> None:
    content = file_of(market, (D1, 20_000), (D1, -5_500), (D3, 30_000))

    statement = await read(market, clerk, content, file_name="sao-ke.csv")

    assert (statement["status"], statement["format"]) == ("staged", "csv")
    assert statement["problems"] == statement["row_errors"] == []
    assert (statement["opening_vnd"], statement["closing_vnd"]) == (1_000_000, 1_044_500)
    assert (statement["period_from"], statement["period_to"]) == (str(D1), str(D3))
    assert await rows(owner_database, LINES) == []
    shown = (await clerk.get(f"/v1/statements/{statement['id']}/lines?limit=2")).json()
    assert [(one["direction"], one["amount_vnd"]) for one in shown["lines"]] == [
        ("in", 20_000), ("out", 5_500)
    ]  # fmt: skip
    assert shown["next_line_no"] == 2

    accepted = await accept(market, clerk, statement)

    assert accepted["status"] == "visible"
    assert await rows(owner_database, LINES) == [
        (D1, "in", 20_000, 20_000), (D1, "out", 5_500, 5_500), (D3, "in", 30_000, 30_000)
    ]  # fmt: skip
    assert await rows(owner_database, DAYS) == [
        (D1, 2, 20_000, 5_500, 1_014_500),
        (D2, 0, 0, 0, 1_014_500),
        (D3, 1, 30_000, 0, 1_044_500),
    ]
    assert await rows(owner_database, "SELECT count(*) FROM staged_lines") == [(0,)]
    after = (await clerk.get(f"/v1/statements/{statement['id']}/lines?after=2")).json()
    assert [one["line_no"] for one in after["lines"]] == [3]
    kept = "SELECT count(*), sum(length(content)) > 0 FROM statement_file_parts"
    assert await rows(owner_database, kept) == [(1, True)]


async def test_the_same_file_is_the_same_statement_whoever_sends_it_again(
    market: Market, clerk: httpx.AsyncClient, worker: None, owner_database: Database
) -> None:
    content, id_ = file_of(market, (D1, 20_000)), new_id()
    first = await send(clerk, content, id_=id_)
    again = await send(clerk, content, id_=id_)
    other_id = await send(clerk, content)

    assert [one.json()["id"] for one in (first, again, other_id)] == [str(id_)] * 3
    assert [one.headers.get("Idempotent-Replayed") for one in (first, again, other_id)] == [
        None, "true", "true"
    ]  # fmt: skip
    taken = await send(clerk, file_of(market, (D1, 30_000)), id_=id_)
    assert (taken.status_code, taken.json()["code"]) == (409, "statement_id_taken")
    assert await rows(owner_database, "SELECT count(*) FROM statements") == [(1,)]


async def test_a_wrong_total_is_refused_kept_as_evidence_and_never_counted(
    market: Market, clerk: httpx.AsyncClient, worker: None, owner_database: Database
) -> None:
    content = file_of(market, (D1, 20_000), closing_vnd=1_030_000)

    statement = await read(market, clerk, content)

    assert statement["status"] == "refused"
    [problem] = [one for one in statement["problems"] if one["code"] == "closing_differs"]
    assert problem["facts"] == {"expected_vnd": 1_020_000, "found_vnd": 1_030_000}
    refused = await clerk.post(f"/v1/statements/{statement['id']}/accept")
    assert (refused.status_code, refused.json()["code"]) == (409, "statement_not_acceptable")
    gone = await clerk.post(
        f"/v1/statements/{statement['id']}/discard", json={"reason": "Tệp bị sửa"}
    )
    assert gone.json()["status"] == "discarded"
    anew = await read(market, clerk, content)
    assert (anew["status"], anew["id"] != statement["id"]) == ("refused", True)
    assert await rows(owner_database, LINES) == []


async def test_a_row_that_cannot_be_read_is_named_by_row_and_column(
    market: Market, clerk: httpx.AsyncClient, worker: None
) -> None:
    content = file_of(market, (D1, 20_000), (D1, 30_000)).replace(b",30000,", b",3o000,")

    statement = await read(market, clerk, content)

    assert statement["status"] == "refused"
    assert statement["error_count"] >= 1
    error = statement["row_errors"][0]
    assert (error["place"]["row"], error["column"], error["fault"]) == (
        7, "D", "amount_unreadable"
    )  # fmt: skip


async def test_two_honest_lines_that_read_alike_are_two_and_the_same_line_in_two_files_is_one(
    market: Market, clerk: httpx.AsyncClient, worker: None, owner_database: Database
) -> None:
    twice = (D1, 20_000)
    await accept(market, clerk, await read(market, clerk, file_of(market, twice, twice)))
    assert len(await rows(owner_database, LINES)) == 2

    longer = file_of(market, twice, twice, (D2, 7_000))
    accepted = await accept(market, clerk, await read(market, clerk, longer))

    assert (accepted["line_count"], accepted["repeat_count"]) == (3, 2)
    assert len(await rows(owner_database, LINES)) == 3
    assert await rows(owner_database, DAYS) == [
        (D1, 2, 40_000, 0, 1_040_000),
        (D2, 1, 7_000, 0, 1_047_000),
    ]


async def test_a_line_that_reads_differently_in_another_file_is_the_same_line_still(
    market: Market, clerk: httpx.AsyncClient, worker: None, owner_database: Database
) -> None:
    first = FileLine(day=D1, amount_vnd=20_000, memo="PPHKXM mua rau", reference="FT1")
    shouted = FileLine(day=D1, amount_vnd=20_000, memo="PPHKXM MUA RAU", reference="")
    await accept(market, clerk, await read(market, clerk, file_of(market, first)))

    again = await accept(market, clerk, await read(market, clerk, file_of(market, shouted)))

    assert again["repeat_count"] == 1
    assert len(await rows(owner_database, LINES)) == 1


async def test_a_later_file_that_says_something_else_of_a_day_is_refused(
    market: Market, clerk: httpx.AsyncClient, worker: None, owner_database: Database
) -> None:
    short = file_of(market, (D1, 20_000), (D1, 9_000))
    await accept(market, clerk, await read(market, clerk, short))
    more = await read(market, clerk, file_of(market, (D1, 20_000), (D1, 4_000), (D1, 4_000)))

    refused = await clerk.post(f"/v1/statements/{more['id']}/accept")

    assert (refused.status_code, refused.json()["code"]) == (409, "statement_overlaps")
    assert "1 lines are the same, 2 are only in this file, 1 only" in refused.json()["detail"]
    assert [row[2] for row in await rows(owner_database, LINES)] == [20_000, 9_000]
    assert await rows(owner_database, DAYS) == [(D1, 2, 29_000, 0, 1_029_000)]


async def test_a_day_whose_money_came_and_went_again_is_compared_and_not_gone_on_with(
    market: Market, clerk: httpx.AsyncClient, worker: None, owner_database: Database
) -> None:
    day = [(D1, 20_000), (D1, -20_000)]
    await accept(market, clerk, await read(market, clerk, file_of(market, *day)))

    again = await accept(market, clerk, await read(market, clerk, file_of(market, *day) + b"\n"))

    assert again["repeat_count"] == 2
    assert len(await rows(owner_database, LINES)) == 2


async def test_equal_amounts_are_paired_by_their_balances_before_their_order(
    market: Market, clerk: httpx.AsyncClient, worker: None, owner_database: Database
) -> None:
    """The same day as another format has it: references are lost, the newest line is first."""
    first = FileLine(day=D1, amount_vnd=20_000, memo="PPHKXM1", reference="FT1")
    second = FileLine(day=D1, amount_vnd=20_000, memo="PPHKXM2", reference="FT2")
    await accept(market, clerk, await read(market, clerk, file_of(market, first)))
    both = [
        FileLine(day=D1, amount_vnd=20_000, memo="pphkxm1"),
        second,
    ]
    longer = await read(market, clerk, file_of(market, *both))

    refused = await clerk.post(f"/v1/statements/{longer['id']}/accept")

    assert refused.json()["code"] == "statement_overlaps"
    assert "1 lines are the same, 1 are only in this file, 0 only" in refused.json()["detail"]


async def test_the_second_half_of_a_day_goes_on_where_the_first_half_ended(
    market: Market, clerk: httpx.AsyncClient, worker: None, owner_database: Database
) -> None:
    await accept(market, clerk, await read(market, clerk, file_of(market, (D1, 20_000))))
    afternoon = file_of(market, (D1, 20_000), opening_vnd=1_020_000)

    accepted = await accept(market, clerk, await read(market, clerk, afternoon))

    assert accepted["repeat_count"] == 0
    assert await rows(owner_database, DAYS) == [(D1, 2, 40_000, 0, 1_040_000)]


async def test_balances_chain_to_the_days_before_and_after_whatever_comes_first(
    market: Market, clerk: httpx.AsyncClient, worker: None
) -> None:
    await accept(market, clerk, await read(market, clerk, file_of(market, (D1, 20_000))))
    broken = await read(market, clerk, file_of(market, (D2, 5_000), opening_vnd=1_020_001))
    later = await read(market, clerk, file_of(market, (D3, 1_000), opening_vnd=1_025_000))

    refused = await clerk.post(f"/v1/statements/{broken['id']}/accept")
    await accept(market, clerk, later)
    gap = await read(market, clerk, file_of(market, (D2, 4_000), opening_vnd=1_020_000))
    before = await clerk.post(f"/v1/statements/{gap['id']}/accept")
    whole = await read(market, clerk, file_of(market, (D2, 5_000), opening_vnd=1_020_000))

    assert (refused.status_code, refused.json()["code"]) == (409, "statement_not_chained")
    assert "1,020,001" in refused.json()["detail"]
    assert "1,020,000" in refused.json()["detail"]
    assert (before.status_code, before.json()["code"]) == (409, "statement_not_chained")
    assert (await accept(market, clerk, whole))["status"] == "visible"


async def test_lines_outside_the_period_that_the_file_states_are_refused(
    market: Market, clerk: httpx.AsyncClient, worker: None
) -> None:
    footer = f"Sao kê in từ ngày {D2:%d/%m/%Y}"

    statement = await read(market, clerk, file_of(market, (D1, 20_000), (D2, 1), footer=footer))

    assert statement["status"] == "refused"
    assert {"lines_outside_period", "date_outside_period"} & {
        one["code"] for one in statement["problems"]
    }


async def test_a_month_that_is_not_over_is_known_up_to_its_last_line(
    market: Market, clerk: httpx.AsyncClient, worker: None
) -> None:
    later = TODAY + timedelta(days=20)
    content = file_of(market, (D1, 20_000)).replace(
        b"Lo", f"Từ ngày {D1:%d/%m/%Y} đến ngày {later:%d/%m/%Y}\nLo".encode(), 1
    )

    statement = await read(market, clerk, content)

    assert (statement["status"], statement["period_to"]) == ("staged", str(D1))


async def test_an_account_that_is_not_the_organisations_is_refused(
    market: Market, clerk: httpx.AsyncClient, worker: None
) -> None:
    strange = write_csv("9988776655", [FileLine(day=D1, amount_vnd=1_000)])

    by_file = await read(market, clerk, strange)
    named = await send(clerk, strange, receiving_account_id=str(uuid4()))
    other = await read(
        market,
        clerk,
        strange + b"\n",
        receiving_account_id=str(market.stall.account_id),
    )

    assert [one["code"] for one in by_file["problems"]] == ["account_unknown"]
    assert (named.status_code, named.json()["code"]) == (404, "receiving_account_not_found")
    assert "other_account" in [one["code"] for one in other["problems"]]


async def test_an_empty_file_and_one_that_is_no_statement_say_so(
    market: Market, clerk: httpx.AsyncClient, worker: None
) -> None:
    empty = await send(clerk, b"")
    picture = await read(market, clerk, b"\x89PNG\r\n\x1a\n" + bytes(200))

    assert (empty.status_code, empty.json()["code"]) == (422, "statement_file_empty")
    assert picture["status"] == "refused"
    assert len(picture["problems"]) == 1


async def test_a_day_that_has_not_come_yet_is_refused(
    market: Market, clerk: httpx.AsyncClient, worker: None
) -> None:
    tomorrow = TODAY + timedelta(days=2)

    statement = await read(market, clerk, file_of(market, (tomorrow, 1_000)))

    assert [one["code"] for one in statement["problems"]] == ["date_in_future"]


async def test_an_attempt_that_ended_midway_is_gone_on_with_and_no_line_comes_twice(
    market: Market,
    clerk: httpx.AsyncClient,
    worker_database: Database,
    owner_database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs, "CHUNK_LINES", 3)
    monkeypatch.setattr("payments.statements.reading_process.BATCH_LINES", 2)
    content = file_of(market, *[(D1, 1_000 + n) for n in range(11)])
    database = market.hub.services.database
    handlers = {kind: make(database) for kind, make in REGISTRY.job_handlers.items()}
    dies = {"insert_staged": 3, "write_lines": 2}

    def let_die(name: str) -> None:
        real = getattr(jobs.queries_lines, name)

        async def die_once(*args: Any, **facts: Any) -> None:
            dies[name] -= 1
            if dies[name] == 0:
                msg = "the worker is gone"
                raise ConnectionError(msg)
            await real(*args, **facts)

        monkeypatch.setattr(jobs.queries_lines, name, die_once)

    for name in dies:
        let_die(name)
    answer = (await send(clerk, content)).json()
    async with running(worker_database, handlers):
        statement = await wait_for_job(market, clerk, answer)
        accepted = await accept(market, clerk, statement)

    assert all(left < 0 for left in dies.values()), dies
    assert accepted["status"] == "visible"
    written = await rows(owner_database, LINES)
    assert [row[2] for row in written] == [1_000 + n for n in range(11)]


async def test_of_two_who_accept_at_once_and_of_two_files_of_one_day_each_counts_once(
    market: Market, clerk: httpx.AsyncClient, worker: None, owner_database: Database
) -> None:
    one = await read(market, clerk, file_of(market, (D1, 20_000)))
    other = await read(market, clerk, file_of(market, (D1, 20_000), (D2, 1_000)))
    paths = [f"/v1/statements/{found['id']}/accept" for found in (one, one, other)]

    answers = await asyncio.gather(*[clerk.post(path) for path in paths])

    for answer in answers:  # whoever came first, the other waits until its lines are written
        if answer.status_code == 200:
            await wait_for_job(market, clerk, answer.json())
        else:
            assert answer.json()["code"] == "statement_being_written", answer.text
    for path in paths:
        again = await clerk.post(path)
        assert again.status_code == 200, again.text
        await wait_for_job(market, clerk, again.json())
    assert sorted(row[2] for row in await rows(owner_database, LINES)) == [1_000, 20_000]


async def test_a_job_that_failed_for_good_is_queued_again_by_who_asks_again(
    market: Market,
    clerk: httpx.AsyncClient,
    worker_database: Database,
    owner_database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(service, "queue_job", partial(queue_job, attempts_max=1))
    database, content = market.hub.services.database, file_of(market, (D1, 20_000))
    handlers = {kind: make(database) for kind, make in REGISTRY.job_handlers.items()}
    fails = {"statements.read", "statements.write"}

    async def let_fail_once(attempt: Any) -> None:
        if attempt.lease.kind in fails:
            fails.remove(attempt.lease.kind)
            msg = "the database is away"
            raise ConnectionError(msg)
        await handlers[attempt.lease.kind](attempt)

    async with running(worker_database, dict.fromkeys(handlers, let_fail_once)):
        sent = (await send(clerk, content)).json()
        assert (await job_of(market, sent)).status == "failed"
        again = (await send(clerk, content)).json()
        assert again["job_id"] != sent["job_id"]
        statement = await wait_for_job(market, clerk, again)
        taken = (await clerk.post(f"/v1/statements/{statement['id']}/accept")).json()
        assert (await job_of(market, taken)).status == "failed"
        accepted = await accept(market, clerk, statement)

    assert accepted["status"] == "visible"
    assert len(await rows(owner_database, LINES)) == 1


async def test_the_same_file_for_another_account_is_told_of_the_first(
    market: Market, clerk: httpx.AsyncClient, worker: None
) -> None:
    strange = write_csv("9988776655", [FileLine(day=D1, amount_vnd=1_000)])
    await read(market, clerk, strange)

    again = await send(clerk, strange, receiving_account_id=str(market.stall.account_id))

    assert (again.status_code, again.json()["code"]) == (409, "statement_file_known")


async def test_a_statement_that_is_discarded_while_it_is_read_leaves_no_line_behind(
    market: Market,
    clerk: httpx.AsyncClient,
    worker_database: Database,
    owner_database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("payments.statements.reading_process.BATCH_LINES", 1)
    database = market.hub.services.database
    handlers = {kind: make(database) for kind, make in REGISTRY.job_handlers.items()}
    real, seen = jobs.queries_lines.insert_staged, asyncio.Event()

    async def insert_and_tell(*args: Any, **facts: Any) -> None:
        await real(*args, **facts)
        seen.set()

    monkeypatch.setattr(jobs.queries_lines, "insert_staged", insert_and_tell)
    sent = (await send(clerk, file_of(market, *[(D1, 1_000 + n) for n in range(200)]))).json()
    async with running(worker_database, handlers):
        await seen.wait()
        gone = await clerk.post(
            f"/v1/statements/{sent['id']}/discard", json={"reason": "Gửi nhầm tệp"}
        )
        await job_of(market, sent)
        await wait_until_empty(owner_database)

    assert gone.status_code == 200, gone.text
    assert (await clerk.get(f"/v1/statements/{sent['id']}")).json()["status"] == "discarded"


async def test_a_reader_that_takes_too_long_or_dies_is_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "sao-ke.csv"
    file.write_bytes(write_csv("1", [FileLine(day=D1, amount_vnd=1)]))

    slow = [one async for one in read_in_process(file, ReadingOptions(), within_s=0.001)]
    whole = [one async for one in read_in_process(file, ReadingOptions())]
    died = [one async for one in read_in_process(tmp_path / "is-not-there", ReadingOptions())]

    assert [one.refused and one.refused.reason for one in slow] == ["too_slow"]
    assert [one.summary is not None for one in whole] == [True]
    assert [one.refused and one.refused.reason for one in died] == ["reader_died"]


async def test_nobody_sees_or_accepts_another_organisations_statement(
    market: Market, clerk: httpx.AsyncClient, worker: None
) -> None:
    await add_market(market.admin)
    statement = await read(market, clerk, file_of(market, (D1, 20_000)))
    path = f"/v1/statements/{statement['id']}"

    seen = await market.admin.get(path, params={"org": "DXA2"})
    taken = await market.admin.post(f"{path}/accept", params={"org": "DXA2"})

    assert (seen.status_code, taken.status_code) == (404, 404)
    assert (await market.admin.get("/v1/statements", params={"org": "DXA2"})).json() == {
        "statements": [], "next_cursor": None
    }  # fmt: skip


async def test_an_accepted_statement_cannot_be_discarded(
    market: Market, clerk: httpx.AsyncClient, worker: None
) -> None:
    statement = await read(market, clerk, file_of(market, (D1, 20_000)))
    await accept(market, clerk, statement)

    refused = await clerk.post(f"/v1/statements/{statement['id']}/discard", json={"reason": "Nhầm"})

    assert (refused.status_code, refused.json()["code"]) == (409, "statement_not_discardable")
