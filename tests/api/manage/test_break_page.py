"""The page of one break without scripts: owner, notes, files, and decisions of two people."""

import re
from typing import Any

import httpx
import pytest

from core.clock import read_clock
from tests.world.breaks import a_paid_twice_break, a_short_bill, find_break, give_up_rest
from tests.world.cities import employ
from tests.world.constants import PASSWORD
from tests.world.markets import Market
from tests.world.pages import text_of
from tests.world.stalls import a_payable_stall

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


async def staff(market: Market, login: str, *roles: str, **scope: Any) -> httpx.AsyncClient:
    """Let somebody of the market sign in; pages are not in OpenAPI."""
    answer = await market.hire(login, *roles, **scope)
    assert answer.status_code == 201, answer.text
    return await market.hub.browser(login)


async def a_page(market: Market) -> str:
    """Let a bill be paid twice, and return the address of the page about that."""
    break_id = await a_paid_twice_break(market.database, market.stall, now=read_clock())
    return f"/manage/breaks/{break_id}"


async def send(
    who: httpx.AsyncClient, path: str, action: str, *, status: int = 303, **typed: Any
) -> httpx.Response:
    """Send a form of the page, with the id that it carries."""
    page = await who.get(path)
    found = re.search(r'name="id" value="([0-9a-f-]{36})"', page.text)
    if found and "id" not in typed and not action.endswith(("approve", "refuse", "review")):
        typed["id"] = found[1]
    files = {"files": typed.pop("files")} if "files" in typed else {}
    answer = await who.post(f"{path}/{action}", data=typed, **files)
    assert answer.status_code == status, answer.text[:500]
    return answer


def decision_of(page: str) -> str:
    """Return the address of the last decision of a page, from one of its forms."""
    return re.findall(r"/(decisions/[0-9a-f-]{36})/", page)[-1]


async def test_two_people_decide_on_the_page_and_undo_it(market: Market) -> None:
    finance = await staff(market, "phuong", "finance")
    approver = await staff(market, "duyet", "approver")
    path = await a_page(market)
    await send(finance, path, "owner", do="take")
    await send(finance, path, "notes", words="gọi khách 29A-123.45")
    proposal = {"choice": "write_off", "amount_vnd": "20000"}
    nothing = await send(finance, path, "decisions", status=422, **proposal)
    assert "Cần điền ô này." in text_of(nothing)
    await send(finance, path, "decisions", **proposal, reason="không ai nhận")

    shown = (await finance.get(path)).text
    assert "123.45" not in shown
    assert "/approve" not in shown
    decision = decision_of(shown)
    refused = await finance.post(f"{path}/{decision}/approve", data={})
    assert refused.status_code == 403
    assert "Chờ duyệt: 1" in text_of(await approver.get("/manage/breaks"))
    assert path in (await approver.get("/manage/breaks?show=waiting")).text
    await send(approver, path, f"{decision}/approve")
    assert "Đã xóa sổ" in text_of(await finance.get(path))

    await send(finance, path, f"{decision}/undo", reason="nhầm")
    undoing = decision_of((await approver.get(path)).text)
    assert undoing != decision
    await send(approver, path, f"{undoing}/approve")
    words = text_of(await finance.get(path))
    assert "Đã hoàn tác lúc" in words
    assert "Đề nghị cách xử lý tiền" in words  # it is open again


async def test_what_was_proposed_is_refused_or_withdrawn_with_a_reason(market: Market) -> None:
    finance = await staff(market, "phuong", "finance")
    approver = await staff(market, "duyet", "approver")
    path = await a_page(market)
    for who, step, word in (
        (approver, "refuse", "Bị từ chối"),
        (finance, "withdraw", "Đã rút"),
    ):
        proposal = {"choice": "interest", "amount_vnd": "20000", "reason": "lãi"}
        await send(finance, path, "decisions", **proposal)
        decision = decision_of((await who.get(path)).text)
        await send(who, path, f"{decision}/{step}", status=422)
        await send(who, path, f"{decision}/{step}", reason="chưa đúng")
        assert word in text_of(await finance.get(path))


async def test_the_only_person_is_asked_for_the_password_and_stands_on_the_list(
    market: Market,
) -> None:
    alone = await staff(market, "mot-minh", "admin")
    path = await a_page(market)
    proposal = {"choice": "not_takings", "amount_vnd": "20000", "reason": "con gửi"}
    await send(alone, path, "decisions", status=422, **proposal)  # whose?
    await send(alone, path, "decisions", **proposal, payee_id=str(market.stall.payee_id))
    decision = decision_of((await alone.get(path)).text)

    asked = await send(alone, path, f"{decision}/approve", status=422)
    assert "Nhập lại mật khẩu" in text_of(asked)
    await send(alone, path, f"{decision}/approve", password=PASSWORD)

    approver = await staff(market, "duyet", "approver")
    assert "Cần xem lại: 1" in text_of(await approver.get("/manage/breaks"))
    await send(approver, path, f"{decision}/review")
    assert "Cần xem lại:" not in text_of(await approver.get("/manage/breaks"))


async def test_a_file_is_kept_once_and_another_kind_is_refused(market: Market) -> None:
    finance = await staff(market, "phuong", "finance")
    path = await a_page(market)
    odd = await send(
        finance, path, "files", status=422, files={"file": ("x.png", b"<svg>", "image/png")}
    )
    assert "PDF, PNG hoặc JPEG" in text_of(odd)
    for _ in range(2):
        await send(finance, path, "files", files={"file": ("anh.png", PNG, "text/html")})
    (link,) = set(
        re.findall(rf'href="({path}/files/[0-9a-f-]{{36}})"', (await finance.get(path)).text)
    )

    got = await finance.get(link)

    assert (got.content, got.headers["content-type"]) == (PNG, "image/png")
    assert got.headers["content-disposition"].startswith("attachment")
    assert got.headers["x-content-type-options"] == "nosniff"


async def test_many_are_closed_in_the_same_words_and_the_rest_is_explained(
    market: Market,
) -> None:
    finance = await staff(market, "phuong", "finance")
    paths = [await a_page(market) for _ in range(2)]
    ids = [path.rpartition("/")[2] for path in paths]
    await send(
        finance, paths[1], "decisions", choice="write_off", amount_vnd="20000", reason="không ai"
    )
    nothing = await finance.post("/manage/breaks/bulk", data={"do": "close", "words": "x"})
    assert "Chọn ít nhất một mục" in text_of(nothing)

    done = await finance.post(
        "/manage/breaks/bulk",
        data={"do": "close", "break_id": ids, "words": "tiền mặt", "outcome": "received"},
    )

    assert done.status_code == 422
    assert "Xong 1 trên 2 mục" in text_of(done)
    assert "Đã nhận ngoài hệ thống" in text_of(await finance.get(paths[0]))


async def test_the_list_is_narrowed_by_its_address(market: Market) -> None:
    finance = await staff(market, "phuong", "finance")
    path = await a_page(market)
    for query, is_there in (
        ("type=over", True),
        ("type=short", False),
        ("owner=none", True),
        ("owner=me", False),
        ("show=overdue", False),
        ("find=" + "z" * 20, False),
        ("find=PP", True),
        ("show=closed&find=PP", True),  # words are looked for in what is open
        ("type=odd&owner=odd&show=odd&kind=odd", True),
    ):
        assert (path in (await finance.get(f"/manage/breaks?{query}")).text) == is_there, query


async def test_another_organisations_break_has_no_page(market: Market) -> None:
    path = await a_page(market)
    theirs = await a_payable_stall(market.database, code="QQQQ")
    await employ(market.admin, "lang-gieng", "finance", org=theirs.org.code)

    assert (await (await market.hub.browser("lang-gieng")).get(path)).status_code == 404
    cashier = await staff(market, "thu", "cashier", payee_id=market.stall.payee_id)
    assert (await cashier.get(path)).status_code in (303, 403)


async def test_the_page_offers_what_a_bill_is_short_of_now(market: Market) -> None:
    finance = await staff(market, "phuong", "finance")
    bill, break_id = await a_short_bill(market.database, market.stall, now=read_clock())
    await market.pay(bill, amount_vnd=2_000)

    page = (await finance.get(f"/manage/breaks/{break_id}")).text

    assert 'name="amount_vnd" value="3000"' in page
    assert "Số còn thiếu bây giờ" in page


async def test_money_for_a_bill_whose_rest_was_given_up_says_what_is_undone_first(
    market: Market,
) -> None:
    finance = await staff(market, "phuong", "finance")
    bill, _ = await a_short_bill(market.database, market.stall, now=read_clock())
    await give_up_rest(market.database, market.stall, bill, now=read_clock())
    await market.pay(bill, amount_vnd=5_000)
    break_id = await find_break(market.database, market.stall, "refund_due")

    page = text_of(await finance.get(f"/manage/breaks/{break_id}"))

    assert "Hoàn tác xóa sổ trước" in page
