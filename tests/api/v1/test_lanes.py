"""Lanes over HTTP, with the sandbox's barrier: opened, stuck, silent; keys of one lot."""

import re
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from core.ids import new_id
from tests.world.constants import BUSY_S
from tests.world.gates import Gate
from tests.world.lanes import a_controller_key, a_served_lane, by_hand, controller_of
from tests.world.lots import a_lot
from tests.world.pages import as_reader
from tests.world.sandboxes import a_sandbox_process

pytestmark = pytest.mark.anyio


@pytest.fixture
def barrier() -> Iterator[httpx.Client]:
    with a_sandbox_process() as client:
        yield client


def lane_path(gate: Gate) -> str:
    return f"/v1/lots/{gate.lot.id}/accesses/{gate.lot.way_out_id}"


def connect(barrier: httpx.Client, gate: Gate, key: str, **facts: Any) -> None:
    body = {
        "hub_url": gate.hub.url,
        "lot_id": str(gate.lot.id),
        "access_id": str(gate.lot.way_out_id),
        "key": key,
        **facts,
    }
    barrier.post("/control/lanes", json=body).raise_for_status()


def read_carried_out(barrier: httpx.Client) -> list[str]:
    ids: list[str] = barrier.get("/control/lanes").json()["lanes"][0]["carried_out"]
    return ids


@pytest.mark.parametrize(
    ("behaviour", "state"),
    [
        ("open", "opened"),
        pytest.param("stuck", "stuck", marks=pytest.mark.slow),
        pytest.param("silent", "silent", marks=pytest.mark.slow),
    ],
)
async def test_the_attendant_sees_what_became_of_the_barrier_within_six_seconds(
    gate: Gate, barrier: httpx.Client, behaviour: str, state: str
) -> None:
    await a_served_lane(gate.hub.services.database, gate.lot)
    connect(barrier, gate, await a_controller_key(gate), behaviour=behaviour)
    body = by_hand()
    began = time.monotonic()

    opened = await gate.attendant.post(f"{lane_path(gate)}/open", json=body)

    assert time.monotonic() - began < 6 + BUSY_S
    assert opened.status_code == 200, opened.text
    assert opened.json()["state"] == state
    again = await gate.attendant.post(f"{lane_path(gate)}/open", json=body)
    assert again.json()["state"] == state
    assert read_carried_out(barrier) == [body["id"]]  # once


@pytest.mark.slow
async def test_a_lane_whose_controller_is_away_is_silent_and_opens_for_nobody_later(
    gate: Gate,
) -> None:
    await a_served_lane(gate.hub.services.database, gate.lot)
    controller = controller_of(gate, await a_controller_key(gate))

    silent = await gate.attendant.post(f"{lane_path(gate)}/open", json=by_hand())

    assert silent.json()["state"] == "silent"
    late = await controller.get(f"{lane_path(gate)}/commands", params={"wait_s": 0})
    assert late.json() == {"command": None}


async def test_a_controllers_key_is_of_one_lot_and_does_nothing_else(gate: Gate) -> None:
    database = gate.hub.services.database
    await a_served_lane(database, gate.lot)
    other = await a_lot(database, org=gate.lot.org)
    nowhere = {"name": "x", "scopes": ["lanes.serve"]}
    assert (await gate.manager.post("/v1/keys", json=nowhere)).json()["code"] == "key_lot_needed"
    strange = nowhere | {"lot_id": str(new_id())}
    assert (await gate.manager.post("/v1/keys", json=strange)).json()["code"] == "lot_not_found"
    wide = nowhere | {"lot_id": str(gate.lot.id), "scopes": ["lanes.serve", "ledger.read"]}
    assert (await gate.manager.post("/v1/keys", json=wide)).json()["code"] == "scope_not_grantable"
    foreign = controller_of(gate, await a_controller_key(gate, lot_id=other.id))

    refused = await foreign.get(f"{lane_path(gate)}/commands", params={"wait_s": 0})

    assert refused.status_code == 403
    opening = await foreign.post(f"{lane_path(gate)}/open", json=by_hand())
    assert opening.status_code == 403
    assert (await gate.attendant.get(f"{lane_path(gate)}/commands")).status_code == 403


async def test_a_command_gone_to_one_controller_is_not_the_others_to_answer(gate: Gate) -> None:
    await a_served_lane(gate.hub.services.database, gate.lot)
    first, second = [controller_of(gate, await a_controller_key(gate)) for _ in range(2)]
    body = by_hand()
    path = lane_path(gate)
    await gate.attendant.post(f"{path}/open", json=body, params={"wait_s": 0})
    got = await first.get(f"{path}/commands", params={"wait_s": 0})
    assert got.json()["command"]["id"] == body["id"]
    assert (await second.get(f"{path}/commands", params={"wait_s": 0})).json()["command"] is None

    stolen = await second.post(f"{path}/commands/{body['id']}/result", json={"result": "opened"})

    assert stolen.status_code == 404
    own = await first.post(f"{path}/commands/{body['id']}/result", json={"result": "opened"})
    assert own.json()["state"] == "opened"


async def test_a_barrier_opened_by_hand_is_in_the_hand_over_and_beside_the_shift(
    gate: Gate,
) -> None:
    await a_served_lane(gate.hub.services.database, gate.lot)
    shift = {"id": str(new_id()), "lot_id": str(gate.lot.id), "change_vnd": 0}
    opened = await gate.attendant.post("/v1/shifts", json=shift)
    assert (opened.status_code, opened.json()["manual_opens"]) == (201, 0)
    body = by_hand()
    for _ in range(2):  # once, however often it is sent
        path = f"{lane_path(gate)}/open"
        sent = await gate.attendant.post(path, json=body, params={"wait_s": 0})
        assert sent.status_code == 200, sent.text

    closed = await gate.attendant.post(f"/v1/shifts/{shift['id']}/close", json={"counted_vnd": 0})

    assert closed.json()["manual_opens"] == 1
    page = await as_reader(gate.manager).get(f"/manage/lots/{gate.lot.id}")
    assert re.search(r'data-label="Mở tay">1</td>', page.text)
