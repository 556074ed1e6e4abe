"""Callbacks end to end: an endpoint made over HTTP, a signed notice, a settled bill."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from core.clock import read_clock
from payments.providers import PROVIDERS, EndpointSecrets, RawCallback
from tests.world import callbacks as notices
from tests.world.markets import ENDPOINT_SECRET, Market
from tests.world.serials import next_number
from tests.world.stalls import a_payable_stall

pytestmark = pytest.mark.anyio


def a_notice(market: Market, provider: str, *, amount_vnd: int, memo: str) -> RawCallback:
    """Write and sign a notice of this provider, as it is made on the wire, at this moment."""
    number, account, now = next_number(), market.stall.account_number, read_clock()
    local = (now + timedelta(hours=7)).strftime("%Y-%m-%d %H:%M:%S")
    bank_reference = f"FT26324{number:06d}"
    if provider == "payos":
        data = {
            "orderCode": number,
            "amount": amount_vnd,
            "description": memo,
            "accountNumber": account,
            "reference": bank_reference,
            "transactionDateTime": local,
            "virtualAccountNumber": "",
        }
        return notices.payos_callback({**notices.PAYOS_DATA, **data}, key=ENDPOINT_SECRET)
    if provider in ("sepay", "sepay_apikey"):
        told = {
            "id": number,
            "transactionDate": local,
            "accountNumber": account,
            "content": memo,
            "transferAmount": amount_vnd,
            "referenceCode": bank_reference,
        }
        notice = {**notices.SEPAY_NOTICE, **told}
        if provider == "sepay":
            return notices.sepay_callback(notice, key=ENDPOINT_SECRET, at=now)
        return notices.sepay_apikey_callback(notice, key=ENDPOINT_SECRET)
    if provider == "casso":
        told = {
            "id": number,
            "reference": bank_reference,
            "description": memo,
            "amount": amount_vnd,
            "transactionDateTime": local,
            "accountNumber": account,
        }
        notice = {"error": 0, "data": {**notices.CASSO_NOTICE["data"], **told}}
        return notices.casso_callback(notice, key=ENDPOINT_SECRET, at=now)
    push = {
        "transactionid": f"VQR-{number}",
        "transactiontime": int(now.timestamp() * 1_000),
        "referencenumber": bank_reference,
        "amount": amount_vnd,
        "content": memo,
        "bankaccount": account,
        "orderId": "",
    }
    secrets = EndpointSecrets(keys=(ENDPOINT_SECRET,), username="phopay-test")
    return notices.vietqrvn_callback({**notices.VIETQRVN_PUSH, **push}, secrets=secrets, at=now)


async def until_status(market: Market, bill: Mapping[str, Any], status: str) -> dict[str, Any]:
    """Wait until a bill has a status."""
    for _ in range(100):
        shown: dict[str, Any] = (await market.till.get(f"/v1/bills/{bill['id']}")).json()
        if shown["status"] == status:
            return shown
        await asyncio.sleep(0.05)
    raise AssertionError(f"the bill is {shown['status']}, not {status}")


async def list_notices(market: Market, endpoint: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the notice log."""
    answer = await market.till.get(f"/v1/callback-endpoints/{endpoint['id']}/notices")
    found: list[dict[str, Any]] = answer.json()["notices"]
    return found


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
async def test_a_signed_callback_pays_the_bill_and_is_explained(
    market: Market, provider: str
) -> None:
    endpoint = await market.add_endpoint(provider)
    if provider == "vietqrvn":  # the provider logs in before it pushes
        token = notices.vietqrvn_token_request(user=endpoint["username"], key=ENDPOINT_SECRET)
        issued = await market.call_back(endpoint, token)
        bearer = {"authorization": f"Bearer {issued.json()['access_token']}"}
    else:
        bearer = {}
    bill = await market.open_bill()
    told = a_notice(market, provider, amount_vnd=20_000, memo=f"CK {bill['reference']}")
    headers = bearer

    first = await market.call_back(endpoint, told, **headers)
    paid = await until_status(market, bill, "paid")
    again = await market.call_back(endpoint, told, **headers)

    assert first.status_code == again.status_code == 200
    assert first.content == again.content, "a repeat is answered like the first time"
    assert (paid["paid_vnd"], paid["missing_vnd"]) == (20_000, 0)
    found = (await market.till.get(f"/v1/bills/{bill['id']}/credits")).json()["credits"]
    assert [(c["verdict"], c["rule"], c["applied_vnd"]) for c in found] == [
        ("settle", "memo_exact", 20_000)
    ]
    assert found[0]["reason_facts"]["reference"] == bill["reference"]
    log = await list_notices(market, endpoint)
    assert len(log) == 2
    assert all(one["is_accepted"] for one in log)


async def test_an_unknown_address_and_a_wrong_signature_get_the_same_answer(
    market: Market,
) -> None:
    for provider in sorted(PROVIDERS):
        endpoint = await market.add_endpoint(provider)
        told = a_notice(market, provider, amount_vnd=20_000, memo="x")
        body = told.body.replace(b"20000", b"90000")
        forged = RawCallback(headers=told.headers, body=body, subpath=told.subpath)
        if provider == "sepay_apikey":  # signs nothing: the key itself is wrong
            headers = {"authorization": "Apikey wrong-key-0000000000"}
            forged = RawCallback(headers=headers, body=told.body, subpath=told.subpath)
        if provider == "vietqrvn":
            headers = {"authorization": "Bearer wrong"}
            forged = RawCallback(headers=headers, body=told.body, subpath=told.subpath)
        unknown = {"url": endpoint["url"][:-4] + "AAAA"}

        bad = await market.call_back(endpoint, forged)
        nowhere = await market.call_back(unknown, told)

        assert (bad.status_code, bad.content) == (nowhere.status_code, nowhere.content), provider
        assert bad.status_code >= 400
        log = await list_notices(market, endpoint)
        assert [one["is_accepted"] for one in log] == [False]
        assert log[0]["refusal"]
        revoked = await market.admin.delete(
            f"/v1/callback-endpoints/{endpoint['id']}", params=market.org
        )
        assert revoked.status_code == 204


async def test_both_keys_hold_while_a_secret_is_rotated(market: Market) -> None:
    endpoint = await market.add_endpoint("sepay")
    path = f"/v1/callback-endpoints/{endpoint['id']}/rotate"
    rotated = await market.admin.post(path, json={"overlap_s": 600}, params=market.org)
    assert rotated.status_code == 201
    secret = rotated.json()["secret"]
    notice = {**notices.SEPAY_NOTICE, "accountNumber": market.stall.account_number}

    statuses = [
        (
            await market.call_back(endpoint, notices.sepay_callback(notice, key=k, at=read_clock()))
        ).status_code
        for k in (ENDPOINT_SECRET, secret, "neither-of-the-two-keys")
    ]

    assert statuses[:2] == [200, 200]
    assert statuses[2] >= 400


async def test_without_an_overlap_the_old_key_is_dead(market: Market) -> None:
    endpoint = await market.add_endpoint("sepay")
    path = f"/v1/callback-endpoints/{endpoint['id']}/rotate"
    await market.admin.post(path, json={"overlap_s": 0}, params=market.org)
    told = a_notice(market, "sepay", amount_vnd=1, memo="x")

    assert (await market.call_back(endpoint, told)).status_code >= 400


async def test_a_live_organisation_refuses_a_sandbox_endpoint(market: Market) -> None:
    await a_payable_stall(market.hub.services.database, code="QBSH", is_live=True)
    body = {"provider": "sepay", "name": "x", "account_ids": [], "is_sandbox": True}

    refused = await market.admin.post("/v1/callback-endpoints", json=body, params={"org": "QBSH"})

    assert (refused.status_code, refused.json()["code"]) == (409, "sandbox_refused")


async def test_a_body_over_the_limit_is_not_read(market: Market) -> None:
    endpoint = await market.add_endpoint("sepay")
    told = RawCallback(headers={}, body=b'{"a":"' + b"x" * 2_000_000 + b'"}')

    answer = await market.call_back(endpoint, told)

    assert answer.status_code == 413
    assert await list_notices(market, endpoint) == []


async def test_a_test_ping_is_acknowledged_and_credited_to_nobody(market: Market) -> None:
    endpoint = await market.add_endpoint("payos")
    # What payOS sends to confirm a webhook (docs/callbacks.md).
    data = {**notices.PAYOS_DATA, "orderCode": 123, "amount": 3_000, "accountNumber": "12345678"}
    ping = notices.payos_callback(
        {**data, "description": "VQRIO123", "reference": "TF230204212323"}, key=ENDPOINT_SECRET
    )

    assert (await market.call_back(endpoint, ping)).status_code == 200
    await asyncio.sleep(0.3)
    assert (await market.till.get("/v1/credits")).json()["credits"] == []


async def test_rejections_are_capped_for_an_hour(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("payments.callbacks.receiver.REJECTIONS_AN_HOUR_MAX", 3)
    endpoint = await market.add_endpoint("sepay")
    for _ in range(5):
        await market.call_back(endpoint, RawCallback(headers={}, body=b"{}"))

    assert len(await list_notices(market, endpoint)) == 3


async def test_who_reads_an_endpoint_reads_its_messages_and_no_account_number_whole(
    market: Market,
) -> None:
    endpoint = await market.add_endpoint("sepay")
    await market.call_back(endpoint, a_notice(market, "sepay", amount_vnd=1_000, memo="chè"))
    (notice,) = await list_notices(market, endpoint)
    path = f"/v1/callback-endpoints/{endpoint['id']}/notices/{notice['id']}"

    blind = await market.hub.machine(market.admin, "bills.read", **market.org)
    assert (await blind.get(path)).status_code == 403
    bodies = [
        (await market.till.get(path)).json()["body"],
        (await market.admin.get(path, params=market.org)).json()["body"],
    ]
    assert bodies[0] == bodies[1]
    body = bodies[0]
    assert market.stall.account_number not in body
    assert json.loads(body)["accountNumber"] == f"…{market.stall.account_number[-4:]}"
    assert json.loads(body)["content"] == "chè"


async def test_secrets_are_shown_once_and_an_endpoint_can_be_read(market: Market) -> None:
    endpoint = await market.add_endpoint("sepay", secret=None, pull_token="token-000", name="Mơ")
    assert len(endpoint["secret"]) >= 32

    shown = await market.till.get(f"/v1/callback-endpoints/{endpoint['id']}")
    listed = await market.till.get("/v1/callback-endpoints")

    assert endpoint["secret"] not in shown.text + listed.text
    assert shown.json()["can_be_polled"] is True
    assert shown.json()["last_day"]["accepted"] == 0
    assert endpoint["id"] in [one["id"] for one in listed.json()["endpoints"]]
    assert (await market.till.post("/v1/callback-endpoints", json={})).status_code == 403
    path = f"/v1/callback-endpoints/{endpoint['id']}"
    assert (await market.admin.delete(path, params=market.org)).status_code == 204
    closed = await market.admin.post(f"{path}/rotate", json={}, params=market.org)
    assert closed.json()["code"] == "callback_endpoint_revoked"
    told = notices.sepay_callback(
        dict(notices.SEPAY_NOTICE), key=endpoint["secret"], at=read_clock()
    )
    assert (await market.call_back(endpoint, told)).status_code >= 400


async def test_a_notice_for_an_account_added_later_is_processed_then(market: Market) -> None:
    endpoint = await market.add_endpoint("sepay", account_ids=[])
    bill = await market.open_bill()
    told = a_notice(market, "sepay", amount_vnd=20_000, memo=bill["reference"])
    assert (await market.call_back(endpoint, told)).status_code == 200
    await asyncio.sleep(0.3)
    assert (await market.till.get(f"/v1/bills/{bill['id']}")).json()["status"] == "open"

    body = {"account_ids": [str(market.stall.account_id)]}
    path = f"/v1/callback-endpoints/{endpoint['id']}/accounts"
    listed = await market.admin.put(path, json=body, params=market.org)
    await market.hub.services.processor.process(market.stall.org)

    assert [a["id"] for a in listed.json()["accounts"]] == body["account_ids"]
    await until_status(market, bill, "paid")


@pytest.mark.parametrize("t", ["99999999999999", "17958628521204", "0"])
async def test_a_casso_notice_with_an_odd_clock_is_stored_and_pays(market: Market, t: str) -> None:
    endpoint = await market.add_endpoint("casso")
    bill = await market.open_bill()
    notice = a_notice(market, "casso", amount_vnd=20_000, memo=bill["reference"])
    told = json.dumps(
        json.loads(notice.body), sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    v1 = hmac.new(ENDPOINT_SECRET.encode(), f"{t}.{told}".encode(), hashlib.sha512).hexdigest()

    answer = await market.call_back(
        endpoint, replace(notice, headers={"x-casso-signature": f"t={t},v1={v1}"})
    )

    assert answer.status_code == 200
    await until_status(market, bill, "paid")


async def test_a_sepay_notice_with_a_clock_of_the_far_future_is_not_accepted(
    market: Market,
) -> None:
    endpoint = await market.add_endpoint("sepay")
    notice = a_notice(market, "sepay", amount_vnd=20_000, memo="x")
    at = "99999999999"
    v = hmac.new(
        ENDPOINT_SECRET.encode(), f"{at}.".encode() + notice.body, hashlib.sha256
    ).hexdigest()

    answer = await market.call_back(
        endpoint,
        replace(notice, headers={"x-sepay-timestamp": at, "x-sepay-signature": f"sha256={v}"}),
    )

    assert answer.status_code == 401
    (one,) = await list_notices(market, endpoint)
    assert one["refusal"] == "stale_timestamp"


async def test_a_signed_body_with_a_byte_order_mark_pays(market: Market) -> None:
    endpoint = await market.add_endpoint("sepay")
    bill = await market.open_bill()
    notice = a_notice(market, "sepay", amount_vnd=20_000, memo=bill["reference"])

    answer = await market.call_back(
        endpoint,
        notices.sepay_callback(b"\xef\xbb\xbf" + notice.body, key=ENDPOINT_SECRET, at=read_clock()),
    )

    assert answer.status_code == 200
    await until_status(market, bill, "paid")
