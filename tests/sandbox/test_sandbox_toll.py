"""The toll operator of the sandbox: signatures, one charge an id, faults, money."""

import hmac
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.world.sandboxes import a_sandbox

KEY = "a-secret-of-the-toll-operator"
PATH = "/toll/v1/charges"


@pytest.fixture
def operator() -> Iterator[httpx.Client]:
    with a_sandbox() as client:
        client.post("/control/toll/clients", json={"client_id": "lot", "secret": KEY})
        fill(client, 100_000)
        yield client


def fill(client: httpx.Client, balance_vnd: int, **facts: Any) -> None:
    wallet = {"kind": "plate", "value": "29AA12345", "balance_vnd": balance_vnd, **facts}
    client.post("/control/toll/wallets", json=wallet).raise_for_status()


def send(
    client: httpx.Client,
    method: str,
    path: str,
    body: Any = None,
    *,
    key: str = KEY,
    ago_s: int = 0,
) -> httpx.Response:
    content = b"" if body is None else json.dumps(body).encode()
    at = str(int(time.time()) - ago_s)
    signed = f"{at}.{method}.{path}.".encode() + content
    headers = {
        "X-Toll-Client": "lot",
        "X-Toll-Time": at,
        "X-Toll-Signature": hmac.digest(key.encode(), signed, "sha256").hex(),
    }
    return client.request(method, path, content=content, headers=headers)


def charge_body(**facts: Any) -> dict[str, Any]:
    return {
        "request_id": str(uuid4()),
        "account": {"kind": "plate", "value": "29aa12345"},
        "amount_vnd": 5_000,
        "reference": "PPMOXA234567K",
        "expires_at": (datetime.now(UTC) + timedelta(seconds=15)).isoformat(),
        **facts,
    }


def read(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    envelope = answer.json()
    wanted = hmac.digest(KEY.encode(), b"answer." + envelope["answer"].encode(), "sha256").hex()
    assert envelope["signature"] == wanted
    told: dict[str, Any] = json.loads(envelope["answer"])
    return told


def balance(client: httpx.Client) -> int:
    vnd: int = client.get("/control/toll").json()["wallets"][0]["balance_vnd"]
    return vnd


def test_the_same_request_twice_charges_once_and_is_answered_alike(operator: httpx.Client) -> None:
    body = charge_body()

    first, second = (read(send(operator, "POST", PATH, body)) for _ in range(2))

    assert first == second
    assert (first["status"], balance(operator)) == ("charged", 95_000)
    other = send(operator, "POST", PATH, body | {"amount_vnd": 6_000})
    assert other.status_code == 409


@pytest.mark.parametrize("wrong", [{"key": "k" * 20}, {"ago_s": 600}])
def test_an_unsigned_or_old_request_charges_nothing(
    operator: httpx.Client, wrong: dict[str, Any]
) -> None:
    assert send(operator, "POST", PATH, charge_body(), **wrong).status_code == 401
    assert balance(operator) == 100_000


def test_an_expired_request_charges_nothing(operator: httpx.Client) -> None:
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()

    assert send(operator, "POST", PATH, charge_body(expires_at=past)).status_code == 422
    assert balance(operator) == 100_000


@pytest.mark.parametrize(
    ("facts", "problem"),
    [({"balance_vnd": 4_999}, "not_enough_money"), ({"is_locked": True}, "account_locked")],
)
def test_an_empty_or_locked_wallet_declines(
    operator: httpx.Client, facts: dict[str, Any], problem: str
) -> None:
    fill(operator, **{"balance_vnd": 100_000, **facts})

    told = read(send(operator, "POST", PATH, charge_body()))

    assert (told["status"], told["problem"]) == ("declined", problem)


def test_a_pending_charge_is_decided_in_time_and_money_goes_back_once(
    operator: httpx.Client,
) -> None:
    operator.post("/control/toll/faults", json={"fault": "pending", "decided_after_ms": 1})
    body = charge_body()
    assert read(send(operator, "POST", PATH, body))["status"] == "pending"
    time.sleep(0.01)
    path = f"{PATH}/{body['request_id']}"
    assert read(send(operator, "GET", path))["status"] == "charged"

    back = [read(send(operator, "POST", f"{path}/reversal", {"amount_vnd": 5_000})) for _ in "ab"]

    assert [one["status"] for one in back] == ["reversed", "reversed"]
    assert balance(operator) == 100_000


def test_what_was_never_requested_is_absent(operator: httpx.Client) -> None:
    assert read(send(operator, "GET", f"{PATH}/{uuid4()}"))["status"] == "absent"
