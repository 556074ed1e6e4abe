"""Webhooks on the managers' pages: added, tried out, read, sent again, stopped."""

import re

import pytest

from core.db import Database
from core.sealing import Sealer
from core.tenancy import open_org_transaction
from payments.webhooks import service
from payments.webhooks.rules import StopReason
from tests.world.markets import Market
from tests.world.pages import let_in, submit, text_of
from tests.world.receivers import a_receiver
from tests.world.webhooks import a_webhook_endpoint, events_happen, one_worker

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

PATH = "/manage/webhooks"
FORM = {"url": "https://erp.example.vn/in", "description": "Kế toán", "events": ["bill.*"]}


async def test_an_address_is_added_and_its_secret_shown_once(market: Market) -> None:
    manager = await let_in(market, "manager")

    path, page = await submit(manager, PATH, FORM)
    again = await manager.get(path)

    assert re.fullmatch(rf"{PATH}/[0-9a-f-]{{36}}", path)
    (secret,) = set(re.findall(r"whsec_[A-Za-z0-9+/=]{44}", page.text))
    assert "Khóa webhook của Kế toán" in text_of(page)
    assert secret not in again.text
    listed = text_of(await manager.get(PATH))
    assert "Kế toán https://erp.example.vn/in Khoản thu Đang gửi" in listed


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"url": "http://erp.example.vn/"}, "Không gửi được đến địa chỉ này."),
        ({"url": "https://10.0.0.5/"}, "Không gửi được đến địa chỉ này."),
        ({"events": []}, "Chọn ít nhất một loại sự kiện."),
    ],
)
async def test_what_is_wrong_is_said_beside_its_field(
    market: Market, change: dict[str, object], said: str
) -> None:
    manager = await let_in(market, "manager")

    answer = await manager.post(PATH, data=FORM | change)

    assert answer.status_code == 422
    assert said in text_of(answer)
    assert "Kế toán" in answer.text  # what was typed stays


async def test_a_test_event_is_sent_and_what_answered_it_is_read_and_sent_again(
    market: Market, app_database: Database, worker_database: Database, sealer: Sealer
) -> None:
    manager = await let_in(market, "manager")
    with a_receiver() as receiver:
        receiver.statuses = [503, 200]
        receiver.answer = {"error": "<b>hỏng</b>"}
        endpoint = await a_webhook_endpoint(
            app_database, market.stall.org.id, receiver.url, sealer, events=["bill.*"]
        )
        path, page = await submit(manager, f"{PATH}/{endpoint.id}/test", {})
        assert "Chưa gửi" in text_of(page)
        async with one_worker(worker_database, app_database, sealer, receiver.url) as worker:
            await worker.work()
            failed = await manager.get(path)
            overview = await manager.get(f"{PATH}/{endpoint.id}")
            await submit(manager, f"{path}/replay", {})
            await worker.work()
        delivered = text_of(await manager.get(path))

    assert "Lần 1 HTTP 503" in text_of(failed)
    assert "&lt;b&gt;hỏng&lt;/b&gt;" in failed.text  # as text: nothing of it is run
    assert "webhook.test Chờ gửi HTTP 503 · gửi lại lúc" in text_of(overview)
    assert "Đang lỗi" in text_of(overview)
    assert "Lần 2 HTTP 200" in delivered


async def test_a_missed_time_is_sent_again(
    market: Market, app_database: Database, worker_database: Database, sealer: Sealer
) -> None:
    manager = await let_in(market, "manager")
    with a_receiver() as receiver:
        endpoint = await a_webhook_endpoint(
            app_database, market.stall.org.id, receiver.url, sealer, events=["bill.*"]
        )
        page = await manager.get(f"{PATH}/{endpoint.id}")
        times = dict(re.findall(r'value="(20[0-9T:-]+)"[^>]* name="(since|until)"', page.text))
        form = {name: value for value, name in times.items()}
        assert set(form) == {"since", "until"}
        await events_happen(app_database, market.stall.org.id, 3)
        async with one_worker(worker_database, app_database, sealer, receiver.url) as worker:
            await worker.work()
            sent = form | {"all": "yes"}
            _, page = await submit(manager, f"{PATH}/{endpoint.id}/replay", sent)
            assert await worker.work() == 3
            backwards = {"since": form["until"], "until": form["since"]}
            refused = await manager.post(f"{PATH}/{endpoint.id}/replay", data=backwards)

    assert "Đang gửi lại." in text_of(page)
    assert "Chọn tối đa 7 ngày" in text_of(refused)
    assert len({one.headers["webhook-id"] for one in receiver.received}) == 3


async def test_what_was_stopped_says_why_and_who_only_reads_gets_no_buttons(
    market: Market, app_database: Database, sealer: Sealer
) -> None:
    manager, finance = await let_in(market, "manager"), await let_in(market, "finance")
    org_id = market.stall.org.id
    endpoint = await a_webhook_endpoint(app_database, org_id, "https://erp.example.vn/", sealer)
    async with open_org_transaction(app_database, org_id) as session:
        await service.stop_endpoint(
            session,
            org_id,
            endpoint.id,
            url="https://erp.example.vn/",
            reason=StopReason.FAILING,
            now=endpoint.made_at,
        )
    path = f"{PATH}/{endpoint.id}"

    read = await finance.get(path)
    breaks = text_of(await finance.get("/manage/breaks"))
    _, changed = await submit(manager, f"{path}/change", {"enabled": "yes"})

    assert "Năm ngày liền bên nhận chỉ trả lỗi" in text_of(read)
    assert f"{path}/" not in read.text  # no form leads anywhere
    assert "Đã ngừng gửi webhook" in breaks
    assert "Đang gửi" in text_of(changed)
    assert (await finance.post(f"{path}/delete")).status_code == 403
    where, listed = await submit(manager, f"{path}/delete", {})
    assert where == PATH
    assert "Chưa gửi đi đâu" in text_of(listed)
