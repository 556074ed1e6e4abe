"""Leakage figures and recounts over HTTP."""

import pytest

from core.ids import new_id
from parking.overview.compared import Difference
from tests.world.gates import Gate, set_up_gate
from tests.world.hubs import Hub

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture
async def gate(hub: Hub) -> Gate:
    return await set_up_gate(hub)


async def test_an_inspector_counts_once_and_an_attendant_does_not(gate: Gate) -> None:
    path = f"/v1/lots/{gate.lot.id}"
    entry = {"id": str(new_id()), "vehicle_class": "motorbike", "plate": "29AA12345"}
    assert (await gate.attendant.post(f"{path}/entries", json=entry)).status_code == 201
    body = {"id": str(new_id()), "counted": {"motorbike": 3, "car": 0}, "note": "Đếm chiều"}
    assert (await gate.attendant.post(f"{path}/recounts", json=body)).status_code == 403
    assert (await gate.attendant.get(f"{path}/leakage")).status_code == 403

    made = [await gate.manager.post(f"{path}/recounts", json=body) for _ in range(2)]
    other = await gate.manager.post(f"{path}/recounts", json=body | {"note": None})

    assert [one.status_code for one in made] == [201, 201]
    assert made[0].json() == made[1].json()
    told = made[0].json()
    assert (told["counted"], told["expected"], told["difference"]) == (3, 1, 2)
    assert (other.status_code, other.json()["code"]) == (409, "recount_id_taken")
    missing = {"id": str(new_id()), "counted": {"motorbike": 3}}
    assert (await gate.manager.post(f"{path}/recounts", json=missing)).status_code == 422
    listed = (await gate.manager.get(f"{path}/recounts")).json()
    assert [one["id"] for one in listed["recounts"]] == [body["id"]]
    figures = (await gate.manager.get(f"{path}/leakage")).json()
    assert (figures["entered"], figures["entered_without_photo"]) == (1, 1)
    assert (figures["unpaid_vnd"], figures["left"]) == (0, [])


@pytest.mark.parametrize(
    ("day", "status"),
    [
        ("0001-01-01", 422),
        ("1999-12-31", 422),
        ("2000-01-01", 200),
        ("2099-12-31", 200),
        ("2100-01-01", 422),
        ("9999-12-31", 422),
        ("2026-02-30", 422),
    ],
)
async def test_a_day_that_no_lot_had_is_refused(gate: Gate, day: str, status: int) -> None:
    answer = await gate.manager.get(f"/v1/lots/{gate.lot.id}/leakage", params={"day": day})

    assert answer.status_code == status, answer.text


async def test_a_day_is_compared_stay_by_stay_for_who_inspects(gate: Gate) -> None:
    path = f"/v1/lots/{gate.lot.id}/compared"
    assert (await gate.attendant.get(path)).status_code == 403
    await gate.enter()  # it has not left

    answer = await gate.manager.get(path, params={"odd_only": True})

    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["stays"], found["rows"], found["next_cursor"]) == (0, [], None)
    assert found["differences"] == dict.fromkeys(Difference, 0)
    assert (await gate.manager.get(f"/v1/lots/{new_id()}/compared")).status_code == 404
