"""The queue of complaints: by deadline, the evidence beside each, and an answer with an outcome."""

from datetime import timedelta
from io import BytesIO
from typing import Any
from uuid import UUID

import httpx
import pytest
from PIL import Image
from sqlalchemy import text

from city.complaints.models import Complaint
from core.clock import read_clock
from core.ids import new_id
from core.tenancy import open_org_transaction
from tests.api.pay.test_parking_ticket import collect_cash
from tests.world.complaints import a_new_complaint, complain
from tests.world.databases import Template
from tests.world.gates import CODE, KnownGate, find_gate
from tests.world.gates import Gate as StaffedGate
from tests.world.hubs import Hub
from tests.world.pages import as_reader, text_of
from tests.world.parking_sessions import PER_VISIT_VND, Gate, a_gate, a_stay

pytestmark = pytest.mark.anyio

PLATE = "29AA12345"


@pytest.fixture
def staffed(hub: Hub, gate_template: Template[KnownGate]) -> StaffedGate:
    return find_gate(hub, gate_template.holds)


@pytest.fixture
async def gate(hub: Hub, staffed: StaffedGate) -> Gate:
    return await a_gate(hub.services.database, lot=staffed.lot, now=read_clock())


@pytest.fixture
async def stay_id(hub: Hub, gate: Gate) -> UUID:
    entered_at = read_clock() - timedelta(minutes=30)
    return await a_stay(hub.services.database, gate, plate=PLATE, entered_at=entered_at)


async def add(hub: Hub, gate: Gate, stay_id: UUID, *, days_ago: int = 0, **facts: Any) -> Complaint:
    now = read_clock() - timedelta(days=days_ago)
    return await complain(
        hub.services.database, gate, a_new_complaint(gate, stay_id, **facts), now=now
    )


async def test_overdue_complaints_come_first_and_are_marked(
    hub: Hub, staffed: StaffedGate, gate: Gate, stay_id: UUID
) -> None:
    manager = as_reader(staffed.manager)
    assert "Không có phản ánh nào" in text_of(await manager.get("/manage/complaints"))
    await add(hub, gate, stay_id, words="mới gửi")
    other_id = await a_stay(hub.services.database, gate, entered_at=read_clock())
    await add(hub, gate, other_id, days_ago=30, words="gửi đã lâu")

    words = text_of(await manager.get("/manage/complaints"))

    assert words.index("gửi đã lâu") < words.index("mới gửi")
    assert words.count("Quá hạn") == 1
    assert "Phản ánh" in text_of(await manager.get("/manage"))  # in the menu


async def test_the_evidence_stands_beside_what_was_said(
    hub: Hub, staffed: StaffedGate, gate: Gate, stay_id: UUID
) -> None:
    picture = BytesIO()
    Image.new("RGB", (64, 64), "blue").save(picture, "PNG")
    now = read_clock()
    photo = await hub.services.photos.add(
        gate.org_id, gate.lot.id, picture.getvalue(), taken_by=new_id(), now=now
    )
    collected = await collect_cash(hub.services.database, gate, stay_id, PER_VISIT_VND)
    async with open_org_transaction(hub.services.database, gate.org_id) as session:
        await session.execute(
            text(
                "INSERT INTO observations (org_id, id, lot_id, session_id, direction, method,"
                " photo, seen_by, seen_at) VALUES"
                " (:org, :id, :lot, :stay, 'in', 'visual', :photo, :by, :now)"
            ),
            {
                "org": gate.org_id,
                "id": new_id(),
                "lot": gate.lot.id,
                "stay": stay_id,
                "photo": photo.hash,
                "by": gate.attendant.id,
                "now": now,
            },
        )
    made = await add(
        hub, gate, stay_id, words="thu 20 nghìn", taken_vnd=20_000, contact="0905 123 456"
    )

    page = await as_reader(staffed.manager).get(f"/manage/complaints/{made.id}")

    assert page.status_code == 200
    words = text_of(page)
    for shown in (
        "thu 20 nghìn",
        "20.000 ₫",
        "0905 123 456",
        "Bãi xe Trần Quang Khải",
        "29A***45",
        "Tiền gửi xe theo lượt",
        "5.000 ₫",
        "QĐ 44/2017/QĐ-UBND",
        "123/GP-SXD",
        "Tiền mặt",
        collected.receipt_number or "?",
        "Anh Tú",
    ):
        assert shown in words, shown
    assert PLATE not in page.text
    link = page.text.partition('src="/photos/')[2].partition('"')[0].replace("&amp;", "&")
    assert (await hub.client.get(f"/photos/{link}")).headers["content-type"] == "image/jpeg"


async def test_an_answer_needs_an_outcome_and_words_and_goes_to_the_list_with_its_refund(
    hub: Hub, staffed: StaffedGate, gate: Gate, stay_id: UUID
) -> None:
    manager = as_reader(staffed.manager)
    await collect_cash(hub.services.database, gate, stay_id, PER_VISIT_VND)
    made = await add(hub, gate, stay_id)
    path = f"/manage/complaints/{made.id}/resolve"

    empty = await manager.post(path, data={})
    wrong = await manager.post(
        path, data={"outcome": "rejected", "answer": "Thu đúng giá.", "refund": "5"}
    )
    too_much = await manager.post(
        path, data={"outcome": "upheld", "answer": "Thu thừa.", "refund": "15000"}
    )
    done = await manager.post(
        path, data={"outcome": "upheld", "answer": "Thu thừa.", "refund": "4000"}
    )
    late = await manager.post(path, data={"outcome": "rejected", "answer": "Thu đúng giá."})

    answers = (empty, wrong, too_much, done, late)
    assert [one.status_code for one in answers] == [422, 422, 422, 303, 422]
    assert "Không trả lại nhiều hơn số đã thu" in text_of(too_much)
    assert "Chỉ ghi tiền trả lại khi phản ánh đúng" in text_of(wrong)
    assert "Thu đúng giá." in wrong.text
    assert "đã có người trả lời" in text_of(late)
    listed = text_of(await manager.get("/manage/breaks"))
    assert "Trả lại theo phản ánh" in listed
    assert "4.000 ₫" in listed
    resolved = text_of(await manager.get("/manage/complaints", params={"show": "resolved"}))
    assert "Phản ánh đúng" in resolved
    audited = text_of(await manager.get("/manage/audit"))
    assert "Trả lời phản ánh" in audited


async def test_the_api_lists_and_resolves(
    hub: Hub, staffed: StaffedGate, gate: Gate, stay_id: UUID
) -> None:
    await collect_cash(hub.services.database, gate, stay_id, PER_VISIT_VND)
    made = await add(hub, gate, stay_id, words="thu thừa")
    api = staffed.manager
    body = {"outcome": "partly_upheld", "answer": "Trả lại một nửa.", "refund_vnd": 5_000}

    [listed] = (await api.get("/v1/complaints")).json()["complaints"]
    shown = (await api.get(f"/v1/complaints/{made.id}")).json()
    answers = [await api.post(f"/v1/complaints/{made.id}/resolve", json=body) for _ in range(2)]
    other = await api.post(
        f"/v1/complaints/{made.id}/resolve", json={"outcome": "rejected", "answer": "Không."}
    )

    assert listed == shown
    assert (shown["status"], shown["words"]) == ("open", "thu thừa")
    assert "public_token" not in shown
    assert [one.status_code for one in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    assert (other.status_code, other.json()["code"]) == (409, "complaint_resolved")
    assert (await api.get("/v1/complaints")).json()["complaints"] == []
    done = (await api.get("/v1/complaints", params={"is_open": "false"})).json()["complaints"]
    assert [one["id"] for one in done] == [str(made.id)]


@pytest.mark.parametrize("role", ["attendant", "approver", "city_viewer"])
async def test_who_does_not_answer_complaints_does_not_read_them(
    hub: Hub, staffed: StaffedGate, gate: Gate, stay_id: UUID, role: str
) -> None:
    made = await add(hub, gate, stay_id)
    client = await staffed.staff(
        f"x.{role}", role, lot=staffed.lot if role == "attendant" else None
    )
    body = {"outcome": "rejected", "answer": "x"}

    answers = [
        await client.get("/v1/complaints"),
        await client.get(f"/v1/complaints/{made.id}"),
        await client.post(f"/v1/complaints/{made.id}/resolve", json=body),
    ]
    page: httpx.Response = await as_reader(client).get(f"/manage/complaints/{made.id}")

    assert {answer.status_code for answer in answers} == {403}
    assert page.status_code == 403


async def test_finance_answers_complaints(
    hub: Hub, staffed: StaffedGate, gate: Gate, stay_id: UUID
) -> None:
    made = await add(hub, gate, stay_id)
    finance = await staffed.staff("ke.toan", "finance")

    body = {"outcome": "withdrawn", "answer": "Người gửi đã rút."}
    answer = await finance.post(f"/v1/complaints/{made.id}/resolve", json=body)

    assert answer.json()["status"] == "closed"
    assert (await as_reader(finance).get("/manage/complaints")).status_code == 200
    assert CODE
