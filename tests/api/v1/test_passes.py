"""Passes and the watch list over HTTP."""

import asyncio
import hashlib
import hmac
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from core.clock import hanoi_day, read_clock
from core.ids import new_id
from core.tenancy import open_org_transaction
from payments.bills.queries import get_bill
from tests.world.entries import a_plate
from tests.world.gates import Gate
from tests.world.lots import a_lot
from tests.world.notices import pay
from tests.world.parking_sessions import Gate as PricedGate
from tests.world.parking_sessions import a_gate
from tests.world.passes import with_monthly_prices
from tests.world.waits import DEADLINE_S, LOOKS_EVERY_S

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture
async def priced(gate: Gate) -> PricedGate:
    """The same lot with a tariff that has monthly prices."""
    database = gate.hub.services.database
    return await a_gate(database, lot=gate.lot, document=with_monthly_prices(), now=read_clock())


def a_body(gate: Gate, *plates: str, **facts: Any) -> dict[str, Any]:
    today = hanoi_day(read_clock())
    return {
        "kind": "monthly",
        "vehicle_class": "motorbike",
        "plates": list(plates) or [a_plate()],
        "holder_name": "Chị Hoa",
        "holder_contact": "0912 000 111",
        "lot_id": str(gate.lot.id),
        "valid_from": today.isoformat(),
        "months": 1,
        **facts,
    }


def an_exemption(gate: Gate, *plates: str, **facts: Any) -> dict[str, Any]:
    until = hanoi_day(read_clock()) + timedelta(days=30)
    exempt: dict[str, Any] = {
        "kind": "exempt",
        "months": None,
        "valid_until": until.isoformat(),
        "exempt_as": "disabled",
        "reason": "Giấy xác nhận khuyết tật",
    }
    return a_body(gate, *plates, **(exempt | facts))


def a_watch(plate: str, **facts: Any) -> dict[str, Any]:
    today = hanoi_day(read_clock())
    return {
        "vehicle_class": "motorbike",
        "plate": plate,
        "reason": "Xe bị báo mất cắp",
        "source": "CV 45/CAQ",
        "from_on": today.isoformat(),
        "expires_on": (today + timedelta(days=30)).isoformat(),
        **facts,
    }


async def made(client: httpx.AsyncClient, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = await client.post(path, json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_pass_is_sold_paid_by_a_code_and_opens_the_gate(
    gate: Gate, priced: PricedGate
) -> None:
    plate, database = a_plate(), gate.hub.services.database
    sold = await made(gate.manager, "/v1/passes", a_body(gate, plate))
    path = f"/v1/passes/{sold['id']}"
    shown = await gate.manager.post(f"{path}/bill")
    again = await gate.manager.post(f"{path}/bill")
    assert (shown.status_code, sold["state"]) == (200, "unpaid")
    assert (shown.json()["amount_vnd"], shown.json()["status"]) == (120_000, "open")
    assert shown.json()["id"] == again.json()["id"]

    async with open_org_transaction(database, gate.lot.org.id) as session:
        bill = await get_bill(session, gate.lot.org.id, UUID(shown.json()["id"]))
    await pay(database, priced.stall, bill, now=read_clock())

    async with asyncio.timeout(DEADLINE_S):  # the hub's own inbox of owners is notified of it
        while (await gate.manager.get(path)).json()["state"] != "in_force":  # noqa: ASYNC110
            await asyncio.sleep(LOOKS_EVERY_S)
    entered = await gate.enter(plate=plate)
    assert entered["pass_id"] == sold["id"]
    paid = await gate.manager.post(f"{path}/bill")
    assert (paid.status_code, paid.json()["code"]) == (409, "pass_not_payable")
    renewed = await made(gate.manager, f"{path}/renewals", {"months": 2})
    assert [term["months"] for term in renewed["terms"]] == [1, 2]


async def test_a_pass_that_is_sold_twice_with_one_key_is_one_pass(
    gate: Gate, priced: PricedGate
) -> None:
    body, headers = a_body(gate), {"Idempotency-Key": "ban-ve-1"}

    answers = [await gate.manager.post("/v1/passes", json=body, headers=headers) for _ in range(2)]
    other = await gate.manager.post("/v1/passes", json=body | {"months": 2}, headers=headers)

    assert [one.status_code for one in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert answers[1].headers["Idempotent-Replayed"] == "true"
    assert other.json()["code"] == "idempotency_key_reused"
    listed = (await gate.manager.get("/v1/passes")).json()["passes"]
    assert [one["id"] for one in listed] == [answers[0].json()["id"]]


async def test_passes_are_listed_by_kind_state_lot_and_plate(
    gate: Gate, priced: PricedGate
) -> None:
    sold = await made(gate.manager, "/v1/passes", a_body(gate, "29-B1 123.45"))
    given = await made(gate.manager, "/v1/passes", an_exemption(gate))

    async def find(**query: Any) -> list[str]:
        answer = await gate.manager.get("/v1/passes", params=query)
        assert answer.status_code == 200, answer.text
        return [one["id"] for one in answer.json()["passes"]]

    assert await find() == [given["id"], sold["id"]]
    assert await find(kind="exempt") == [given["id"]]
    assert await find(state="unpaid") == [sold["id"]]
    assert await find(plate="29b1-12345") == [sold["id"]]
    assert await find(lot_id=str(gate.lot.id), state="in_force") == [given["id"]]
    assert await find(is_ending="true") == []
    first = (await gate.manager.get("/v1/passes", params={"limit": 1})).json()
    assert await find(cursor=first["next_cursor"]) == [sold["id"]]


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        ({"months": None}, "months"),
        ({"months": 13}, "months"),
        ({"plates": ["29AA00001", "29AA-000.01"]}, "plates[1]"),
        ({"plates": []}, "plates"),
        ({"valid_from": "2026-01-01"}, "valid_from"),
        ({"lot_id": None}, "seller_lot_id"),
        ({"exempt_as": "staff"}, "kind"),
        ({"holder_name": " "}, "holder_name"),
        ({"kind": "exempt", "months": None}, "valid_until"),
    ],
)
async def test_a_pass_that_is_not_whole_is_refused_with_its_field(
    gate: Gate, priced: PricedGate, facts: dict[str, Any], field: str
) -> None:
    answer = await gate.manager.post("/v1/passes", json=a_body(gate, **facts))

    assert answer.status_code == 422, answer.text
    assert [one["field"] for one in answer.json()["violations"]] == [field]


async def test_plates_are_whole_for_who_manages_them_alone(gate: Gate, priced: PricedGate) -> None:
    sold = await made(gate.manager, "/v1/passes", a_body(gate, "29-B1 123.45"))
    books = await gate.staff("so.sach", "finance")

    answer = await books.get(f"/v1/passes/{sold['id']}")
    refused = await books.post("/v1/passes", json=a_body(gate))
    at_gate = await gate.attendant.get("/v1/passes")

    assert sold["plates"] == ["29B112345"]
    assert (answer.json()["plates"], answer.json()["holder_contact"]) == (["29B***45"], None)
    assert "29B112345" not in answer.text
    assert refused.status_code == 403
    assert at_gate.json()["code"] == "whole_organisation_needed"


async def test_a_table_of_passes_is_taken_once_or_refused_with_its_rows(
    gate: Gate, priced: PricedGate
) -> None:
    until = (hanoi_day(read_clock()) + timedelta(days=9)).isoformat()
    start, lot = hanoi_day(read_clock()).isoformat(), gate.lot.id
    head = "kind,vehicle_class,plates,holder_name,lot_id,valid_from,valid_until,exempt_as,reason"
    row = f"exempt,motorbike,{{}},Cư dân,{lot},{start},{until},resident,Tổ 5"
    table = "\n".join([head, *(row.format(a_plate()) for _ in range(300))])
    headers = {"Idempotency-Key": "danh-sach-1"}

    taken = [
        await gate.manager.post("/v1/passes/imports", json={"csv": table}, headers=headers)
        for _ in range(2)
    ]
    wrong = await gate.manager.post(
        "/v1/passes/imports", json={"csv": f"{table}\n{row.format('')}"}
    )
    refused = await gate.attendant.post("/v1/passes/imports", json={"csv": table})

    assert [len(one.json()["pass_ids"]) for one in taken] == [300, 0]
    assert [one["field"] for one in wrong.json()["violations"]] == ["rows[302].plates"]
    assert refused.status_code == 403
    listed = await gate.attendant.get(f"/v1/lots/{lot}/passes")
    assert len(listed.json()["plates"]) == 300


async def test_plates_are_changed_and_a_pass_is_revoked(gate: Gate, priced: PricedGate) -> None:
    given = await made(gate.manager, "/v1/passes", an_exemption(gate))
    path, plate = f"/v1/passes/{given['id']}", a_plate()

    changed = await gate.manager.put(f"{path}/plates", json={"plates": [plate], "reason": "Đổi"})
    gone = [await gate.manager.post(f"{path}/revoke", json={"reason": "Hết hạn"}) for _ in "ab"]
    late = await gate.manager.put(f"{path}/plates", json={"plates": [plate], "reason": "Đổi"})

    assert changed.json()["plates"] == [plate]
    assert [one.json()["state"] for one in gone] == ["revoked", "revoked"]
    assert late.json()["code"] == "pass_revoked"


async def test_a_lots_phones_learn_who_has_a_pass_and_no_plates(
    gate: Gate, priced: PricedGate
) -> None:
    plate = a_plate()
    given = await made(gate.manager, "/v1/passes", an_exemption(gate, plate))
    await made(gate.manager, "/v1/passes", a_body(gate))  # not paid
    elsewhere = await a_lot(gate.hub.services.database, org=gate.lot.org, now=read_clock())

    answer = await gate.attendant.get(f"/v1/lots/{gate.lot.id}/passes")
    foreign = await gate.attendant.get(f"/v1/lots/{elsewhere.id}/passes")
    other = await gate.manager.get(f"/v1/lots/{elsewhere.id}/passes")

    listed = answer.json()
    hashed = hmac.new(
        bytes.fromhex(listed["key"]), f"motorbike:{plate}".encode(), hashlib.sha256
    ).hexdigest()
    assert [(one["plate_hash"], one["pass_id"], one["kind"]) for one in listed["plates"]] == [
        (hashed[:32], given["id"], "exempt")
    ]
    assert listed["is_complete"] is True
    assert plate not in answer.text
    assert foreign.status_code == 403
    assert other.json()["plates"] == []
    assert other.json()["key"] != listed["key"]


async def test_a_phone_that_has_the_list_gets_it_again_only_when_it_has_changed(
    gate: Gate, priced: PricedGate
) -> None:
    given = await made(gate.manager, "/v1/passes", an_exemption(gate))
    path = f"/v1/lots/{gate.lot.id}/passes"
    first = await gate.attendant.get(path)
    known = {"If-None-Match": first.headers["etag"]}

    same = await gate.attendant.get(path, headers=known)
    await gate.manager.post(f"/v1/passes/{given['id']}/revoke", json={"reason": "Hết hạn"})
    other = await gate.attendant.get(path, headers=known)

    assert first.headers["cache-control"] == "no-store"
    assert (same.status_code, same.content) == (304, b"")
    assert same.headers["etag"] == first.headers["etag"]
    assert (other.status_code, other.json()["plates"]) == (200, [])


async def test_a_watched_plate_needs_two_people_and_alerts_at_the_gate(gate: Gate) -> None:
    approver = await gate.staff("duyet", "approver")
    plate = a_plate()
    watched = await made(gate.manager, "/v1/watched-plates", a_watch(plate))
    path = f"/v1/watched-plates/{watched['id']}"

    own = await gate.manager.post(f"{path}/approve")
    before = await gate.enter(plate=plate, ticket="A1")
    agreed = [await approver.post(f"{path}/approve") for _ in range(2)]

    assert (watched["state"], watched["plate"]) == ("proposed", plate)
    assert own.status_code == 403
    assert before["is_watched"] is False
    assert [one.json()["state"] for one in agreed] == ["watched", "watched"]
    second = await made(gate.manager, "/v1/watched-plates", a_watch(other := a_plate()))
    await approver.post(f"/v1/watched-plates/{second['id']}/approve")
    assert (await gate.enter(plate=other))["is_watched"] is True
    gone = await gate.manager.post(f"{path}/remove", json={"reason": "Đã tìm thấy"})
    assert gone.json()["state"] == "removed"
    assert (await approver.post(f"{path}/approve")).json()["code"] == "watch_not_approvable"
    listed = (await approver.get("/v1/watched-plates", params={"state": "watched"})).json()
    assert [one["plate"] for one in listed["watched_plates"]] == [other]


async def test_an_administrator_who_proposed_a_watch_does_not_approve_it(gate: Gate) -> None:
    org = {"org": gate.lot.org.code}
    answer = await gate.admin.post("/v1/watched-plates", params=org, json=a_watch(a_plate()))
    path = f"/v1/watched-plates/{answer.json()['id']}/approve"

    own = await gate.admin.post(path, params=org)

    assert (own.status_code, own.json()["code"]) == (403, "watch_second_person_needed")


async def test_the_watch_list_is_masked_for_others_and_closed_to_gates(gate: Gate) -> None:
    watched = await made(gate.manager, "/v1/watched-plates", a_watch("29-B1 123.45"))
    books = await gate.staff("so.sach", "finance")

    read = (await books.get("/v1/watched-plates")).json()["watched_plates"]
    refused = await books.post("/v1/watched-plates", json=a_watch(a_plate()))
    at_gate = await gate.attendant.get("/v1/watched-plates")
    too_long = await gate.manager.post(
        "/v1/watched-plates",
        json=a_watch(
            a_plate(), expires_on=(hanoi_day(read_clock()) + timedelta(days=91)).isoformat()
        ),
    )

    assert [(one["id"], one["plate"]) for one in read] == [(watched["id"], "29B***45")]
    assert refused.status_code == 403
    assert at_gate.json()["code"] == "whole_organisation_needed"
    assert [one["field"] for one in too_long.json()["violations"]] == ["expires_on"]


async def test_a_pass_is_sold_in_cash_over_http_once(gate: Gate, priced: PricedGate) -> None:
    made = (await gate.manager.post("/v1/passes", json=a_body(gate))).json()
    path = f"/v1/passes/{made['id']}/cash"
    body = {"id": str(new_id()), "amount_vnd": made["terms"][0]["price_vnd"]}
    no_shift = await gate.attendant.post(path, json=body)
    assert (no_shift.status_code, no_shift.json()["code"]) == (409, "no_open_shift")
    shift = {"id": str(new_id()), "lot_id": str(gate.lot.id), "change_vnd": 0}
    assert (await gate.attendant.post("/v1/shifts", json=shift)).status_code == 201
    wrong = await gate.attendant.post(path, json=body | {"amount_vnd": body["amount_vnd"] - 1})
    assert (wrong.status_code, wrong.json()["code"]) == (409, "pass_price_differs")

    taken = [await gate.attendant.post(path, json=body) for _ in range(2)]

    assert [one.status_code for one in taken] == [201, 201]
    assert taken[0].json() == taken[1].json()
    assert (taken[0].json()["rail"], taken[0].json()["receipt_number"] is not None) == (
        "cash",
        True,
    )
    shown = (await gate.manager.get(f"/v1/passes/{made['id']}")).json()
    assert shown["state"] == "in_force"
    reverse = f"{path}/{body['id']}/reverse"
    assert (await gate.attendant.post(reverse, json={})).status_code == 200
    shown = (await gate.manager.get(f"/v1/passes/{made['id']}")).json()
    assert shown["state"] == "unpaid"
