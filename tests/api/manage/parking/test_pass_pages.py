"""Managers' pages of passes, exemptions and the watch list."""

from datetime import timedelta

import httpx
import pytest

from core.clock import hanoi_day, read_clock
from core.ids import new_id
from tests.api.manage.parking.conftest import Managed
from tests.world.pages import as_reader, submit, text_of
from tests.world.parking_sessions import a_gate
from tests.world.passes import with_monthly_prices

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture
async def priced(managed: Managed) -> Managed:
    """The same lot, with monthly prices."""
    await a_gate(
        managed.gate.hub.services.database,
        lot=managed.gate.lot,
        document=with_monthly_prices(),
        now=read_clock(),
    )
    return managed


def a_form(managed: Managed, **facts: str) -> dict[str, str]:
    return {
        "kind": "monthly",
        "vehicle_class": "motorbike",
        "plates": "29-B1 123.45\r\n29AA 000.01",
        "holder_name": "Chị Hoa",
        "holder_contact": "0912 000 111",
        "lot_id": str(managed.gate.lot.id),
        "valid_from": hanoi_day(read_clock()).isoformat(),
        "months": "2",
        **facts,
    }


def a_watch(**facts: str) -> dict[str, str]:
    today = hanoi_day(read_clock())
    return {
        "vehicle_class": "motorbike",
        "plate": "29-B1 123.45",
        "reason": "Xe bị báo mất cắp",
        "source": "CV 45/CAQ",
        "from_on": today.isoformat(),
        "expires_on": (today + timedelta(days=30)).isoformat(),
        **facts,
    }


async def test_a_pass_is_sold_and_its_code_is_one_press_away(priced: Managed) -> None:
    browser = priced.browser
    path, sold = await submit(browser, "/manage/passes", a_form(priced))
    assert "Chưa trả tiền" in text_of(sold)
    assert "29AA00001, 29B112345" in text_of(sold)
    assert "240.000" in text_of(sold)

    _, billed = await submit(browser, f"{path}/bill")

    assert "Mở mã QR cho khách trả" in text_of(billed)
    assert "Bán vé tháng" in text_of(billed)  # its story
    code = billed.text.partition('href="/p/')[2].partition('"')[0]
    payer = await browser.get(f"/p/{code}")
    assert (payer.status_code, "240.000" in text_of(payer)) == (200, True)
    listed = text_of(await browser.get("/manage/passes", params={"find": "29b1 12345"}))
    assert "Chị Hoa" in listed
    assert "Chị Hoa" not in text_of(await browser.get("/manage/passes", params={"find": "30F"}))


async def test_a_form_that_is_sent_twice_sells_one_pass(priced: Managed) -> None:
    form = a_form(priced, form_id="01937c2e-7b1a-7c55-8d0e-3f6f0a5b9c11")

    paths = {(await submit(priced.browser, "/manage/passes", form))[0] for _ in range(2)}

    assert len(paths) == 1


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"holder_name": ""}, "Ghi tên chủ vé."),
        ({"plates": ""}, "Kiểm tra biển số"),
        ({"plates": "29AA00001\n29AA 000.01"}, "Kiểm tra biển số"),
        ({"valid_from": "2026-01-01"}, "Ngày đầu là hôm nay"),
        ({"valid_from": "hôm nay"}, "Ngày đầu là hôm nay"),
        ({"months": "13"}, "Bán từ 1 đến 12 tháng"),
        ({"lot_id": ""}, "cần chọn một bãi nhận tiền"),
        ({"lot_id": "x"}, "Chọn bãi xe trong danh sách."),
        ({"vehicle_class": "car"}, ""),
        ({"vehicle_class": "bicycle"}, "không có giá tháng"),
        ({"kind": "exempt", "valid_until": "", "reason": "x"}, "Ngày cuối không sớm hơn"),
        ({"kind": "exempt", "valid_until": "2027-01-01", "reason": ""}, "Ghi lý do."),
    ],
)
async def test_a_mistake_is_said_beside_its_field_and_what_was_typed_stays(
    priced: Managed, facts: dict[str, str], words: str
) -> None:
    answer = await priced.browser.post("/manage/passes", data=a_form(priced, **facts))

    if not words:
        assert answer.status_code == 303
        return
    assert answer.status_code == 422
    assert words in text_of(answer)
    assert "0912 000 111" in answer.text


async def test_an_exemption_is_given_changed_and_revoked(priced: Managed) -> None:
    until = (hanoi_day(read_clock()) + timedelta(days=30)).isoformat()
    form = a_form(
        priced, kind="exempt", valid_until=until, exempt_as="disabled", reason="Giấy xác nhận"
    )
    path, given = await submit(priced.browser, "/manage/passes", form)
    assert "Người khuyết tật" in text_of(given)

    no_reason = await priced.browser.post(f"{path}/plates", data={"plates": "29AA00002"})
    _, changed = await submit(
        priced.browser, f"{path}/plates", {"plates": "29AA00002", "reason": "Đổi xe"}
    )
    _, gone = await submit(priced.browser, f"{path}/revoke", {"reason": "Hết hạn"})

    assert (no_reason.status_code, "Ghi lý do." in text_of(no_reason)) == (422, True)
    assert "29AA00002" in text_of(changed)
    assert "Đã thu hồi" in text_of(gone)
    english = await priced.browser.get(path, headers={"Accept-Language": "en"})
    assert "Disabled person" in text_of(english)


async def test_who_keeps_the_books_sees_masked_plates_and_no_forms(priced: Managed) -> None:
    path, _ = await submit(priced.browser, "/manage/passes", a_form(priced))
    await submit(priced.browser, "/manage/watched-plates", a_watch())
    books = as_reader(await priced.gate.staff("so.sach", "finance"))

    for page in ("/manage/passes", path, "/manage/watched-plates"):
        shown = await books.get(page)
        assert shown.status_code == 200
        assert "29B***45" in shown.text
        assert "29B112345" not in shown.text
        assert "0912 000 111" not in shown.text
    assert (await books.get("/manage/passes/new")).status_code == 403


async def approve(browser: httpx.AsyncClient, listed: httpx.Response) -> tuple[str, httpx.Response]:
    action = listed.text.partition('action="/manage/watched-plates/')[2].partition('"')[0]
    return await submit(browser, f"/manage/watched-plates/{action}")


async def test_a_plate_is_proposed_by_one_and_approved_by_another(managed: Managed) -> None:
    _, proposed = await submit(managed.browser, "/manage/watched-plates", a_watch())
    approver = as_reader(await managed.gate.staff("duyet", "approver"))
    waiting = await approver.get("/manage/watched-plates")
    _, watched = await approve(approver, waiting)

    assert "cần người khác duyệt" in text_of(proposed)
    assert "/approve" not in proposed.text
    assert "Chờ duyệt" in text_of(waiting)
    assert "Đang theo dõi" in text_of(watched)
    assert "Đề nghị theo dõi" not in text_of(watched)  # who approves proposes nothing
    entered = await managed.gate.enter(plate="29B112345")
    assert entered["is_watched"] is True
    listed = await managed.browser.get("/manage/watched-plates")
    action = listed.text.partition("/remove")[0].rpartition('"')[2]
    _, gone = await submit(managed.browser, f"{action}/remove", {"reason": "Đã tìm thấy"})
    assert "Đã thôi" in text_of(gone)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"plate": ""}, "Kiểm tra lại biển số."),
        ({"source": ""}, "Ghi nơi yêu cầu"),
        ({"expires_on": "2027-12-01"}, "nhiều nhất 90 ngày"),
        ({"from_on": "2026-01-01"}, "trong 30 ngày tới"),
    ],
)
async def test_a_watch_that_is_not_whole_is_refused_beside_its_field(
    managed: Managed, facts: dict[str, str], words: str
) -> None:
    answer = await managed.browser.post("/manage/watched-plates", data=a_watch(**facts))

    assert answer.status_code == 422
    assert words in text_of(answer)
    assert "Xe bị báo mất cắp" in answer.text


async def test_a_pasted_table_is_stored_whole_or_said_row_by_row(priced: Managed) -> None:
    start = hanoi_day(read_clock()).strftime("%d/%m/%Y")
    head = "kind\tvehicle_class\tplates\tholder_name\tvalid_from\tmonths"
    row = f"monthly\tmotorbike\t29AA 000.01\tChị Hoa\t{start}\t1"
    lot_id = str(priced.gate.lot.id)
    bad = f"{head}\n{row}\nmonthly\tmotorbike\t\tAnh Ba\t{start}\t1"
    path = "/manage/passes/import"

    wrong = await priced.browser.post(path, data={"table": bad, "lot_id": lot_id})
    none = await priced.browser.get("/manage/passes")
    where, stored = await submit(
        priced.browser, path, {"table": f"{head}\n{row}", "lot_id": lot_id}
    )

    assert wrong.status_code == 422
    assert "Dòng 3: xem lại cột plates." in text_of(wrong)
    assert "Anh Ba" in wrong.text
    assert "Chị Hoa" not in text_of(none)
    assert where == "/manage/passes"
    assert "Đã nhập danh sách." in text_of(stored)
    assert "Chị Hoa" in text_of(stored)
    assert (await priced.browser.get(path)).status_code == 200


async def test_a_pass_is_paid_in_cash_by_one_press_in_ones_own_shift(priced: Managed) -> None:
    browser, gate = priced.browser, priced.gate
    path, sold = await submit(browser, "/manage/passes", a_form(priced))
    assert "Muốn thu tiền mặt, hãy mở ca" in text_of(sold)
    shift = {"id": str(new_id()), "lot_id": str(gate.lot.id), "change_vnd": 0}
    assert (await gate.manager.post("/v1/shifts", json=shift)).status_code == 201
    shown = await browser.get(path)
    assert "Thu tiền mặt 240.000" in text_of(shown)
    taken_id = shown.text.partition('name="taken_id" value="')[2].partition('"')[0]
    form = {"taken_id": taken_id, "amount_vnd": "240000"}

    for _ in range(2):
        _, paid = await submit(browser, f"{path}/cash", form)

    assert "Thu tiền mặt 240.000" not in text_of(paid)
    assert f"/receipts/{taken_id}" in paid.text
    receipt = await browser.get(f"/gate/lots/{gate.lot.id}/receipts/{taken_id}")
    assert (receipt.status_code, "Vé tháng" in text_of(receipt)) == (200, True)
    collected = (await gate.manager.get(f"/v1/shifts/{shift['id']}")).json()
    assert "cash" not in collected["by_rail"]  # the count is blind
    close = {"counted_vnd": 240_000}
    closed = await gate.manager.post(f"/v1/shifts/{shift['id']}/close", json=close)
    assert closed.json()["by_rail"]["cash"] == {"count": 1, "amount_vnd": 240_000}
