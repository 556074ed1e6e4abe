"""Days and instants in requests: those that people mean are read, the ends of time are refused."""

from typing import Any

import pytest

from tests.world.markets import Market

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def test_the_plus_of_a_zone_may_stand_in_an_address_as_it_is_typed(market: Market) -> None:
    bill = await market.open_bill()

    for zone in ("+07:00", "%2B07:00", "+0700", "Z", "-05:00"):
        for time in ("T00:00:00", "T00:00", "T00:00:00.5", "%2000:00:00"):
            answer = await market.till.get(f"/v1/bills?since=2020-11-28{time}{zone}")
            assert answer.status_code == 200, answer.text
            assert [one["id"] for one in answer.json()["bills"]] == [bill["id"]]
    early = await market.till.get("/v1/bills?until=2020-11-28T00:00:00+07:00")
    assert early.json()["bills"] == []


@pytest.mark.parametrize(
    "since",
    [
        "2026-11-28",
        "2026-11-28T00:00:00",
        "2026-11-28T00:00:00 7",
        "2026-11-28T00:00:00  07:00",
        "28/11/2026 07:00",
        "yesterday",
        "",
    ],
)
async def test_what_is_no_instant_is_refused_with_how_one_is_written(
    market: Market, since: str
) -> None:
    answer = await market.till.get("/v1/bills", params={"since": since})

    assert answer.status_code == 422
    assert answer.json()["violations"][0]["field"] == "query.since"
    assert "2026-11-28T00:00:00+07:00" in answer.json()["detail"]
    assert "%2B" in answer.json()["detail"]


@pytest.mark.parametrize(
    "instant",
    [
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "1999-12-31T23:59:59Z",
        "2100-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59-14:00",
        "5",
        "99999999999999999999",
        "-1",
    ],
)
async def test_an_instant_at_the_ends_of_time_is_refused(market: Market, instant: str) -> None:
    queries: list[dict[str, Any]] = [{"since": instant}, {"until": instant}]
    for query in queries:
        answer = await market.till.get("/v1/bills", params=query)
        assert answer.status_code == 422, query
    body = {"name": "till", "scopes": ["bills.read"], "expires_at": instant}
    assert (await market.admin.post("/v1/keys", json=body)).status_code == 422


@pytest.mark.parametrize(
    "day", ["0001-01-01", "1999-12-31", "2100-01-01", "9999-12-31", "10000-01-01", "2026-02-30"]
)
async def test_a_day_at_the_ends_of_time_is_refused(market: Market, day: str) -> None:
    payee = {"payee_id": str(market.stall.payee_id)}

    assert (await market.till.get("/v1/credits", params={"on": day})).status_code == 422
    totals = await market.till.get("/v1/totals", params={"on": day, **payee})
    assert totals.status_code == 422


@pytest.mark.parametrize("day", ["2000-01-01", "2026-11-28", "2099-12-31"])
async def test_the_days_of_this_century_are_read(market: Market, day: str) -> None:
    payee = {"payee_id": str(market.stall.payee_id)}

    assert (await market.till.get("/v1/credits", params={"on": day})).status_code == 200
    totals = await market.till.get("/v1/totals", params={"on": day, **payee})
    assert totals.json()["on"] == day
