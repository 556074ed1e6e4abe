"""payOS's own Node SDK drives the sandbox and verifies what it emits.

It is not the Python SDK in another language: it sends no signature with a cancellation, and no body
at all without a reason, where the Python SDK signs both.
"""

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from payments.vietqr.parse import parse
from tests.contracts.npm_peers import NpmPeers, install_npm_peers
from tests.world.receivers import Receiver
from tests.world.sandboxes import a_sandbox, subscribe

pytestmark = pytest.mark.slow  # npm brings the SDK, and each test starts a Node.js of its own

SECRET = "s3cret-of-the-test"
KEYS = {"clientId": "shop-1", "apiKey": "key-1", "checksumKey": SECRET}
END_TIMEOUT_S = 10


class Refused(Exception):
    """An error of the SDK: the name of its class, and payOS's code and HTTP status if any."""

    def __init__(self, outcome: dict[str, Any]) -> None:
        super().__init__(outcome["message"])
        self.name = outcome["error"]
        self.code = outcome.get("code")
        self.status = outcome.get("status")


class NodeSdk:
    """One client of the SDK in a Node.js process of its own; each call waits for its outcome."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def call(self, name: str, *args: object) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"call": name, "args": args}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the SDK's process ended"
        outcome: dict[str, Any] = json.loads(line)
        if "error" in outcome:
            raise Refused(outcome)
        data: dict[str, Any] = outcome["data"]
        return data

    def create(self, order_code: int = 7, **facts: object) -> dict[str, Any]:
        wanted = {
            "orderCode": order_code, "amount": 20_000, "description": "AWP-TEST01",
            "cancelUrl": "http://shop/cancel", "returnUrl": "http://shop/return?a=1&b=2", **facts,
        }  # fmt: skip
        return self.call("create", wanted)


@pytest.fixture(scope="module")
def npm_peers() -> NpmPeers:
    return install_npm_peers()


@pytest.fixture
def sandbox() -> Iterator[httpx.Client]:
    with a_sandbox() as client:
        subscribe(client, "payos", "", client_id="shop-1", api_key="key-1")
        yield client


AnSdk = Callable[..., NodeSdk]


@pytest.fixture
def an_sdk(npm_peers: NpmPeers, sandbox: httpx.Client) -> Iterator[AnSdk]:
    """Makes clients; the processes end with the test."""
    with ExitStack() as stack:

        def make(**facts: str) -> NodeSdk:
            options = {**KEYS, "baseURL": str(sandbox.base_url), **facts}
            process = stack.enter_context(
                subprocess.Popen(
                    npm_peers.command("payos.mjs", json.dumps(options)),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            stack.callback(end, process)
            return NodeSdk(process)

        yield make


def end(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    process.stdin.close()  # its loop over the lines ends
    process.wait(END_TIMEOUT_S)


@pytest.fixture
def payos(an_sdk: AnSdk) -> NodeSdk:
    return an_sdk()


def pay(sandbox: httpx.Client, order: dict[str, Any], amount_vnd: int) -> str:
    paid = sandbox.post("/api/pay", json={"payload": order["qrCode"], "amount_vnd": amount_vnd})
    assert paid.status_code == 201, paid.text
    return str(paid.json()["ft"])


def test_node_creates_an_order_with_a_readable_code(payos: NodeSdk) -> None:
    order = payos.create()

    code = parse(order["qrCode"])
    assert (code.bin, code.account, code.amount_vnd) == (
        order["bin"],
        order["accountNumber"],
        20_000,
    )
    assert order["status"] == "PENDING"


def test_node_cancels_with_a_reason_and_no_signature(payos: NodeSdk) -> None:
    order = payos.create()

    cancelled = payos.call("cancel", order["paymentLinkId"], "khách đổi ý")

    assert (cancelled["status"], cancelled["cancellationReason"]) == ("CANCELLED", "khách đổi ý")
    assert payos.call("get", 7)["status"] == "CANCELLED"


def test_node_cancels_without_a_reason_and_not_twice(payos: NodeSdk) -> None:
    payos.create()

    assert payos.call("cancel", 7)["cancellationReason"] is None
    with pytest.raises(Refused, match="CANCELLED"):
        payos.call("cancel", 7, "again")


def test_node_sees_an_order_paid_in_two_parts_and_its_webhooks_verify(
    payos: NodeSdk, sandbox: httpx.Client, receiver: Receiver
) -> None:
    confirmed = payos.call("confirm", receiver.url + "/payos")
    order = payos.create()

    first_ft = pay(sandbox, order, 15_000)
    part = payos.call("get", 7)
    pay(sandbox, order, 5_000)
    whole = payos.call("get", order["paymentLinkId"])

    paid = ("status", "amountPaid", "amountRemaining")
    assert [part[name] for name in paid] == ["UNDERPAID", 15_000, 5_000]
    assert [whole[name] for name in paid] == ["PAID", 20_000, 0]
    assert [line["amount"] for line in whole["transactions"]] == [15_000, 5_000]
    assert confirmed["webhookUrl"] == receiver.url + "/payos"
    test_post, first, _ = receiver.wait_for(3)
    assert payos.call("verify", test_post.body.decode())["orderCode"] == 123
    told = payos.call("verify", first.body.decode())
    assert (told["orderCode"], told["amount"], told["reference"]) == (7, 15_000, first_ft)
    assert told["paymentLinkId"] == order["paymentLinkId"]


def test_node_sees_late_money_on_an_expired_order(
    payos: NodeSdk, sandbox: httpx.Client, receiver: Receiver
) -> None:
    payos.call("confirm", receiver.url)
    past = int((datetime.now(UTC) - timedelta(seconds=5)).timestamp())
    order = payos.create(expiredAt=past)

    pay(sandbox, order, 20_000)

    assert payos.call("get", 7)["status"] == "EXPIRED"
    assert payos.call("get", 7)["amountPaid"] == 20_000
    assert payos.call("verify", receiver.wait_for(2)[1].body.decode())["orderCode"] == 7


def test_node_refuses_a_webhook_with_a_wrong_signature(
    payos: NodeSdk, sandbox: httpx.Client, receiver: Receiver
) -> None:
    payos.call("confirm", receiver.url)
    faults = {"subscription": "sub-1", "profile": {"wrong_signature_percent": 100}}
    sandbox.post("/control/faults", json=faults).raise_for_status()

    pay(sandbox, payos.create(), 20_000)

    with pytest.raises(Refused, match="integrity") as refused:
        payos.call("verify", receiver.wait_for(2)[1].body.decode())
    assert refused.value.name == "WebhookError"


def test_node_is_not_confirmed_a_webhook_that_answers_500(
    payos: NodeSdk, sandbox: httpx.Client, receiver: Receiver
) -> None:
    receiver.statuses = [500]
    with pytest.raises(Refused, match="500"):
        payos.call("confirm", receiver.url)
    assert sandbox.get("/control/subscriptions").json()["subscriptions"][0]["url"] == ""


def test_node_with_a_wrong_checksum_key_can_neither_create_nor_trust_an_answer(
    payos: NodeSdk, an_sdk: AnSdk
) -> None:
    payos.create()
    stranger = an_sdk(checksumKey="another")
    with pytest.raises(Refused) as creating:
        stranger.create(8)
    with pytest.raises(Refused) as reading:
        stranger.call("get", 7)
    assert creating.value.code == "201"
    assert reading.value.name == "InvalidSignatureError"


def test_node_gets_payos_own_kinds_of_refusal(payos: NodeSdk, an_sdk: AnSdk) -> None:
    def refusal(call: Callable[[], object]) -> tuple[str, int | None]:
        with pytest.raises(Refused) as refused:
            call()
        return refused.value.name, refused.value.status

    wrong_key = an_sdk(apiKey="wrong")
    payos.create()
    assert refusal(lambda: wrong_key.call("get", 7)) == ("UnauthorizedError", 401)
    assert refusal(lambda: payos.call("get", "nothing")) == ("NotFoundError", 404)
    assert refusal(lambda: payos.create(8, amount=0)) == ("BadRequestError", 400)
    with pytest.raises(Refused) as twice:
        payos.create()
    assert twice.value.code == "231"
