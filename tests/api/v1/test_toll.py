"""Toll accounts over HTTP: contracts, a charge at the way out, its fall-back, and a refund."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from core.clock import read_clock
from core.db import Database
from core.ids import new_id
from core.jobs.periodic import JobDatabases
from core.settings import Settings
from payments.rails.toll.jobs import resume_tolls
from tests.world.databases import Template
from tests.world.gates import Gate, KnownGate, find_gate
from tests.world.hubs import running_hub
from tests.world.parking_sessions import a_tariff
from tests.world.sandboxes import a_sandbox
from tests.world.tolls import CLIENT_ID, PLATE, TOLL_SECRET

pytestmark = pytest.mark.anyio


@pytest.fixture
def operator() -> Iterator[httpx.Client]:
    with a_sandbox() as client:
        client.post("/control/toll/clients", json={"client_id": CLIENT_ID, "secret": TOLL_SECRET})
        wallet = {"kind": "plate", "value": PLATE, "balance_vnd": 50_000}
        client.post("/control/toll/wallets", json=wallet).raise_for_status()
        yield client


@pytest.fixture
async def gate(
    settings: Settings, operator: httpx.Client, gate_template: Template[KnownGate]
) -> AsyncIterator[Gate]:
    origin = str(operator.base_url).rstrip("/")
    async with running_hub(settings.model_copy(update={"sandbox_origins": (origin,)})) as hub:
        gate = find_gate(hub, gate_template.holds)
        await a_tariff(hub.services.database, gate.lot, now=read_clock())
        yield gate


def contract_body(operator: httpx.Client, **facts: Any) -> dict[str, Any]:
    return {
        "name": "Ví thu phí",
        "url": str(operator.base_url),
        "client_id": CLIENT_ID,
        "secret": TOLL_SECRET,
        **facts,
    }


def read_wallet(operator: httpx.Client) -> int:
    balance_vnd: int = operator.get("/control/toll").json()["wallets"][0]["balance_vnd"]
    return balance_vnd


def lose_an_answer(operator: httpx.Client) -> None:
    operator.post("/control/toll/faults", json={"fault": "error_after", "calls_left": 1})


async def sign_contract(gate: Gate, operator: httpx.Client, **facts: Any) -> httpx.Response:
    return await gate.manager.post("/v1/toll-contracts", json=contract_body(operator, **facts))


async def charge(gate: Gate, **facts: Any) -> tuple[str, httpx.Response]:
    entered = await gate.enter(plate=PLATE)
    path = f"/v1/parking-sessions/{entered['session_id']}"
    said = (await gate.attendant.post(f"{path}/quotes", json={})).json()
    body = {
        "id": str(new_id()),
        "amount_vnd": said["amount_vnd"],
        "quote": said["quote"],
        **facts,
    }
    return path, await gate.attendant.post(f"{path}/toll-charges", json=body)


async def test_a_contract_goes_only_where_the_hubs_operator_allows(
    gate: Gate, operator: httpx.Client
) -> None:
    refused = await sign_contract(gate, operator, url="http://127.0.0.1:5432")
    assert (refused.status_code, refused.json()["code"]) == (422, "bad_toll_url")

    made = await sign_contract(gate, operator)
    assert made.status_code == 201, made.text
    assert TOLL_SECRET not in made.text
    second = await sign_contract(gate, operator)
    assert (second.status_code, second.json()["code"]) == (409, "toll_contract_in_force")
    listed = (await gate.manager.get("/v1/toll-contracts")).json()["contracts"]
    assert [one["id"] for one in listed] == [made.json()["id"]]
    forbidden = await gate.attendant.post("/v1/toll-contracts", json=contract_body(operator))
    assert forbidden.status_code == 403


async def test_a_charge_opens_the_way_and_a_repeat_charges_nothing(
    gate: Gate, operator: httpx.Client
) -> None:
    await sign_contract(gate, operator)
    path, charged = await charge(gate)

    assert charged.status_code == 201, charged.text
    told = charged.json()
    assert (told["status"], told["next_step"]) == ("charged", "leave")
    assert PLATE not in charged.text
    body = {"id": told["id"], "amount_vnd": told["amount_vnd"], "quote": "gone"}
    again = await gate.attendant.post(f"{path}/toll-charges", json=body)
    assert again.json()["status"] == "charged"
    assert read_wallet(operator) == 45_000
    assert (await gate.attendant.post(f"{path}/exit", json={})).status_code == 200


async def test_without_a_contract_another_payment_is_taken(gate: Gate) -> None:
    _, refused = await charge(gate)

    assert (refused.status_code, refused.json()["code"]) == (409, "toll_not_available")


@pytest.mark.slow
async def test_an_unknown_charge_shows_the_bills_code_and_goes_back_if_cash_was_taken(
    gate: Gate,
    operator: httpx.Client,
    owner_database: Database,
    worker_database: Database,
) -> None:
    await sign_contract(gate, operator)
    lose_an_answer(operator)
    shift = {"id": str(new_id()), "lot_id": str(gate.lot.id), "change_vnd": 0}
    await gate.attendant.post("/v1/shifts", json=shift)
    path, unknown = await charge(gate)
    told = unknown.json()
    assert (told["status"], told["next_step"]) == ("unknown", "other_payment")
    assert told["bill"]["vietqr"].startswith("000201")
    said = (await gate.attendant.post(f"{path}/quotes", json={})).json()
    cash = {"id": str(new_id()), "rail": "cash"} | {n: said[n] for n in ("amount_vnd", "quote")}
    assert (await gate.attendant.post(f"{path}/collections", json=cash)).status_code == 201

    async with owner_database.begin() as session:
        await session.execute(text("UPDATE toll_requests SET next_attempt_at = now()"))
    services = gate.hub.services
    databases = JobDatabases(app=services.database, worker=worker_database)
    assert await resume_tolls(databases, services.tolls, now=read_clock()) == 1

    shown = (await gate.attendant.get(f"{path}/toll-charges/{told['id']}")).json()
    assert (shown["status"], shown["kept_vnd"]) == ("charged", 0)
    refund = f"/v1/toll-charges/{told['id']}/refund"
    finance = await gate.staff("ke.toan", "finance")
    assert (await gate.manager.post(refund, json={"reason": "x"})).status_code == 403
    back = await finance.post(refund, json={"reason": "Khách đã trả tiền mặt"})
    assert (back.status_code, back.json()["refund_status"]) == (200, "refunded")
    assert read_wallet(operator) == 50_000
