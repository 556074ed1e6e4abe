"""Webhook endpoints over the API: secrets shown once, isolation, logs, replays."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from standardwebhooks import Webhook

from core.clock import read_clock
from core.db import Database
from core.ids import new_id
from core.sealing import Sealer
from core.tenancy import open_org_transaction
from payments.outbox.rules import EventKind
from payments.webhooks import queries, service
from payments.webhooks.rules import ENDPOINTS_MAX
from tests.world.cities import employ
from tests.world.constants import MANAGER
from tests.world.markets import Market
from tests.world.receivers import a_receiver
from tests.world.webhooks import MadeEndpoint, a_webhook_endpoint, events_happen, one_worker

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

PATH = "/v1/webhook-endpoints"
BODY = {"url": "https://erp.example.vn/phopay", "events": ["bill.*", "parking_session.left"]}


async def make(market: Market, **more: Any) -> dict[str, Any]:
    answer = await market.admin.post(PATH, params=market.org, json=BODY | more)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_a_secret_is_shown_once_and_stored_sealed(
    market: Market, owner_database: Database
) -> None:
    key = {"Idempotency-Key": "erp-1"}

    answers = await asyncio.gather(
        *(market.admin.post(PATH, params=market.org, json=BODY, headers=key) for _ in range(4))
    )
    again = await market.admin.post(PATH, params=market.org, json=BODY, headers=key)

    assert {answer.status_code for answer in answers} == {201}
    (secret,) = [one for answer in answers if (one := answer.json()["secret"])]
    assert secret.startswith("whsec_")
    assert again.json()["secret"] is None
    assert again.headers["cache-control"] == "no-store"
    async with owner_database.begin() as session:
        rows = (await session.execute(text("SELECT w::text FROM webhook_endpoints w"))).all()
        audit = (await session.execute(text("SELECT a::text FROM audit_log a"))).all()
    assert len(rows) == 1
    assert secret not in f"{rows}{audit}"
    listed = await market.till.get(PATH)
    assert listed.status_code == 403  # this key has no such scope
    shown = await market.admin.get(f"{PATH}/{again.json()['id']}", params=market.org)
    assert "secret" not in shown.json()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"url": "http://erp.example.vn/"}, "bad_webhook_url"),
        ({"url": "https://127.0.0.1/"}, "bad_webhook_url"),
        ({"events": ["bill.invented"]}, "invalid_request"),
        ({"events": []}, "invalid_request"),
    ],
)
async def test_what_cannot_be_sent_is_refused_when_it_is_made_and_when_it_is_changed(
    market: Market, change: dict[str, Any], code: str
) -> None:
    made = await make(market)

    for answer in (
        await market.admin.post(PATH, params=market.org, json=BODY | change),
        await market.admin.patch(f"{PATH}/{made['id']}", params=market.org, json=change),
    ):
        assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_an_organisation_has_a_number_of_endpoints_however_many_come_at_once(
    market: Market,
) -> None:
    for _ in range(ENDPOINTS_MAX - 2):
        await make(market)

    answers = await asyncio.gather(
        *(market.admin.post(PATH, params=market.org, json=BODY) for _ in range(6))
    )

    assert sorted(answer.status_code for answer in answers) == [201] * 2 + [409] * 4
    page = await market.admin.get(PATH, params=market.org | {"limit": "15"})
    rest = await market.admin.get(
        PATH, params=market.org | {"limit": "15", "cursor": page.json()["next_cursor"]}
    )
    assert len(page.json()["endpoints"] + rest.json()["endpoints"]) == ENDPOINTS_MAX


async def test_another_organisation_sees_and_changes_nothing(market: Market) -> None:
    made = await make(market)
    answer = await market.admin.post(
        "/v1/organisations", json={"code": "HKXP", "name": "Chợ khác", "kind": "market_board"}
    )
    assert answer.status_code == 201, answer.text
    await employ(market.admin, "manager.khac", "manager", org="HKXP")
    other = await market.hub.browser("manager.khac")
    path = f"{PATH}/{made['id']}"

    answers = [
        await other.get(path),
        await other.patch(path, json={"is_enabled": False}),
        await other.delete(path),
        await other.post(f"{path}/rotate"),
        await other.post(f"{path}/test"),
        await other.get(f"{path}/deliveries"),
        await other.get(f"{path}/deliveries/{new_id()}"),
    ]

    assert {one.status_code for one in answers} == {404}
    assert (await other.get(PATH)).json()["endpoints"] == []
    shown = await market.admin.get(path, params=market.org)
    assert shown.json()["status"] == "enabled"


async def test_a_test_event_is_sent_and_its_answer_can_be_read(
    market: Market,
    app_database: Database,
    worker_database: Database,
    sealer: Sealer,
) -> None:
    with a_receiver() as receiver:
        receiver.answer = {"error": "không hiểu"}
        receiver.statuses = [500, 200]
        endpoint = await a_webhook_endpoint(
            app_database, market.stall.org.id, receiver.url, sealer, events=["refund.*"]
        )
        path = f"{PATH}/{endpoint.id}"
        made = await market.admin.post(f"{path}/test", params=market.org)
        async with one_worker(worker_database, app_database, sealer, receiver.url) as worker:
            assert await worker.work() == 1
            event = f"{path}/deliveries/{made.json()['event_id']}"
            failed = (await market.admin.get(event, params=market.org)).json()
            pending = await list_ids(market, endpoint, "pending")
            again = await market.admin.post(f"{event}/replay", params=market.org)
            assert await worker.work() == 1
        delivered = (await market.admin.get(event, params=market.org)).json()
        assert Webhook(endpoint.secret).verify(
            receiver.received[-1].body, receiver.received[-1].headers
        )["data"] == {"bill_id": None, "payee_id": None, "message": "PhoPay"}

    assert failed["type"] == "webhook.test"
    assert (failed["status"], failed["last_status"]) == ("pending", 500)
    assert failed["next_attempt_at"]
    assert "không hiểu" in failed["tries"][0]["answer"]
    assert failed["tries"][0]["took_ms"] >= 0
    assert pending == [failed["id"]]
    assert again.status_code == 200
    assert (delivered["status"], delivered["attempts"]) == ("delivered", 2)
    assert [one["status"] for one in delivered["tries"]] == [200, 500]
    assert await list_ids(market, endpoint, "pending") == []
    assert await list_ids(market, endpoint, "delivered") == [failed["id"]]


async def list_ids(market: Market, endpoint: MadeEndpoint, status: str) -> list[str]:
    answer = await market.admin.get(
        f"{PATH}/{endpoint.id}/deliveries", params=market.org | {"status": status}
    )
    return [one["id"] for one in answer.json()["deliveries"]]


async def test_a_time_is_replayed_with_what_happened_while_sending_was_stopped(
    market: Market,
    app_database: Database,
    worker_database: Database,
    sealer: Sealer,
) -> None:
    org_id = market.stall.org.id
    with a_receiver() as receiver:
        endpoint = await a_webhook_endpoint(
            app_database, org_id, receiver.url, sealer, events=["bill.*"]
        )
        path = f"{PATH}/{endpoint.id}"
        async with one_worker(worker_database, app_database, sealer, receiver.url) as worker:
            await events_happen(app_database, org_id, 2)
            await worker.work()
            await switch(market, path, False)
            await events_happen(app_database, org_id, 3)
            await events_happen(app_database, org_id, 1, kind=EventKind.COUNTER_SALE)
            assert await worker.work() == 0
            stopped = await replay(market, path)
            await asyncio.sleep(0.005)  # ids have milliseconds
            await enable(app_database, endpoint)
            assert await worker.work() == 0
            missed = await replay(market, path)
            assert await worker.work() == 3
            everything = await replay(market, path, only_failed=False)
            assert await worker.work() == 5
        ids = [one.headers["webhook-id"] for one in receiver.received]

    assert stopped.json()["code"] == "webhook_endpoint_disabled"
    assert [missed.json(), everything.json()] == [{"count": 3}, {"count": 5}]
    assert (len(ids), len(set(ids))) == (10, 5)


async def switch(market: Market, path: str, is_enabled: bool) -> None:
    answer = await market.admin.patch(path, params=market.org, json={"is_enabled": is_enabled})
    assert answer.status_code == 200, answer.text


async def enable(database: Database, endpoint: MadeEndpoint) -> None:
    """Enable an endpoint at loopback, which this hub's operator did not allow."""
    async with open_org_transaction(database, endpoint.org_id) as session:
        found = await queries.get_endpoint(session, endpoint.org_id, endpoint.id)
        await service.change_endpoint(
            session,
            endpoint.org_id,
            endpoint.id,
            service.EndpointChanges(is_enabled=True),
            allowed_origins=[found.url],
            actor=MANAGER,
            now=read_clock(),
        )


async def replay(market: Market, path: str, **more: Any) -> httpx.Response:
    now = read_clock()
    body = {
        "since": (now - timedelta(hours=1)).isoformat(),
        "until": (now + timedelta(hours=1)).isoformat(),
        **more,
    }
    return await market.admin.post(f"{path}/replays", params=market.org, json=body)


@pytest.mark.parametrize(
    ("since_days", "until_days"), [(8, 0), (40, 38), (0, 1)], ids=["long", "old", "backwards"]
)
async def test_a_replay_is_bounded_in_time(
    market: Market, since_days: int, until_days: int
) -> None:
    made = await make(market)
    now = read_clock()
    body = {
        "since": (now - timedelta(days=since_days)).isoformat(),
        "until": (now - timedelta(days=until_days)).isoformat(),
    }

    answer = await market.admin.post(f"{PATH}/{made['id']}/replays", params=market.org, json=body)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_a_rotation_and_a_test_are_made_once_for_one_key(
    market: Market, owner_database: Database
) -> None:
    made = await make(market)
    key = {"Idempotency-Key": "again-1"}
    for what, shown in (("rotate", "secret"), ("test", "event_id")):
        path = f"{PATH}/{made['id']}/{what}"
        answers = await asyncio.gather(
            *(market.admin.post(path, params=market.org, headers=key) for _ in range(4))
        )
        assert {answer.status_code for answer in answers} == {201}, answers[0].text
        assert len({answer.json()[shown] for answer in answers} - {None}) == 1
    async with owner_database.begin() as session:
        actions = await session.execute(
            text("SELECT action FROM audit_log WHERE object_kind = 'webhook_endpoint'")
        )
        assert sorted(row[0] for row in actions) == [
            "webhook_endpoint.created",
            "webhook_endpoint.secret_rotated",
            "webhook_endpoint.tested",
        ]


async def test_who_reads_the_books_reads_the_log_and_changes_nothing(market: Market) -> None:
    made = await make(market)
    finance = await market.staff("tai.chinh", "finance")

    assert (await finance.get(f"{PATH}/{made['id']}/deliveries")).status_code == 200
    assert (await finance.post(f"{PATH}/{made['id']}/test")).status_code == 403
    assert (await finance.post(PATH, json=BODY)).status_code == 403
