"""Making of a stall's codes, on its account's page: by payOS or VietQR direct, and switched."""

from collections.abc import AsyncIterator

import pytest

from core.tenancy import open_org_transaction
from payments.payees.queries import list_links
from payments.polling.client import open_client
from tests.world.endpoints import an_endpoint
from tests.world.hubs import Hub
from tests.world.markets import Market, set_up_market
from tests.world.pages import let_in, submit, text_of
from tests.world.rails import RailStall, connect_to_payos, payos_sandbox_for

pytestmark = pytest.mark.anyio


@pytest.fixture
async def market(hub: Hub) -> Market:
    return await set_up_market(hub, provider="payos")


@pytest.fixture
async def place(hub: Hub, market: Market) -> AsyncIterator[RailStall]:
    """The stall's payOS, not connected yet."""
    database, sealer = hub.services.database, hub.services.sealer
    async with open_client() as client:
        with payos_sandbox_for(database, database, sealer, market.stall, client) as made:
            yield made


async def account_path(place: RailStall) -> str:
    org_id = place.stall.org.id
    async with open_org_transaction(place.database, org_id) as session:
        ((link, *_),) = await list_links(session, org_id, payee_id=place.stall.payee_id)
    return f"/manage/accounts/{link.id}"


@pytest.mark.slow
async def test_the_manager_sees_how_codes_are_made_and_chooses_where_there_is_a_choice(
    market: Market, place: RailStall
) -> None:
    manager = await let_in(market, "manager")
    path = await account_path(place)
    page = await manager.get(path)
    assert "VietQR trực tiếp" in text_of(page)
    assert "thêm kết nối payOS" in text_of(page)
    assert f"{path}/rail" not in page.text

    await connect_to_payos(place)
    page = await manager.get(path)
    assert "Qua payOS" in text_of(page)
    assert "chỉ payOS báo cho tài khoản này" in text_of(page)
    assert f"{path}/rail" not in page.text
    refused = await manager.post(f"{path}/rail", data={"direct": "1"})
    assert refused.status_code == 409
    assert "Chỉ payOS báo tiền cho tài khoản này" in text_of(refused)

    async with open_org_transaction(place.database, place.stall.org.id) as session:
        await an_endpoint(session, place.stall.org, [place.stall.account_id], provider="sepay")
    assert "Dùng VietQR trực tiếp" in text_of(await manager.get(path))
    _, page = await submit(manager, f"{path}/rail", {"direct": "1"})
    assert "Đã đổi. Áp dụng từ mã tiếp theo." in text_of(page)
    assert "Tạo mã qua payOS" in text_of(page)
    assert "Đổi cách tạo mã thu tiền" in text_of(page)  # in the history
    vendor = await let_in(market, "vendor_owner")
    where, _ = await submit(vendor, "/counter/bills", {"amount": "20"})
    assert (await place.read_id(where.rpartition("/")[2])).rail == "vietqr"

    _, page = await submit(manager, f"{path}/rail", {"direct": ""})
    assert "Dùng VietQR trực tiếp" in text_of(page)
    where, _ = await submit(vendor, "/counter/bills", {"amount": "20"})
    assert (await place.read_id(where.rpartition("/")[2])).rail == "payos"


async def test_who_reads_the_books_sees_it_and_changes_nothing(
    market: Market, place: RailStall
) -> None:
    await connect_to_payos(place)
    async with open_org_transaction(place.database, place.stall.org.id) as session:
        await an_endpoint(session, place.stall.org, [place.stall.account_id], provider="sepay")
    finance = await let_in(market, "finance")
    path = await account_path(place)

    page = await finance.get(path)

    assert "Qua payOS" in text_of(page)
    assert f"{path}/rail" not in page.text
    assert (await finance.post(f"{path}/rail", data={"direct": "1"})).status_code == 403
