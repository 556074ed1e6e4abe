"""Openings by hand that a phone reports: recorded with a reason, and a photo before or after."""

import hashlib
import html
import re
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from core.clock import hanoi_day, read_clock
from core.ids import new_id
from core.tenancy import open_org_transaction
from parking.exits.applier import apply_device
from tests.world.gates import Gate
from tests.world.offline import EnrolledPhone, a_phone
from tests.world.pages import as_reader
from tests.world.served_lots import a_photo

pytestmark = pytest.mark.anyio


@pytest.fixture
async def phone(gate: Gate) -> EnrolledPhone:
    """A phone that is enrolled at this lot."""
    return await a_phone(gate)


async def upload(gate: Gate, shade: int) -> str:
    sent = {"content": a_photo(shade), "headers": {"Content-Type": "image/png"}}
    kept = await gate.attendant.post(f"/v1/lots/{gate.lot.id}/photos", **sent)
    assert kept.status_code == 201, kept.text
    return str(kept.json()["hash"])


async def open_by_hand(gate: Gate, phone: EnrolledPhone, **facts: Any) -> str:
    """Report an opening by hand, apply it, and return its id."""
    data = {"staff_id": str(phone.device_id), "reason": "Xe cấp cứu 29A1 12345", **facts}
    movement = phone.movement("manual_open", data=data)
    assert await phone.send(movement) == ["waiting"]
    database = gate.hub.services.database
    await apply_device(database, gate.lot.org.id, phone.device_id, now=read_clock())
    return str(movement["id"])


async def read_told(gate: Gate, movement_id: str) -> tuple[Any, ...]:
    """Return (reason, photo, why there is none) as the audit log says it."""
    query = text("""
        SELECT reason, after->>'photo', after->>'no_photo' FROM audit_log
        WHERE action = 'lane.opened_by_hand' AND after->>'movement_id' = :id""")
    async with open_org_transaction(gate.hub.services.database, gate.lot.org.id) as session:
        return tuple((await session.execute(query, {"id": movement_id})).one())


async def read_told_of_photos(gate: Gate) -> list[tuple[Any, ...]]:
    """Return (action, movement, photo) of what the audit log says of movements."""
    query = text("""
        SELECT action, object_id::text, after->>'photo' FROM audit_log
        WHERE object_kind = 'movement'""")
    async with open_org_transaction(gate.hub.services.database, gate.lot.org.id) as session:
        return [tuple(row) for row in await session.execute(query)]


async def attach(gate: Gate, movement_id: str, photo: str) -> httpx.Response:
    path = f"/v1/lots/{gate.lot.id}/manual-opens/{movement_id}/photos"
    return await gate.attendant.post(path, json={"photo": photo})


async def test_an_opening_by_hand_keeps_its_reason_and_photo_and_is_counted(
    gate: Gate, phone: EnrolledPhone
) -> None:
    photo = await upload(gate, 1)

    shown = await open_by_hand(gate, phone, photo=photo)
    explained = await open_by_hand(gate, phone, no_photo_reason="Máy ảnh hỏng")

    assert await read_told(gate, shown) == ("Xe cấp cứu 29A***45", photo, None)
    assert await read_told(gate, explained) == ("Xe cấp cứu 29A***45", None, "Máy ảnh hỏng")
    path = f"/v1/lots/{gate.lot.id}/leakage"
    figures = await gate.manager.get(path, params={"day": str(hanoi_day(read_clock()))})
    assert figures.json()["opened_by_hand"] == 2


async def test_a_photo_of_an_opening_follows_it_once_and_is_no_other_opening_s(
    gate: Gate, phone: EnrolledPhone
) -> None:
    first, second = [await open_by_hand(gate, phone) for _ in range(2)]
    photo = await upload(gate, 2)

    for _ in range(2):
        assert (await attach(gate, first, photo)).status_code == 204
    refused = await attach(gate, second, photo)
    assert (refused.status_code, refused.json()["code"]) == (409, "photo_used")
    unknown = await attach(gate, str(new_id()), await upload(gate, 3))
    assert (unknown.status_code, unknown.json()["code"]) == (404, "movement_not_found")
    assert await read_told_of_photos(gate) == [("lane.opening_photographed", first, photo)]
    again = await open_by_hand(gate, phone, photo=photo)
    assert (await read_told(gate, again))[1] is None  # it is the first one's


async def test_a_photo_of_a_way_in_is_no_evidence_of_an_opening_by_hand(
    gate: Gate, phone: EnrolledPhone
) -> None:
    photo = await upload(gate, 4)
    await gate.enter(photo=photo)

    shown = await open_by_hand(gate, phone, photo=photo)
    refused = await attach(gate, shown, photo)

    assert (await read_told(gate, shown))[1] is None
    assert (refused.status_code, refused.json()["code"]) == (409, "photo_used")
    assert (await attach(gate, shown, await upload(gate, 5))).status_code == 204


async def test_a_manager_sees_each_opening_by_hand_with_its_photo(
    gate: Gate, phone: EnrolledPhone
) -> None:
    inside, after = await upload(gate, 4), await upload(gate, 5)
    await open_by_hand(gate, phone, reason="Xe rác", photo=inside)
    followed = await open_by_hand(gate, phone, reason="Cây đổ")
    assert (await attach(gate, followed, after)).status_code == 204
    await open_by_hand(gate, phone, reason="Xe điện lực", photo=inside)  # another one's

    page = await as_reader(gate.manager).get(f"/manage/lots/{gate.lot.id}/control")

    assert page.status_code == 200, page.text
    listed = page.text.partition('id="by-hand"')[2].partition("</section>")[0].split("<li")[1:]
    for item, (reason, photo) in zip(
        listed, (("Xe điện lực", None), ("Cây đổ", after), ("Xe rác", inside)), strict=True
    ):
        links = re.findall(r'href="([^"]*photos/[^"]+)"', item)
        assert (reason in item, "Cổng 1" in item, len(links)) == (True, True, 1 if photo else 0)
        for link in links:
            shown = await as_reader(gate.manager).get(html.unescape(link))
            assert (shown.status_code, shown.headers["content-type"]) == (200, "image/jpeg")
            assert photo is not None
            assert hashlib.sha256(shown.content).hexdigest() == photo
