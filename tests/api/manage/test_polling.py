"""The managers' forms for the credentials of polling, and what a vendor reads when it fails."""

import pytest

from core.tenancy import open_org_transaction
from payments.connections.models import CallbackEndpoint
from tests.world.markets import Market
from tests.world.pages import let_in, submit, text_of

pytestmark = pytest.mark.anyio


async def is_sealed(market: Market, endpoint_id: str) -> bool:
    async with open_org_transaction(market.hub.services.database, market.stall.org.id) as tx:
        endpoint = await tx.get(CallbackEndpoint, (market.stall.org.id, endpoint_id))
        assert endpoint is not None
        return endpoint.sealed_pull_token is not None


@pytest.mark.parametrize(
    ("provider", "has_token", "has_client_id"),
    [
        ("payos", True, True),
        ("casso", True, False),
        ("sepay", True, False),
        ("vietqrvn", False, False),
    ],
)
async def test_each_provider_is_given_what_it_is_pulled_with(
    market: Market, provider: str, has_token: bool, has_client_id: bool
) -> None:
    manager = await let_in(market, "manager")

    page = (await manager.get(f"/manage/endpoints/new?provider={provider}")).text

    assert ('name="pull_token"' in page) == has_token
    assert ('name="pull_client_id"' in page) == has_client_id
    assert ("Nơi này không cho hỏi lại giao dịch" in page) != has_token


async def test_payos_takes_both_of_its_keys_and_shows_neither_again(market: Market) -> None:
    manager = await let_in(market, "manager")
    form = {
        "provider": "payos",
        "name": "payOS",
        "secret": "checksum-key-of-payos",
        "accounts": [str(market.stall.account_id)],
        "pull_token": "k3y-of-payos",
    }
    answer = await manager.post("/manage/endpoints/new", data=form)
    assert answer.status_code == 422
    assert "payOS cần cả Client ID và API Key" in text_of(answer)
    assert "k3y-of-payos" not in answer.text

    path, page = await submit(
        manager, "/manage/endpoints/new", form | {"pull_client_id": "shop-of-payos"}
    )

    assert "hỏi được" in text_of(page)
    assert "k3y-of-payos" not in page.text
    assert "shop-of-payos" not in page.text
    endpoint_id = path.partition("?")[0].rpartition("/")[2]
    assert await is_sealed(market, endpoint_id)


async def test_a_token_is_changed_on_the_endpoints_page(market: Market) -> None:
    manager = await let_in(market, "manager")
    form = {"provider": "casso", "secret": "checksum-key-of-casso", "name": "Casso"}
    path, page = await submit(
        manager,
        "/manage/endpoints/new",
        form | {"accounts": [str(market.stall.account_id)]},
    )
    path = path.partition("?")[0]
    assert "chưa có mã để hỏi" in text_of(page)

    _, page = await submit(manager, f"{path}/pull-credentials", {"pull_token": "n3w-token"})
    assert "Đã lưu mã hỏi lại giao dịch" in text_of(page)
    assert "hỏi được" in text_of(page)
    assert "n3w-token" not in page.text

    answer = await manager.post(f"{path}/pull-credentials", data={"pull_token": "có dấu"})
    assert answer.status_code == 422
    assert "không có dấu cách hay dấu tiếng Việt" in text_of(answer)
    assert await is_sealed(market, path.rpartition("/")[2])

    _, page = await submit(manager, f"{path}/pull-credentials")
    assert "chưa có mã để hỏi" in text_of(page)


async def test_a_vendor_reads_whom_to_tell_of_a_refused_token(market: Market) -> None:
    owner = await let_in(market, "vendor_owner")

    for told, words in (
        ("refused", "mã API sai hoặc đã hết hạn"),
        ("unclear", "trả lời không đọc được"),
        ("no_order", "chỉ trả lời về đơn tạo ở đó"),
    ):
        page = await owner.get(f"/counter/sales?done={told}")
        assert words in text_of(page), told
