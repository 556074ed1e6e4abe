"""The managers' pages: who may do what, and secrets shown once."""

import html
import re

import pytest
from sqlalchemy import func, select

from core.audit import AuditRow
from core.tenancy import open_org_transaction
from identity.people.models import ApiKey
from payments.bills.references import make_reference
from payments.breaks.rules import BreakKind
from tests.world.constants import PASSWORD
from tests.world.endpoints import an_endpoint
from tests.world.hubs import Hub
from tests.world.markets import Market, set_up_market
from tests.world.organisations import an_organisation
from tests.world.pages import as_reader, let_in, submit, text_of

pytestmark = pytest.mark.anyio

PAGES = ("", "/breaks", "/payees", "/accounts", "/endpoints", "/staff", "/keys", "/audit")
SECRET = re.compile(r'data-copy="([^"]+)"')


async def test_manager_sees_every_page_of_their_organisation(market: Market) -> None:
    manager = await let_in(market, "manager")

    for page in PAGES:
        answer = await manager.get(f"/manage{page}")
        assert answer.status_code == 200, page
        assert "Ban quản lý HKXM" in answer.text, page
        assert answer.headers["cache-control"] == "no-store"
    assert (await manager.get("/manage/organisations")).status_code == 403


async def test_cashier_and_attendant_are_told_in_plain_words_that_this_is_not_theirs(
    market: Market,
) -> None:
    for role in ("cashier", "attendant", "vendor_owner"):
        client = await let_in(market, role)
        for page in PAGES:
            answer = await client.get(f"/manage{page}")
            assert answer.status_code == 403, (role, page)
            assert "Bạn không có quyền làm việc này" in answer.text
            assert 'action="/logout"' in answer.text  # the way on is to be somebody else
    lost = await client.get("/pay/nowhere")
    assert lost.status_code == 404
    assert 'action="/logout"' not in lost.text


async def test_stranger_is_sent_to_the_login_and_back(hub: Hub, market: Market) -> None:
    stranger = as_reader(hub.new_client())

    answer = await stranger.get("/manage/keys")

    assert answer.status_code == 303
    assert answer.headers["location"] == "/login?next=%2Fmanage%2Fkeys"


async def test_finance_reads_the_books_but_makes_no_keys_people_or_endpoints(
    market: Market,
) -> None:
    finance = await let_in(market, "finance")

    assert (await finance.get("/manage/audit")).status_code == 200
    assert "/manage/keys" not in (await finance.get("/manage")).text
    for path in ("/keys", "/staff", "/endpoints/new", "/payees", "/accounts"):
        answer = await finance.post(f"/manage{path}", data={"name": "x"})
        assert answer.status_code == 403, path


async def test_form_sent_by_another_site_changes_nothing(market: Market) -> None:
    manager = await let_in(market, "manager")

    answer = await manager.post(
        "/manage/payees", data={"name": "x"}, headers={"Sec-Fetch-Site": "cross-site"}
    )

    assert answer.status_code == 403
    assert "cross_site_request" in answer.text


async def test_payee_is_added_shown_as_text_and_closed(market: Market) -> None:
    manager = await let_in(market, "manager")
    name = "<b>Cô Lan</b> & con"

    path, page = await submit(manager, "/manage/payees", {"name": name, "place": "Dãy B"})

    assert path == "/manage/payees"
    assert "<b>Cô Lan</b>" not in page.text
    assert name in text_of(page) or "&lt;b&gt;Cô Lan&lt;/b&gt; &amp; con" in page.text
    [payee_id] = re.findall(r"/manage/payees/([0-9a-f-]{36})/close", page.text)[:1]
    _, page = await submit(manager, f"/manage/payees/{payee_id}/close", {"reason": "nghỉ bán"})
    assert "Cô Lan" not in page.text
    assert "Cô Lan" in (await manager.get("/manage/payees?closed=yes")).text


async def test_error_stands_beside_its_field_and_what_was_typed_stays(market: Market) -> None:
    manager = await let_in(market, "manager")
    form = {"payee": "", "bin": "970436", "number": "12", "holder": "TRAN VAN B"}

    answer = await manager.post("/manage/accounts", data=form)

    assert answer.status_code == 422
    assert 'value="TRAN VAN B"' in answer.text
    assert 'id="number-error"' in answer.text
    assert 'aria-invalid="true"' in answer.text
    assert "Chọn gian hàng." in text_of(answer)


async def test_api_key_is_shown_once_and_works(hub: Hub, market: Market) -> None:
    manager = await let_in(market, "manager")

    _, page = await submit(
        manager, "/manage/keys", {"name": "Máy bán hàng", "scopes": ["bills.open", "bills.read"]}
    )

    [key] = [text for text in SECRET.findall(page.text) if text.startswith("pp_test_HKXM_")]
    assert key not in (await manager.get("/manage/keys")).text
    machine = hub.new_client(Authorization=f"Bearer {key}")
    assert (await machine.get("/v1/bills")).status_code == 200
    assert (await as_reader(machine).get("/manage")).status_code == 403

    key_id = re.findall(r"/manage/keys/([0-9a-f-]{36})/rotate", page.text)[0]
    _, page = await submit(manager, f"/manage/keys/{key_id}/rotate", {"overlap_h": "24"})
    assert "Sắp hết hạn" in text_of(page)
    _, page = await submit(manager, f"/manage/keys/{key_id}/revoke", {"reason": "thử"})
    assert "Đã thu hồi" in text_of(page)
    assert (await machine.get("/v1/bills")).status_code == 401


async def test_secret_of_one_person_means_nothing_in_anothers_browser(market: Market) -> None:
    manager = await let_in(market, "manager")
    other = await let_in(market, "manager", "manager2.hkxm")
    answer = await manager.post("/manage/keys", data={"name": "x", "scopes": ["bills.read"]})
    other.cookies.set("phopay_once", answer.cookies["phopay_once"], path="/manage")

    page = await other.get("/manage/keys")

    assert "data-secret" not in page.text


async def test_keys_take_only_scopes_that_machines_may_have(market: Market) -> None:
    manager = await let_in(market, "manager")

    answer = await manager.post("/manage/keys", data={"name": "x", "scopes": ["staff.manage"]})

    assert answer.status_code == 422
    async with open_org_transaction(market.hub.services.database, market.stall.org.id) as tx:
        assert await tx.scalar(select(func.count()).select_from(ApiKey)) == 1


async def test_new_person_signs_in_with_the_password_that_was_shown(
    hub: Hub, market: Market
) -> None:
    manager = await let_in(market, "manager")
    form = {
        "name": "Thu ngân một",
        "login": "thungan.mot",
        "roles": ["cashier"],
        "payee": str(market.stall.payee_id),
    }

    _, page = await submit(manager, "/manage/staff", form)

    [password] = [text for text in SECRET.findall(page.text) if text.count("-") == 2]
    assert await hub.browser("thungan.mot", password)
    assert password not in (await manager.get("/manage/staff")).text
    person = re.findall(r'href="(/manage/staff/[0-9a-f-]{36})"', page.text)[0]
    _, page = await submit(manager, f"{person}/disable")
    assert "Đã khóa" in text_of(page)


async def test_cashier_who_becomes_a_manager_opens_these_pages(hub: Hub, market: Market) -> None:
    cashier = await let_in(market, "cashier")
    assert (await cashier.get("/manage")).status_code == 403
    manager = await let_in(market, "manager")
    listed = (await manager.get("/v1/staff")).json()["staff"]
    (staff_id,) = [one["id"] for one in listed if one["login"] == "cashier.hkxm"]
    form = {
        "name": "Thu ngân lên quản lý",
        "roles": ["manager"],
        "payee": "",
        "before_roles": ["cashier"],
        "before_payee": str(market.stall.payee_id),
    }

    await submit(manager, f"/manage/staff/{staff_id}", form)

    assert (await cashier.get("/manage")).status_code != 200  # signs in anew with the new rights
    again = as_reader(await hub.browser("cashier.hkxm"))
    for page in PAGES:
        assert (await again.get(f"/manage{page}")).status_code == 200, page


async def test_administrator_is_told_to_give_the_two_roles_to_two_people(market: Market) -> None:
    admin = as_reader(market.admin)
    form = {"name": "Hai việc", "login": "hai.viec", "roles": ["approver", "manager"]}

    answer = await admin.post("/manage/staff?org=HKXM", data=form)

    assert answer.status_code == 422
    assert "Hãy giao cho hai người đăng nhập khác nhau." in text_of(answer)
    assert 'id="roles-error"' in answer.text
    english = await admin.post(
        "/manage/staff?org=HKXM", data=form, headers={"Accept-Language": "en"}
    )
    assert "Give these roles to two logins." in text_of(english)


async def test_manager_cannot_make_the_second_person(market: Market) -> None:
    manager = await let_in(market, "manager")
    assert 'value="approver"' not in (await manager.get("/manage/staff")).text

    answer = await manager.post(
        "/manage/staff", data={"name": "A", "login": "a.duyet", "roles": ["approver"]}
    )

    assert answer.status_code == 422
    assert "chính bạn không có" in text_of(answer)


async def test_cashier_without_a_stall_is_refused_beside_the_field(market: Market) -> None:
    manager = await let_in(market, "manager")

    answer = await manager.post(
        "/manage/staff", data={"name": "A", "login": "a.thu", "roles": ["cashier"]}
    )

    assert answer.status_code == 422
    assert 'id="payee-error"' in answer.text


async def test_endpoint_is_made_in_four_steps_and_its_secret_shown_once(market: Market) -> None:
    manager = await let_in(market, "manager")
    first = await manager.get("/manage/endpoints/new")
    assert "Bước 1" in text_of(first)
    second = await manager.get("/manage/endpoints/new?provider=sepay")
    assert str(market.stall.account_id) in second.text

    form = {"provider": "sepay", "name": "SePay chợ", "accounts": [str(market.stall.account_id)]}
    path, page = await submit(manager, "/manage/endpoints/new", form)

    copied = SECRET.findall(page.text)
    [address] = [text for text in copied if "/v1/callbacks/sepay/HKXM-" in text]
    [secret] = [text for text in copied if text != address]
    assert len(secret) >= 32
    again = await manager.get(path)
    assert address in again.text
    assert secret not in again.text
    _, page = await submit(manager, f"{path}/rotate", {"overlap_h": "24"})
    assert "Khóa cũ còn dùng đến" in text_of(page)
    _, page = await submit(manager, f"{path}/revoke")
    assert "Đã thu hồi" in text_of(page)


async def test_provider_that_issues_its_secret_must_be_given_it(market: Market) -> None:
    manager = await let_in(market, "manager")
    form = {"provider": "payos", "name": "payOS", "accounts": [str(market.stall.account_id)]}

    answer = await manager.post("/manage/endpoints/new", data=form)

    assert answer.status_code == 422
    assert "Dán khóa do nhà cung cấp cấp" in text_of(answer)


async def test_live_organisation_is_offered_no_sandbox(hub: Hub) -> None:
    market = await set_up_market(hub, is_live=True)
    manager = await let_in(market, "manager")
    page = await manager.get("/manage/endpoints/new?provider=sepay")
    assert 'name="sandbox"' not in page.text

    form = {"provider": "sepay", "accounts": [str(market.stall.account_id)], "sandbox": "yes"}
    answer = await manager.post("/manage/endpoints/new", data=form)

    assert answer.status_code == 422
    assert "không nhận kết nối giả lập" in text_of(answer)


async def test_notice_log_shows_everybody_the_same_message_and_no_number_whole(
    market: Market,
) -> None:
    bill = await market.add_bill()
    await market.pay(bill)
    manager, finance = await let_in(market, "manager"), await let_in(market, "finance")
    endpoint = f"/manage/endpoints/{market.stall.endpoint_id}"
    assert market.stall.account_number not in (await finance.get(endpoint)).text
    assert f"…{market.stall.account_number[-4:]}" in (await finance.get(endpoint)).text
    assert market.stall.account_number in (await manager.get(endpoint)).text
    log = f"{endpoint}/notices"
    page = await finance.get(log)
    assert "Đã trả đủ khoản thu" in text_of(page)
    [notice] = re.findall(rf'href="({log}/[0-9a-f-]{{36}})"', page.text)

    read = [await finance.get(notice), await manager.get(notice)]

    shown = await market.admin.get(
        f"/v1/callback-endpoints/{market.stall.endpoint_id}/notices/{notice.rpartition('/')[2]}",
        params=market.org,
    )
    for answer in read:
        assert market.stall.account_number not in answer.text
        assert f"…{market.stall.account_number[-4:]}" in answer.text
        assert shown.json()["body"] in html.unescape(answer.text)
    assert "Không có thông báo nào như vậy" in text_of(await finance.get(f"{log}?show=refused"))


async def test_nobody_reads_notices_of_another_organisation(market: Market) -> None:
    manager = await let_in(market, "manager")
    database = market.hub.services.database
    async with database.begin() as session:
        other = await an_organisation(session, code="PQRS", is_live=False)
        endpoint_id = await an_endpoint(session, other, [])

    assert (await manager.get(f"/manage/endpoints/{endpoint_id}")).status_code == 404
    assert (await manager.get("/manage?org=PQRS")).status_code == 403


async def test_break_has_a_next_step_and_is_closed_with_words(market: Market) -> None:
    bill = await market.add_bill()
    await market.pay(bill, amount_vnd=25_000)
    finance, manager = await let_in(market, "finance"), await let_in(market, "manager")
    page = await finance.get("/manage/breaks")
    assert "Cần trả lại khách" in text_of(page)
    assert "Chủ tài khoản chuyển trả phần thừa" in text_of(page)
    [close] = re.findall(r'action="(/manage/breaks/[0-9a-f-]{36}/close)"', page.text)
    assert "/close" not in (await manager.get("/manage/breaks")).text

    assert (await manager.post(close, data={"resolution": "x"})).status_code == 403
    assert (await finance.post(close, data={"resolution": "  "})).status_code == 422
    _, page = await submit(finance, close, {"resolution": "Đã chuyển trả, FT123"})

    assert "Mọi khoản đã khớp" in text_of(page)
    closed = await finance.get(f"/manage/breaks?show=closed&kind={BreakKind.REFUND_DUE.value}")
    assert "Đã chuyển trả, FT123" in text_of(closed)


async def test_audit_log_tells_what_was_done_on_these_pages_and_by_whom(market: Market) -> None:
    manager = await let_in(market, "manager")
    await submit(manager, "/manage/payees", {"name": "Cô Lan", "place": "Dãy B"})

    page = text_of(await manager.get("/manage/audit?kind=payee"))

    assert "Thêm gian hàng" in page
    assert "Manager.Hkxm" in page
    assert "Chưa có thay đổi nào như vậy" in text_of(
        await manager.get("/manage/audit?who=nobody%25")
    )
    async with open_org_transaction(market.hub.services.database, market.stall.org.id) as tx:
        told = str(list(await tx.scalars(select(AuditRow.after))))
    assert PASSWORD not in told


async def test_city_makes_an_organisation_and_works_for_it(market: Market) -> None:
    admin = as_reader(market.admin)
    form = {"name": "Chợ Mơ", "code": "mxa2", "kind": "market_board", "mode": "test"}

    _, page = await submit(admin, "/manage/organisations", form)

    assert 'href="/manage?org=M' not in page.text.replace("/manage?org=MXA2", "")
    refused = await admin.post("/manage/organisations", data=form)
    assert refused.status_code == 422
    overview = await admin.get("/manage?org=HKXM")
    assert "Ban quản lý HKXM" in text_of(overview)
    assert "/manage/payees?org=HKXM" in overview.text


async def test_empty_organisation_is_told_the_four_things_to_do(market: Market) -> None:
    admin = as_reader(market.admin)

    words = text_of(await admin.get("/manage"))

    assert "Để bắt đầu nhận tiền" in words
    assert "Đề nghị tài khoản nhận; người thứ hai duyệt" in words


async def test_overview_counts_today(market: Market) -> None:
    bill = await market.add_bill()
    await market.pay(bill)
    manager = await let_in(market, "manager")

    words = text_of(await manager.get("/manage"))

    assert "20.000 ₫" in words
    assert "1 khoản đã vào sổ" in words
    assert "Bình thường" in words


async def test_finance_decides_about_money_that_may_be_reported_twice(market: Market) -> None:
    finance, manager = await let_in(market, "finance"), await let_in(market, "manager")
    bills = [await market.add_bill() for _ in range(2)]
    for bill in bills:
        await market.pay(bill, memo="pho", bank_reference="FT26324000123")

    page = await finance.get("/manage/breaks")

    assert "Có thể một lần chuyển báo hai lần" in text_of(page)
    [same] = re.findall(r'action="(/manage/breaks/[0-9a-f-]{36}/same-money)"', page.text)
    assert "/admit" not in (await manager.get("/manage/breaks")).text
    await submit(finance, same)
    assert (await finance.post(same.replace("same-money", "admit"))).status_code == 422
    assert "same-money" not in (await finance.get("/manage/breaks")).text


async def test_finance_gives_money_that_nothing_explains_to_a_bill_or_a_stall(
    market: Market,
) -> None:
    finance = await let_in(market, "finance")
    bill = await market.add_bill()
    for _ in range(2):
        await market.pay(bill, memo=make_reference("HKXM", 999_999))
    page = await finance.get("/manage/breaks")
    to_bill, to_stall = re.findall(r'action="(/manage/breaks/[0-9a-f-]{36}/assign)"', page.text)
    assert str(market.stall.payee_id) in page.text
    assert "Không có khoản thu nào mang mã PPHKXM" in text_of(page)

    wrong = await finance.post(to_bill, data={"reference": "PP22"})
    assert "Không có khoản thu nào mang mã này." in text_of(wrong)
    await submit(finance, to_bill, {"reference": bill.reference.lower()})
    await submit(finance, to_stall, {"reference": "", "payee_id": market.stall.payee_id})

    assert "/assign" not in (await finance.get("/manage/breaks")).text
    closed = text_of(await finance.get("/manage/breaks?show=closed"))
    assert "Đã trả đủ khoản thu" in closed
    assert "Bán tại quầy" in closed
