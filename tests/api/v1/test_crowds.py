"""A crowd's ticket books, and stays that do not end, over HTTP."""

from typing import Any

import pytest
from sqlalchemy import text

from core.ids import new_id
from core.tenancy import open_org_transaction
from tests.world.gates import Gate

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def open_shift(gate: Gate) -> str:
    answer = await gate.attendant.post(
        "/v1/shifts", json={"id": str(new_id()), "lot_id": str(gate.lot.id)}
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def a_book(shift_id: str, **facts: Any) -> dict[str, Any]:
    numbers = {"prefix": "a", "digits": 3, "first_number": 1, "last_number": 5}
    return {"id": str(new_id()), "shift_id": shift_id, **numbers, **facts}


async def test_a_manager_gives_tickets_out_and_sees_which_are_missing(gate: Gate) -> None:
    body = a_book(await open_shift(gate))
    assert (await gate.attendant.post("/v1/ticket-books", json=body)).status_code == 403

    issued = [await gate.manager.post("/v1/ticket-books", json=body) for _ in range(2)]
    again = await gate.manager.post("/v1/ticket-books", json=body | {"id": str(new_id())})
    for ticket in ("a001", "A004"):
        await gate.enter(plate=None, ticket=ticket)
    path = f"/v1/ticket-books/{body['id']}"
    back = [await gate.manager.post(f"{path}/return", json={"last_used": 4}) for _ in range(2)]
    other = await gate.manager.post(f"{path}/return", json={"last_used": 5})
    listed = await gate.manager.get("/v1/ticket-books", params={"lot_id": str(gate.lot.id)})

    assert [one.status_code for one in issued] == [201, 201]
    assert issued[0].json() == issued[1].json()
    assert again.json()["code"] == "tickets_issued"
    assert back[0].json() == back[1].json() == (await gate.manager.get(path)).json()
    assert other.json()["code"] == "ticket_book_returned"
    (found,) = listed.json()["ticket_books"]
    assert (found["used_count"], found["missing"]) == (2, ["A002", "A003"])


async def test_pages_of_ticket_books_go_on_where_the_last_one_ended(gate: Gate) -> None:
    shift_id = await open_shift(gate)
    for n in range(3):
        body = a_book(shift_id, first_number=n, last_number=n)
        assert (await gate.manager.post("/v1/ticket-books", json=body)).status_code == 201

    query = {"lot_id": str(gate.lot.id), "limit": "2"}
    first = (await gate.manager.get("/v1/ticket-books", params=query)).json()
    query["cursor"] = first["next_cursor"]
    rest = (await gate.manager.get("/v1/ticket-books", params=query)).json()

    tickets = [one["first_ticket"] for page in (first, rest) for one in page["ticket_books"]]
    assert tickets == ["A002", "A001", "A000"]
    assert rest["next_cursor"] is None


async def test_a_manager_decides_about_a_stay_that_does_not_end(gate: Gate) -> None:
    stay_id = (await gate.enter())["session_id"]
    async with open_org_transaction(gate.hub.services.database, gate.lot.org.id) as session:
        await session.execute(text("UPDATE parking_sessions SET status = 'review'"))
    path = f"/v1/lots/{gate.lot.id}/reviews"
    decision = {"decision": "left", "reason": "Đã tìm khắp bãi"}

    refused = await gate.attendant.get(path)
    listed = (await gate.manager.get(path)).json()
    answers = [
        await gate.manager.post(f"/v1/parking-sessions/{stay_id}/review", json=decision)
        for _ in range(2)
    ]
    late = await gate.manager.post(
        f"/v1/parking-sessions/{stay_id}/review", json=decision | {"decision": "inside"}
    )

    assert refused.status_code == 403
    assert [one["id"] for one in listed["parking_sessions"]] == [stay_id]
    assert [one.json()["exit_reason"] for one in answers] == ["unseen", "unseen"]
    assert late.json()["code"] == "not_under_review"
    occupancy = (await gate.manager.get(f"/v1/lots/{gate.lot.id}/occupancy")).json()
    assert sum(one["inside_count"] for one in occupancy["classes"]) == 0
    assert (await gate.manager.get(path)).json() == {"parking_sessions": [], "next_cursor": None}


async def test_a_manager_joins_two_stays_of_one_vehicle_and_parts_them_again(gate: Gate) -> None:
    one = (await gate.enter(plate="29-A1 12345"))["session_id"]
    other = (await gate.enter(plate=None, ticket="A0001"))["session_id"]
    body = {"other_id": other, "reason": "Một xe, nhập hai lần"}
    path = f"/v1/parking-sessions/{one}"

    refused = await gate.attendant.post(f"{path}/join", json=body)
    joined = [await gate.manager.post(f"{path}/join", json=body) for _ in range(2)]
    second = {"id": str(new_id()), "ticket": "a0001", "reason": "Hai xe"}
    parted = [await gate.manager.post(f"{path}/part", json=second) for _ in range(2)]

    assert refused.status_code == 403
    assert [(each.status_code, each.json()["ticket"]) for each in joined] == [(200, "A0001")] * 2
    assert [each.status_code for each in parted] == [201, 201], parted[0].text
    assert parted[0].json() == parted[1].json()
    assert parted[0].json()["ticket"] == "A0001"
    occupancy = (await gate.manager.get(f"/v1/lots/{gate.lot.id}/occupancy")).json()
    assert sum(each["inside_count"] for each in occupancy["classes"]) == 2
