"""A stall on payOS at the counter: its code, the states on the way to it, and what instead."""

import asyncio
import re
from collections.abc import AsyncIterator

import httpx
import pytest
from sqlalchemy import text

from api.counter import create
from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from payments.bills.rules import BillFacts
from payments.polling.client import open_client
from payments.rails import calls
from tests.world.constants import VCB
from tests.world.endpoints import an_endpoint
from tests.world.hubs import Hub
from tests.world.markets import Market, set_up_market
from tests.world.pages import let_in, submit, text_of
from tests.world.rails import RailStall, connect_to_payos, payos_sandbox_for
from tests.world.waits import wait_until

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

CODE = '<div class="qr"'
SOON_S = 0.4


@pytest.fixture
async def market(hub: Hub) -> Market:
    """A market whose stall's account payOS alone reports on."""
    return await set_up_market(hub, provider="payos")


@pytest.fixture
async def place(hub: Hub, market: Market, owner_database: Database) -> AsyncIterator[RailStall]:
    """The stall's payOS."""
    database, sealer = hub.services.database, hub.services.sealer
    async with open_client() as client:
        with payos_sandbox_for(database, owner_database, sealer, market.stall, client) as made:
            await connect_to_payos(made)
            yield made


@pytest.fixture
async def vendor(market: Market, place: RailStall) -> httpx.AsyncClient:
    return await let_in(market, "vendor_owner")


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call is given up after a moment."""
    monkeypatch.setattr(calls, "CALL_TIMEOUT_S", SOON_S)


async def key(vendor: httpx.AsyncClient, **fields: str) -> tuple[str, httpx.Response]:
    """Key 20.000 ₫; return the bill's address and its page."""
    return await submit(vendor, "/counter/bills", {"amount": "20", **fields})


def renewed_id_of(page: httpx.Response) -> str:
    """Read the id that a form of the page opens the next bill under."""
    found = re.search(r'name="renewed_id" value="([^"]+)"', page.text)
    assert found is not None
    return found[1]


async def pay(place: RailStall, bill: BillFacts, amount_vnd: int) -> None:
    """Pay to the order's own account, and take payOS's callback about it."""
    count = len(place.receiver.received)
    body = {"bin": VCB, "number": bill.code_account, "amount_vnd": amount_vnd, "memo": "tra"}
    place.sandbox.post("/control/transfer", json=body).raise_for_status()
    wait_until(lambda: len(place.receiver.received) > count)
    await place.push(place.receiver.received[-1])


async def sql(place: RailStall, statement: str) -> None:
    async with place.owner.begin() as session:
        await session.execute(text(statement))


async def test_a_keyed_amount_is_an_order_at_payos_and_shows_its_code(
    vendor: httpx.AsyncClient, place: RailStall
) -> None:
    path, page = await key(vendor)

    bill = await place.read_id(path.rpartition("/")[2])
    assert (bill.rail, bill.rail_status) == ("payos", "open")
    assert place.order(bill.provider_order_id)["status"] == "PENDING"
    assert CODE in page.text
    assert bill.code_account in text_of(page)
    assert "Qua payOS" in text_of(page)
    assert "data-under-way" not in page.text


async def test_a_form_that_is_sent_twice_at_once_makes_one_order(
    vendor: httpx.AsyncClient, place: RailStall
) -> None:
    form = {"amount": "20", "bill_id": str(new_id())}

    answers = await asyncio.gather(*(vendor.post("/counter/bills", data=form) for _ in range(4)))

    assert {answer.headers["location"] for answer in answers} == {
        f"/counter/bills/{form['bill_id']}"
    }
    assert place.count_orders() == 1


async def test_a_slow_payos_is_not_waited_for_and_its_code_comes_by_itself(
    vendor: httpx.AsyncClient, place: RailStall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(create, "CODE_AWAITED_S", 0.05)
    place.fail(api_slow_ms=700, api_calls_left=1)

    path, page = await key(vendor)

    assert "data-under-way" in page.text
    assert CODE not in page.text
    for words in ("Đã ghi khoản thu", "Đang gọi payOS", "Hiện mã cho khách"):
        assert words in text_of(page)
    assert "Chưa rõ" not in text_of(page)
    for _ in range(40):
        await asyncio.sleep(0.1)
        page = await vendor.get(path)
        if "data-under-way" not in page.text:
            break
    assert CODE in page.text
    assert place.count_orders() == 1


async def test_a_call_that_should_have_ended_is_said_to_be_late(
    vendor: httpx.AsyncClient, place: RailStall
) -> None:
    path, _ = await key(vendor)
    await sql(place, "UPDATE rail_requests SET status = 'pending', payload = NULL")
    page = await vendor.get(path)
    assert "Đang xin mã từ payOS" in text_of(page)
    assert "Hủy khoản" in text_of(page)

    await sql(place, "UPDATE bills SET created_at = created_at - interval '21 seconds'")
    page = await vendor.get(path)

    assert "payOS chưa trả lời" in text_of(page)
    assert page.text.count(f"{path}/cancel") == 1


async def test_while_the_result_is_unknown_no_other_code_is_made(
    vendor: httpx.AsyncClient, place: RailStall, soon: None
) -> None:
    place.fail(api_fault="no_answer", api_calls_left=1)
    path, page = await key(vendor)
    assert "Chưa rõ payOS đã tạo mã hay chưa" in text_of(page)
    assert "Đang tra cứu ở payOS" in text_of(page)
    assert CODE not in page.text
    for instead in ("again", "direct"):
        assert f"{path}/{instead}" not in page.text
        after, _ = await submit(vendor, f"{path}/{instead}")
        assert after == path

    assert place.count_orders() == 1
    bill = await place.resume(await place.read_id(path.rpartition("/")[2]))
    page = await vendor.get(path)
    assert CODE in page.text
    assert bill.code_account in text_of(page)


async def test_what_payos_refuses_can_be_tried_again(
    vendor: httpx.AsyncClient, place: RailStall
) -> None:
    subscription = place.sandbox.get("/control/subscriptions").json()["subscriptions"][0]
    place.sandbox.delete(f"/control/subscriptions/{subscription['id']}")
    path, page = await key(vendor, note="bàn 3")
    assert "payOS không tạo được mã" in text_of(page)
    assert "payOS không nhận khóa" in text_of(page)
    place.introduce()

    pressed = await asyncio.gather(*(submit(vendor, f"{path}/again") for _ in range(3)))

    assert {where for where, _ in pressed} == {path}
    page = await vendor.get(path)
    assert CODE in page.text
    assert "bàn 3" in text_of(page)
    assert place.count_orders() == 1
    bill = await place.read_id(path.rpartition("/")[2])
    assert (bill.status, bill.rail_status, bill.rail_problem) == ("open", "open", None)


async def test_cash_taken_back_brings_a_new_code_where_payos_has_closed_the_old_one(
    vendor: httpx.AsyncClient, place: RailStall
) -> None:
    path, _ = await key(vendor)
    bill = await place.read_id(path.rpartition("/")[2])
    await pay(place, bill, 12_000)
    cash = {"cash_id": str(new_id()), "amount_vnd": "8000"}
    await submit(vendor, f"{path}/cash", cash)
    await place.resume(bill)  # the worker: paid in another way
    assert place.order(bill.provider_order_id)["status"] == "CANCELLED"

    await submit(vendor, f"{path}/cash-back", {"payment_id": cash["cash_id"]})

    for _ in range(40):
        page = await vendor.get(path)
        if "data-under-way" not in page.text:
            break
        await asyncio.sleep(0.1)
    assert CODE in page.text
    assert 'data-code-vnd="8000"' in page.text
    renewed = await place.read_id(bill.id)
    assert renewed.code_account != bill.code_account
    assert place.order(renewed.provider_order_id)["status"] == "PENDING"


async def test_a_part_paid_bill_whose_code_was_closed_says_so_and_gets_a_new_one(
    vendor: httpx.AsyncClient, place: RailStall
) -> None:
    path, _ = await key(vendor)
    bill = await place.read_id(path.rpartition("/")[2])
    await pay(place, bill, 12_000)
    await sql(place, "UPDATE rail_requests SET status = 'cancelled'")

    page = await vendor.get(path)

    assert "Mã payOS của khoản này đã đóng" in text_of(page)
    assert f"{path}/direct" not in page.text
    _, page = await submit(vendor, f"{path}/again")
    assert CODE in page.text
    assert place.count_orders() == 2


async def test_direct_vietqr_instead_of_payos_says_that_nobody_reports_it(
    vendor: httpx.AsyncClient, place: RailStall
) -> None:
    place.sandbox.delete(f"/control/subscriptions/{place.subscription_id}")
    path, page = await key(vendor)

    form = {"renewed_id": renewed_id_of(page)}
    where, page = await submit(vendor, f"{path}/direct", form)

    bill = await place.read_id(where.rpartition("/")[2])
    assert (bill.rail, bill.code_account) == ("vietqr", place.stall.account_number)
    assert CODE in page.text
    assert "Hệ thống không nghe được tiền của mã này." in text_of(page)
    assert (await place.read_id(path.rpartition("/")[2])).status == "cancelled"


async def test_where_another_provider_reports_a_refusal_shows_vietqr_direct_at_once(
    vendor: httpx.AsyncClient, market: Market, place: RailStall
) -> None:
    async with open_org_transaction(place.database, place.stall.org.id) as session:
        await an_endpoint(session, place.stall.org, [place.stall.account_id], provider="sepay")
    place.sandbox.delete(f"/control/subscriptions/{place.subscription_id}")

    path, page = await key(vendor)

    assert CODE in page.text
    assert "khách trả bằng mã VietQR này" in text_of(page)
    assert place.stall.account_number in text_of(page)
    assert "không nghe được" not in text_of(page)
    assert f"{path}/direct" not in page.text
    assert f"{path}/again" not in page.text


async def test_a_cancelled_bill_says_how_it_stands_at_payos(
    vendor: httpx.AsyncClient, place: RailStall
) -> None:
    path, _ = await key(vendor)

    _, page = await submit(vendor, f"{path}/cancel")

    assert "Đang báo payOS hủy mã" in text_of(page)
    assert CODE not in page.text
    await place.resume(await place.read_id(path.rpartition("/")[2]))
    page = await vendor.get(path)
    assert "payOS đã hủy mã này." in text_of(page)
    assert "data-under-way" not in page.text


async def test_an_expired_bill_is_renewed_as_an_order_of_its_own(
    vendor: httpx.AsyncClient, place: RailStall
) -> None:
    path, _ = await key(vendor)
    await sql(place, "UPDATE bills SET expires_at = now() - interval '1 second'")
    page = await vendor.get(path)
    assert "Mã đã hết giờ" in text_of(page)

    form = {"renewed_id": renewed_id_of(page)}
    for _ in range(2):
        where, page = await submit(vendor, f"{path}/renew", form)

    assert where == f"/counter/bills/{form['renewed_id']}"
    assert CODE in page.text
    assert place.count_orders() == 2
