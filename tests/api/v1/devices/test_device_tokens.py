"""A phone's token over HTTP: proved, bound to one lot, short, and every way to cheat it."""

import asyncio
import time
from base64 import b64encode
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from core.clock import read_clock
from core.db import Database
from core.ids import new_id
from identity.devices.signatures import MOVEMENT
from tests.world.databases import FreshDatabase
from tests.world.gates import Gate
from tests.world.hubs import Hub, running_hub
from tests.world.lots import a_lot
from tests.world.phones import EnrolledPhone, Phone, enrol_phone

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
HOUR = timedelta(hours=1)


@pytest.fixture
async def phone(gate: Gate) -> EnrolledPhone:
    """A phone of the gate's lot, with a token."""
    return await enrol_phone(gate)


@pytest.fixture
async def other_process(fresh_database: FreshDatabase, phone: EnrolledPhone) -> AsyncIterator[Hub]:
    """A second hub process on the same database."""
    async with running_hub(fresh_database.settings) as running:
        yield running


async def enter(
    client: httpx.AsyncClient, gate: Gate, lot_id: UUID | None = None
) -> httpx.Response:
    return await client.post(f"/v1/lots/{lot_id or gate.lot.id}/entries", json=gate.body())


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def read_device(database: Database) -> Any:
    async with database.begin() as session:
        return (await session.execute(text("SELECT * FROM devices"))).one()


async def test_a_phone_lets_vehicles_in_at_its_lot(gate: Gate, phone: EnrolledPhone) -> None:
    me = (await phone.client.get("/v1/me")).json()

    assert (await enter(phone.client, gate)).status_code == 201
    assert me["kind"] == "device"
    assert UUID(me["id"]) == phone.device_id
    assert me["permissions"] == ["parking.gate", "parking.read"]
    assert me["scopes"] == [{"kind": "lot", "id": str(gate.lot.id)}]


async def test_a_phone_does_nothing_at_another_lot_of_its_organisation(
    gate: Gate, phone: EnrolledPhone, app_database: Database
) -> None:
    neighbour = await a_lot(app_database, org=gate.lot.org)

    assert code_of(await enter(phone.client, gate, neighbour.id)) == (403, "forbidden")


async def test_a_phone_does_nothing_in_another_organisation(
    gate: Gate, phone: EnrolledPhone, app_database: Database
) -> None:
    stranger = await a_lot(app_database)

    assert (await enter(phone.client, gate, stranger.id)).status_code == 403
    answer = await phone.client.get("/v1/me", params={"org": stranger.org.code})
    assert answer.status_code in (200, 403, 422)
    assert stranger.org.name not in answer.text


NOT_FOR_PHONES = [
    *(("GET", path) for path in ("/v1/devices", "/v1/staff", "/v1/keys", "/v1/payees")),
    *(("GET", path) for path in ("/v1/bills", "/v1/breaks", "/v1/accounts")),
    *(("POST", path) for path in ("/v1/bills", "/v1/devices/codes", "/v1/keys")),
]


async def test_a_phone_does_no_more_than_its_fixed_set(
    phone: EnrolledPhone, subtests: pytest.Subtests
) -> None:
    for method, path in NOT_FOR_PHONES:
        with subtests.test(method=method, path=path):
            answer = await phone.client.request(method, path, json={} if method == "POST" else None)

            assert answer.status_code == 403, answer.text


async def test_a_phone_opens_no_screen_of_managers(phone: EnrolledPhone) -> None:
    token = {"Authorization": phone.client.headers["Authorization"]}

    assert (await phone.hub.client.get("/manage", headers=token)).status_code == 403


async def test_a_challenge_is_good_once(phone: EnrolledPhone) -> None:
    body = phone.phone.token_body(await phone.challenge())
    first = await phone.hub.client.post(f"{phone.path}/token", json=body)
    again = await phone.hub.client.post(f"{phone.path}/token", json=body)

    assert first.status_code == 201
    assert code_of(again) == (401, "proof_not_valid")


async def test_a_challenge_used_at_many_processes_at_once_is_good_once(
    phone: EnrolledPhone, other_process: Hub
) -> None:
    body = phone.phone.token_body(await phone.challenge())
    clients = [phone.hub.client, other_process.client] * 4

    answers = await asyncio.gather(
        *(client.post(f"{phone.path}/token", json=body) for client in clients)
    )

    assert sorted(one.status_code for one in answers) == [201] + [401] * 7


async def test_an_older_challenge_is_used_up_by_a_later_one(phone: EnrolledPhone) -> None:
    older = phone.phone.token_body(await phone.challenge())
    await phone.renew()

    answer = await phone.hub.client.post(f"{phone.path}/token", json=older)

    assert code_of(answer) == (401, "proof_not_valid")


async def test_only_the_devices_own_key_and_challenge_make_a_token(
    gate: Gate, phone: EnrolledPhone, app_database: Database
) -> None:
    thief = await enrol_phone(gate)
    challenge = await phone.challenge()
    movement = phone.phone.sign(MOVEMENT, challenge.encode())
    stranger = await a_lot(app_database)
    for body in (
        thief.phone.token_body(challenge),
        phone.phone.token_body(await thief.challenge()),
        phone.phone.token_body(challenge, signature=b64encode(movement).decode()),
        phone.phone.token_body(challenge, signature=b64encode(bytes(64)).decode()),
        phone.phone.token_body(challenge, org_code=stranger.org.code),
        phone.phone.token_body("A" * 76),
    ):
        answer = await phone.hub.client.post(f"{phone.path}/token", json=body)
        assert code_of(answer) == (401, "proof_not_valid")
    unknown = f"/v1/devices/{new_id()}"
    asked = (await phone.hub.client.post(f"{unknown}/challenge")).json()["challenge"]
    answer = await phone.hub.client.post(f"{unknown}/token", json=phone.phone.token_body(asked))
    assert code_of(answer) == (401, "proof_not_valid")
    assert (await phone.ask_for_token()).status_code == 201  # and none of it used it up


async def test_a_revoked_phone_is_out_at_once_and_elsewhere_within_five_seconds(
    gate: Gate, phone: EnrolledPhone, other_process: Hub
) -> None:
    elsewhere = other_process.new_client(Authorization=phone.client.headers["Authorization"])
    assert (await elsewhere.get("/v1/me")).status_code == 200

    revoked = await gate.manager.post(
        f"/v1/devices/{phone.device_id}/revoke", json={"reason": "Mất máy"}
    )

    assert revoked.status_code == 204
    assert code_of(await phone.client.get("/v1/me")) == (401, "device_revoked")

    until = time.monotonic() + 5
    while (await elsewhere.get("/v1/me")).status_code == 200:
        assert time.monotonic() < until
        await asyncio.sleep(0.05)
    assert code_of(await elsewhere.get("/v1/me")) == (401, "device_revoked")


async def test_a_revoked_phone_gets_a_token_for_its_queue_only(
    gate: Gate, phone: EnrolledPhone, owner_database: Database
) -> None:
    await gate.manager.post(f"/v1/devices/{phone.device_id}/revoke", json={})

    made = await phone.renew()

    assert made["is_queue_only"]
    assert code_of(await enter(phone.client, gate)) == (401, "device_revoked")
    assert code_of(await phone.name(new_id(), "739204")) == (401, "device_revoked")
    async with owner_database.begin() as session:
        await session.execute(text("UPDATE devices SET revoked_at = revoked_at - interval '73 h'"))
    assert code_of(await phone.ask_for_token()) == (401, "device_revoked")


async def test_revoking_again_changes_nothing(
    gate: Gate, phone: EnrolledPhone, owner_database: Database
) -> None:
    await gate.manager.post(f"/v1/devices/{phone.device_id}/revoke", json={})
    first = (await read_device(owner_database)).revoked_at

    again = await gate.manager.post(f"/v1/devices/{phone.device_id}/revoke", json={})

    assert again.status_code == 204
    assert (await read_device(owner_database)).revoked_at == first


@pytest.mark.parametrize(
    "behind", [timedelta(hours=7), -timedelta(hours=7), timedelta(days=9_000), timedelta(0)]
)
async def test_the_hub_keeps_how_far_a_phones_clock_is_off(
    phone: EnrolledPhone, owner_database: Database, behind: timedelta
) -> None:
    said = await phone.renew(device_at=read_clock() - behind)

    kept = (await read_device(owner_database)).offset_ms
    assert abs(timedelta(milliseconds=kept) - behind) < timedelta(seconds=30)
    assert said["offset_ms"] == kept
    assert abs(datetime.fromisoformat(said["hub_at"]) - read_clock()) < HOUR


async def test_a_clock_that_stands_at_its_beginning_is_no_error(phone: EnrolledPhone) -> None:
    said = await phone.renew(device_at=datetime(1970, 1, 1, tzinfo=UTC))

    assert said["offset_ms"] > 0


async def test_every_answer_says_the_hubs_time(phone: EnrolledPhone) -> None:
    assert (await phone.client.get("/v1/me")).headers["Date"].endswith("GMT")


async def test_a_contact_is_noted_off_the_way_of_requests(
    phone: EnrolledPhone, owner_database: Database
) -> None:
    at = read_clock() - 3 * HOUR
    answer = await phone.client.get("/v1/me", headers={"X-Device-At": at.isoformat()})
    assert answer.status_code == 200

    await phone.hub.services.devices.write_contacts()

    kept = (await read_device(owner_database)).offset_ms
    assert abs(timedelta(milliseconds=kept) - 3 * HOUR) < timedelta(seconds=30)


@pytest.mark.parametrize("value", ["soon", "2026", "9" * 400, "2026-11-20T00:00:00"])
async def test_a_time_that_cannot_be_read_is_no_error_of_the_request(
    phone: EnrolledPhone, value: str
) -> None:
    answer = await phone.client.get("/v1/me", headers={"X-Device-At": value})

    assert answer.status_code == 200


async def test_a_token_of_another_installations_key_is_refused(gate: Gate) -> None:
    client = gate.hub.new_client(Authorization="Bearer dt_" + "A" * 184)

    assert code_of(await client.get("/v1/me")) == (401, "device_token_not_valid")


async def test_a_manager_is_no_device(gate: Gate) -> None:
    answer = await gate.manager.get("/v1/devices/me/people")

    assert code_of(answer) == (403, "forbidden")


async def test_a_phone_enrolled_twice_is_two_devices(gate: Gate) -> None:
    key = Phone.make()
    first, second = await enrol_phone(gate, phone=key), await enrol_phone(gate, phone=key)

    assert first.device_id != second.device_id
