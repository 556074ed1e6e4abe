"""Bills on the payOS rail over HTTP: asked for, waited for, shown on every screen, cancelled."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from payments.polling.client import open_client
from payments.rails import calls
from payments.vietqr import parse
from tests.world.cities import employ
from tests.world.constants import BUSY_S
from tests.world.hubs import Hub
from tests.world.markets import Market, set_up_market
from tests.world.pages import text_of
from tests.world.rails import RailStall, connect_to_payos, payos_sandbox_for

pytestmark = pytest.mark.anyio


@pytest.fixture
async def market(hub: Hub) -> Market:
    """A market whose stall's account payOS reports on."""
    return await set_up_market(hub, provider="payos")


@pytest.fixture
async def place(hub: Hub, market: Market) -> AsyncIterator[RailStall]:
    """The stall's payOS."""
    database, sealer = hub.services.database, hub.services.sealer
    async with open_client() as client:
        with payos_sandbox_for(database, database, sealer, market.stall, client) as made:
            await connect_to_payos(made)
            yield made


def path_of(bill: dict[str, Any]) -> str:
    """Return the pay page of a bill at the hub of the test, whatever its public address."""
    return httpx.URL(bill["pay_url"]).path


async def a_vendor(market: Market) -> httpx.AsyncClient:
    """Let the stall's owner sign in."""
    facts = {"org": market.stall.org.code, "payee_id": market.stall.payee_id}
    answer = await employ(market.admin, "vendor", "vendor_owner", **facts)
    assert answer.status_code == 201, answer.text
    return await market.hub.browser("vendor")


async def test_a_bill_on_payos_is_answered_with_its_code(market: Market, place: RailStall) -> None:
    bill = await market.open_bill(rail="payos")

    assert (bill["rail"], bill["code_state"], bill["code_problem"]) == ("payos", "ready", None)
    code = parse(bill["vietqr"])
    assert code.account == bill["receiving_account"]["account_number"]
    assert bill["checkout_url"].startswith("http")
    for link in bill["links"].values():
        assert (await market.till.get(link)).status_code == 200, link
    shown = (await market.till.get(bill["links"]["self"])).json()
    assert (shown["vietqr"], shown["rail"]) == (bill["vietqr"], "payos")


async def test_without_a_word_a_bill_is_on_no_rail_of_others(
    market: Market, place: RailStall
) -> None:
    bill = await market.open_bill()

    assert (bill["rail"], bill["code_state"], bill["checkout_url"]) == ("vietqr", "ready", None)
    assert place.count_orders() == 0


async def test_a_repeat_gets_the_same_bill_and_another_rail_is_another_request(
    market: Market, place: RailStall
) -> None:
    key = {"Idempotency-Key": "order-1"}
    body = market.bill_body(rail="payos")

    answers = await asyncio.gather(
        *(market.till.post("/v1/bills", json=body, headers=key) for _ in range(3))
    )
    other = await market.till.post("/v1/bills", json=market.bill_body(), headers=key)

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert place.count_orders() == 1
    assert other.json()["code"] == "idempotency_key_reused"


@pytest.mark.parametrize(
    ("facts", "code"),
    [({"amount_vnd": None}, "rail_needs_amount"), ({"rail": "card"}, "invalid_request")],
)
async def test_what_payos_cannot_open_is_refused(
    market: Market, place: RailStall, facts: dict[str, Any], code: str
) -> None:
    body = market.bill_body(**{"rail": "payos", **facts})

    answer = await market.till.post("/v1/bills", json=body)

    assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_an_account_without_keys_at_payos_is_refused_and_a_batch_too(
    market: Market,
) -> None:
    alone = await market.till.post("/v1/bills", json=market.bill_body(rail="payos"))
    batch = await market.till.post(
        "/v1/bills/batch", json={"bills": [market.bill_body(rail="payos")]}
    )

    assert (alone.status_code, alone.json()["code"]) == (409, "rail_not_available")
    assert batch.json()["results"][0]["problem"]["code"] == "invalid_request"


@pytest.mark.slow
async def test_while_payos_is_called_every_screen_waits_and_then_shows_the_code(
    hub: Hub, market: Market, place: RailStall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "CALL_TIMEOUT_S", 0.3)
    place.fail(api_fault="no_answer", api_calls_left=1)
    bill = await market.open_bill(rail="payos")
    stranger = hub.new_client(Accept="text/html", **{"Accept-Language": "vi"})
    vendor = await a_vendor(market)
    counter = f"/counter/bills/{bill['id']}"

    assert (bill["code_state"], bill["vietqr"], bill["status"]) == ("pending", None, "open")
    picture = await market.till.get(bill["links"]["qr_svg"])
    assert (picture.status_code, picture.json()["code"]) == (409, "bill_code_pending")
    shown = {path_of(bill): "Đang xin mã từ payOS", counter: "Chưa rõ payOS đã tạo mã hay chưa"}
    for page in (await stranger.get(path_of(bill)), await vendor.get(counter)):
        assert page.status_code == 200
        assert shown[page.request.url.path] in text_of(page)
        assert "data-under-way" in page.text
        assert '<div class="qr"' not in page.text

    await place.resume(await place.read_id(bill["id"]))

    shown = (await market.till.get(bill["links"]["self"])).json()
    assert (shown["code_state"], parse(shown["vietqr"]).amount_vnd) == ("ready", 20_000)
    account = shown["receiving_account"]["account_number"]
    for page in (await stranger.get(path_of(bill)), await vendor.get(counter)):
        assert "data-under-way" not in page.text
        assert '<div class="qr"' in page.text
        assert account in text_of(page)


async def test_what_payos_refuses_is_said_in_plain_words(
    hub: Hub, market: Market, place: RailStall
) -> None:
    place.sandbox.delete(f"/control/subscriptions/{place.subscription_id}")
    bill = await market.open_bill(rail="payos")
    stranger = hub.new_client(Accept="text/html", **{"Accept-Language": "vi"})
    vendor = await a_vendor(market)

    assert (bill["code_state"], bill["code_problem"]) == ("failed", "keys_refused")
    picture = await market.till.get(bill["links"]["qr_png"])
    assert (picture.status_code, picture.json()["code"]) == (409, "bill_code_failed")
    paying = text_of(await stranger.get(path_of(bill)))
    assert "Chưa có mã để trả" in paying
    assert bill["receiving_account"]["account_number"] not in paying
    assert "payOS không nhận khóa" in text_of(await vendor.get(f"/counter/bills/{bill['id']}"))


async def test_check_the_payment_brings_an_unanswered_order_to_its_end(
    market: Market, place: RailStall
) -> None:
    place.fail(api_fault="error_before", api_calls_left=1)
    bill = await market.open_bill(rail="payos")
    async with market.hub.services.database.begin() as session:
        await session.execute(text(f"SET LOCAL app.org_id = '{market.stall.org.id}'"))
        await session.execute(text("UPDATE rail_requests SET next_attempt_at = created_at"))

    answer = await market.till.post(f"/v1/bills/{bill['id']}/check")

    assert answer.status_code == 200, answer.text
    assert answer.json()["bill"]["code_state"] == "ready"


@pytest.mark.slow
@pytest.mark.parametrize("is_at_the_counter", [False, True])
async def test_a_check_of_a_silent_payos_is_answered_within_five_seconds(
    market: Market, place: RailStall, is_at_the_counter: bool
) -> None:
    """An order of which nobody knows, and its bill's money, are both asked for in that time."""
    place.fail(api_fault="error_after", api_calls_left=1)
    bill = await market.open_bill(rail="payos")
    place.fail(api_on="show", api_fault="no_answer")
    await place.pass_time(timedelta(minutes=1))
    vendor = await a_vendor(market)
    started_s = time.monotonic()

    if is_at_the_counter:
        answer = await vendor.post(f"/counter/bills/{bill['id']}/check")
    else:
        answer = await market.till.post(f"/v1/bills/{bill['id']}/check")

    assert time.monotonic() - started_s < 5 + BUSY_S
    if is_at_the_counter:
        assert (answer.status_code, "checked=failed" in answer.headers["location"]) == (303, True)
    else:
        assert (answer.status_code, answer.json()["code"]) == (503, "provider_did_not_respond")
