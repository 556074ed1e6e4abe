"""Entries over HTTP: who may let vehicles in, what is refused, and that both ways in are one."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest
from fastapi import FastAPI

from api.app import create_app
from api.v1.lots.entries_asgi import EntriesASGI
from api.v1.lots.entry_schemas import EntryRead
from core.clock import read_clock
from core.ids import first_id_at, new_id
from core.settings import Settings
from ops.postgres.supervisor import Cluster
from tests.world.databases import Template
from tests.world.gates import CODE, Gate, KnownGate, a_gate_template, set_up_gate
from tests.world.hubs import Hub, running_hub
from tests.world.lots import MOTORBIKE, a_lot
from tests.world.parking_sessions import a_tariff

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def gate_template(cluster: Cluster) -> Iterator[Template[KnownGate]]:
    """A lot with room for two motorbikes."""
    with a_gate_template(cluster, capacity={MOTORBIKE: 2}) as template:
        yield template


async def test_an_attendant_enters_a_vehicle_and_may_send_it_again(gate: Gate) -> None:
    body = gate.body(plate="29-AA 123.45")

    first = await gate.attendant.post(gate.entries_path, json=body)
    again = await gate.attendant.post(gate.entries_path, json=body)

    assert first.status_code == 201, first.text
    entered = first.json()
    assert entered.keys() == EntryRead.model_fields.keys()
    assert (entered["verdict"], entered["session_id"]) == ("opened", body["id"])
    assert again.status_code == 200
    assert again.json()["verdict"] == "repeat"
    assert again.json()["ticket_key"] == entered["ticket_key"]


async def test_entry_of_a_signed_in_attendant_belongs_to_their_running_shift(gate: Gate) -> None:
    await gate.enter()
    shift = {"id": str(new_id()), "lot_id": str(gate.lot.id)}
    opened = await gate.attendant.post("/v1/shifts", json=shift)
    assert opened.status_code == 201, opened.text

    await gate.enter()

    report = await gate.attendant.get(f"/v1/shifts/{shift['id']}")
    assert report.json()["entered"] == 1


async def test_a_vehicle_inside_and_a_full_lot_are_answers(gate: Gate) -> None:
    first = await gate.enter(plate="29AA12345")
    assert (await gate.enter(plate="29 aa 12345"))["verdict"] == "already_inside"
    await gate.enter()

    full = await gate.enter()

    assert (full["verdict"], full["inside_count"], full["capacity"]) == ("full", 2, 2)
    taken = await gate.enter(id=first["session_id"])
    assert taken["verdict"] == "taken"


async def test_a_manager_lets_a_vehicle_into_a_full_lot_and_the_audit_log_says_why(
    gate: Gate,
) -> None:
    for _ in range(2):
        await gate.enter()
    body = gate.body(override_reason="xe cứu hoả")

    refused = await gate.attendant.post(gate.entries_path, json=body)
    let_in = await gate.manager.post(gate.entries_path, json=body)

    assert refused.status_code == 403
    assert let_in.status_code == 201, let_in.text
    assert let_in.json()["inside_count"] == 3
    audited = await gate.admin.get("/manage/audit", params={"org": CODE})
    assert "xe cứu hoả" in audited.text


NO_ENTRIES = [
    ({"id": str(uuid4())}, "id"),
    ({"id": "x"}, "id"),
    ({"id": str(first_id_at(read_clock() - timedelta(days=36)))}, "id"),
    ({"vehicle_class": "boat"}, "vehicle_class"),
    ({"plate": 12345}, "plate"),
    ({"plate": ""}, "plate"),
    ({"plate": "29AA\x0012345"}, "plate"),
    ({"plate": "9" * 70}, "plate"),
    ({"plate": None}, "plate"),
    ({"ticket": "A\x00"}, "ticket"),
    ({"ticket": "1", "token": "2"}, "token"),
    ({"ticket": " "}, "ticket"),
    ({"read_text": "29\x00"}, "read_text"),
    ({"read_score_bps": 5000.0}, "read_score_bps"),
    ({"read_score_bps": 10_001}, "read_score_bps"),
    ({"photo": "ab"}, "photo"),
    ({"colour": "red"}, "colour"),
]


@pytest.mark.slow
async def test_what_cannot_be_an_entry_is_refused_with_its_field(
    gate: Gate, subtests: pytest.Subtests
) -> None:
    for wrong, field in NO_ENTRIES:
        with subtests.test(wrong=wrong):
            answer = await gate.attendant.post(
                gate.entries_path,
                content=msgspec.json.encode(gate.body(**wrong)),
                headers={"Content-Type": "application/json"},
            )

            assert answer.status_code == 422, answer.text
            assert [v["field"] for v in answer.json()["violations"]] == [field]
    assert (await gate.enter())["inside_count"] == 1


LONE_SURROGATE = (
    b'{"id": "01a22399-0da4-70a9-875a-8a850c064300", "vehicle_class": "car", "plate": "\\ud800"}'
)


NO_JSON = [b"", b"{", b"null", b"\xff", b'{"id": 1, "id": 2}', LONE_SURROGATE]


@pytest.mark.slow
async def test_what_is_no_json_of_an_entry_is_refused(
    gate: Gate, subtests: pytest.Subtests
) -> None:
    for body in NO_JSON:
        with subtests.test(body=body):
            headers = {"Content-Type": "application/json"}

            answer = await gate.attendant.post(gate.entries_path, content=body, headers=headers)

            assert answer.status_code == 422, answer.text
            assert (await gate.attendant.post(gate.entries_path, content=body)).status_code == 422


async def test_nobody_enters_vehicles_at_a_lot_that_is_not_theirs(gate: Gate, hub: Hub) -> None:
    neighbour = await a_lot(hub.services.database, org=gate.lot.org, now=read_clock())
    foreign = await a_lot(hub.services.database, now=read_clock())

    for lot, client, status in (
        (neighbour, gate.attendant, 403),  # of another lot of the operator
        (neighbour, gate.manager, 201),
        (foreign, gate.manager, 404),
        (gate.lot, hub.client, 401),
    ):
        answer = await client.post(f"/v1/lots/{lot.id}/entries", json=gate.body())
        assert answer.status_code == status, answer.text
    clerk = await gate.staff("ke.toan", "finance")
    assert (await clerk.post(gate.entries_path, json=gate.body())).status_code == 403


def without_the_way_past(settings: Settings) -> FastAPI:
    """The hub whose router sees every request."""
    app = create_app(settings)
    app.user_middleware = [m for m in app.user_middleware if m.cls is not EntriesASGI]
    return app


@pytest.mark.slow
async def test_the_way_past_the_router_answers_like_the_route_behind_it(settings: Settings) -> None:
    async with running_hub(settings) as hub:
        gate = await set_up_gate(hub)
        cookies = gate.attendant.cookies
        async with running_hub(settings, build=without_the_way_past) as other:
            behind = other.new_client(**{"Sec-Fetch-Site": "same-origin"})
            behind.cookies = cookies
            good = gate.body()
            for path, body in (
                (gate.entries_path, good),
                (gate.entries_path, gate.body(plate=good["plate"])),
                (gate.entries_path, gate.body(id=good["id"])),
                (gate.entries_path, gate.body(vehicle_class="boat")),
                (gate.entries_path, gate.body(vehicle_class="bus")),
                (gate.entries_path, gate.body(plate=None)),
                (gate.entries_path, "[]"),
                (f"{gate.entries_path}?since=1", gate.body()),
                (f"{gate.entries_path}?org={CODE}", gate.body(plate=good["plate"])),
                (f"/v1/lots/{new_id()}/entries", gate.body()),
            ):
                await gate.attendant.post(gate.entries_path, json=good)
                told = [await ask(client, path, body) for client in (gate.attendant, behind)]
                assert told[0] == told[1], path


@pytest.mark.slow
async def test_the_way_out_past_the_router_answers_like_the_route_behind_it(
    settings: Settings,
) -> None:
    async with running_hub(settings) as hub:
        gate = await set_up_gate(hub)
        await a_tariff(hub.services.database, gate.lot, now=read_clock())
        await gate.enter(plate="29A155555")
        exits = f"/v1/lots/{gate.lot.id}/exits"
        async with running_hub(settings, build=without_the_way_past) as other:
            behind = other.new_client(**{"Sec-Fetch-Site": "same-origin"})
            behind.cookies = gate.attendant.cookies
            gone = {"plate": "29A199999", "vehicle_class": "motorbike"}
            for path, body in (
                (exits, {"plate": "29A155555", "vehicle_class": "motorbike"}),
                (exits, gone),
                (exits, {"plate": "29A155555"}),
                (exits, {"ticket": "1", "tag": "2"}),
                (exits, gone | {"paid": True}),
                (exits, "[]"),
                (f"{exits}?since=1", gone),
                (f"/v1/lots/{new_id()}/exits", gone),
            ):
                told = [await ask(client, path, body) for client in (gate.attendant, behind)]
                assert told[0] == told[1], path


async def ask(client: httpx.AsyncClient, path: str, body: Any) -> tuple[object, ...]:
    """Return what a client sees, but for what differs between any two answers."""
    answer = await client.post(path, json=body)
    told = answer.json()
    told.pop("request_id", None)
    kept = {"content-type", "cache-control", "content-security-policy"}
    return answer.status_code, told, {k: v for k, v in answer.headers.items() if k in kept}
