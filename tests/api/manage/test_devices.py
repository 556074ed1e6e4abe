"""Managers' pages about phones: enrolling by a code, revoking, PINs, and lots of staff."""

import re
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from core.clock import read_clock
from core.db import Database
from tests.world.constants import PASSWORD
from tests.world.gates import CODE, Gate
from tests.world.lots import a_lot
from tests.world.pages import as_reader
from tests.world.phones import EnrolledPhone, Phone, enrol_phone
from tests.world.serials import next_serial

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
PAGE = "/manage/devices"
PIN = "739204"


async def read(client: httpx.AsyncClient, path: str = PAGE, **query: str) -> str:
    answer = await client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.text


async def test_a_code_is_shown_as_text_and_as_a_qr_and_enrols_a_phone(gate: Gate) -> None:
    manager = as_reader(gate.manager)
    form = {"name": "Cổng chính", "lot": str(gate.lot.id)}

    shown = await manager.post(f"{PAGE}/codes", data=form)

    assert shown.status_code == 200, shown.text
    assert shown.headers["cache-control"] == "no-store"
    assert "<svg" in shown.text
    found = re.search(r"data-text>([A-Z0-9-]{14})<", shown.text)
    assert found
    enrolled = await gate.hub.client.post(
        "/v1/devices/enrol", json=Phone.make().enrol_body(found[1])
    )
    assert enrolled.status_code == 201
    page = await read(manager)
    assert "Cổng chính" in page
    assert found[1] not in page


async def test_a_code_of_a_form_that_is_sent_twice_is_made_once(
    gate: Gate, owner_database: Database
) -> None:
    manager = as_reader(gate.manager)
    form = {"name": "Cổng 2", "lot": str(gate.lot.id), "form_id": str(gate.lot.id)}
    await manager.post(f"{PAGE}/codes", data=form)

    again = await manager.post(f"{PAGE}/codes", data=form)

    assert again.status_code == 303
    assert "device_code_made_before" in again.headers["location"]


async def test_a_code_needs_a_name_and_an_own_lot(gate: Gate, app_database: Database) -> None:
    manager = as_reader(gate.manager)
    foreign = await a_lot(app_database)

    nameless = await manager.post(f"{PAGE}/codes", data={"name": " ", "lot": str(gate.lot.id)})
    elsewhere = await manager.post(f"{PAGE}/codes", data={"name": "x", "lot": str(foreign.id)})

    assert (nameless.status_code, elsewhere.status_code) == (422, 422)
    assert "Cần điền ô này" in nameless.text
    assert "Không có bãi xe này" in elsewhere.text


async def test_a_phone_is_listed_with_its_clock_and_revoked(gate: Gate) -> None:
    phone: EnrolledPhone = await enrol_phone(gate)
    await phone.renew(device_at=read_clock() - timedelta(hours=7))
    manager = as_reader(gate.manager)

    page = await read(manager)
    done = await manager.post(f"{PAGE}/{phone.device_id}/revoke", data={"reason": "Mất máy"})

    assert "Chậm 7 giờ" in page
    assert "Đang dùng" in page
    assert done.status_code == 303
    assert (await phone.client.get("/v1/me")).status_code == 401
    after = await read(manager)
    assert "Đã thu hồi" in after
    audit = await read(manager, "/manage/audit", kind="device")
    assert "Thu hồi điện thoại" in audit
    assert "Mất máy" in audit


@pytest.mark.parametrize(
    ("behind", "words"),
    [
        (timedelta(seconds=20), "Đúng giờ"),
        (timedelta(minutes=5, seconds=20), "Chậm 5 phút"),
        (-timedelta(minutes=5, seconds=20), "Nhanh 5 phút"),
        (timedelta(hours=3, minutes=1), "Chậm 3 giờ"),
        (timedelta(days=400, minutes=1), "Chậm 400 ngày"),
    ],
)
async def test_how_far_a_clock_is_off_is_said_in_words(
    gate: Gate, behind: timedelta, words: str
) -> None:
    phone = await enrol_phone(gate)
    await phone.renew(device_at=read_clock() - behind)

    assert words in await read(as_reader(gate.manager))


async def test_a_manager_sets_a_pin_and_opens_a_locked_one(gate: Gate) -> None:
    phone = await enrol_phone(gate)
    attendant_id = (await gate.attendant.get("/v1/me")).json()["id"]
    manager = as_reader(gate.manager)
    form = {"lot": str(gate.lot.id), "pin": PIN}
    assert "Chưa có PIN" in await read(manager)

    done = await manager.post(f"{PAGE}/pins/{attendant_id}", data=form)

    assert done.status_code == 303
    assert "Đã có PIN" in await read(manager)
    for _ in range(5):
        await phone.name(attendant_id, "582917")
    page = await read(manager)
    assert re.search(r"Tạm khóa đến \d\d:\d\d · \S+ vì nhập sai 5 lần liên tiếp", page)
    await manager.post(f"{PAGE}/pins/{attendant_id}", data=form)
    assert "Đã có PIN" in await read(manager)
    assert (await phone.name(attendant_id, PIN)).status_code == 201


async def test_a_pin_that_only_a_manager_can_open_says_so_and_is_opened(
    gate: Gate, owner_database: Database
) -> None:
    phone = await enrol_phone(gate)
    attendant_id = (await gate.attendant.get("/v1/me")).json()["id"]
    manager = as_reader(gate.manager)
    form = {"lot": str(gate.lot.id), "pin": PIN}
    await manager.post(f"{PAGE}/pins/{attendant_id}", data=form)
    for _ in range(3):
        await wait_out_the_lock(owner_database)
        for _ in range(5):
            await phone.name(attendant_id, "582917")

    page = await read(manager)

    assert "Bị khóa vì nhập sai 15 lần, cần đặt PIN mới" in page
    assert "Tạm khóa" not in page
    english = await manager.get(PAGE, headers={"accept-language": "en"})
    assert "Locked after 15 wrong PINs: set a new one" in english.text
    await manager.post(f"{PAGE}/pins/{attendant_id}", data=form)
    assert (await phone.name(attendant_id, PIN)).status_code == 201


async def wait_out_the_lock(owner: Database) -> None:
    """Let a quarter of an hour pass for the PINs that are locked."""
    async with owner.begin() as session:
        query = "UPDATE staff_pins SET locked_until = locked_until - interval '15 minutes'"
        await session.execute(text(query))


async def test_a_weak_pin_is_refused_beside_its_person_and_never_shown(gate: Gate) -> None:
    attendant_id = (await gate.attendant.get("/v1/me")).json()["id"]
    manager = as_reader(gate.manager)

    for pin, words in (("121212", "quá dễ đoán"), ("12", "đúng 6 chữ số")):
        answer = await manager.post(
            f"{PAGE}/pins/{attendant_id}", data={"lot": str(gate.lot.id), "pin": pin}
        )
        assert answer.status_code == 422
        assert words in answer.text
        assert f'value="{pin}"' not in answer.text


async def test_an_attendant_sets_the_own_pin_on_a_page(gate: Gate) -> None:
    attendant = as_reader(gate.attendant)
    weak = await attendant.post("/me/pin", data={"present": PASSWORD, "pin": "123456"})
    wrong = await attendant.post("/me/pin", data={"present": "khong phai", "pin": PIN})
    done = await attendant.post("/me/pin", data={"present": PASSWORD, "pin": PIN})

    assert (weak.status_code, wrong.status_code, done.status_code) == (422, 422, 303)
    assert "quá dễ đoán" in weak.text
    assert "Mật khẩu đang dùng chưa đúng" in wrong.text
    assert PIN not in wrong.text
    assert "Đã đặt PIN" in await read(attendant, "/me/pin", done="true")


async def test_only_who_manages_devices_sees_the_page(gate: Gate) -> None:
    as_reader(gate.attendant)
    assert (await gate.attendant.get(PAGE)).status_code == 403
    accountant = as_reader(await gate.staff("ke.toan", "finance"))
    assert (await accountant.get(PAGE)).status_code == 403
    assert PAGE not in await read(accountant, "/manage")


async def test_an_attendant_is_given_lots_by_ticking_them(
    gate: Gate, app_database: Database
) -> None:
    second = await a_lot(app_database, org=gate.lot.org, name="Bãi Lý Thái Tổ")
    manager = as_reader(gate.manager)
    page = await read(manager, "/manage/staff")
    assert "Bãi Lý Thái Tổ" in page
    login = f"tuan{next_serial()}"

    made = await manager.post(
        "/manage/staff",
        data={"name": "Tuấn", "login": login, "roles": "attendant", "lot": [str(second.id)]},
    )

    assert made.status_code == 303, made.text
    tuan = await find_person(gate, login)
    assert tuan["scopes"] == [{"kind": "lot", "id": str(second.id)}]
    path = f"/manage/staff/{tuan['id']}"
    assert f'name="before_lot" value="{second.id}"' in await read(manager, path)
    changed = await manager.post(
        path,
        data={
            "name": "Tuấn",
            "roles": "attendant",
            "lot": [str(gate.lot.id)],
            "before_name": "Tuấn",
            "before_roles": "attendant",
            "before_lot": [str(second.id)],
        },
    )
    assert changed.status_code == 303, changed.text
    after = await find_person(gate, login)
    assert after["scopes"] == [{"kind": "lot", "id": str(gate.lot.id)}]
    assert "Bãi xe Trần Quang Khải" in await read(manager, path)


async def test_a_lot_of_another_organisation_cannot_be_given(
    gate: Gate, app_database: Database
) -> None:
    foreign = await a_lot(app_database)
    manager = as_reader(gate.manager)

    answer = await manager.post(
        "/manage/staff",
        data={"name": "T", "login": "tuan.x", "roles": "attendant", "lot": [str(foreign.id)]},
    )

    assert answer.status_code == 422
    assert foreign.org.name not in answer.text


async def test_a_cashier_needs_a_stall_also_with_a_lot(gate: Gate) -> None:
    answer = await as_reader(gate.manager).post(
        "/manage/staff",
        data={"name": "T", "login": "thu.ngan", "roles": "cashier", "lot": [str(gate.lot.id)]},
    )

    assert answer.status_code == 422


async def find_person(gate: Gate, login: str) -> dict[str, Any]:
    answer = await gate.admin.get("/v1/staff", params={"org": CODE, "find": login})
    found: dict[str, Any] = answer.json()["staff"][0]
    return found
