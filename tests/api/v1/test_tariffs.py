"""Tariffs over HTTP: versions from a day on, withdrawn before they begin, tried on a stay."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from core.clock import day_bounds, hanoi_day, read_clock
from tests.world.gates import Gate
from tests.world.parking_sessions import a_tariff_document

pytestmark = pytest.mark.anyio


def in_days(days: int) -> str:
    return (hanoi_day(read_clock()) + timedelta(days=days)).isoformat()


async def a_tariff(gate: Gate, name: str = "Biểu giá thử") -> str:
    answer = await gate.manager.post("/v1/tariffs", json={"name": name})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def add_version(gate: Gate, tariff_id: str, *, days: int, **facts: Any) -> dict[str, Any]:
    document = a_tariff_document(valid_from_on=in_days(days), **facts)
    answer = await gate.manager.post(
        f"/v1/tariffs/{tariff_id}/versions", json={"document": document}
    )
    assert answer.status_code == 201, answer.text
    version: dict[str, Any] = answer.json()
    return version


async def test_a_version_begins_at_midnight_of_its_day_and_one_of_today_begins_now(
    gate: Gate,
) -> None:
    tariff_id = await a_tariff(gate)
    before = read_clock()

    today = await add_version(gate, tariff_id, days=0)
    later = await add_version(gate, tariff_id, days=3)

    assert before.isoformat() <= today["valid_from"].replace("Z", "+00:00")
    assert (today["version"], today["standing"]) == (1, "in_force")
    midnight, _ = day_bounds(hanoi_day(before) + timedelta(days=3))
    assert later["valid_from"].replace("Z", "+00:00") == midnight.isoformat()
    assert (later["version"], later["standing"]) == (2, "ahead")
    assert later["created_by"] == "Quan.Ly"


async def test_a_price_cannot_begin_in_the_past(gate: Gate) -> None:
    tariff_id = await a_tariff(gate)
    document = a_tariff_document(valid_from_on=in_days(-1))

    version = await gate.manager.post(
        f"/v1/tariffs/{tariff_id}/versions", json={"document": document}
    )
    lot = await gate.manager.post(
        f"/v1/lots/{gate.lot.id}/tariffs",
        json={"tariff_id": tariff_id, "from_at": (read_clock() - timedelta(hours=1)).isoformat()},
    )

    assert version.status_code == lot.status_code == 422
    assert version.json()["code"] == lot.json()["code"] == "tariff_from_the_past"


async def test_all_faults_of_a_document_come_with_their_paths(gate: Gate) -> None:
    tariff_id = await a_tariff(gate)
    document = a_tariff_document(valid_from_on=in_days(1), legal_basis="")
    document["rate_tables"][0]["rate_line_collections"][0]["rate_lines"][0]["value_vnd"] = "5"
    document["rate_tables"][1]["zones"] = ["a\x00"]

    answer = await gate.manager.post(
        f"/v1/tariffs/{tariff_id}/versions", json={"document": document}
    )

    assert answer.status_code == 422
    assert answer.json()["code"] == "tariff_not_readable"
    assert {one["field"] for one in answer.json()["violations"]} == {
        "legal_basis",
        "rate_tables[0].rate_line_collections[0].rate_lines[0].value_vnd",
        "rate_tables[1].zones",
    }


async def test_what_has_not_begun_is_withdrawn_and_what_is_in_force_is_not(gate: Gate) -> None:
    tariff_id = await a_tariff(gate)
    first = await add_version(gate, tariff_id, days=0)
    second = await add_version(gate, tariff_id, days=3)
    path = f"/v1/tariffs/{tariff_id}/versions"

    gone = await gate.manager.post(f"{path}/{second['id']}/withdraw", json={"reason": "sai giá"})
    again = await gate.manager.post(f"{path}/{second['id']}/withdraw", json={})
    kept = await gate.manager.post(f"{path}/{first['id']}/withdraw", json={})

    assert gone.json()["standing"] == again.json()["standing"] == "withdrawn"
    assert (kept.status_code, kept.json()["code"]) == (409, "tariff_in_force")


async def test_a_repeated_request_makes_one_tariff_version_and_assignment(gate: Gate) -> None:
    def keyed() -> dict[str, str]:
        return {"Idempotency-Key": str(uuid4())}

    key = keyed()
    first = await gate.manager.post("/v1/tariffs", json={"name": "Giá"}, headers=key)
    again = await gate.manager.post("/v1/tariffs", json={"name": "Giá"}, headers=key)
    other = await gate.manager.post("/v1/tariffs", json={"name": "Khác"}, headers=key)
    tariff_id = first.json()["id"]
    assert again.json()["id"] == tariff_id
    assert again.headers["Idempotent-Replayed"] == "true"
    assert other.json()["code"] == "idempotency_key_reused"

    body = {"document": a_tariff_document(valid_from_on=in_days(0))}
    key = keyed()
    path = f"/v1/tariffs/{tariff_id}/versions"
    versions = [await gate.manager.post(path, json=body, headers=key) for _ in range(2)]
    assert [one.json()["version"] for one in versions] == [1, 1]

    key = keyed()
    path = f"/v1/lots/{gate.lot.id}/tariffs"
    taken = [
        await gate.manager.post(path, json={"tariff_id": tariff_id}, headers=key) for _ in range(2)
    ]
    assert len({one.json()["id"] for one in taken}) == 1
    assert len((await gate.manager.get(path)).json()["tariffs"]) == 1


async def test_a_lot_takes_the_latest_tariff_and_can_still_refuse_the_next(gate: Gate) -> None:
    tariff_id, other_id = await a_tariff(gate), await a_tariff(gate, "Giá Tết")
    path = f"/v1/lots/{gate.lot.id}/tariffs"
    later = (read_clock() + timedelta(days=7)).isoformat()

    now = await gate.manager.post(path, json={"tariff_id": tariff_id})
    then = await gate.manager.post(path, json={"tariff_id": other_id, "from_at": later})

    assert [one["standing"] for one in (await gate.manager.get(path)).json()["tariffs"]] == [
        "ahead",
        "in_force",
    ]
    assert (await gate.manager.delete(f"{path}/{then.json()['id']}")).status_code == 204
    assert (await gate.manager.delete(f"{path}/{then.json()['id']}")).status_code == 204
    kept = await gate.manager.delete(f"{path}/{now.json()['id']}")
    assert (kept.status_code, kept.json()["code"]) == (409, "tariff_in_force")
    assert len((await gate.manager.get(path)).json()["tariffs"]) == 1


async def test_what_a_stay_would_cost_is_said_line_by_line(gate: Gate) -> None:
    body = {
        "sample": "hn-dong-da-cars",
        "vehicle_class": "car",
        "entered_at": "2026-11-28T08:00:00+07:00",
        "left_at": "2026-11-28T17:00:00+07:00",
    }

    answer = await gate.attendant.post("/v1/tariffs/quotes", json=body)

    assert answer.json()["amount_vnd"] == 345_000
    assert [one["text"] for one in answer.json()["lines"]] == [
        "Giờ 1–2: 2 × 25.000\xa0₫",
        "Giờ 3–4: 2 × 35.000\xa0₫",
        "Từ giờ thứ 5: 5 × 45.000\xa0₫",
    ]
    neither = await gate.manager.post(
        "/v1/tariffs/quotes", json={**body, "document": a_tariff_document()}
    )
    assert neither.json()["code"] == "invalid_request"


async def test_a_stored_tariff_answers_by_the_version_that_holds_at_the_entry(gate: Gate) -> None:
    tariff_id = await a_tariff(gate)
    await add_version(gate, tariff_id, days=0)
    dearer = a_tariff_document()["rate_tables"]
    dearer[1]["rate_line_collections"][0]["rate_lines"][0]["value_vnd"] = 8_000
    await add_version(gate, tariff_id, days=2, rate_tables=dearer)

    def stay(days: int) -> dict[str, Any]:
        start = day_bounds(hanoi_day(read_clock()) + timedelta(days=days))[0] + timedelta(hours=30)
        return {
            "tariff_id": tariff_id,
            "vehicle_class": "motorbike",
            "entered_at": start.isoformat(),
            "left_at": (start + timedelta(hours=1)).isoformat(),
        }

    prices = [
        (await gate.manager.post("/v1/tariffs/quotes", json=stay(days))).json()["amount_vnd"]
        for days in (0, 2)
    ]

    assert prices == [5_000, 8_000]


async def test_an_attendant_reads_tariffs_and_makes_none(gate: Gate) -> None:
    assert (await gate.attendant.get("/v1/tariffs")).status_code == 200
    assert (await gate.attendant.get("/v1/tariffs/samples")).status_code == 200
    refused = await gate.attendant.post("/v1/tariffs", json={"name": "Giá"})
    assert refused.status_code == 403
