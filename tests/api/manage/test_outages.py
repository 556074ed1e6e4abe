"""Outages of the hub, as managers and integrators read them."""

from datetime import timedelta

import pytest

from core.db import Database
from core.tenancy import open_org_transaction
from payments.outages.service import plan_regular
from payments.outages.views import OutageState
from tests.world.markets import Market
from tests.world.outages import an_outage, read_outages
from tests.world.pages import let_in, text_of

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def test_managers_read_what_was_missed_and_which_accounts_wait_for_a_statement(
    market: Market, owner_database: Database
) -> None:
    manager = await let_in(market, "manager")
    assert "Chưa lần nào mất kết nối" in text_of(await manager.get("/manage/outages"))
    await an_outage(market.database, owner_database, lasting=timedelta(minutes=45))

    page = text_of(await manager.get("/manage/outages"))

    assert "45 phút · Dừng đột ngột" in page
    assert "Đang hỏi lại" in page
    assert "Thông báo đã lỡ 0" in page
    assert f"…{market.stall.account_number[-4:]}" in page
    english = text_of(await manager.get("/manage/outages?lang=en"))
    assert "45 min · Stopped suddenly" in english
    assert "Xem các lần mất kết nối" in text_of(await manager.get("/manage/endpoints?lang=vi"))


async def test_an_integrator_reads_the_same_page_by_page(
    market: Market, owner_database: Database
) -> None:
    admin = await let_in(market, "manager")
    for _ in range(2):
        await an_outage(market.database, owner_database, lasting=timedelta(minutes=3))

    answer = await admin.get("/v1/outages")

    assert answer.status_code == 200, answer.text
    first, second = answer.json()["outages"]
    assert first["from_at"] > second["from_at"]
    assert (first["reason"], first["state"], first["missed"]) == ("unknown", "polling", 0)
    assert answer.json()["next_cursor"] is None
    (known, _) = await read_outages(market.database, market.stall)
    assert known.state is OutageState.POLLING


async def test_how_often_an_account_is_polled_is_set_at_its_connection(market: Market) -> None:
    manager = await let_in(market, "manager")
    made = await market.add_endpoint("casso", pull_token="t0ken-of-casso")
    path = f"/v1/callback-endpoints/{made['id']}/accounts/{market.stall.account_id}/polling"

    answer = await manager.put(path, json={"every_s": 600})
    assert answer.json()["code"] == "provider_cannot_be_polled"  # the worker has not seen it yet
    assert (await manager.put(path, json={"every_s": 5})).status_code == 422

    async with open_org_transaction(market.database, market.stall.org.id) as session:
        assert await plan_regular(session, market.stall.org.id, every_s=900) == 1
    for every_s in (600, 0, None):
        assert (await manager.put(path, json={"every_s": every_s})).status_code == 204
    audit = text_of(await manager.get("/manage/audit"))
    assert "Đổi nhịp hỏi lại giao dịch" in audit
