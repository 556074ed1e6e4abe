"""Lots over HTTP: set up by a manager, seen by the people of each."""

from typing import Any
from uuid import UUID

import httpx
import pytest

from core.ids import new_id
from tests.world.hubs import Hub
from tests.world.markets import Market, set_up_market

pytestmark = pytest.mark.anyio


async def add_lot(manager: httpx.AsyncClient, market: Market, **facts: Any) -> dict[str, Any]:
    """Add an operator and a lot of its own."""
    operator = await manager.post(
        "/v1/parking-operators",
        json={"name": "Công ty Bãi xe", "address": "Hà Nội", "tax_code": "0100109106"},
    )
    assert operator.status_code == 201, operator.text
    body = {
        "operator_id": operator.json()["id"],
        "payee_id": str(market.stall.payee_id),
        "name": "Bãi xe Phủ Doãn",
        "address": "Phủ Doãn, Hà Nội",
        "kind": "sidewalk",
    }
    answer = await manager.post("/v1/lots", json=body | facts)
    assert answer.status_code == 201, answer.text
    lot: dict[str, Any] = answer.json()
    return lot


async def test_a_manager_sets_up_a_lot(hub: Hub) -> None:
    market = await set_up_market(hub)
    manager = await market.staff("minh", "manager")

    lot = await add_lot(manager, market, latitude_e6=21_028_511, longitude_e6=105_854_167)
    path = f"/v1/lots/{lot['id']}"
    room = await manager.put(
        f"{path}/capacities/motorbike", json={"capacity": 120, "licensed_capacity": 100}
    )
    lane = await manager.post(f"{path}/accesses", json={"name": "Cổng 1", "direction": "in"})
    area = await manager.post(f"{path}/areas", json={"name": "Dãy A"})
    changed = await manager.patch(path, json={"zone": "Hoàn Kiếm", "latitude_e6": None,
                                              "longitude_e6": None})  # fmt: skip

    assert room.json()["classes"] == [
        {
            "vehicle_class": "motorbike",
            "capacity": 120,
            "licensed_capacity": 100,
            "inside_count": 0,
            "free": 120,
            "is_over_licence": False,
        }
    ]
    assert lane.status_code == area.status_code == 201
    assert [one["name"] for one in (await manager.get(f"{path}/accesses")).json()["accesses"]] == [
        "Cổng 1"
    ]
    assert [one["name"] for one in (await manager.get(f"{path}/areas")).json()["areas"]] == [
        "Dãy A"
    ]
    assert (changed.json()["zone"], changed.json()["latitude_e6"]) == ("Hoàn Kiếm", None)
    gone = await manager.delete(f"{path}/accesses/{lane.json()['id']}")
    assert gone.status_code == 204
    assert (await manager.get(f"{path}/accesses")).json() == {"accesses": []}
    closed = await manager.patch(path, json={"is_closed": True})
    assert closed.json()["closed_at"] is not None
    assert (await manager.get("/v1/lots")).json()["lots"] == []
    listed = (await manager.get("/v1/lots", params={"with_closed": True})).json()["lots"]
    assert [one["id"] for one in listed] == [lot["id"]]


async def test_what_every_lot_has_cannot_be_emptied(hub: Hub) -> None:
    market = await set_up_market(hub)
    manager = await market.staff("minh", "manager")
    lot = await add_lot(manager, market)

    answer = await manager.patch(f"/v1/lots/{lot['id']}", json={"name": None})

    assert answer.status_code == 422
    assert [one["field"] for one in answer.json()["violations"]] == ["body.name"]


async def test_the_same_key_adds_one_lot(hub: Hub) -> None:
    market = await set_up_market(hub)
    manager = await market.staff("minh", "manager")
    manager.headers["Idempotency-Key"] = "bai-1"

    first, again = await add_lot(manager, market), await add_lot(manager, market)
    lanes = [
        await manager.post(
            f"/v1/lots/{first['id']}/accesses", json={"name": "Cổng 1", "direction": "in"}
        )
        for _ in range(2)
    ]

    assert again == first
    assert lanes[0].json() == lanes[1].json()


async def test_people_of_a_lot_see_theirs_alone(hub: Hub) -> None:
    market = await set_up_market(hub)
    manager = await market.staff("minh", "manager")
    mine, theirs = await add_lot(manager, market), await add_lot(manager, market)
    an = await market.staff("an.gate", "attendant", lot_ids=[UUID(mine["id"])])

    listed = (await an.get("/v1/lots")).json()["lots"]
    answers = [
        await an.get(f"/v1/lots/{theirs['id']}{path}")
        for path in ("", "/occupancy", "/accesses", "/areas")
    ]

    assert [one["id"] for one in listed] == [mine["id"]]
    assert {answer.status_code for answer in answers} == {403}
    assert (await an.get(f"/v1/lots/{mine['id']}")).status_code == 200
    refused = await an.patch(f"/v1/lots/{mine['id']}", json={"name": "của tôi"})
    assert refused.json()["code"] == "whole_organisation_needed"


async def test_a_lot_that_does_not_exist_is_nobodys_scope(hub: Hub) -> None:
    market = await set_up_market(hub)

    answer = await market.hire("an.gate", "attendant", lot_ids=[new_id()])

    assert answer.status_code == 422


async def test_a_lots_poster_is_made_shown_and_taken_down_by_its_manager(hub: Hub) -> None:
    market = await set_up_market(hub)
    manager = await market.staff("minh", "manager")
    lot = await add_lot(manager, market)
    attendant = await market.staff("anh.tu", "attendant", lot_ids=[lot["id"]])
    path = f"/v1/lots/{lot['id']}/poster"

    refused = await attendant.post(path)
    made = [(await manager.post(path)).json() for _ in range(2)]
    seen = (await attendant.get(path)).json()
    drawn = await manager.get(made[0]["qr_svg"])

    assert refused.status_code == 403
    assert made[0] == made[1] == seen
    assert (seen["is_made"], seen["payee_id"]) == (True, str(market.stall.payee_id))
    assert drawn.status_code == 200
    assert drawn.headers["content-type"].startswith("image/svg+xml")
    assert [(await manager.delete(path)).status_code for _ in range(2)] == [204, 204]
    gone = (await manager.get(path)).json()
    assert (gone["is_made"], gone["qr_svg"], gone["card_png"]) == (False, None, None)
