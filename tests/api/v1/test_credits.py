"""Payments as people sort them, the day's totals, breaks, and the stream of events."""

from typing import Any
from uuid import UUID

import anyio
import pytest
from sqlalchemy import text

from core.clock import hanoi_day, read_clock
from payments.bills.references import make_reference
from tests.world.markets import Market
from tests.world.notices import process_waiting, sepay_body, store_notices
from tests.world.payees import a_payee, an_account
from tests.world.stalls import a_payable_stall

pytestmark = pytest.mark.anyio


async def receive(
    market: Market, *, amount_vnd: int = 50_000, memo: str = "mua rau", **facts: Any
) -> dict[str, Any]:
    """Let the bank report money on the stall's account; return the payment."""
    now = read_clock()
    database = market.hub.services.database
    body = sepay_body(market.stall, amount_vnd=amount_vnd, memo=memo, occurred_at=now, **facts)
    await store_notices(database, market.stall, body, now=now)
    await process_waiting(database, market.stall, now=now)
    found: list[dict[str, Any]] = (await market.till.get("/v1/credits")).json()["credits"]
    return found[0]


async def share_account(market: Market) -> UUID:
    """Let a second stall use the same account, without virtual accounts."""
    async with market.hub.services.database.begin() as session:
        await session.execute(text(f"SET LOCAL app.org_id = '{market.stall.org.id}'"))
        payee_id = await a_payee(session, market.stall.org)
        await an_account(
            session,
            market.stall.org,
            payee_id,
            account_number=market.stall.account_number,
            is_tested=False,
        )
    return payee_id


async def totals(market: Market) -> dict[str, Any]:
    """Return today's totals of the stall."""
    query = {"payee_id": str(market.stall.payee_id), "on": hanoi_day(read_clock()).isoformat()}
    answer = await market.till.get("/v1/totals", params=query)
    found: dict[str, Any] = answer.json()
    return found


async def test_a_counter_sale_is_in_the_totals_until_it_is_family_money(market: Market) -> None:
    cashier = await market.staff("co.lan", "cashier", payee_id=market.stall.payee_id)
    credit = await receive(market)
    assert (credit["verdict"], credit["rule"]) == ("counter_sale", "sole_payee")
    assert (await totals(market))["takings_vnd"] == 50_000

    path = f"/v1/credits/{credit['id']}"
    family = await cashier.post(f"{path}/not-takings", json={"reason": "con gửi"})
    said = family.json()
    assert (said["verdict"], said["reason"]) == ("not_takings", "not_takings_by")
    assert said["reason_facts"]["words"] == "con gửi"
    assert (await totals(market))["takings_vnd"] == 0
    again = await cashier.post(f"{path}/takings")
    assert again.json()["verdict"] == "counter_sale"
    sums = await totals(market)
    assert sums["takings_vnd"] == 50_000
    assert sums["by_verdict"] == {"counter_sale": {"count": 1, "amount_vnd": 50_000}}


async def test_a_payment_without_its_memo_is_confirmed_for_the_bill(market: Market) -> None:
    cashier = await market.staff("co.lan", "cashier", payee_id=market.stall.payee_id)
    bill = await market.open_bill(amount_vnd=50_000)
    credit = await receive(market)
    assert credit["suggested_bill_id"] == bill["id"]

    path = f"/v1/credits/{credit['id']}"
    confirmed = await cashier.post(f"{path}/confirm", json={"bill_id": bill["id"]})

    assert (confirmed.json()["verdict"], confirmed.json()["rule"]) == ("settle", "confirmed")
    assert (await market.till.get(f"/v1/bills/{bill['id']}")).json()["status"] == "paid"
    refused = await cashier.post(f"{path}/not-takings", json={})
    assert (refused.status_code, refused.json()["code"]) == (409, "credit_not_correctable")


async def test_of_two_stalls_on_one_account_the_first_to_tap_has_it(market: Market) -> None:
    neighbour = await share_account(market)
    own = await market.staff("co.lan", "cashier", payee_id=market.stall.payee_id)
    other = await market.staff("co.ba", "cashier", payee_id=neighbour)
    credit = await receive(market)
    assert (credit["verdict"], credit["payee_id"]) == ("unassigned", None)
    path = f"/v1/credits/{credit['id']}"
    assert [c["id"] for c in (await own.get("/v1/credits")).json()["credits"]] == [credit["id"]]
    assert (await own.post(f"{path}/not-takings", json={})).status_code == 409

    mine = {"payee_id": str(market.stall.payee_id)}
    assert (await other.post(f"{path}/assign", json=mine)).status_code == 404
    due = await own.post(f"{path}/assign", json=mine)
    late = await market.admin.post(
        f"{path}/assign", json={"payee_id": str(neighbour)}, params=market.org
    )

    assert (due.json()["verdict"], due.json()["rule"]) == ("counter_sale", "assigned")
    assert late.status_code in (404, 409)
    assert (await other.get("/v1/credits")).json()["credits"] == []


async def test_payments_are_hidden_from_other_organisations(market: Market) -> None:
    await a_payable_stall(market.hub.services.database, code="QBSH", is_live=False)
    stranger = await market.hub.machine(market.admin, "sales.read", org="QBSH")
    credit = await receive(market)

    assert (await stranger.get(f"/v1/credits/{credit['id']}")).status_code == 404
    assert (await stranger.get("/v1/credits")).json()["credits"] == []
    query = {"payee_id": str(market.stall.payee_id), "on": "2026-11-20"}
    assert (await stranger.get("/v1/totals", params=query)).status_code == 404


async def test_payments_are_filtered_by_day_and_verdict_and_come_in_pages(market: Market) -> None:
    for _ in range(3):
        await receive(market)
    today = hanoi_day(read_clock()).isoformat()

    async def count(**query: Any) -> int:
        return len((await market.till.get("/v1/credits", params=query)).json()["credits"])

    assert await count(on=today, verdict="counter_sale") == 3
    assert await count(on="2026-01-01") == 0
    assert await count(verdict=["settle", "part"]) == 0
    first = (await market.till.get("/v1/credits", params={"limit": 2})).json()
    rest = (await market.till.get("/v1/credits", params={"cursor": first["next_cursor"]})).json()
    assert len({c["id"] for c in first["credits"] + rest["credits"]}) == 3


async def test_a_payers_account_is_never_shown_whole(market: Market) -> None:
    credit = await receive(market)
    async with market.hub.services.database.begin() as session:
        await session.execute(text(f"SET LOCAL app.org_id = '{market.stall.org.id}'"))
        stored = await session.scalar(text("SELECT payer_account FROM bank_transactions"))

    assert stored is None or credit["payer_account"] == f"…{stored[-4:]}"


async def test_a_break_is_closed_once_with_a_reason(market: Market) -> None:
    finance = await market.staff("ketoan", "finance")
    bill = await market.open_bill()
    await receive(market, amount_vnd=20_500, memo=bill["reference"])
    (found,) = (await finance.get("/v1/breaks", params={"is_open": True})).json()["breaks"]
    assert (found["kind"], found["bill_id"]) == ("refund_due", bill["id"])
    path = f"/v1/breaks/{found['id']}/close"

    assert (await market.till.post(path, json={"resolution": "x"})).status_code == 403
    closed = await finance.post(path, json={"resolution": "đã trả lại 500 ₫"})
    again = await finance.post(path, json={"resolution": "đã trả lại 500 ₫"})
    other = await finance.post(path, json={"resolution": "khác"})

    assert closed.json() == again.json()
    assert (other.status_code, other.json()["code"]) == (409, "break_closed")
    assert (await finance.get("/v1/breaks", params={"is_open": True})).json()["breaks"] == []
    missing = await finance.post(path.replace(found["id"], bill["id"]), json={"resolution": "x"})
    assert missing.json()["code"] == "break_not_found"


async def test_finance_decides_about_breaks_with_money(market: Market) -> None:
    finance = await market.staff("ketoan", "finance")
    for _ in range(2):
        await receive(market, amount_vnd=20_000, memo="pho", bank_reference="FT26324000123")
    await receive(market, amount_vnd=30_000, memo=make_reference("HKXM", 999_999))
    found = (await finance.get("/v1/breaks", params={"is_open": True})).json()["breaks"]
    path_of = {one["kind"]: f"/v1/breaks/{one['id']}" for one in found}
    twice, unknown = path_of["possible_duplicate"], path_of["unknown_reference"]
    payee = {"payee_id": str(market.stall.payee_id)}

    assert (await market.till.post(f"{twice}/admit")).status_code == 403
    assert (await finance.post(f"{unknown}/admit")).json()["code"] == "break_not_decidable"
    same = [await finance.post(f"{twice}/same-money") for _ in range(2)]
    assert [one.json()["resolution"] for one in same] == ["same_money"] * 2
    assert (await finance.post(f"{twice}/admit")).json()["code"] == "break_closed"
    assert (await finance.post(f"{unknown}/assign", json={})).status_code == 422
    assigned = await finance.post(f"{unknown}/assign", json=payee)

    assert assigned.json()["resolution"] == "counter_sale"
    credits_now = (await finance.get("/v1/credits")).json()["credits"]
    verdicts = sorted(one["verdict"] for one in credits_now)
    assert verdicts == ["counter_sale", "counter_sale", "same_money"]


async def test_a_stream_tells_a_stall_of_its_own_money(market: Market) -> None:
    cashier = await market.staff("co.lan", "cashier", payee_id=market.stall.payee_id)
    with anyio.fail_after(10):
        async with cashier.stream("GET", "/v1/events") as stream:
            assert stream.status_code == 200
            assert stream.headers["content-type"].startswith("text/event-stream")
            credit = await receive(market)
            async for line in stream.aiter_lines():
                if line.startswith("data:") and credit["id"] in line:
                    break
    other = await cashier.get("/v1/events", params={"payee_id": str(market.stall.org.id)})
    assert other.status_code == 403
    missing = await market.till.get("/v1/events", params={"bill_id": str(market.stall.org.id)})
    assert missing.json()["code"] == "bill_not_found"
