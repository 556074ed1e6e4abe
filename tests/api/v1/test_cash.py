"""Cash for the rest of a bill, over HTTP and at the counter."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from core.ids import new_id
from core.tenancy import open_org_transaction
from payments.bills.queries import get_bill
from tests.world.markets import Market
from tests.world.notices import pay

pytestmark = pytest.mark.anyio


async def a_short_bill(market: Market) -> dict[str, Any]:
    bill = await market.open_bill()
    database = market.hub.services.database
    async with open_org_transaction(database, market.stall.org.id) as session:
        facts = await get_bill(session, market.stall.org.id, UUID(bill["id"]))
    await pay(database, market.stall, facts, amount_vnd=12_000, now=facts.created_at)
    return bill


async def test_the_rest_in_cash_is_recorded_once_under_its_id(market: Market) -> None:
    bill = await a_short_bill(market)
    path = f"/v1/bills/{bill['id']}/cash-payments"
    body = {"id": str(new_id()), "amount_vnd": 8_000}

    for _ in range(2):
        answer = await market.admin.post(path, json=body, params=market.org)
        assert answer.status_code == 201, answer.text
        assert (answer.json()["status"], answer.json()["missing_vnd"]) == ("paid", 0)

    other = await market.admin.post(
        path, json={"id": str(new_id()), "amount_vnd": 8_000}, params=market.org
    )
    assert (other.status_code, other.json()["code"]) == (409, "cash_not_owed")
    taken = await market.admin.post(path, json={**body, "amount_vnd": 1}, params=market.org)
    assert (taken.status_code, taken.json()["code"]) == (409, "payment_id_taken")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"amount_vnd": 8_000}, 422),
        ({"id": str(uuid4()), "amount_vnd": 8_000}, 422),
        ({"id": "now", "amount_vnd": 8000.0}, 422),
        ({"id": "now", "amount_vnd": 0}, 422),
        ({"id": "now", "amount_vnd": 7_999}, 409),
    ],
)
async def test_cash_that_cannot_be_is_refused(
    market: Market, body: dict[str, Any], status: int
) -> None:
    bill = await a_short_bill(market)
    if body.get("id") == "now":
        body = {**body, "id": str(new_id())}
    path = f"/v1/bills/{bill['id']}/cash-payments"

    answer = await market.admin.post(path, json=body, params=market.org)

    assert answer.status_code == status, answer.text
    unknown = await market.admin.post(
        f"/v1/bills/{new_id()}/cash-payments",
        json={"id": str(new_id()), "amount_vnd": 8_000},
        params=market.org,
    )
    assert (unknown.status_code, unknown.json()["code"]) == (404, "bill_not_found")


async def test_a_key_of_a_machine_takes_no_cash(market: Market) -> None:
    bill = await a_short_bill(market)
    answer = await market.till.post(
        f"/v1/bills/{bill['id']}/cash-payments", json={"id": str(new_id()), "amount_vnd": 8_000}
    )
    assert answer.status_code == 403
