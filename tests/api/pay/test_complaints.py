"""Complaints from a ticket and from a pay page: filled in, sent once, and answered at a link."""

from datetime import timedelta
from io import BytesIO
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from PIL import Image
from sqlalchemy import text

from city.complaints.rules import Outcome
from city.complaints.service import resolve_complaint
from core.clock import read_clock
from core.ids import new_id
from core.tenancy import open_org_transaction
from tests.api.pay.test_parking_ticket import collect_cash
from tests.world.clocks import stop_refills
from tests.world.constants import MANAGER
from tests.world.hubs import Hub
from tests.world.markets import Market
from tests.world.pages import as_reader, text_of
from tests.world.parking_sessions import PER_VISIT_VND, Gate, a_gate, a_stay, ticket_path_of
from tests.world.served_lots import a_photo

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture
async def gate(hub: Hub) -> Gate:
    return await a_gate(hub.services.database, code="DXE2", now=read_clock())


@pytest.fixture
def driver(hub: Hub) -> httpx.AsyncClient:
    """The phone of a driver, who never signed in."""
    return as_reader(hub.new_browser())


@pytest.fixture
async def stay_id(hub: Hub, gate: Gate) -> UUID:
    entered_at = read_clock() - timedelta(minutes=30)
    return await a_stay(hub.services.database, gate, plate="29AA12345", entered_at=entered_at)


@pytest.fixture
async def path(hub: Hub, gate: Gate, stay_id: UUID) -> str:
    return await ticket_path_of(hub.services.database, gate, stay_id)


def form_of(page: httpx.Response) -> dict[str, str]:
    """Return what a form sends of which nothing was changed."""
    id_ = page.text.partition('name="complaint_id" value="')[2].partition('"')[0]
    category = page.text.partition('id="category"')[2].partition("</select>")[0]
    chosen = category.partition(" selected")[0].rpartition('value="')[2].partition('"')[0]
    return {"complaint_id": id_, "category": chosen}


async def send(
    client: httpx.AsyncClient, path: str, files: dict[str, Any] | None = None, **facts: str
) -> httpx.Response:
    """Open the form and send it, changed where facts say so."""
    form = form_of(await client.get(f"{path}/complaint"))
    return await client.post(f"{path}/complaint", data=form | facts, files=files)


async def complaints(hub: Hub, org_id: UUID) -> list[dict[str, Any]]:
    async with open_org_transaction(hub.services.database, org_id) as session:
        rows = await session.execute(text("SELECT * FROM complaints ORDER BY received_at"))
        return [dict(row) for row in rows.mappings()]


async def test_overcharged_is_said_with_nothing_typed(
    hub: Hub, driver: httpx.AsyncClient, gate: Gate, stay_id: UUID, path: str
) -> None:
    assert f'href="{path}/complaint"' in (await driver.get(path)).text

    answer = await send(driver, path)

    assert answer.status_code == 303, text_of(answer)
    [kept] = await complaints(hub, gate.org_id)
    assert (kept["category"], kept["subject_kind"]) == ("overcharged", "parking_session")
    assert (kept["subject_id"], kept["session_id"]) == (stay_id, stay_id)
    assert answer.headers["location"] == f"/k/DXE2-{kept['public_token']}"
    page = await driver.get(answer.headers["location"])
    words = text_of(page)
    assert "Bị thu quá giá" in words
    assert "Đang xem xét" in words
    assert f"{kept['due_on']:%d/%m/%Y}" in words
    assert page.headers["cache-control"] == "no-store"
    assert "noindex" in page.headers["x-robots-tag"]
    assert page.headers["referrer-policy"] == "no-referrer"
    shown = text_of(await driver.get(path))
    assert "Phản ánh về lượt gửi này" in shown
    assert kept["public_token"] not in (await driver.get(path)).text


async def test_everything_typed_is_kept_and_the_contact_is_not_on_the_page(
    hub: Hub, driver: httpx.AsyncClient, gate: Gate, path: str
) -> None:
    picture = BytesIO()
    Image.new("RGB", (64, 64), "red").save(picture, "PNG")

    answer = await send(
        driver,
        path,
        files={"photo": ("ve.png", picture.getvalue(), "image/png")},
        taken="20",
        words="Anh bảo vệ thu  20 nghìn\nkhông đưa vé",
        contact="0905 123 456",
    )

    [kept] = await complaints(hub, gate.org_id)
    assert kept["taken_vnd"] == 20_000
    assert kept["words"] == "Anh bảo vệ thu 20 nghìn không đưa vé"
    assert kept["contact"] == "0905 123 456"
    assert len(kept["photo"]) == 32
    photo = await hub.services.photos.open(gate.org_id, kept["photo"])
    assert Image.open(BytesIO(photo)).format == "JPEG"
    page = await driver.get(answer.headers["location"])
    assert "Anh bảo vệ thu 20 nghìn không đưa vé" in text_of(page)
    assert "0905" not in page.text


async def test_a_form_that_is_sent_twice_makes_one_complaint(
    hub: Hub, driver: httpx.AsyncClient, gate: Gate, path: str
) -> None:
    form = form_of(await driver.get(f"{path}/complaint"))

    answers = [await driver.post(f"{path}/complaint", data=form) for _ in range(2)]
    anew = await send(driver, path)

    assert {answer.headers["location"] for answer in answers} == {answers[0].headers["location"]}
    assert len(await complaints(hub, gate.org_id)) == 1
    assert anew.status_code == 422
    assert "đang chờ trả lời" in text_of(anew)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"category": "other"}, "Viết vài chữ"),
        ({"category": "bribery"}, "Chọn một việc trong danh sách."),
        ({"about": f"bill:{uuid4()}"}, "Chọn lại"),
        ({"taken": "hai mươi"}, "Số tiền chỉ gồm chữ số"),
        ({"words": "a" * 1_001}, "tối đa 1000 ký tự"),
        ({"contact": "a" * 101}, "tối đa 100 ký tự"),
    ],
)
async def test_what_is_wrong_stands_beside_its_field_and_nothing_is_lost(
    hub: Hub,
    driver: httpx.AsyncClient,
    gate: Gate,
    path: str,
    facts: dict[str, str],
    said: str,
) -> None:
    answer = await send(driver, path, **({"contact": "lan@example.vn"} | facts))

    assert answer.status_code == 422
    assert said in text_of(answer)
    for name in ("words", "taken"):
        assert facts.get(name, "") in answer.text
    assert await complaints(hub, gate.org_id) == []


@pytest.mark.parametrize("sent", [b"no picture", b"\xff\xd8\xff" + b"0" * 1_000])
async def test_what_is_no_picture_is_refused_before_anything_is_stored(
    hub: Hub, driver: httpx.AsyncClient, gate: Gate, path: str, sent: bytes
) -> None:
    answer = await send(driver, path, files={"photo": ("a.jpg", sent, "image/jpeg")})

    assert answer.status_code == 422
    assert "Không đọc được ảnh này." in text_of(answer)
    assert await complaints(hub, gate.org_id) == []


async def test_a_cash_receipt_can_be_complained_of_by_its_number(
    hub: Hub, driver: httpx.AsyncClient, gate: Gate, stay_id: UUID, path: str
) -> None:
    collected = await collect_cash(hub.services.database, gate, stay_id, PER_VISIT_VND)

    form = await driver.get(f"{path}/complaint")
    assert f"Phiếu thu {collected.receipt_number}" in text_of(form)
    await send(driver, path, about=f"receipt:{collected.id}", category="rude")

    [kept] = await complaints(hub, gate.org_id)
    assert (kept["subject_kind"], kept["subject_id"]) == ("receipt", collected.id)
    assert kept["session_id"] == stay_id


async def test_a_payer_complains_from_the_pay_page_about_the_bill_or_a_transfer(
    hub: Hub, market: Market
) -> None:
    payer = as_reader(hub.new_browser())
    bill = await market.add_bill()
    await market.pay(bill)
    path = market.pay_path(bill)
    page = await payer.get(path)
    assert f'href="{path}/complaint"' in page.text
    async with open_org_transaction(hub.services.database, market.stall.org.id) as session:
        credit_id = await session.scalar(text("SELECT id FROM bank_transactions"))

    await send(payer, path, category="charged_twice")
    await send(payer, path, category="charged_twice", about=f"payment:{credit_id}")

    kept = await complaints(hub, market.stall.org.id)
    assert [(one["subject_kind"], one["subject_id"], one["bill_id"]) for one in kept] == [
        ("bill", bill.id, bill.id),
        ("payment", credit_id, bill.id),
    ]


@pytest.mark.parametrize(
    ("outcome", "refund_vnd", "said"),
    [
        (Outcome.UPHELD, 4_000, ["Phản ánh đúng", "4.000 ₫", "Sẽ trả chậm nhất ngày"]),
        (Outcome.REJECTED, None, ["Phản ánh chưa có cơ sở"]),
        (Outcome.DUPLICATE, None, ["Trùng với phản ánh khác"]),
    ],
)
async def test_the_outcome_is_read_at_the_same_link(
    hub: Hub,
    driver: httpx.AsyncClient,
    gate: Gate,
    path: str,
    stay_id: UUID,
    outcome: Outcome,
    refund_vnd: int | None,
    said: list[str],
) -> None:
    await collect_cash(hub.services.database, gate, stay_id, PER_VISIT_VND)
    link = (await send(driver, path)).headers["location"]
    [kept] = await complaints(hub, gate.org_id)
    async with open_org_transaction(hub.services.database, gate.org_id) as session:
        await resolve_complaint(
            session,
            gate.org_id,
            kept["id"],
            outcome=outcome,
            answer="Chúng tôi đã xem lại vé.",
            refund_vnd=refund_vnd,
            actor=MANAGER,
            now=read_clock(),
        )

    words = text_of(await driver.get(link))

    for one in ("Chúng tôi đã xem lại vé.", *said):
        assert one in words, one
    english = text_of(await driver.get(link, params={"lang": "en"}))
    assert "I was overcharged" in english


@pytest.mark.parametrize("link", ["DXE2-{}", "ZZZZ-{}", "DXE2-short", "dxe2-{}", "{}"])
async def test_every_wrong_link_of_a_complaint_gets_the_same_answer(
    driver: httpx.AsyncClient, gate: Gate, link: str
) -> None:
    answer = await driver.get(f"/k/{link.format('A' * 22)}")

    assert answer.status_code == 404
    assert "complaint_not_found" in answer.text


async def test_who_has_no_link_of_a_stay_complains_of_nothing(
    hub: Hub, driver: httpx.AsyncClient, gate: Gate, path: str
) -> None:
    form = {"complaint_id": str(new_id()), "category": "overcharged"}
    other = hub.new_client(**{"Sec-Fetch-Site": "cross-site"})

    assert (await driver.post(f"{path[:-1]}/complaint", data=form)).status_code == 404
    assert (await other.post(f"{path}/complaint", data=form)).status_code == 403
    assert await complaints(hub, gate.org_id) == []


async def test_one_network_sends_so_many_complaints_and_no_more(
    hub: Hub, driver: httpx.AsyncClient, gate: Gate
) -> None:
    answers = []
    stop_refills(hub.services.limits.complaints)
    for _ in range(21):
        stay_id = await a_stay(hub.services.database, gate, entered_at=read_clock())
        path = await ticket_path_of(hub.services.database, gate, stay_id)
        answers.append((await send(driver, path)).status_code)

    assert answers == [303] * 20 + [429]


async def test_a_photo_of_a_complaint_that_is_refused_is_not_kept(
    hub: Hub, driver: httpx.AsyncClient, gate: Gate, path: str
) -> None:
    def files(shade: int) -> dict[str, Any]:
        return {"photo": ("anh.png", a_photo(shade), "image/png")}

    assert (await send(driver, path, files=files(10))).status_code == 303
    for shade in (20, 30):  # one of its category waits for its answer
        assert (await send(driver, path, files=files(shade))).status_code == 422
    assert (await send(driver, path, files=files(40), category="other")).status_code == 422

    async with open_org_transaction(hub.services.database, gate.org_id) as session:
        assert await session.scalar(text("SELECT count(*) FROM photos")) == 1
    kept = [path for path in hub.services.settings.data_dir.rglob("*") if path.is_file()]
    assert len([one for one in kept if "photos" in one.parts]) == 1


async def test_a_link_takes_so_many_complaints_in_ten_minutes_from_all_networks_together(
    hub: Hub, driver: httpx.AsyncClient, path: str
) -> None:
    stop_refills(hub.services.limits.complaints_of_link)
    for _ in range(18):  # by others
        hub.services.limits.complaints_of_link.take(path)

    codes = [(await send(driver, path)).status_code for _ in range(3)]

    assert codes == [303, 422, 429]
