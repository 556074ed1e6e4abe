"""Audit pages of payments: corrections in words, with what people typed as it was typed."""

import pytest

from core.clock import read_clock
from tests.world.markets import Market
from tests.world.notices import process_waiting, sepay_body, store_notices
from tests.world.pages import let_in, text_of

pytestmark = pytest.mark.anyio


async def test_a_correction_is_shown_in_words_and_with_what_was_typed(market: Market) -> None:
    now = read_clock()
    database = market.hub.services.database
    body = sepay_body(market.stall, amount_vnd=50_000, memo="mua rau", occurred_at=now)
    await store_notices(database, market.stall, body, now=now)
    await process_waiting(database, market.stall, now=now)
    [credit] = (await market.till.get("/v1/credits")).json()["credits"]
    cashier = await market.staff("co.lan", "cashier", payee_id=market.stall.payee_id)
    answer = await cashier.post(
        f"/v1/credits/{credit['id']}/not-takings", json={"reason": "con gửi"}
    )
    assert answer.status_code == 200, answer.text

    manager = await let_in(market, "manager")
    page = text_of(await manager.get("/manage/audit"))

    assert "Bán tại quầy → Không phải tiền hàng" in page
    assert "do gian hàng báo không phải tiền hàng" in page
    assert "con gửi" in page
    assert "counter_sale" not in page
    assert "not_takings" not in page
