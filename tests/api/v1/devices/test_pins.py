"""PINs: they name a person on an enrolled phone, and what is tried against them."""

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from core.clock import read_clock
from core.db import Database
from core.tenancy import open_org_transaction
from identity.devices import queries
from identity.people.service import HUB, StaffChange, change_staff
from registry import REGISTRY
from tests.world.constants import PASSWORD
from tests.world.gates import Gate
from tests.world.lots import a_lot
from tests.world.phones import EnrolledPhone, enrol_phone
from tests.world.waits import wait_until_blocked

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
PIN, OTHER_PIN = "739204", "582917"


@pytest.fixture
async def phone(gate: Gate) -> EnrolledPhone:
    """A phone of the gate's lot, with a token."""
    return await enrol_phone(gate)


@pytest.fixture
async def attendant_id(gate: Gate) -> str:
    """The attendant of the lot, with a PIN."""
    staff_id: str = (await gate.attendant.get("/v1/me")).json()["id"]
    assert (await set_pin(gate, staff_id)).status_code == 204
    return staff_id


async def set_pin(gate: Gate, staff_id: str, pin: str = PIN) -> httpx.Response:
    return await gate.manager.post(f"/v1/staff/{staff_id}/pin", json={"pin": pin})


async def me(client: httpx.AsyncClient) -> dict[str, Any]:
    found: dict[str, Any] = (await client.get("/v1/me")).json()
    return found


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def patch_person(gate: Gate, staff_id: str, **facts: Any) -> None:
    answer = await gate.manager.patch(f"/v1/staff/{staff_id}", json=facts)
    assert answer.status_code == 200, answer.text


async def test_a_pin_names_the_person_who_acts(
    gate: Gate, phone: EnrolledPhone, attendant_id: str, owner_database: Database
) -> None:
    made = phone.carry(await phone.name(attendant_id, PIN))

    assert (made["staff_id"], made["staff_name"]) == (attendant_id, "Bao.Ve")
    found = await me(phone.client)
    assert (found["id"], found["name"], found["kind"]) == (attendant_id, "Bao.Ve", "device")
    assert found["permissions"] == ["parking.gate", "parking.read"]
    assert (await phone.client.post(gate.entries_path, json=gate.body())).status_code == 201
    async with owner_database.begin() as session:
        entry_by = await session.scalar(text("SELECT entry_by FROM parking_sessions"))
    assert str(entry_by) == attendant_id


async def test_who_is_named_stays_named_when_the_token_is_renewed(
    phone: EnrolledPhone, attendant_id: str, owner_database: Database
) -> None:
    phone.carry(await phone.name(attendant_id, PIN))

    assert (await phone.renew())["staff_id"] == attendant_id
    async with owner_database.begin() as session:
        await session.execute(text("UPDATE devices SET named_at = named_at - interval '12 h'"))
    assert (await phone.renew())["staff_id"] is None


async def test_who_leaves_is_no_longer_named(phone: EnrolledPhone, attendant_id: str) -> None:
    phone.carry(await phone.name(attendant_id, PIN))

    made = phone.carry(await phone.client.delete("/v1/devices/me/person"))

    assert made["staff_id"] is None
    assert (await me(phone.client))["id"] == str(phone.device_id)
    assert (await phone.renew())["staff_id"] is None


async def test_a_phone_lists_who_works_at_its_lot(
    gate: Gate, phone: EnrolledPhone, attendant_id: str, app_database: Database
) -> None:
    neighbour = await a_lot(app_database, org=gate.lot.org)
    await gate.staff("nguoi.khac", "attendant", lot=neighbour)
    await gate.staff("ke.toan", "finance")

    people = (await phone.client.get("/v1/devices/me/people")).json()["people"]

    assert {one["name"]: one["has_pin"] for one in people} == {"Bao.Ve": True, "Quan.Ly": False}
    asked = await gate.manager.get("/v1/devices/people", params={"lot_id": str(gate.lot.id)})
    assert asked.json()["people"] == people


async def test_five_wrong_pins_lock_and_a_manager_opens(
    gate: Gate, phone: EnrolledPhone, attendant_id: str, owner_database: Database
) -> None:
    for _ in range(5):
        assert code_of(await phone.name(attendant_id, OTHER_PIN)) == (422, "pin_not_right")

    assert code_of(await phone.name(attendant_id, PIN)) == (403, "pin_locked")
    people = (await phone.client.get("/v1/devices/me/people")).json()["people"]
    assert [one["is_pin_locked"] for one in people if one["staff_id"] == attendant_id] == [True]
    async with owner_database.begin() as session:
        locked = await session.scalar(
            text("SELECT count(*) FROM audit_log WHERE action = 'staff.pin_locked'")
        )
    assert locked == 1
    assert (await set_pin(gate, attendant_id, OTHER_PIN)).status_code == 204
    assert (await phone.name(attendant_id, OTHER_PIN)).status_code == 201


async def wait_out_the_lock(owner: Database) -> None:
    """Let a quarter of an hour pass for the PINs that are locked."""
    async with owner.begin() as session:
        query = "UPDATE staff_pins SET locked_until = locked_until - interval '15 minutes'"
        await session.execute(text(query))


async def test_a_locked_pin_opens_by_itself_after_a_quarter_of_an_hour(
    phone: EnrolledPhone, attendant_id: str, owner_database: Database
) -> None:
    for _ in range(5):
        await phone.name(attendant_id, OTHER_PIN)
    async with owner_database.begin() as session:
        query = text("SELECT locked_until FROM staff_pins")
        locked_until = await session.scalar(query)
    assert timedelta(minutes=14) < locked_until - read_clock() <= timedelta(minutes=15)
    assert code_of(await phone.name(attendant_id, PIN)) == (403, "pin_locked")

    await wait_out_the_lock(owner_database)

    assert (await phone.name(attendant_id, PIN)).status_code == 201
    for _ in range(4):  # all tries are given back
        assert code_of(await phone.name(attendant_id, OTHER_PIN)) == (422, "pin_not_right")
    assert (await phone.name(attendant_id, PIN)).status_code == 201


async def test_three_locks_in_a_row_are_for_a_manager(
    gate: Gate, phone: EnrolledPhone, attendant_id: str, owner_database: Database
) -> None:
    async with owner_database.begin() as session:
        await session.execute(text("UPDATE staff_pins SET failed_attempts = 14"))
    assert code_of(await phone.name(attendant_id, OTHER_PIN)) == (422, "pin_not_right")

    await wait_out_the_lock(owner_database)

    assert code_of(await phone.name(attendant_id, PIN)) == (403, "pin_locked")
    assert (await set_pin(gate, attendant_id, OTHER_PIN)).status_code == 204
    assert (await phone.name(attendant_id, OTHER_PIN)).status_code == 201


async def test_the_fifth_try_may_be_the_right_one(phone: EnrolledPhone, attendant_id: str) -> None:
    for _ in range(4):
        await phone.name(attendant_id, OTHER_PIN)
    assert (await phone.name(attendant_id, PIN)).status_code == 201
    assert (await phone.name(attendant_id, PIN)).status_code == 201


async def test_the_right_pin_gives_all_tries_back(phone: EnrolledPhone, attendant_id: str) -> None:
    for _ in range(2):
        for _ in range(4):
            assert code_of(await phone.name(attendant_id, OTHER_PIN)) == (422, "pin_not_right")
        assert (await phone.name(attendant_id, PIN)).status_code == 201


async def test_guesses_on_many_phones_at_once_are_five_in_all(
    gate: Gate, phone: EnrolledPhone, attendant_id: str, owner_database: Database
) -> None:
    phones = [phone, await enrol_phone(gate), await enrol_phone(gate)]

    answers = await asyncio.gather(
        *(one.name(attendant_id, f"58291{digit}") for digit in range(8) for one in phones)
    )

    tried = [code_of(one) for one in answers]
    assert tried.count((422, "pin_not_right")) == 5
    assert tried.count((403, "pin_locked")) == len(answers) - 5
    assert code_of(await phone.name(attendant_id, PIN)) == (403, "pin_locked")


async def test_a_pin_names_nobody_of_another_lot(
    gate: Gate, phone: EnrolledPhone, app_database: Database
) -> None:
    neighbour = await a_lot(app_database, org=gate.lot.org)
    other = await me(await gate.staff("nguoi.khac", "attendant", lot=neighbour))
    finance = await me(await gate.staff("ke.toan", "finance"))
    await set_pin(gate, other["id"])
    assert code_of(await phone.name(other["id"], PIN)) == (422, "pin_not_right")
    assert code_of(await phone.name(finance["id"], PIN)) == (422, "pin_not_right")


async def test_a_pin_is_worth_nothing_without_an_enrolled_phone(
    gate: Gate, attendant_id: str
) -> None:
    body = {"staff_id": attendant_id, "pin": PIN}
    stranger = await gate.hub.client.post("/v1/devices/me/person", json=body)
    colleague = await gate.manager.post("/v1/devices/me/person", json=body)

    assert stranger.status_code == 401
    assert colleague.status_code == 403


@pytest.mark.parametrize(
    "change_facts",
    [{"is_disabled": True}, {"roles": ["cashier"]}, {"scopes": []}],
)
async def test_a_person_whose_rights_change_is_no_longer_named(
    gate: Gate, phone: EnrolledPhone, attendant_id: str, change_facts: dict[str, Any]
) -> None:
    """Disabled, given another role, moved to another place: the token in hand ends, too."""
    if "roles" in change_facts:
        change_facts = {**change_facts, "scopes": [{"kind": "payee", "id": str(gate.lot.payee_id)}]}
    phone.carry(await phone.name(attendant_id, PIN))

    await patch_person(gate, attendant_id, **change_facts)

    await phone.hub.services.device_tokens.refresh(phone.hub.services.gate_database)
    assert code_of(await phone.client.get("/v1/me")) == (401, "device_token_not_valid")
    assert (await phone.renew())["staff_id"] is None


async def test_who_is_dismissed_while_their_pin_is_compared_is_not_named(
    gate: Gate,
    phone: EnrolledPhone,
    attendant_id: str,
    app_database: Database,
) -> None:
    """Naming waits for a change of the person that is under way, and sees what came of it."""
    staff_id = UUID(attendant_id)
    async with open_org_transaction(app_database, gate.lot.org.id) as dismissing:
        await change_staff(
            dismissing,
            gate.lot.org.id,
            staff_id,
            StaffChange(is_disabled=True),
            granter=HUB,
            hooks=REGISTRY.hooks,
            reason=None,
            now=read_clock(),
        )
        naming = asyncio.create_task(phone.name(staff_id, PIN))
        await wait_until_blocked(app_database)

    assert code_of(await naming) == (422, "pin_not_right")
    assert (await phone.renew())["staff_id"] is None


async def test_who_is_dismissed_after_their_pin_was_compared_loses_the_token(
    gate: Gate,
    phone: EnrolledPhone,
    attendant_id: str,
    app_database: Database,
    owner_database: Database,
) -> None:
    """Dismissing waits for a naming under way, and ends what it issued, whoever began first."""
    org_id, staff_id = gate.lot.org.id, UUID(attendant_id)
    before = read_clock()
    async with open_org_transaction(app_database, org_id) as naming:
        await queries.lock_device(naming, org_id, phone.device_id)
        await queries.lock_pin(naming, org_id, staff_id)
        ending = asyncio.create_task(end_later(app_database, org_id, staff_id, now=before))
        await wait_until_blocked(app_database)
        issued_at = read_clock()
    await ending

    async with owner_database.begin() as session:
        ended_at = await session.scalar(text("SELECT ended_at FROM staff_pins"))
    assert ended_at > issued_at


async def end_later(database: Database, org_id: UUID, staff_id: UUID, *, now: datetime) -> None:
    async with open_org_transaction(database, org_id) as session:
        await queries.end_person(session, org_id, staff_id, now=now)


async def test_a_new_pin_ends_what_the_old_one_named(
    gate: Gate, phone: EnrolledPhone, attendant_id: str
) -> None:
    phone.carry(await phone.name(attendant_id, PIN))

    assert (await set_pin(gate, attendant_id, OTHER_PIN)).status_code == 204

    await phone.hub.services.device_tokens.refresh(phone.hub.services.gate_database)
    assert code_of(await phone.client.get("/v1/me")) == (401, "device_token_not_valid")
    assert (await phone.renew())["staff_id"] is None
    assert code_of(await phone.name(attendant_id, PIN)) == (422, "pin_not_right")


WEAK_PINS = [
    *((pin, "pin_too_common") for pin in ("000000", "123456", "654321", "890123", "121212")),
    *((pin, "pin_too_common") for pin in ("123123", "112233", "123321", "777778", "345678")),
    *(
        (pin, "pin_not_six_digits")
        for pin in ("12345", "1234567", "12345a", "１２３４５６", " 73920")
    ),
]


async def test_weak_pins_are_refused(
    gate: Gate, attendant_id: str, subtests: pytest.Subtests
) -> None:
    for pin, code in WEAK_PINS:
        with subtests.test(pin=pin):
            answer = await set_pin(gate, attendant_id, pin)

            assert code_of(answer) == (422, "pin_refused")
            assert [one["code"] for one in answer.json()["violations"]] == [code]


async def test_one_sets_ones_own_pin_with_the_password(gate: Gate, phone: EnrolledPhone) -> None:
    manager = await me(gate.manager)
    body = {"password": PASSWORD, "pin": PIN}

    wrong = await gate.manager.post("/v1/me/pin", json={**body, "password": "x" * 12})
    through_the_list = await set_pin(gate, manager["id"])
    right = await gate.manager.post("/v1/me/pin", json=body)

    assert code_of(wrong) == (422, "wrong_password")
    assert code_of(through_the_list) == (403, "forbidden")
    assert right.status_code == 204
    phone.carry(await phone.name(manager["id"], PIN))
    assert "parking.override" in (await me(phone.client))["permissions"]


async def test_nobody_sets_the_pin_of_who_may_do_more(gate: Gate) -> None:
    boss = await me(await gate.staff("giam.doc", "admin"))
    stranger = await me(gate.admin)

    assert code_of(await set_pin(gate, boss["id"])) == (403, "role_not_grantable")
    assert code_of(await set_pin(gate, stranger["id"])) == (404, "staff_not_found")
    mine = {"pin": PIN}
    assert (await gate.attendant.post(f"/v1/staff/{boss['id']}/pin", json=mine)).status_code == 403


async def test_a_pin_is_neither_stored_nor_written_anywhere(
    phone: EnrolledPhone, attendant_id: str, owner_database: Database, capsys: Any
) -> None:
    await phone.name(attendant_id, PIN)
    await phone.name(attendant_id, OTHER_PIN)

    async with owner_database.begin() as session:
        rows = str((await session.execute(text("SELECT * FROM staff_pins"))).all())
        rows += str((await session.execute(text("SELECT * FROM audit_log"))).all())
    shown = "".join(capsys.readouterr()) + rows
    assert "$argon2id$" in rows
    assert PIN not in shown
    assert OTHER_PIN not in shown
