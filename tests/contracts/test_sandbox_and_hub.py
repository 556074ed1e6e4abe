"""The sandbox's senders and the hub's adapters were written apart: they meet here, on the wire."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pytest

from payments.providers import find_provider
from payments.providers.protocol import Webhook
from payments.providers.types import EndpointSecrets, RawCallback, Refusal, Verification
from payments.providers.vietqrvn.webhook import TOKEN_SUBPATH, VietQRvn
from tests.world.receivers import ReceivedCallback, Receiver, a_receiver
from tests.world.sandboxes import (
    SANDBOX_ACCOUNT,
    book_transfer,
    read_callback_log,
    subscribe,
)

SECRETS = EndpointSecrets(keys=("s3cret-of-the-test",), username="bank")
NAMES = ["payos", "sepay", "sepay_apikey", "casso", "vietqrvn"]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with a_receiver() as receiver:
        receiver.answer = {"error": False, "errorReason": "", "toastMessage": "", "object": {}}
        login = RawCallback(headers={}, body=b"", subpath=TOKEN_SUBPATH)
        granted = VietQRvn().issue_token(login, SECRETS, now=datetime.now(UTC))
        assert granted is not None
        receiver.token = json.loads(granted.body)["access_token"]
        yield receiver


def hub_adapter(name: str) -> Webhook:
    adapter = find_provider(name)
    assert adapter is not None
    return adapter


def verify(name: str, heard: ReceivedCallback, key: str = SECRETS.keys[0]) -> Verification:
    callback = RawCallback(headers=heard.headers, body=heard.body, subpath=heard.path.strip("/"))
    secrets = EndpointSecrets(keys=(key,), username="bank")
    return hub_adapter(name).verify(callback, secrets, now=datetime.now(UTC))


@pytest.mark.parametrize("name", NAMES)
def test_the_hub_verifies_and_reads_what_the_sandbox_sends(
    sandbox: httpx.Client, receiver: Receiver, name: str
) -> None:
    subscribe(sandbox, name, receiver.url, username="bank")
    line = book_transfer(sandbox, 20_000, memo="cảm ơn PPMOXA234567K")
    assert read_callback_log(sandbox)["counts"]["by_state"] == {"delivered": 1}

    heard = receiver.received[-1]

    assert verify(name, heard).is_valid
    [told] = hub_adapter(name).read(heard.body).transactions
    assert (told.amount_vnd, told.memo) == (20_000, "cảm ơn PPMOXA234567K")
    assert (told.bank_reference, told.account_number) == (
        line["reference"],
        SANDBOX_ACCOUNT["number"],
    )
    assert (told.direction, told.is_simulated) == ("in", False)
    assert abs((datetime.now(UTC) - told.occurred_at).total_seconds()) < 10


@pytest.mark.parametrize("name", NAMES)
def test_the_hub_refuses_a_spoiled_signature_and_another_key(
    sandbox: httpx.Client, receiver: Receiver, name: str
) -> None:
    subscribe(sandbox, name, receiver.url, username="bank")
    faults = {"subscription": "sub-1", "profile": {"wrong_signature_percent": 100}}
    sandbox.post("/control/faults", json=faults).raise_for_status()
    book_transfer(sandbox)
    read_callback_log(sandbox)

    spoiled = receiver.received[-1]

    assert verify(name, spoiled).refusal is Refusal.BAD_SIGNATURE
    assert not verify(name, spoiled, key="another").is_valid


def test_the_hub_calls_a_skewed_clock_stale(sandbox: httpx.Client, receiver: Receiver) -> None:
    subscribe(sandbox, "sepay", receiver.url)
    faults = {"subscription": "sub-1", "profile": {"clock_skew_s": -360}}
    sandbox.post("/control/faults", json=faults).raise_for_status()
    book_transfer(sandbox)
    read_callback_log(sandbox)
    assert verify("sepay", receiver.received[-1]).refusal is Refusal.STALE_TIMESTAMP


@pytest.mark.parametrize("name", ["payos", "casso", "sepay"])
def test_the_hub_sees_that_a_ping_is_no_money(
    sandbox: httpx.Client, receiver: Receiver, name: str
) -> None:
    subscribe(sandbox, name, receiver.url)
    sandbox.post("/control/subscriptions/sub-1/ping").raise_for_status()
    [heard] = receiver.wait_for(1)
    assert verify(name, heard).is_valid
    reading = hub_adapter(name).read(heard.body)
    assert reading.is_ping or all(told.is_simulated for told in reading.transactions)
