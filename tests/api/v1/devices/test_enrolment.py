"""Enrolling a phone: a code shown once, a key proved, and who tries to get in otherwise."""

import asyncio
from base64 import b64encode
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from core.db import Database
from core.ids import new_id
from identity.devices.signatures import ENROLMENT
from tests.world.clocks import stop_refills
from tests.world.gates import CODE, Gate
from tests.world.lots import a_lot
from tests.world.phones import Phone, enrol_phone, show_code

pytestmark = pytest.mark.anyio
ENROL = "/v1/devices/enrol"


async def a_code(gate: Gate) -> str:
    answer = await show_code(gate)
    assert answer.status_code == 201, answer.text
    code: str = answer.json()["code"]
    return code


async def enrol(gate: Gate, body: dict[str, Any]) -> httpx.Response:
    return await gate.hub.client.post(ENROL, json=body)


async def count_devices(database: Database) -> int:
    async with database.begin() as session:
        found = await session.scalar(text("SELECT count(*) FROM devices"))
    return int(found or 0)


async def move_codes(database: Database, by: timedelta) -> None:
    async with database.begin() as session:
        await session.execute(
            text("UPDATE device_enrolments SET expires_at = expires_at - :by"), {"by": by}
        )


async def test_a_phone_that_signs_the_code_is_a_device_of_the_codes_lot(gate: Gate) -> None:
    made = await show_code(gate)
    code = made.json()["code"]

    answer = await enrol(gate, Phone.make().enrol_body(code))

    assert made.headers["cache-control"] == "no-store"
    assert answer.status_code == 201, answer.text
    assert answer.json()["lot_id"] == str(gate.lot.id)
    assert (answer.json()["name"], answer.json()["org_code"]) == ("Cổng chính", CODE)
    listed = (await gate.manager.get("/v1/devices", params={"lot_id": str(gate.lot.id)})).json()
    assert [one["id"] for one in listed["devices"]] == [answer.json()["device_id"]]


@pytest.mark.parametrize("typed", ["{0}", "{1}", " {1} ", "{2}"])
async def test_a_code_may_be_typed_with_or_without_hyphens_and_capitals(
    gate: Gate, typed: str
) -> None:
    code = await a_code(gate)
    written = typed.format(code, code.replace("-", ""), code.lower().replace("-", " "))

    assert (await enrol(gate, Phone.make().enrol_body(written))).status_code == 201


async def test_only_a_keyed_hash_of_a_code_is_stored(gate: Gate, owner_database: Database) -> None:
    code = (await a_code(gate)).replace("-", "")
    async with owner_database.begin() as session:
        rows = (await session.execute(text("SELECT * FROM device_enrolments"))).all()

    assert len(rows) == 1
    assert code not in str(rows)
    assert code[4:] not in str(rows)


async def test_a_code_is_shown_once_and_a_repeat_makes_no_other(
    gate: Gate, owner_database: Database
) -> None:
    first = await show_code(gate, **{"Idempotency-Key": "k1"})
    again = await show_code(gate, **{"Idempotency-Key": "k1"})

    assert first.json()["code"]
    assert again.json()["code"] is None
    assert again.json()["id"] == first.json()["id"]
    assert again.headers["Idempotent-Replayed"] == "true"


async def test_the_same_code_and_key_answer_like_the_first_also_later(
    gate: Gate, owner_database: Database
) -> None:
    body = Phone.make().enrol_body(await a_code(gate))
    first = await enrol(gate, body)
    await move_codes(owner_database, timedelta(minutes=11))

    again = await enrol(gate, body)

    assert again.status_code == first.status_code == 201
    assert again.json()["device_id"] == first.json()["device_id"]
    assert await count_devices(owner_database) == 1


async def test_a_code_enrols_one_phone_of_two_at_the_same_instant(
    gate: Gate, owner_database: Database
) -> None:
    code = await a_code(gate)
    phones = [Phone.make() for _ in range(6)]

    answers = await asyncio.gather(*(enrol(gate, one.enrol_body(code)) for one in phones))

    assert sorted(one.status_code for one in answers) == [201] + [422] * 5
    assert await count_devices(owner_database) == 1


async def test_a_code_is_over_after_ten_minutes(gate: Gate, owner_database: Database) -> None:
    code = await a_code(gate)
    await move_codes(owner_database, timedelta(minutes=10))

    answer = await enrol(gate, Phone.make().enrol_body(code))

    assert (answer.status_code, answer.json()["code"]) == (422, "enrolment_code_not_valid")


NOBODYS_CODES = ["DXE2-AAAA-AAAA", "ZZZZ-AAAA-AAAA", "x", "🅰" * 12, "DXE2"]


async def test_a_code_that_nobody_showed_enrols_nothing(
    gate: Gate, subtests: pytest.Subtests
) -> None:
    for code in NOBODYS_CODES:
        with subtests.test(code=code):
            answer = await enrol(gate, Phone.make().enrol_body(code))

            assert (answer.status_code, answer.json()["code"]) == (422, "enrolment_code_not_valid")


async def test_a_key_is_taken_only_with_its_own_signature_of_this_code(gate: Gate) -> None:
    code = await a_code(gate)
    phone, thief = Phone.make(), Phone.make()
    stolen = {**thief.enrol_body(code), "public_key": phone.enrol_body(code)["public_key"]}
    other_code = {**phone.enrol_body("DXE2-2222-2222"), "code": code}
    bare = b64encode(phone.sign(b"", b"text")).decode()
    swapped = phone.sign(ENROLMENT, code.replace("-", "").encode() + b"\n" + thief.public_key)
    for body in (
        stolen,
        other_code,
        {**phone.enrol_body(code), "signature": bare},
        {**phone.enrol_body(code), "signature": b64encode(swapped).decode()},
    ):
        answer = await enrol(gate, body)
        assert (answer.status_code, answer.json()["code"]) == (422, "public_key_not_usable")


NO_BASE64 = ["", "?", "AAA", "A" * 10_000, "é"]


@pytest.mark.parametrize("field", ["public_key", "signature"])
async def test_what_is_no_base64_is_an_error_of_its_field(
    gate: Gate, field: str, subtests: pytest.Subtests
) -> None:
    for value in NO_BASE64:
        with subtests.test(value=value):
            answer = await enrol(gate, {**Phone.make().enrol_body("DXE2-2222-2222"), field: value})

            assert answer.status_code == 422
            assert field in answer.text


async def test_codes_cannot_be_tried_out(gate: Gate) -> None:
    """Ten a minute from one network, of 30^8."""
    phone = Phone.make()
    stop_refills(gate.hub.services.phones.by_network)
    answers = [await enrol(gate, phone.enrol_body("DXE2-2222-2222")) for _ in range(12)]

    assert [one.status_code for one in answers] == [422] * 10 + [429] * 2
    assert "Retry-After" in answers[-1].headers


async def test_only_who_manages_devices_shows_a_code_and_only_for_an_own_lot(
    gate: Gate, app_database: Database
) -> None:
    elsewhere = await a_lot(app_database)
    body = {"name": "Cổng", "lot_id": str(elsewhere.id)}

    foreign = await gate.manager.post("/v1/devices/codes", json=body)
    unknown = await gate.manager.post("/v1/devices/codes", json={**body, "lot_id": str(new_id())})
    attendant = await gate.attendant.post(
        "/v1/devices/codes", json={**body, "lot_id": str(gate.lot.id)}
    )

    assert (foreign.status_code, foreign.json()["code"]) == (422, "scope_not_found")
    assert unknown.status_code == 422
    assert attendant.status_code == 403


async def test_a_manager_sees_no_device_of_another_organisation(
    gate: Gate, app_database: Database, owner_database: Database
) -> None:
    phone = await enrol_phone(gate)
    other = await a_lot(app_database)
    moved = text(
        "INSERT INTO devices (org_id, id, name, scope_kind, scope_id, public_key,"
        " enrolled_by, enrolled_at) SELECT :org, :id, name, scope_kind, scope_id, public_key,"
        " enrolled_by, enrolled_at FROM devices LIMIT 1"
    )
    foreign_id = new_id()
    async with owner_database.begin() as session:
        await session.execute(moved, {"org": other.org.id, "id": foreign_id})

    listed = (await gate.manager.get("/v1/devices")).json()["devices"]
    revoked = await gate.manager.post(f"/v1/devices/{foreign_id}/revoke", json={})

    assert [UUID(one["id"]) for one in listed] == [phone.device_id]
    assert (revoked.status_code, revoked.json()["code"]) == (404, "device_not_found")
