"""Debts of earlier visits over HTTP: who sees one, who collects it, and two who do so at once."""

import asyncio
from typing import Any
from uuid import UUID

import httpx
import pytest

from core.clock import read_clock
from core.ids import new_id
from core.tenancy import open_org_transaction
from payments.bills.queries import get_bill
from tests.world.gates import Gate
from tests.world.notices import pay
from tests.world.parking_sessions import PER_VISIT_VND, a_tariff, as_stall
from tests.world.waits import DEADLINE_S, LOOKS_EVERY_S

pytestmark = pytest.mark.anyio

PLATE = "29-A1 12345"
NOT_FOUND = (404, "parking_session_not_found")


@pytest.fixture
async def gate(gate: Gate) -> Gate:
    """The lot with a tariff."""
    await a_tariff(gate.hub.services.database, gate.lot, now=read_clock())
    return gate


@pytest.fixture
async def colleague(gate: Gate) -> httpx.AsyncClient:
    """Another attendant of the lot, whose shift runs."""
    colleague = await gate.staff("dong.nghiep", "attendant", lot=gate.lot)
    await open_shift(gate, colleague)
    return colleague


@pytest.fixture
async def phone(gate: Gate, colleague: httpx.AsyncClient) -> httpx.AsyncClient:
    """The colleague's phone: the gate's own routes are not in the OpenAPI."""
    return await gate.hub.browser("dong.nghiep")


async def open_shift(gate: Gate, client: httpx.AsyncClient) -> None:
    body = {"id": str(new_id()), "lot_id": str(gate.lot.id)}
    assert (await client.post("/v1/shifts", json=body)).status_code == 201


async def leave_owing(gate: Gate, **facts: Any) -> str:
    """Let a vehicle out unpaid; return the path of its stay."""
    entered = await gate.enter(**{"plate": PLATE, **facts})
    path = f"/v1/parking-sessions/{entered['session_id']}"
    gone = {"forced": "arrears", "reason": "Khách bỏ chạy", "no_photo_reason": "Xe đi mất"}
    left = await gate.attendant.post(f"{path}/exit", json=gone)
    assert left.json()["arrears_vnd"] == PER_VISIT_VND, left.text
    return path


async def quote(client: httpx.AsyncClient, path: str) -> dict[str, Any]:
    answer = await client.post(f"{path}/quotes", json={})
    assert answer.status_code == 201, answer.text
    said: dict[str, Any] = answer.json()
    return said


def cash_for(said: dict[str, Any]) -> dict[str, Any]:
    amount = {"amount_vnd": said["amount_vnd"], "quote": said["quote"]}
    return {"id": str(new_id()), "rail": "cash", **amount}


async def test_a_debt_is_seen_by_who_stands_at_the_gate_only_while_its_vehicle_is_there(
    gate: Gate, colleague: httpx.AsyncClient, phone: httpx.AsyncClient
) -> None:
    path = await leave_owing(gate)

    async def look() -> tuple[int, str | None]:
        answer = await colleague.get(path)
        return answer.status_code, answer.json().get("code")

    assert await look() == NOT_FOUND
    await gate.enter(plate="29-A1 99999")
    assert await look() == NOT_FOUND
    await gate.enter(plate="29A12345", vehicle_class="car")  # as its letters go, another vehicle
    assert await look() == NOT_FOUND
    assert (await colleague.post(f"{path}/quotes", json={})).status_code == 404
    back = await gate.enter(plate=PLATE)
    assert await look() == (200, None)
    shown = await phone.get(f"/gate/lots/{gate.lot.id}/stays/{back['session_id']}/debts")
    (debt,) = shown.json()["arrears"]
    assert (path.endswith(debt["id"]), debt["due_vnd"]) == (True, PER_VISIT_VND)
    assert (await gate.manager.get(path)).status_code == 200


async def test_a_debt_is_collected_in_cash_seen_settled_and_taken_back_by_who_took_it(
    gate: Gate, colleague: httpx.AsyncClient, phone: httpx.AsyncClient
) -> None:
    path = await leave_owing(gate)
    back = await gate.enter(plate=PLATE)
    page = f"/gate/lots/{gate.lot.id}/stays/{path.rsplit('/', 1)[1]}"
    said = (await phone.get(page)).json()
    assert (said["status"], said["due_vnd"]) == ("left", PER_VISIT_VND)
    assert sum(line["amount_vnd"] for line in said["lines"]) == PER_VISIT_VND

    body = cash_for({"amount_vnd": said["due_vnd"], "quote": said["quote"]})
    taken = await colleague.post(f"{path}/collections", json=body)

    assert taken.status_code == 201, taken.text
    assert taken.json()["receipt_number"].startswith("PT")
    again = await colleague.post(f"{path}/collections", json=body)
    assert (again.status_code, again.json()["id"]) == (201, body["id"])
    settled = (await phone.get(page)).json()
    assert (settled["due_vnd"], settled["paid_vnd"]) == (0, PER_VISIT_VND)
    visit = f"/v1/parking-sessions/{back['session_id']}"
    assert (await quote(colleague, visit))["arrears"] == []
    stranger = await gate.staff("nguoi.khac", "attendant", lot=gate.lot)
    await open_shift(gate, stranger)
    assert (await stranger.get(path)).status_code == 404

    back_again = await colleague.post(f"{path}/collections/{body['id']}/reverse", json={})
    assert back_again.status_code == 200, back_again.text
    assert (await quote(colleague, visit))["arrears"][0]["arrears_vnd"] == PER_VISIT_VND


async def test_a_debt_is_paid_by_a_code_that_answers_a_repeat_once_it_is_paid(
    gate: Gate, colleague: httpx.AsyncClient
) -> None:
    path = await leave_owing(gate)
    await gate.enter(plate=PLATE)
    said = await quote(colleague, path)
    body = {"id": str(new_id()), "amount_vnd": said["amount_vnd"], "quote": said["quote"]}
    shown = await colleague.post(f"{path}/bills", json=body)
    assert shown.status_code == 201, shown.text

    database = gate.hub.services.database
    async with open_org_transaction(database, gate.lot.org.id) as session:
        bill = await get_bill(session, gate.lot.org.id, UUID(body["id"]))
    await pay(database, await as_stall(database, gate.lot), bill, now=read_clock())

    async with asyncio.timeout(DEADLINE_S):
        while (await colleague.get(path)).json()["arrears_vnd"]:  # noqa: ASYNC110
            await asyncio.sleep(LOOKS_EVERY_S)
    again = await colleague.post(f"{path}/bills", json=body)
    assert (again.status_code, again.json()["status"]) == (201, "paid")


async def test_of_two_phones_that_collect_one_debt_at_once_one_takes_the_money(
    gate: Gate, colleague: httpx.AsyncClient
) -> None:
    await open_shift(gate, gate.attendant)
    path = await leave_owing(gate)
    await gate.enter(plate=PLATE)
    phones = (gate.attendant, colleague)
    bodies = [cash_for(await quote(phone, path)) for phone in phones]

    answers = await asyncio.gather(
        *(
            phone.post(f"{path}/collections", json=body)
            for phone, body in zip(phones, bodies, strict=True)
        )
    )

    statuses = sorted(answer.status_code for answer in answers)
    assert statuses in ([201, 404], [201, 409]), [answer.text for answer in answers]
    stay = (await gate.manager.get(path)).json()
    assert (stay["paid_vnd"], stay["arrears_vnd"]) == (PER_VISIT_VND, 0)
