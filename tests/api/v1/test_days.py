"""Days of the books over the API: the list, the day board, closing once, and going live."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from core.clock import day_bounds, hanoi_day, read_clock
from core.db import Database
from core.ids import new_id
from payments.closing.service import read_sections
from payments.ledger.verifying import verify_books
from tests.world.markets import Market
from tests.world.stalls import another_stall

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

TODAY = hanoi_day(read_clock())
YESTERDAY, BEFORE = TODAY - timedelta(days=1), TODAY - timedelta(days=2)


@pytest.fixture
async def clerk(market: Market) -> httpx.AsyncClient:
    """Somebody of the market's finance."""
    return await market.staff("ke-toan", "finance")


@pytest.fixture
async def second(market: Market) -> httpx.AsyncClient:
    """Another one."""
    return await market.staff("ke-toan-2", "finance")


async def close(clerk: httpx.AsyncClient, day: Any = YESTERDAY, key: str = "") -> httpx.Response:
    headers = {"Idempotency-Key": key} if key else {}
    return await clerk.post(f"/v1/days/{day}/close", headers=headers)


async def link_of(market: Market, clerk: httpx.AsyncClient) -> str:
    found = (await clerk.get("/v1/accounts")).json()["accounts"]
    (link,) = [one["id"] for one in found
               if one["receiving_account_id"] == str(market.stall.account_id)]  # fmt: skip
    return str(link)


async def pay_yesterday(market: Market, amount_vnd: int) -> None:
    noon = day_bounds(YESTERDAY)[0] + timedelta(hours=12)
    bill = await market.add_bill(amount_vnd=amount_vnd, now=noon)
    await market.pay(bill, amount_vnd=amount_vnd, now=noon, occurred_at=noon)


async def test_a_day_is_looked_at_closed_and_told_to_the_world(
    market: Market,
    clerk: httpx.AsyncClient,
    owner_database: Database,
    worker_database: Database,
) -> None:
    await pay_yesterday(market, 20_000)

    before = (await clerk.get(f"/v1/days/{YESTERDAY}")).json()
    assert (before["status"], before["reasons"], before["hash"]) == ("ready", [], None)
    assert [one["code"] for one in before["told"]] == ["closed_two_ways"]
    (account,) = before["accounts"]
    figures = (
        "proof", "is_two_way", "credits", "called_back_vnd", "matched_vnd", "progress_bp",
        "is_ready",
    )  # fmt: skip
    assert [account[name] for name in figures] == [
        "callbacks_only", True, 1, 20_000, 20_000, 10_000, True
    ]  # fmt: skip
    today = (await clerk.get(f"/v1/days/{TODAY}")).json()["accounts"][0]
    assert (today["bills"], today["billed_vnd"]) == (1, 20_000)  # by the time in its id
    assert account["account_number"].startswith("…")

    closed = (await close(clerk)).json()

    assert (closed["status"], closed["postings"], closed["carried_vnd"]) == ("closed", 1, 20_000)
    assert closed["is_two_way"] is True
    assert closed["accounts"][0]["carried_vnd"] == 20_000
    days = (await clerk.get("/v1/days", params={"limit": 2})).json()
    assert [(one["day"], one["status"]) for one in days["days"]] == [
        (str(TODAY), "open"), (str(YESTERDAY), "closed")
    ]  # fmt: skip
    assert days["days"][1]["hash"] == closed["hash"]
    assert days["next_before"] is None
    async with owner_database.begin() as session:
        query = text("SELECT data FROM events WHERE kind = 'day.closed'")
        event = (await session.execute(query)).scalar_one()
    assert event == {
        "day": str(YESTERDAY), "hash": closed["hash"], "postings": 1, "carried_vnd": 20_000,
        "statement_accounts": 0, "callbacks_only_accounts": 1, "closed_over_accounts": 0,
    }  # fmt: skip
    found = await verify_books(worker_database, market.stall.org.id, read_sections=read_sections)
    assert (found.days, found.fault) == (1, None)


async def test_a_close_that_is_sent_again_answers_the_day_as_it_is(
    market: Market, clerk: httpx.AsyncClient
) -> None:
    first = await close(clerk, key="khoa-1")
    again = await close(clerk, key="khoa-1")

    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json()["hash"] == again.json()["hash"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    other = await close(clerk, key="khoa-2")
    assert (other.status_code, other.json()["code"]) == (409, "day_closed")
    reused = await close(clerk, TODAY, key="khoa-1")
    assert (reused.status_code, reused.json()["code"]) == (409, "idempotency_key_reused")


async def test_one_request_that_comes_five_times_at_once_closes_once_and_answers_each(
    market: Market, clerk: httpx.AsyncClient, owner_database: Database
) -> None:
    await pay_yesterday(market, 20_000)

    answers = await asyncio.gather(*(close(clerk, key="khoa-1") for _ in range(5)))

    assert [one.status_code for one in answers] == [200] * 5
    assert len({one.json()["hash"] for one in answers}) == 1
    async with owner_database.begin() as session:
        count = await session.execute(text("SELECT count(*) FROM ledger_days"))
        events = await session.execute(
            text("SELECT count(*) FROM events WHERE kind = 'day.closed'")
        )
        assert (count.scalar_one(), events.scalar_one()) == (1, 1)


async def test_a_day_that_is_not_over_says_so_and_days_come_in_their_order(
    market: Market, clerk: httpx.AsyncClient
) -> None:
    refused = await close(clerk, TODAY)
    assert (refused.status_code, refused.json()["code"]) == (409, "day_not_ready")
    assert [(v["field"], v["code"]) for v in refused.json()["violations"]] == [
        ("day", "day_not_over")
    ]
    await close(clerk, BEFORE)
    skipped = await close(clerk, TODAY)
    assert (skipped.status_code, skipped.json()["code"]) == (409, "day_not_next")
    shown = (await clerk.get(f"/v1/days/{TODAY}")).json()
    assert [one["code"] for one in shown["reasons"]] == ["day_not_over", "earlier_day_open"]
    assert shown["reasons"][1]["facts"] == {"day": str(YESTERDAY)}
    ahead = await clerk.get(f"/v1/days/{TODAY + timedelta(days=2)}")
    assert (ahead.status_code, ahead.json()["code"]) == (409, "day_ahead")


async def test_an_account_goes_live_by_two_people_and_is_closed_over_by_two(
    market: Market, clerk: httpx.AsyncClient, second: httpx.AsyncClient
) -> None:
    assert (await close(clerk, BEFORE)).status_code == 200
    at = f"/v1/accounts/{await link_of(market, clerk)}"
    body = {"day": str(YESTERDAY), "amount_vnd": 1_000_000}
    key = {"Idempotency-Key": "so-du"}
    proposed = await clerk.post(f"{at}/opening-balance", json=body, headers=key)
    assert proposed.status_code == 201, proposed.text
    again = await clerk.post(f"{at}/opening-balance", json=body, headers=key)
    assert again.json()["id"] == proposed.json()["id"]
    assert again.headers["Idempotent-Replayed"] == "true"
    confirm = f"{at}/opening-balance/{proposed.json()['id']}/confirm"
    alone = await clerk.post(confirm)
    assert (alone.status_code, alone.json()["code"]) == (403, "opening_needs_another")
    confirmed = await second.post(confirm)
    assert (confirmed.status_code, confirmed.json()["bank_vnd"]) == (200, 1_000_000)
    shown = (await clerk.get(f"{at}/proof")).json()
    assert (shown["proof"], shown["from_day"]) == ("statement", str(YESTERDAY))

    refused = (await close(clerk)).json()
    field = f"accounts.{market.stall.account_id}"
    assert [(v["field"], v["code"]) for v in refused["violations"]] == [
        (field, "statement_missing")
    ]
    over = f"/v1/days/{YESTERDAY}/accounts/{market.stall.account_id}/close-over"
    why = {"reason": "ngân hàng nghỉ"}
    assert (await clerk.post(over, json=why)).json()["by_2"] is None
    both = (await second.post(over, json=why)).json()
    assert both["by_1"] != both["by_2"]
    closed = (await close(clerk)).json()
    (account,) = closed["accounts"]
    assert (account["proof"], account["over_by_1"], account["over_by_2"]) == (
        "closed_over", both["by_1"], both["by_2"]
    )  # fmt: skip
    assert (account["bank_vnd"], account["carried_count"]) == (1_000_000, 0)
    put = await clerk.put(f"{at}/proof", json={"proof": "callbacks_only", "from_day": str(TODAY)})
    assert (put.status_code, put.json()["proof"]) == (200, "callbacks_only")
    late = await clerk.put(f"{at}/proof", json={"proof": "statement", "from_day": str(YESTERDAY)})
    assert (late.status_code, late.json()["code"]) == (409, "day_not_open")
    items = (await clerk.get(f"{at}/carried-items")).json()
    assert items == {"items": [], "next_cursor": None}
    ended = await clerk.post(f"{at}/opening-balance/{proposed.json()['id']}/end", json=why)
    assert (ended.status_code, ended.json()["code"]) == (409, "day_not_open")


async def test_who_may_read_the_books_does_not_close_them(market: Market) -> None:
    manager = await market.staff("quan-ly", "manager")

    assert (await manager.get(f"/v1/days/{YESTERDAY}")).status_code == 200
    for answer in (
        await close(manager),
        await manager.post(
            f"/v1/days/{YESTERDAY}/accounts/{market.stall.account_id}/close-over",
            json={"reason": "x"},
        ),
        await manager.put(
            f"/v1/accounts/{new_id()}/proof",
            json={"proof": "statement", "from_day": str(TODAY)},
        ),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


async def test_accounts_of_a_day_come_in_pages(market: Market, clerk: httpx.AsyncClient) -> None:
    for _ in range(2):
        await another_stall(market.database, market.stall)
    seen: list[UUID] = []
    cursor = None
    while True:
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await clerk.get(f"/v1/days/{YESTERDAY}", params=params)).json()
        seen += [UUID(one["receiving_account_id"]) for one in page["accounts"]]
        assert page["account_count"] == 3
        if (cursor := page["next_cursor"]) is None:
            break
    assert seen == sorted(seen)
    assert len(set(seen)) == 3
