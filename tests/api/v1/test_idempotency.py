"""Requests sent again, or several times at once: what makes something makes it once."""

import asyncio
import re
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from core.db import Database
from core.ids import new_id
from tests.world.markets import Market
from tests.world.pages import as_reader

pytestmark = pytest.mark.anyio

AT_ONCE = 5
KEY = {"Idempotency-Key": "import-17"}
ACCOUNT = {"bin": "970436", "account_number": "5550123456", "holder_name": "NGUYEN THI LAN"}


async def count(database: Database, table: str) -> int:
    async with database.begin() as session:
        found = await session.execute(text(f"SELECT count(*) FROM {table}"))
        number: int = found.scalar_one()
        return number


async def requests(market: Market) -> dict[str, tuple[str, str, dict[str, Any], dict[str, Any]]]:
    """What makes something: its table, address, body, and another body."""
    endpoint = {
        "provider": "sepay",
        "name": "SePay",
        "account_ids": [str(market.stall.account_id)],
        "pull_token": "a-token-of-sepay",
    }
    key = {"name": "till 7", "scopes": ["bills.read"]}
    payee = {"name": "Cô Lan", "place": "Dãy B"}
    propose = f"/v1/payees/{market.stall.payee_id}/accounts"
    secret = {"secret": "0123456789abcdef0123456789abcdef"}
    rotate = f"/v1/callback-endpoints/{await add_endpoint(market)}/rotate"
    return {
        "payee": ("payees", "/v1/payees", payee, payee | {"place": "Dãy C"}),
        "key": ("api_keys", "/v1/keys", key, key | {"scopes": ["payees.read"]}),
        "endpoint": (
            "callback_endpoints",
            "/v1/callback-endpoints",
            endpoint,
            endpoint | {"pull_token": "another-token"},
        ),
        "proposal": ("payee_accounts", propose, ACCOUNT, ACCOUNT | {"bin": "970407"}),
        "secret": (
            "audit_log WHERE action = 'callback_endpoint.secret_rotated'",
            rotate,
            secret,
            {"secret": "fedcba9876543210fedcba9876543210"},
        ),
    }


async def add_endpoint(market: Market) -> str:
    """Make an endpoint whose secret this hub sealed; return its id."""
    body = {
        "provider": "sepay",
        "name": "Một",
        "account_ids": [str(market.stall.account_id)],
    }
    made = await market.admin.post("/v1/callback-endpoints", params=market.org, json=body)
    assert made.status_code == 201, made.text
    found: str = made.json()["id"]
    return found


@pytest.mark.parametrize("what", ["payee", "key", "endpoint", "proposal", "secret"])
async def test_one_key_at_once_and_again_makes_one(
    market: Market, owner_database: Database, what: str
) -> None:
    table, path, body, other = (await requests(market))[what]
    before = await count(owner_database, table)

    async def send(body: dict[str, Any]) -> httpx.Response:
        return await market.admin.post(path, params=market.org, json=body, headers=KEY)

    answers = await asyncio.gather(*(send(body) for _ in range(AT_ONCE)))
    answers.append(await send(body))
    reused = await send(other)

    assert {answer.status_code for answer in answers} == {201}, answers[0].text
    assert len({answer.json().get("id") for answer in answers}) == 1
    assert answers[-1].headers["idempotent-replayed"] == "true"
    assert await count(owner_database, table) == before + 1
    assert (reused.status_code, reused.json()["code"]) == (409, "idempotency_key_reused")
    without = await market.admin.post(path, params=market.org, json=other)
    assert without.status_code == 201
    assert await count(owner_database, table) == before + 2


@pytest.mark.parametrize(
    ("what", "shown"), [("key", "key"), ("endpoint", "secret"), ("secret", "secret")]
)
async def test_a_secret_is_shown_to_the_first_request_only(
    market: Market, what: str, shown: str
) -> None:
    _, path, body, _ = (await requests(market))[what]

    first, again = [
        await market.admin.post(path, params=market.org, json=body, headers=KEY) for _ in range(2)
    ]

    assert first.json()[shown]
    assert "idempotent-replayed" not in first.headers
    assert again.json()[shown] is None
    assert again.headers["cache-control"] == "no-store"


async def test_a_key_is_rotated_once(market: Market, owner_database: Database) -> None:
    made = await market.admin.post(
        "/v1/keys", params=market.org, json={"name": "till", "scopes": ["bills.read"]}
    )
    path = f"/v1/keys/{made.json()['id']}/rotate"
    before = await count(owner_database, "api_keys")

    async def rotate(address: str = path) -> httpx.Response:
        return await market.admin.post(
            address, params=market.org, json={"overlap_s": 60}, headers=KEY
        )

    answers = await asyncio.gather(*(rotate() for _ in range(AT_ONCE)))

    assert await count(owner_database, "api_keys") == before + 1
    assert len([a for a in answers if a.json()["key"] is not None]) == 1
    assert len({a.json()["id"] for a in answers}) == 1
    other_key = await rotate(f"/v1/keys/{answers[0].json()['id']}/rotate")
    assert other_key.json()["code"] == "idempotency_key_reused"


async def test_a_refused_request_leaves_its_key_free(market: Market) -> None:
    """What was wrong is corrected and sent again under the same key."""
    body = {"name": "till", "scopes": ["staff.manage"]}

    refused = await market.admin.post("/v1/keys", params=market.org, json=body, headers=KEY)
    good = await market.admin.post(
        "/v1/keys", params=market.org, json=body | {"scopes": ["bills.read"]}, headers=KEY
    )

    assert (refused.status_code, good.status_code) == (403, 201)


async def test_what_one_proposed_already_is_not_proposed_again(
    market: Market, owner_database: Database
) -> None:
    """Also without a key: a form pressed twice, and two taps on a slow line."""
    path = f"/v1/payees/{market.stall.payee_id}/accounts"
    before = await count(owner_database, "payee_accounts")

    async def propose(**other: str) -> httpx.Response:
        return await market.admin.post(path, params=market.org, json=ACCOUNT | other)

    answers = await asyncio.gather(*(propose() for _ in range(AT_ONCE)))
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert await count(owner_database, "payee_accounts") == before + 1
    audited = "audit_log WHERE action = 'account.proposed' AND actor_name LIKE 'Quản trị%'"
    assert await count(owner_database, audited) == 1
    # Another number of the account is another proposal; one that was refused is made anew.
    virtual = await propose(virtual_account="VA0001")
    assert (await propose(virtual_account="va0001")).json()["id"] == virtual.json()["id"]
    refused = await market.admin.post(
        f"/v1/accounts/{virtual.json()['id']}/refuse", params=market.org, json={"reason": "sai"}
    )
    assert refused.status_code == 200, refused.text
    anew = await propose(virtual_account="VA0001")
    assert anew.json()["id"] not in {virtual.json()["id"], answers[0].json()["id"]}


# Forms


async def test_a_form_that_is_sent_twice_makes_one(
    market: Market, owner_database: Database
) -> None:
    admin = as_reader(market.admin)
    forms: dict[str, tuple[str, dict[str, Any]]] = {
        "payees": ("/manage/payees", {"name": "Cô Lan", "place": "Dãy B"}),
        "api_keys": ("/manage/keys", {"name": "till", "scopes": ["bills.read"]}),
        "staff": ("/manage/staff", {"name": "Lan", "login": "lan.moi", "roles": ["finance"]}),
        "callback_endpoints": (
            "/manage/endpoints/new",
            {"provider": "sepay", "name": "SePay", "accounts": [str(market.stall.account_id)]},
        ),
    }
    for table, (path, fields) in forms.items():
        page = await admin.get(path, params=market.org | {"provider": "sepay"})
        found = re.search(r'name="form_id" value="([0-9a-f-]{36})"', page.text)
        assert found, path
        sent = fields | {"form_id": found[1]}
        before = await count(owner_database, table)

        answers = await asyncio.gather(
            *(admin.post(path, params=market.org, data=sent) for _ in range(AT_ONCE))
        )

        assert {answer.status_code for answer in answers} == {303}, path
        assert await count(owner_database, table) == before + 1, path
        other = {"login": "lan.hai"} if table == "staff" else {"name": "Cô Ba"}
        back = await admin.post(path, params=market.org, data=sent | other)  # went back, typed on
        assert back.status_code == 303
        assert await count(owner_database, table) == before + 2, path


async def test_who_presses_twice_is_told_how_to_get_a_lost_key(market: Market) -> None:
    admin = as_reader(market.admin)
    sent = {"name": "till", "scopes": ["bills.read"], "form_id": str(new_id())}

    await admin.post("/manage/keys", params=market.org, data=sent)
    again = await admin.post("/manage/keys", params=market.org, data=sent)

    page = await admin.get(again.headers["location"])
    assert "Đã tạo từ lần gửi trước" in page.text


async def test_rotations_by_form_are_one(market: Market, owner_database: Database) -> None:
    admin = as_reader(market.admin)
    key_id = (
        await admin.post(
            "/v1/keys", params=market.org, json={"name": "till", "scopes": ["bills.read"]}
        )
    ).json()["id"]
    endpoint_id = await add_endpoint(market)
    for path, table in (
        (f"/manage/keys/{key_id}/rotate", "api_keys"),
        (
            f"/manage/endpoints/{endpoint_id}/rotate",
            "audit_log WHERE action = 'callback_endpoint.secret_rotated'",
        ),
    ):
        before = await count(owner_database, table)
        sent = {"overlap_h": "24", "form_id": str(new_id())}
        await asyncio.gather(
            *(admin.post(path, params=market.org, data=sent) for _ in range(AT_ONCE))
        )
        assert await count(owner_database, table) == before + 1, path
